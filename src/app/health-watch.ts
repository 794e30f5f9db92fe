/** Says in the log when mail is refused altogether, and when it is accepted again: whoever reads the log later must find it there. */
import type { Clock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import type { Log } from './log.ts'

interface Watched {
  readonly state: string
  health(): { readonly ready: boolean; readonly reasons: readonly string[] }
}

const lookMs = secondMs
/** A disk at its reserve goes to and fro. */
const calmMs = 10 * secondMs

/** Until the process ends. What ends or fails says so itself. */
export function watchHealth(engine: Watched, log: Pick<Log, 'info' | 'warn'>, clock: Clock): void {
  let refusing = false
  let refusedAtMs = 0
  const look = (): void => {
    clock.after(lookMs, look)
    if (engine.state !== 'ready') return
    const { ready, reasons } = engine.health()
    const nowMs = clock.monotonicMs()
    if (!ready) {
      refusedAtMs = nowMs
      if (!refusing) log.warn({ reasons }, 'mail is refused')
      refusing = true
    } else if (refusing && nowMs - refusedAtMs >= calmMs) {
      refusing = false
      log.info({}, 'mail is accepted again')
    }
  }
  look()
}
