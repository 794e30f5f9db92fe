/** How a person or a process manager asks the program to end. */
import type { EventEmitter } from 'node:events'
import type { Clock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'

/** A terminal sends Ctrl-C to its whole process group, and npm passes it on once more: that is one wish, told twice. */
const sameWishMs = secondMs

export interface SignalOptions {
  /** `process` */
  readonly source: EventEmitter
  readonly clock: Clock
  readonly onDrain: (signal: string) => void
  readonly onImpatience: () => void
}

/** Settles with the first signal; a second one, later, says that nobody wants to wait for the drain. */
export function untilSignal({ source, clock, onDrain, onImpatience }: SignalOptions): Promise<string> {
  return new Promise((resolve) => {
    let askedAtMs = Number.NaN
    const stop = (signal: string): void => {
      if (clock.monotonicMs() - askedAtMs >= sameWishMs) return onImpatience()
      if (!Number.isNaN(askedAtMs)) return
      askedAtMs = clock.monotonicMs()
      onDrain(signal)
      resolve(signal)
    }
    source.on('SIGTERM', stop)
    source.on('SIGINT', stop)
  })
}
