/** When a recipient is tried again, and when no more: the configured delays, spread a little, until its time is up. */
import type { RetryConfig } from '../config/compiled.ts'
import type { Random } from '../kernel/random.ts'
import { formatDuration, secondMs } from '../kernel/units.ts'
import { outcomeTextMax } from '../model/limits.ts'
import type { Outcome } from '../model/outcome.ts'

export class RetrySchedule {
  readonly #config: RetryConfig
  readonly #random: Random

  constructor(config: RetryConfig, random: Random) {
    this.#config = config
    this.#random = random
  }

  /** From acceptance to the time at which it is given up. @param lifeS 0: as the configuration says */
  lifeMs(lifeS: number): number {
    return lifeS === 0 ? this.#config.expireAfterMs : lifeS * secondMs
  }

  /** The longest that anything may wait: a clock that was wrong once must not park mail for years. */
  get waitMsMax(): number {
    return this.#delayMs(Number.MAX_SAFE_INTEGER) * (1 + this.#config.jitter)
  }

  /** Time of the attempt after `attempts` of them; the last one comes when time is up, not after it. */
  nextAttemptAtMs(attempts: number, expiresAtMs: number, nowMs: number): number {
    const spread = 1 + this.#config.jitter * (2 * this.#random.fraction() - 1)
    return Math.min(Math.round(nowMs + this.#delayMs(attempts) * spread), Math.max(expiresAtMs, nowMs + secondMs))
  }

  /** @param last what the last attempt met; '' when nothing is known of it */
  expired(attempts: number, lifeS: number, last: string): Outcome {
    const span = formatDuration(this.lifeMs(lifeS))
    const met = last === '' ? '' : `; the last one met: ${last}`
    return {
      kind: 'expired',
      scope: 'recipient',
      stage: 'route',
      code: 0,
      enhanced: '5.4.7',
      text: `not delivered within ${span}, after ${attempts} attempts${met}`.slice(0, outcomeTextMax.value),
    }
  }

  /** Delay after the given number of attempts; the last of the list repeats. */
  #delayMs(attempts: number): number {
    const { delaysMs } = this.#config
    return delaysMs[Math.min(attempts, delaysMs.length) - 1] ?? 0
  }
}
