/** So many notices an hour for one return path: whoever forges it must not make us flood its owner. */
import { hourMs } from '../kernel/units.ts'
import { pathsCountedMax } from './limits.ts'

interface Hour {
  startMs: number
  taken: number
}

export class NoticeBudget {
  readonly #perHourMax: number
  /** In the order in which they were last asked for: a Map keeps the order of insertion. */
  readonly #hours = new Map<string, Hour>()

  constructor(perHourMax: number) {
    this.#perHourMax = perHourMax
  }

  /**
   * Whether one more may go there now; if so, it is counted. An hour begins with its first notice and not before the one before is over. Case does
   * not tell paths apart, because most receivers do not either.
   */
  take(returnPath: string, nowMs: number): boolean {
    const key = returnPath.toLowerCase()
    const known = this.#hours.get(key)
    // A clock that was set back must not stretch the hour.
    const isOver = known === undefined || nowMs >= known.startMs + hourMs || nowMs < known.startMs
    const hour = isOver ? { startMs: nowMs, taken: 0 } : known
    this.#hours.delete(key)
    this.#hours.set(key, hour)
    if (this.#hours.size > pathsCountedMax.value) this.#hours.delete(this.#hours.keys().next().value as string)
    if (hour.taken >= this.#perHourMax) return false
    hour.taken++
    return true
  }
}
