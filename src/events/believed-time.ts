/**
 * Until when what is kept for a time is surely no longer wanted: by the clock, as long as it can be right. One that is far ahead, because a battery is
 * empty or a year was mistyped, would make everything old at once; so it is believed only when it has said so for long.
 *
 *   days   [ 07-01 ][ 07-02 ][ 07-03 ]· a week ·|· doubted ·······  2051-07-03
 *                                     ^ known, and the time that has passed since
 */
import type { Clock } from '../kernel/clock.ts'
import { formatDuration } from '../kernel/units.ts'
import { clockAheadMsMax, clockDoubtMsMin } from './limits.ts'
import { dayName, dayOf } from './spans.ts'

export class BelievedTime {
  readonly #clock: Clock
  readonly #aheadMs: number
  #knownMs: number
  #knownAtMs: number
  /** By the monotonic clock; null: there is no doubt. */
  #doubtedAtMs: number | null = null
  #told = false

  /** `knownMs` has surely come; null when nothing is known. `apartMs`: so far apart are times that are known, when all is well. */
  constructor(clock: Clock, knownMs: number | null, apartMs = 0) {
    this.#clock = clock
    this.#aheadMs = clockAheadMsMax.value + apartMs
    this.#knownMs = knownMs ?? clock.nowMs()
    this.#knownAtMs = clock.monotonicMs()
  }

  /** Never later than what the clock says. */
  nowMs(): number {
    const saysMs = this.#clock.nowMs()
    const atMs = this.#clock.monotonicMs()
    const passedMs = this.#knownMs + atMs - this.#knownAtMs
    if (saysMs <= passedMs + this.#aheadMs) this.#doubtedAtMs = null
    else {
      this.#doubtedAtMs ??= atMs
      if (atMs - this.#doubtedAtMs < clockDoubtMsMin.value) return passedMs
      this.#doubtedAtMs = null
    }
    this.#knownMs = saysMs
    this.#knownAtMs = atMs
    return saysMs
  }

  /** What the operator should hear when `isKept`, because of the doubt alone; null when that is nothing, or was said. */
  warning(isKept: boolean, kept: string, option: string): string | null {
    const isNews = isKept && !this.#told
    this.#told = isKept
    if (!isNews) return null
    const day = dayName(dayOf(this.#clock.nowMs()))
    const doubt = formatDuration(clockDoubtMsMin.value)
    return `The clock says ${day}, far beyond the ${kept} that are kept: look whether it is right. What ${option} makes old by it is dropped in ${doubt}, should it say the same then.`
  }
}

/**
 * The last of them, oldest first, that follows the one before it closely. What stands alone, far ahead, is from when the clock was wrong; but what goes on
 * there for longer than the clock may be ahead was an engine that had stood still.
 */
export function lastKnownMs(timesMs: readonly number[], apartMs = 0): number | null {
  const [firstMs = null] = timesMs
  const farMs = clockAheadMsMax.value + apartMs
  let knownMs = firstMs
  let lastMs = firstMs ?? 0
  let beganMs = lastMs
  for (const ms of timesMs) {
    if (ms - lastMs > farMs) beganMs = ms
    if (beganMs === firstMs || ms - beganMs > farMs) knownMs = ms
    lastMs = ms
  }
  return knownMs
}
