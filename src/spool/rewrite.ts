/** The end of recovery: what nothing proves to be on disk is written again, and comes out of the tail like anything else. */
import type { Channel } from './channel.ts'
import { recordTypes } from './layout.ts'
import { TailReader } from './reader.ts'
import { readSubmission, type StoredSubmission, submissionBytes, writeSubmission } from './records.ts'
import type { RecoveredRecord } from './recovery.ts'
import type { PendingSubmission } from './scan.ts'
import type { LogWriter } from './writer.ts'

/** Writes unproven records again, as far as the window has room; the rest follows with the next poll. */
export class Rewrite {
  readonly #writer: LogWriter
  readonly #todo: RecoveredRecord[]
  readonly #moved = new Map<number, number>()
  #endsAt = 0
  #proven = false
  #done = false

  constructor(writer: LogWriter, unproven: readonly RecoveredRecord[]) {
    this.#writer = writer
    // What an earlier process said of itself is not true of this one.
    this.#todo = unproven.filter(({ type }) => type !== recordTypes.run).reverse()
    this.poll()
  }

  get done(): boolean {
    return this.#done
  }

  /** Records before this position are old acquaintances. */
  get endsAt(): number {
    return this.#endsAt
  }

  poll(): void {
    for (let record = this.#todo.at(-1); record !== undefined; record = this.#todo.at(-1)) {
      if (!this.#writer.hasRoomFor(record.payload.length)) break
      this.#todo.pop()
      if (record.type === recordTypes.submission) this.#rewriteSubmission(record)
      else this.#copy(record)
      this.#endsAt = this.#writer.endOfOpenBatch
    }
    this.#writer.closeBatch()
    const { committedTo } = this.#writer.channel
    if (this.#done || this.#todo.length > 0 || committedTo < this.#endsAt) return
    if (this.#proven || this.#endsAt === 0) {
      this.#done = true
      this.#writer.endRewrite()
      return
    }
    // Without this a start that sees no mail before the next one would leave both copies unproven, and the work would double each time.
    this.#proven = true
    this.#writer.endRewrite()
    this.#endsAt = this.#writer.prove()
  }

  /** Chunks that moved take their references along. */
  #rewriteSubmission(record: RecoveredRecord): void {
    const writer = this.#writer
    const stored = readSubmission(record.payload, 0)
    const chunks = stored.chunks.map((chunk) => ({
      ...chunk,
      position: this.#moved.get(chunk.position) ?? chunk.position,
    }))
    writer.start(record.type, record.sequence, submissionBytes(stored, chunks.length, stored.inlineBytes))
    const inlineAt = writeSubmission(writer.channel.window, writer.payloadOffset, stored, { ...stored, chunks })
    record.payload.copy(writer.channel.window, inlineAt, stored.inlineOffset, stored.inlineOffset + stored.inlineBytes)
    writer.finish()
  }

  #copy(record: RecoveredRecord): void {
    const position = this.#writer.start(record.type, record.sequence, record.payload.length)
    record.payload.copy(this.#writer.channel.window, this.#writer.payloadOffset)
    this.#writer.finish()
    this.#moved.set(record.position, position)
  }
}

/** Hands on what becomes durable. A pending submission that was written again only moves. */
export class SubmissionTail {
  readonly #reader: TailReader
  readonly #pending: Map<number, PendingSubmission>
  #rewrittenTo = 0
  #onSubmission: (sequence: number, position: number, submission: StoredSubmission) => void = () => {}

  constructor(channel: Channel, pending: Map<number, PendingSubmission>) {
    this.#pending = pending
    this.#reader = new TailReader(channel, (type, sequence, position, bytes, at) => {
      if (type !== recordTypes.submission) return
      if (this.#known(sequence, position, bytes, at)) return
      this.#onSubmission(sequence, position, readSubmission(bytes, at))
    })
  }

  poll(onSubmission: (sequence: number, position: number, submission: StoredSubmission) => void): void {
    this.#onSubmission = onSubmission
    this.#reader.poll()
  }

  get position(): number {
    return this.#reader.position
  }

  takePending(): readonly PendingSubmission[] {
    const pending = [...this.#pending.values()].sort((a, b) => a.sequence - b.sequence)
    this.#pending.clear()
    return pending
  }

  /** Everything before `position` was written by recovery. */
  pass(position: number): void {
    this.#rewrittenTo = position
  }

  #known(sequence: number, position: number, bytes: Buffer, at: number): boolean {
    const known = this.#pending.get(sequence)
    if (known !== undefined) this.#pending.set(sequence, { ...known, position, submission: readSubmission(bytes, at) })
    return known !== undefined || position < this.#rewrittenTo
  }
}
