/** The end of recovery: what nothing proves to be on disk is written again, and comes out of the tail like anything else. */
import { inLog } from '../model/submission.ts'
import { mailLogNumber } from './files.ts'
import { originBytes, recordTypes } from './layout.ts'
import type { TailReader } from './reader.ts'
import { readFacts, readSubmission, submissionBytes, writeSubmission } from './records.ts'
import type { RecoveredRecord } from './recovery.ts'
import { chunkSpan, type RecordPlace, type ScannedLog } from './scan.ts'
import type { LogWriter } from './writer.ts'

/** All that is written again after a start, each log for itself. */
export class Rewrites {
  readonly #all: { readonly rewrite: Rewrite; readonly tail: TailReader | null }[] = []

  /** @param tail passes the copies by: their submissions are in the queue already. Null: nobody reads along */
  begin(writer: LogWriter, tail: TailReader | null, { recovery }: ScannedLog): void {
    const rewrite = new Rewrite(writer, mailLogNumber(writer.channel.name) ?? 0, recovery.unproven)
    tail?.pass(rewrite.endsAt)
    this.#all.push({ rewrite, tail })
  }

  get done(): boolean {
    return this.#all.every(({ rewrite }) => rewrite.done)
  }

  /** Where submissions stand now, by number; for each log. */
  moved(): ReadonlyMap<number, RecordPlace>[] {
    return this.#all.map(({ rewrite }) => rewrite.moved)
  }

  poll(): void {
    for (const { rewrite, tail } of this.#all) {
      if (rewrite.done) continue
      rewrite.poll()
      tail?.pass(rewrite.endsAt)
    }
  }
}

/** Writes unproven records again, as far as the window has room; the rest follows with the next poll. */
class Rewrite {
  readonly #writer: LogWriter
  readonly #log: number
  readonly #todo: RecoveredRecord[]
  readonly #movedChunks = new Map<number, number>()
  readonly #moved = new Map<number, RecordPlace>()
  #endsAt = 0
  #proven = false
  #done = false

  constructor(writer: LogWriter, log: number, unproven: readonly RecoveredRecord[]) {
    this.#writer = writer
    this.#log = log
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

  /** Where submissions stand now, by number. */
  get moved(): ReadonlyMap<number, RecordPlace> {
    return this.#moved
  }

  poll(): void {
    for (let record = this.#todo.at(-1); record !== undefined; record = this.#todo.at(-1)) {
      if (!this.#writer.hasRoomFor(record.payload.length + originBytes)) break
      this.#todo.pop()
      if (record.type === recordTypes.submission) {
        const place = copySubmission(this.#writer, this.#log, record, this.#movedChunks, record.origin)
        this.#moved.set(record.sequence, place)
      } else this.#copy(record)
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

  #copy({ type, sequence, position, origin, payload }: RecoveredRecord): void {
    // Nobody reads along with chunks, and what is behind their content would belong to it.
    const copied = type === recordTypes.outcome
    // What was copied before has its origin already.
    const bytes = copied && origin === position ? payload.length + originBytes : payload.length
    const to = this.#writer.start(type, sequence, bytes, copied)
    const { window } = this.#writer.channel
    payload.copy(window, this.#writer.payloadOffset)
    if (copied) window.writeDoubleLE(origin, this.#writer.payloadOffset + bytes - originBytes)
    this.#writer.finish()
    this.#movedChunks.set(position, to)
  }
}

/**
 * Writes a submission's record into another place of this or another log. Chunks that moved take their references along.
 * @param origin for readers: where it was at first; null in a log that nobody reads along with
 */
export function copySubmission(
  writer: LogWriter,
  log: number,
  { sequence, payload }: Pick<RecoveredRecord, 'sequence' | 'payload'>,
  movedChunks: ReadonlyMap<number, number>,
  origin: number | null,
): RecordPlace {
  const read = readSubmission(payload, 0)
  const stored = { ...read, facts: readFacts(payload, read) }
  const chunks = stored.chunks.map((chunk) => ({
    ...chunk,
    position: movedChunks.get(chunk.position) ?? chunk.position,
  }))
  const position = writer.start(
    recordTypes.submission,
    sequence,
    submissionBytes(stored, chunks.length, stored.inlineBytes) + (origin === null ? 0 : originBytes),
    origin !== null,
  )
  const { window, segmentBytes } = writer.channel
  const inlineAt = writeSubmission(window, writer.payloadOffset, stored, { ...stored, chunks })
  payload.copy(window, inlineAt, stored.inlineOffset, stored.inlineOffset + stored.inlineBytes)
  if (origin !== null) window.writeDoubleLE(origin, inlineAt + stored.inlineBytes)
  writer.finish()
  return { place: inLog(log, position), span: chunkSpan(position, { ...stored, chunks }, segmentBytes) }
}
