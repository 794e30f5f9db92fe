/**
 * Until when messages are surely no longer wanted: by the clock, as long as it can be right. One that is far ahead, because a battery is empty or a
 * year was mistyped, would make every day of the store old at once; so it is believed only when it has said so for long.
 *
 *   days   [ 07-01 ][ 07-02 ][ 07-03 ]· a week ·|· doubted ·······  2051-07-03
 *                                     ^ known, and the time that has passed since
 */
import type { Clock } from '../kernel/clock.ts'
import { dayMs } from '../kernel/units.ts'
import { clockAheadMsMax, clockDoubtMsMin } from './limits.ts'
import type { Day } from './spans.ts'

export class BelievedTime {
  readonly #clock: Clock
  #knownMs: number
  #knownAtMs: number
  /** By the monotonic clock; null: there is no doubt. */
  #doubtedAtMs: number | null = null

  /** `days`, newest first; the last acceptance of each. */
  constructor(clock: Clock, days: readonly Day[], acceptedLastMs: (day: Day) => number) {
    this.#clock = clock
    const day = lastKnown(days)
    this.#knownMs =
      day === null ? clock.nowMs() : Math.max(day * dayMs, Math.min(acceptedLastMs(day), (day + 1) * dayMs - 1))
    this.#knownAtMs = clock.monotonicMs()
  }

  /** Never later than what the clock says. */
  nowMs(): number {
    const saysMs = this.#clock.nowMs()
    const atMs = this.#clock.monotonicMs()
    const passedMs = this.#knownMs + atMs - this.#knownAtMs
    if (saysMs <= passedMs + clockAheadMsMax.value) this.#doubtedAtMs = null
    else {
      this.#doubtedAtMs ??= atMs
      if (atMs - this.#doubtedAtMs < clockDoubtMsMin.value) return passedMs
      this.#doubtedAtMs = null
    }
    this.#knownMs = saysMs
    this.#knownAtMs = atMs
    return saysMs
  }
}

/** The last day that follows the one before it closely: what stands alone, far ahead, was accepted when the clock was wrong. */
function lastKnown(days: readonly Day[]): Day | null {
  let known = days.at(-1)
  if (known === undefined) return null
  for (const day of days.toReversed()) {
    if ((day - known) * dayMs > clockAheadMsMax.value) break
    known = day
  }
  return known
}
