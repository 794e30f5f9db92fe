/** What a thread has refused at its doors, on its way to the file of refusals: in batches, and no more of them than anybody would read. */
import type { Clock } from '../kernel/clock.ts'
import { refusalsAtOnceMax } from './limits.ts'
import type { StoreClient } from './store-client.ts'

const gatherMs = 200

export class Refusals {
  readonly #store: Pick<StoreClient, 'refused'>
  readonly #clock: Clock
  #events: Record<string, unknown>[] = []
  #leftOut = 0

  constructor(store: Pick<StoreClient, 'refused'>, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  add(event: Record<string, unknown>): void {
    if (this.#events.length >= refusalsAtOnceMax.value) {
      this.#leftOut += 1
      return
    }
    if (this.#events.length === 0) this.#clock.after(gatherMs, () => this.#tell())
    this.#events.push({ time: new Date(this.#clock.nowMs()).toISOString(), ...event })
  }

  #tell(): void {
    const events = this.#events
    if (this.#leftOut > 0) events.push({ event: 'refused_omitted', count: this.#leftOut })
    this.#events = []
    this.#leftOut = 0
    this.#store.refused(events)
  }
}
