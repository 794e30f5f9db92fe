/** Messages that are set aside (strikes.ts), as the scheduler's thread knows them: granted like any other, and never given to anybody who would read them. */
import type { DeliveryReport, Grant } from '../model/grant.ts'
import { noAttempt, type Outcome } from '../model/outcome.ts'
import type { ThreadLog } from './exchange.ts'

export class Quarantine {
  /** By number: whether it was said already. */
  readonly #messages: Map<number, boolean>
  readonly #log: ThreadLog

  constructor(numbers: readonly number[], log: ThreadLog) {
    this.#messages = new Map(numbers.map((number) => [number, false]))
    this.#log = log
  }

  /** From now on the message is not touched any more. */
  add(number: number): void {
    if (!this.#messages.has(number)) this.#messages.set(number, false)
  }

  holds({ number }: Grant): boolean {
    return this.#messages.size > 0 && this.#messages.has(number)
  }

  /** In place of an attempt. */
  report(grant: Grant, nowMs: number): DeliveryReport {
    const { number } = grant
    if (this.#messages.get(number) === false)
      this.#log('error', 'a message is set aside', { submission: number, reason: setAside.text })
    this.#messages.set(number, true)
    return { grant, outcomes: grant.recipients.map(() => setAside), attempt: noAttempt(nowMs) }
  }
}

const setAside: Outcome = {
  kind: 'deferred',
  scope: 'message',
  stage: 'content',
  code: 0,
  enhanced: '4.3.0',
  text: 'set aside: the program died twice over this message. Please report it; to have it tried again, remove strikes.json from the data directory and restart',
}
