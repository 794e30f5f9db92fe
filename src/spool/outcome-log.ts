/**
 * The log of what became of messages. Nobody waits for it, so it commits every few milliseconds: a crash forgets the outcomes of that
 * time and they are delivered again, flagged. That is the bound on duplicates.
 *
 * A domain that turns out not to exist settles a hundred thousand messages at once, more than the window holds. What finds no room waits its
 * turn in memory; meanwhile `hasRoom` keeps anything new from being granted.
 */
import { invariant } from '../kernel/assert.ts'
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { recordTypes } from './layout.ts'
import { outcomesWaitingMax } from './limits.ts'
import { outcomeBytes, type StoredOutcome, writeOutcome } from './records.ts'
import type { LogWriter } from './writer.ts'

const stopped = 1

/** Of a `run` record's payload. */
export const isStop = (payload: Buffer): boolean => payload[0] === stopped

export interface OutcomeLogOptions {
  readonly writer: LogWriter
  readonly clock: Clock
  readonly commitDelayMs: number
  /** Fewer in tests. */
  readonly waitingMax?: number
}

export class OutcomeLog {
  readonly #writer: LogWriter
  readonly #clock: Clock
  readonly #commitDelayMs: number
  /** In order; whoever comes later stands behind. */
  readonly #waiting: BoundedQueue<{ sequence: number; outcome: StoredOutcome }>
  #pace: Timer | null = null
  #stoppedAt: number | null = null

  constructor(options: OutcomeLogOptions) {
    this.#writer = options.writer
    this.#clock = options.clock
    this.#commitDelayMs = options.commitDelayMs
    this.#waiting = new BoundedQueue(options.waitingMax ?? outcomesWaitingMax.value)
  }

  /** False: the disk is far behind, so grant nothing that would bring more outcomes. */
  get hasRoom(): boolean {
    return this.#waiting.size === 0 && this.#writer.backlogBytes < this.#writer.channel.windowBytes / 2
  }

  /** Where the log says that the process has stopped in good order: a start must come across it. Null while it has not. */
  get stoppedAt(): number | null {
    return this.#stoppedAt
  }

  /** Some of what was appended has found no room in the window yet. */
  get waiting(): boolean {
    return this.#waiting.size > 0
  }

  /** Nothing that was appended would be lost by a crash now. */
  get onDisk(): boolean {
    const { channel, openBatchBytes } = this.#writer
    return this.#waiting.size === 0 && openBatchBytes === 0 && channel.committedTo === channel.closedTo
  }

  append(sequence: number, outcome: StoredOutcome): void {
    const bytes = outcomeBytes(outcome)
    if (this.#waiting.size === 0 && this.#writer.hasRoomFor(bytes)) return this.#write(sequence, outcome, bytes)
    invariant(this.#waiting.push({ sequence, outcome }), 'no more outcomes wait than there are recipients')
    // The log thread frees the window only of what it was handed.
    this.#writer.closeBatch()
  }

  /** Says that deliveries begin, or that none is under way any more. */
  mark(run: 'started' | 'stopped'): void {
    this.flush()
    this.#stoppedAt = run === 'stopped' ? this.#writer.endOfOpenBatch : null
    this.#writer.start(recordTypes.run, 0, 1)
    this.#writer.channel.window[this.#writer.payloadOffset] = run === 'stopped' ? stopped : 0
    this.#writer.finish()
    this.flush()
  }

  /** The log thread has moved: writes what had to wait. */
  poll(): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      const bytes = outcomeBytes(next.outcome)
      if (!this.#writer.hasRoomFor(bytes)) return this.#writer.closeBatch()
      this.#waiting.shift()
      this.#write(next.sequence, next.outcome, bytes)
    }
  }

  #write(sequence: number, outcome: StoredOutcome, bytes: number): void {
    this.#writer.start(recordTypes.outcome, sequence, bytes)
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
