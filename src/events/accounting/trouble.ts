/** How it stands with the disk under a file: whether it answers, what was last wrong, when it is tried again. Said once when it begins, and once when it is over. */
import type { Clock, Timer } from '../../kernel/clock.ts'
import { secondMs } from '../../kernel/units.ts'
import { retryMsMax, stallMsMax } from './limits.ts'

const firstRetryMs = 500

export class Trouble {
  readonly #path: string
  readonly #clock: Clock
  readonly #onProblem: (text: string) => void
  /** What that means for the lines. */
  readonly #meanwhile: string
  #stall: Timer | null = null
  #isNow = false
  /** Until the next try; 0 when nothing is wrong. */
  retryMs = 0
  problems = 0
  lastErrorText = ''

  constructor(path: string, clock: Clock, onProblem: (text: string) => void, meanwhile: string) {
    this.#path = path
    this.#clock = clock
    this.#onProblem = onProblem
    this.#meanwhile = meanwhile
  }

  /** '' when there is none. */
  get present(): string {
    return this.#isNow ? this.lastErrorText : ''
  }

  /** The disk is asked for something. */
  asked(): void {
    this.#stall = this.#clock.after(stallMsMax.value, () => {
      if (this.#isNow) return
      this.#begin(
        `no answer for ${stallMsMax.value / secondMs} s`,
        ': the disk does not answer. Mail goes on, and so does this when the disk does.',
      )
    })
  }

  /** It has answered, or nobody waits for that any more. */
  answered(): void {
    this.#stall?.cancel()
  }

  worked(): void {
    this.retryMs = 0
    if (!this.#isNow) return
    this.#isNow = false
    this.#onProblem(`${this.#path} is written again.`)
  }

  failed({ message }: Error): void {
    this.retryMs = Math.min(retryMsMax.value, this.retryMs === 0 ? firstRetryMs : this.retryMs * 2)
    this.#begin(message, ` cannot be written: ${message}. It is tried again; ${this.#meanwhile}.`)
  }

  #begin(errorText: string, said: string): void {
    this.problems += 1
    this.lastErrorText = errorText
    if (this.#isNow) return
    this.#isNow = true
    this.#onProblem(`${this.#path}${said}`)
  }
}
