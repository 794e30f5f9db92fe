/**
 * The log of what became of messages. Nobody waits for it, so it commits every few milliseconds: a crash forgets the outcomes of that
 * time and they are delivered again, flagged. That is the bound on duplicates.
 */
import type { Clock, Timer } from '../kernel/clock.ts'
import { recordTypes } from './layout.ts'
import { outcomeBytes, type StoredOutcome, writeOutcome } from './records.ts'
import type { LogWriter } from './writer.ts'

export interface OutcomeLogOptions {
  readonly writer: LogWriter
  readonly clock: Clock
  readonly commitDelayMs: number
}

export class OutcomeLog {
  readonly #writer: LogWriter
  readonly #clock: Clock
  readonly #commitDelayMs: number
  #pace: Timer | null = null

  constructor(options: OutcomeLogOptions) {
    this.#writer = options.writer
    this.#clock = options.clock
    this.#commitDelayMs = options.commitDelayMs
  }

  /** False: the disk is far behind, so grant nothing that would bring more outcomes. */
  get hasRoom(): boolean {
    return this.#writer.backlogBytes < this.#writer.channel.windowBytes / 2
  }

  append(sequence: number, outcome: StoredOutcome): void {
    this.#writer.start(recordTypes.outcome, sequence, outcomeBytes(outcome))
    writeOutcome(this.#writer.channel.window, this.#writer.payloadOffset, outcome)
    this.#writer.finish()
    this.#pace ??= this.#clock.after(this.#commitDelayMs, () => {
      this.#pace = null
      this.#writer.closeBatch()
    })
  }

  /** Hands over what there is, without waiting for its time. */
  flush(): void {
    this.#pace?.cancel()
    this.#pace = null
    this.#writer.closeBatch()
  }
}
