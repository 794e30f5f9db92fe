/**
 * Reading along: every submission and every outcome once it is on disk, for readers of events. In a thread of its own, behind the log as far as it likes:
 * out of the window while that still holds what comes next, out of the files otherwise, from any position that it has been told.
 *
 *   aim()     the outcome log's end is taken first, then those of the intake logs
 *   step()    intake logs up to there, then the outcome log: no outcome comes before its submission
 *
 * A record may come again after a start: recovery writes again what nothing proved to be on disk. Its mark is the same then, and marks of one log rise but
 * for that, so whoever remembers the last mark of each log that it took knows what it has had. What was carried to the stragglers has come before.
 */
import { PosthasteError } from '../kernel/errors.ts'
import type { SubmissionFacts } from '../model/submission.ts'
import type { LogMark, LogMarks } from '../model/log-mark.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { Channel } from './channel.ts'
import { mailLogNumber, outcomeLog, segmentFileName, spoolRoot, stragglerLog } from './files.ts'
import {
  batchHeaderBytes,
  type Checksum,
  peekBatchHeader,
  recordHeaderBytes,
  recordOrigin,
  recordPayloadBytes,
  recordSequence,
  recordType,
  recordTypes,
  segmentHeaderBytes,
  zlibChecksum,
} from './layout.ts'
import type { LogThreadMemory } from './log-thread.ts'
import { readFacts, readOutcome, readSubmission, type StoredOutcome, type StoredSubmission } from './records.ts'
import { type Batch, batchesOf, type DamagedStretch, openLogFiles, readHeaderOf, type SegmentEnd } from './segments.ts'

export interface FollowOptions {
  readonly disk: Disk
  readonly memory: LogThreadMemory
  /** By name of the log; a log without one is read from its beginning. */
  readonly from: ReadonlyMap<string, number>
  /** What somebody else has read of it already spares the reading. */
  readonly known?: (number: number) => ReadSubmission | undefined
  readonly onSubmission: (number: number, submission: StoredSubmission, facts: SubmissionFacts, mark: LogMark) => void
  readonly onOutcome: (number: number, outcome: StoredOutcome, mark: LogMark) => void
  readonly checksum?: Checksum
}

export interface ReadSubmission {
  readonly head: StoredSubmission
  readonly facts: SubmissionFacts
}

/** Before this the ends of the logs are not known, and a crash may forget what recovery has found and not yet written again. */
export const canFollow = ({ channels, intakeLogs }: LogThreadMemory): boolean =>
  channels
    .map((memory) => new Channel(memory))
    .every(
      ({ name, begun, settled }) => (begun && settled) || !(name === outcomeLog || isIntakeBelow(name, intakeLogs)),
    )

const isIntakeBelow = (name: string, intakeLogs: number): boolean => {
  const log = mailLogNumber(name)
  return log !== null && log < intakeLogs
}

/** By name of the log, where those end that are written in this life. */
export const logEnds = (memory: LogThreadMemory): LogMarks =>
  new Map(
    memory.channels
      .map((channel) => new Channel(channel))
      .flatMap(({ begun, name, committedTo }) => (begun ? [[name, committedTo] as const] : [])),
  )

/** Whoever has read further than a log goes has read another spool's. */
export const isOfOtherSpool = (read: LogMarks, ends: LogMarks): boolean =>
  [...ends].some(([log, end]) => (read.get(log) ?? 0) > end)

/** @throws PosthasteError `store_of_other_spool` */
export function refuseOtherSpool(read: LogMarks, ends: LogMarks): void {
  if (!isOfOtherSpool(read, ends)) return
  throw new PosthasteError(
    'store_of_other_spool',
    'the message store has read further in a log than the log goes: it belongs to another spool',
    'It is set aside and a new one is begun.',
  )
}

export class SpoolFollower {
  readonly #logs: readonly LogFollower[]
  readonly #outcomes: LogFollower
  /** Since it began, of all logs. */
  bytesRead = 0

  /** @throws PosthasteError `store_of_other_spool` when a position lies behind the end of its log */
  constructor(options: FollowOptions) {
    const { disk, memory, from, known, onSubmission, onOutcome, checksum = zlibChecksum } = options
    refuseOtherSpool(from, logEnds(memory))
    const follow = (channel: Channel, onRecord: OnRecord): LogFollower =>
      new LogFollower({ disk, channel, from: from.get(channel.name) ?? 0, onRecord, checksum })
    const channels = memory.channels.map((channel) => new Channel(channel))
    this.#outcomes = follow(
      channels.find(({ name }) => name === outcomeLog) as Channel,
      (type, number, bytes, at, mark) => {
        if (type !== recordTypes.outcome) return null
        const outcome = readOutcome(bytes, at)
        return () => onOutcome(number, outcome, mark)
      },
    )
    const mail = channels.filter(({ name }) => name !== outcomeLog && name !== stragglerLog)
    this.#logs = [
      ...mail.map((channel) =>
        follow(channel, (type, number, bytes, at, mark) => {
          if (type !== recordTypes.submission) return null
          const { head, facts } = known?.(number) ?? readAll(bytes, at)
          return () => onSubmission(number, head, facts, mark)
        }),
      ),
      this.#outcomes,
    ]
  }

  /** What is on disk now is what `step` goes on to. */
  aim(): void {
    this.#outcomes.aim()
    for (const log of this.#logs) if (log !== this.#outcomes) log.aim()
  }

  /** Reads some `bytesMax`. True when everything was read that was on disk at the last `aim`. */
  step(bytesMax: number): boolean {
    let bytes = bytesMax
    for (const log of this.#logs) {
      const read = log.read(bytes)
      this.bytesRead += read
      bytes -= read
      if (!log.done) return false
    }
    return true
  }

  /** Goes on behind all that is on disk now, and never reads it. */
  skip(): void {
    this.aim()
    for (const log of this.#logs) log.skip()
  }

  /** By name of the log: everything before was read. */
  get positions(): ReadonlyMap<string, number> {
    return new Map(this.#logs.map(({ channel, position }) => [channel.name, position]))
  }

  /** Bytes on disk that were not read yet. */
  get behindBytes(): number {
    return this.#logs.reduce((sum, { behindBytes }) => sum + behindBytes, 0)
  }

  /** Nothing before these positions is ever asked for again, by nobody who follows. Before the first call nothing is let go that was not before. */
  release(positions: ReadonlyMap<string, number>): void {
    for (const { channel } of this.#logs) channel.setHeldFrom(positions.get(channel.name) ?? 0)
  }

  /** Whoever must be told of outcomes before these positions is told, for good: the mail that they are about may go. */
  told(positions: ReadonlyMap<string, number>): void {
    const { channel } = this.#outcomes
    channel.setToldTo(positions.get(channel.name) ?? 0)
  }

  close(): void {
    for (const log of this.#logs) log.close()
  }
}

function readAll(bytes: Buffer, at: number): ReadSubmission {
  const head = readSubmission(bytes, at)
  return { head, facts: readFacts(bytes, head) }
}

/** Reads a record; returns what is to be done with it once it is certain that its bytes were whole. Null: nothing. */
type OnRecord = (type: number, number: number, bytes: Buffer, at: number, mark: LogMark) => (() => void) | null

interface LogFollowerOptions {
  readonly disk: Disk
  readonly channel: Channel
  readonly from: number
  readonly onRecord: OnRecord
  readonly checksum: Checksum
}

interface OpenWalk {
  readonly segment: number
  readonly file: DiskFile
  readonly batches: Generator<Batch | DamagedStretch, SegmentEnd, undefined>
}

class LogFollower {
  readonly channel: Channel
  readonly #options: LogFollowerOptions
  /** Segments on disk at the beginning, rising, each with what its header says was on disk of those before it. */
  readonly #found: readonly { readonly segment: number; readonly previousEnd: number }[]
  /** Those of former lives. */
  readonly #former: readonly number[]
  /** Where the log goes on in this life; Infinity when nobody writes it. */
  readonly #goesOnAt: number
  position: number
  #target: number
  /** Number of the batch at `position`, when it is known. */
  #nextBatch: number | null = null
  #walk: OpenWalk | null = null

  constructor(options: LogFollowerOptions) {
    const { disk, channel, from } = options
    this.#options = options
    this.channel = channel
    this.#goesOnAt = channel.begun ? channel.beganAt : Number.POSITIVE_INFINITY
    this.#found = openLogFiles(disk, `${spoolRoot}/${channel.name}`).segments.map(({ header }) => header)
    this.#former = this.#found
      .map(({ segment }) => segment)
      .filter((segment) => segment * channel.segmentBytes < this.#goesOnAt)
    this.position = from
    this.#target = from
    this.#skipWhatIsGone()
    this.#target = this.position
  }

  get done(): boolean {
    return this.position >= this.#target
  }

  get behindBytes(): number {
    return Math.max(0, this.#end - this.position)
  }

  get #end(): number {
    if (this.channel.begun) return this.channel.committedTo
    const last = this.#former.at(-1)
    return last === undefined ? this.position : (last + 1) * this.channel.segmentBytes
  }

  aim(): void {
    this.#target = Math.max(this.position, this.#end)
  }

  skip(): void {
    this.position = this.#target
    this.#nextBatch = null
    this.close()
  }

  /** Reads about so many bytes; returns how many. */
  read(bytesMax: number): number {
    let bytes = 0
    while (this.position < this.#target && bytes < bytesMax) {
      const before = this.position
      if (!this.#fromWindow()) this.#fromFile()
      bytes += this.position - before
    }
    return bytes
  }

  close(): void {
    this.#walk?.file.close()
    this.#walk = null
  }

  /** False when the window does not hold the batch, or does not hold it any more. */
  #fromWindow(): boolean {
    const { window, windowBytes, segmentBytes } = this.channel
    const { position } = this
    if (position < this.#goesOnAt || !this.#isInWindow()) return false
    if (position % segmentBytes === 0) {
      this.position += segmentHeaderBytes
      return true
    }
    const batchAt = position % windowBytes
    const actions: (() => void)[] = []
    let spanBytes = 0
    try {
      const header = peekBatchHeader(window, batchAt)
      spanBytes = header.spanBytes
      this.#take(window, batchAt + batchHeaderBytes, header.records, position + batchHeaderBytes, actions)
      if (!this.#isInWindow()) return false
      this.#nextBatch = header.batch + 1
    } catch (error) {
      // Written over while it was read: what was found there means nothing.
      if (this.#isInWindow()) throw error
      return false
    }
    for (const act of actions) act()
    this.position += spanBytes
    return true
  }

  #isInWindow(): boolean {
    return this.channel.writtenTo - this.position <= this.channel.windowBytes
  }

  /** `position` is where the record at `recordsAt` is. */
  #take(bytes: Buffer, recordsAt: number, records: number, position: number, actions: (() => void)[]): void {
    const log = this.channel.name
    let at = recordsAt
    for (let i = 0; i < records; i++) {
      const payloadAt = at + recordHeaderBytes
      const mark = { log, position: recordOrigin(bytes, at, position + at - recordsAt) }
      const act = this.#options.onRecord(recordType(bytes, at), recordSequence(bytes, at), bytes, payloadAt, mark)
      if (act !== null) actions.push(act)
      at = payloadAt + recordPayloadBytes(bytes, at)
    }
  }

  #fromFile(): void {
    const { segmentBytes } = this.channel
    const segment = Math.floor(this.position / segmentBytes)
    if (this.#walk?.segment !== segment && !this.#openWalk(segment)) return this.#goOnBehind(segment)
    const step = (this.#walk as OpenWalk).batches.next()
    if (step.done === true) {
      this.close()
      this.#nextBatch = null
      // Never past what is on disk, should the end of a segment that is being written be damaged.
      this.position = Math.min((segment + 1) * segmentBytes, Math.max(this.position, this.#end))
      this.#skipWhatIsGone()
    } else if ('header' in step.value) this.#takeBatch(step.value)
    else {
      this.#nextBatch = null
      this.#passTo(Math.max(this.position, step.value.position + step.value.bytes))
    }
  }

  #takeBatch({ position, header, bytes }: Batch): void {
    // Before where we begin.
    if (position < this.position) return
    const actions: (() => void)[] = []
    this.#take(bytes, batchHeaderBytes, header.records, position + batchHeaderBytes, actions)
    for (const act of actions) act()
    this.#nextBatch = header.batch + 1
    this.#passTo(position + header.spanBytes)
    if (this.position >= this.#goesOnAt && this.#isInWindow()) this.close()
  }

  #passTo(position: number): void {
    this.position = position
    // A batch may end with its segment, and the next one may be gone, or was never begun.
    if (position % this.channel.segmentBytes === 0) this.#skipWhatIsGone()
  }

  /** False when the segment is gone. */
  #openWalk(segment: number): boolean {
    this.close()
    const { disk, checksum } = this.#options
    const file = openIfThere(disk, `${spoolRoot}/${this.channel.name}/${segmentFileName(segment)}`)
    if (file === null) return false
    const header = readHeaderOf(file)
    if (header?.segment !== segment) {
      file.close()
      return false
    }
    const at = this.position % header.segmentBytes
    const known = this.#nextBatch !== null && at > segmentHeaderBytes ? { at, batch: this.#nextBatch } : undefined
    this.#walk = { segment, file, batches: batchesOf({ file, header, checksum }, this.#provenBehind(segment), known) }
    return true
  }

  /** A gap before this position is damage, and mail may follow it; behind it, the end. As recovery has it. */
  #provenBehind(segment: number): number {
    return this.#found.find((found) => found.segment > segment)?.previousEnd ?? 0
  }

  /** Nobody needed it any more, or it is damaged: its file has another segment's name by now, or is not there. */
  #goOnBehind(segment: number): void {
    const { name, segmentBytes } = this.channel
    const { segments } = openLogFiles(this.#options.disk, `${spoolRoot}/${name}`)
    const next = segments.find(({ header }) => header.segment > segment)?.header.segment
    this.#nextBatch = null
    const to = next === undefined ? Number.POSITIVE_INFINITY : next * segmentBytes
    // Never past what is on disk: the next one may have a header and nothing else.
    this.position = Math.min(to, Math.max(this.position, this.#end))
    this.#skipWhatIsGone()
  }

  /** Goes on where there is something: segments may be gone, or were never begun. */
  #skipWhatIsGone(): void {
    const { segmentBytes } = this.channel
    if (this.position >= this.#goesOnAt) return
    const segment = Math.floor(this.position / segmentBytes)
    const next = this.#former.find((former) => former >= segment)
    if (next === segment) return
    if (next !== undefined) this.position = next * segmentBytes
    else if (Number.isFinite(this.#goesOnAt)) this.position = this.#goesOnAt
  }
}

function openIfThere(disk: Disk, path: string): DiskFile | null {
  try {
    return disk.open(path, 'read')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
