/**
 * What the files say at the start: the newest whole checkpoint, the logs from its positions on, folded together. Reads only.
 *
 *   1  outcome log    who was settled, who has tried how often, since the checkpoint
 *   2  stragglers     which records were carried, since the checkpoint
 *   3  checkpoint     its rows, less the settled, with the carried in their new place
 *   4  intake logs    what was accepted since, less the settled, less what has a row already
 *
 * Without any checkpoint all logs are read from their beginning, which is right as long as nothing was ever reclaimed.
 */
import { PosthasteError } from '../kernel/errors.ts'
import { secondMs } from '../kernel/units.ts'
import { emptyRow, type QueueRow, queueRowBytes, readQueueRow } from '../model/queue.ts'
import { inLog, logOf, valueOf } from '../model/submission.ts'
import type { QueueSink } from '../ports/queue.ts'
import type { Disk } from '../ports/disk.ts'
import { domainOf } from '../standards/address.ts'
import { type Checkpoint, eachRows, listCheckpoints, readCheckpoint } from './checkpoint.ts'
import { mailLogName, mailLogNumber, outcomeLog, spoolRoot, stragglerLogNumber } from './files.ts'
import { type Checksum, recordHeaderBytes, recordTypes } from './layout.ts'
import { isStop } from './outcome-log.ts'
import { OutcomeFold, type PendingRecipient } from './pending.ts'
import { readOutcome, readSubmission, type StoredSubmission } from './records.ts'
import { type KnownLog, type LogRecovery, type RecoveredRecord, scanLog } from './recovery.ts'
import { openLogFiles } from './segments.ts'

/** One log as recovery found it. */
export interface ScannedLog {
  readonly name: string
  readonly recovery: LogRecovery
  readonly known: KnownLog | undefined
}

export interface ScannedSpool {
  /** By number; every log that has a directory. */
  readonly mail: ReadonlyMap<number, ScannedLog>
  readonly outcomes: ScannedLog
  /** Newest first: those that are whole. */
  readonly checkpoints: readonly Checkpoint[]
  /** Of all files of checkpoints, and of those that are not whole. */
  readonly checkpointNumbers: readonly number[]
  readonly brokenCheckpoints: readonly number[]
  /** Per log the lowest sequence not used yet. */
  readonly nextSequences: ReadonlyMap<number, number>
  readonly submissions: number
  /** Of those accepted since the checkpoint: a chunk is gone. They stay listed and are never sent. */
  readonly damagedSubmissions: readonly string[]
  /** Recipients in the queue whose segment is not there. */
  readonly recipientsWithoutSegment: number
  readonly pendingRecipients: number
  /** The last process ended with nothing under way: what is pending was not on its way to anybody. */
  readonly stoppedInOrder: boolean
  readonly fold: OutcomeFold
}

/** Where a record begins to be read, and how far back its chunks go. */
export interface RecordPlace {
  readonly place: number
  readonly span: number
}

export interface ScanSpoolOptions {
  readonly disk: Disk
  readonly checksum: Checksum
  readonly sink: QueueSink
  /** Read all logs from their beginning, whatever the checkpoints say. */
  readonly everything?: boolean
}

/**
 * @throws PosthasteError `spool_newer_format`; `spool_checkpoints_damaged` when no checkpoint is whole and the logs do not go back to their beginning
 */
export function scanSpool({ disk, checksum, sink, everything = false }: ScanSpoolOptions): ScannedSpool {
  const numbers = listCheckpoints(disk)
  const checkpoints: Checkpoint[] = []
  for (const number of everything ? [] : [...numbers].reverse()) {
    const checkpoint = readCheckpoint(disk, number)
    if (checkpoint !== null) checkpoints.push(checkpoint)
  }
  const logs = mailLogs(disk)
  const [newest] = checkpoints
  if (newest === undefined && !everything) refuseIncompleteLogs(disk, logs)
  return new QueueScan(disk, checksum, sink, newest).run(logs, {
    checkpoints,
    checkpointNumbers: numbers,
    brokenCheckpoints: numbers.filter((number) => !checkpoints.some(({ head }) => head.number === number)),
  })
}

/** Numbers of the logs that have a directory. */
export function mailLogs(disk: Disk): number[] {
  return disk
    .list(spoolRoot)
    .map(mailLogNumber)
    .filter((log) => log !== null)
}

function refuseIncompleteLogs(disk: Disk, logs: readonly number[]): void {
  for (const name of [outcomeLog, ...logs.map(mailLogName)]) {
    const [first] = openLogFiles(disk, `${spoolRoot}/${name}`).segments
    if (first === undefined || first.header.segment === 1) continue
    throw new PosthasteError(
      'spool_checkpoints_damaged',
      `no checkpoint of the queue is whole, and log ${name} does not go back to its beginning: what was delivered already cannot be told for certain`,
      'look at the disk; then `posthaste spool rebuild` makes a queue from what the logs hold and lists what may be sent twice. Nothing was changed',
      { exitCode: 65 },
    )
  }
}

class QueueScan {
  readonly #disk: Disk
  readonly #checksum: Checksum
  readonly #sink: QueueSink
  readonly #checkpoint: Checkpoint | undefined
  readonly #fold = new OutcomeFold()
  readonly #carried = new Map<number, RecordPlace>()
  /** Rows of the checkpoint that were accepted after its positions: their recipients are not entered again. */
  readonly #early = new Map<number, Set<number>>()
  /** Submissions that were read from the logs. */
  readonly #entered = new Set<number>()
  readonly #nextSequences = new Map<number, number>()
  readonly #damaged: string[] = []
  readonly #segments = new Map<number, { readonly bytes: number; readonly present: ReadonlySet<number> }>()
  #stoppedInOrder = false
  #submissions = 0
  #pending = 0
  #withoutSegment = 0

  constructor(disk: Disk, checksum: Checksum, sink: QueueSink, checkpoint: Checkpoint | undefined) {
    this.#disk = disk
    this.#checksum = checksum
    this.#sink = sink
    this.#checkpoint = checkpoint
    for (const { name, nextSequence } of checkpoint?.head.logs ?? []) {
      const log = mailLogNumber(name)
      if (log !== null) this.#nextSequences.set(log, nextSequence)
    }
  }

  run(
    logs: readonly number[],
    found: Pick<ScannedSpool, 'checkpoints' | 'checkpointNumbers' | 'brokenCheckpoints'>,
  ): ScannedSpool {
    const outcomes = this.#scan(outcomeLog, (record) => this.#outcome(record))
    const mail = new Map<number, ScannedLog>()
    if (logs.includes(stragglerLogNumber)) mail.set(stragglerLogNumber, this.#scanStragglers())
    for (const log of logs) {
      const { segments } = openLogFiles(this.#disk, `${spoolRoot}/${mailLogName(log)}`)
      this.#segments.set(log, {
        bytes: segments[0]?.header.segmentBytes ?? 1,
        present: new Set(segments.map(({ header }) => header.segment)),
      })
    }
    this.#restoreRows()
    if (this.#checkpoint === undefined && this.#carried.size > 0) this.#enterCarried()
    for (const log of logs) if (log !== stragglerLogNumber) mail.set(log, this.#scanIntake(log))
    return {
      mail,
      outcomes,
      ...found,
      nextSequences: this.#nextSequences,
      submissions: this.#submissions,
      damagedSubmissions: this.#damaged,
      recipientsWithoutSegment: this.#withoutSegment,
      pendingRecipients: this.#pending,
      stoppedInOrder: this.#stoppedInOrder,
      fold: this.#fold,
    }
  }

  #scan(name: string, onRecord: (record: RecoveredRecord) => void): ScannedLog {
    const known = this.#checkpoint?.head.logs.find((log) => log.name === name)
    const recovery = scanLog(this.#disk, `${spoolRoot}/${name}`, onRecord, known, this.#checksum)
    return { name, recovery, known }
  }

  #outcome({ type, sequence, payload }: RecoveredRecord): void {
    if (type === recordTypes.run) this.#stoppedInOrder = isStop(payload)
    if (type !== recordTypes.outcome) return
    this.#note(sequence)
    this.#fold.add(sequence, readOutcome(payload, 0))
  }

  #note(number: number): void {
    const log = logOf(number)
    this.#nextSequences.set(log, Math.max(this.#nextSequences.get(log) ?? 1, valueOf(number) + 1))
  }

  #scanStragglers(): ScannedLog {
    const name = mailLogName(stragglerLogNumber)
    const chunks = new Set<number>()
    const from = this.#checkpoint?.head.logs.find((known) => known.name === name)?.position ?? 0
    const segmentBytes = this.#segmentBytes(name)
    return this.#scan(name, ({ type, sequence, position, payload }) => {
      if (type === recordTypes.chunk) chunks.add(position)
      if (type !== recordTypes.submission) return
      const submission = readSubmission(payload, 0)
      if (!isWhole(submission, chunks, from)) return
      const span = chunkSpan(position, submission, segmentBytes)
      this.#carried.set(sequence, { place: inLog(stragglerLogNumber, position), span })
    })
  }

  /** Without rows of a checkpoint: the segment that such a record was carried from may be gone. */
  #enterCarried(): void {
    this.#scan(mailLogName(stragglerLogNumber), ({ type, sequence, position, payload }) => {
      const here = this.#carried.get(sequence)
      if (type !== recordTypes.submission || here?.place !== inLog(stragglerLogNumber, position)) return
      this.#note(sequence)
      this.#entered.add(sequence)
      this.#enterPending(sequence, here, payload, readSubmission(payload, 0))
    })
  }

  #enterPending(number: number, here: RecordPlace, payload: Buffer, submission: StoredSubmission): void {
    const pending = this.#fold.pending(number, submission.recipients.length)
    if (pending.length === 0) return
    this.#submissions += 1
    this.#enter(number, here, submission, pending)
  }

  #segmentBytes(name: string): number {
    return openLogFiles(this.#disk, `${spoolRoot}/${name}`).segments[0]?.header.segmentBytes ?? 1
  }

  #restoreRows(): void {
    const checkpoint = this.#checkpoint
    if (checkpoint === undefined) return
    const known = new Map<number, number>()
    for (const { name, position } of checkpoint.head.logs) {
      const log = mailLogNumber(name)
      if (log !== null) known.set(log, position)
    }
    const row = emptyRow()
    eachRows(this.#disk, checkpoint, (rows) => {
      for (let at = 0; at + queueRowBytes <= rows.length; at += queueRowBytes) {
        readQueueRow(rows, at, row)
        const from = known.get(logOf(row.place)) ?? 0
        if (valueOf(row.place) >= from && logOf(row.place) !== stragglerLogNumber) this.#noteEarly(row)
        const flow = checkpoint.flows.get(row.flow)
        if (flow === undefined) continue
        this.#submissions += 1
        this.#restore(row, flow.domain, flow.tenant)
      }
    })
    this.#sink.restoreLearned(checkpoint.learned)
  }

  #noteEarly({ number, recipient }: QueueRow): void {
    const recipients = this.#early.get(number)
    if (recipients === undefined) this.#early.set(number, new Set([recipient]))
    else recipients.add(recipient)
  }

  /** A row, as the logs since have left it. */
  #restore(row: QueueRow, domain: string, tenant: string): void {
    const state = this.#fold.stateOf(row.number, row.recipient)
    if (state?.settled === true) return
    if (state !== undefined) {
      row.mayBeDuplicate ||= state.mayBeDuplicate
      if (state.attempts >= row.attempts) {
        row.attempts = state.attempts
        row.nextAttemptAtMs = state.nextAttemptAtMs
      }
    }
    const carried = this.#carried.get(row.number)
    if (carried !== undefined) {
      row.place = carried.place
      row.span = carried.span
    }
    this.#pending += 1
    const log = this.#segments.get(logOf(row.place))
    if (log === undefined || !log.present.has(Math.floor(valueOf(row.place) / log.bytes))) this.#withoutSegment += 1
    this.#sink.restore(row, domain, tenant)
  }

  #scanIntake(log: number): ScannedLog {
    const name = mailLogName(log)
    const chunks = new Set<number>()
    const moved = new Map<number, RecordPlace>()
    const entered = this.#entered
    const from = this.#checkpoint?.head.logs.find((known) => known.name === name)?.position ?? 0
    const segmentBytes = this.#segments.get(log)?.bytes ?? 1
    const scanned = this.#scan(name, ({ type, sequence, position, payload }) => {
      this.#note(sequence)
      if (type === recordTypes.chunk) chunks.add(position)
      if (type !== recordTypes.submission) return
      const submission = readSubmission(payload, 0)
      const here = { place: inLog(log, position), span: chunkSpan(position, submission, segmentBytes) }
      // Written again by an earlier recovery: the later copy counts.
      if (entered.has(sequence) || this.#early.has(sequence)) moved.set(sequence, here)
      if (entered.has(sequence)) return
      entered.add(sequence)
      if (isWhole(submission, chunks, from)) this.#enterPending(sequence, here, payload, submission)
      else if (this.#fold.pending(sequence, submission.recipients.length).length > 0) this.#damaged.push(submission.id)
    })
    for (const number of this.#carried.keys()) moved.delete(number)
    if (moved.size > 0) this.#sink.relocateAll(moved)
    return scanned
  }

  #enter(
    number: number,
    { place, span }: RecordPlace,
    submission: StoredSubmission,
    pending: readonly PendingRecipient[],
  ): void {
    const early = this.#early.get(number)
    const bytes = shareOf(submission, 0)
    for (const { recipient, attempts, nextAttemptAtMs, mayBeDuplicate } of pending) {
      if (early?.has(recipient) === true) continue
      const { acceptedAtMs, tenant } = submission
      const lifeS = lifeOf(submission)
      const row = {
        number,
        place,
        span,
        bytes,
        recipient,
        acceptedAtMs,
        lifeS,
        nextAttemptAtMs,
        attempts,
        mayBeDuplicate,
      }
      const domain = domainOf(submission.recipients[recipient] as string)
      this.#restore({ ...row, quarantined: false, flow: 0 }, domain, tenant)
    }
  }
}

/** A chunk from before what is read now is in a segment that is pinned; its bytes are checked when they are sent. */
const isWhole = ({ chunks }: StoredSubmission, read: ReadonlySet<number>, from: number): boolean =>
  chunks.every(({ position }) => read.has(position) || position < from)

/** Segments before the record's own that hold chunks of it. */
export function chunkSpan(position: number, { chunks }: StoredSubmission, segmentBytes: number): number {
  let first = position
  for (const chunk of chunks) first = Math.min(first, chunk.position)
  return Math.floor(position / segmentBytes) - Math.floor(first / segmentBytes)
}

/** Seconds from acceptance to expiry; 0: as the configuration says. */
export function lifeOf({ acceptedAtMs, expiresAtMs }: StoredSubmission): number {
  if (expiresAtMs === 0) return 0
  return Math.max(1, Math.min(2 ** 31, Math.ceil((expiresAtMs - acceptedAtMs) / secondMs)))
}

/** One recipient's share of what a submission holds on disk. */
export function shareOf(
  { chunks, recipients, inlineOffset, inlineBytes }: StoredSubmission,
  payloadAt: number,
): number {
  let bytes = recordHeaderBytes + inlineOffset + inlineBytes - payloadAt
  for (const chunk of chunks) bytes += recordHeaderBytes + chunk.bytes
  return Math.ceil(bytes / recipients.length)
}

/** Numbers of rows, for whoever only wants to know who is in the queue. */
export class QueueTable implements QueueSink {
  /** By number of the submission. */
  readonly rows = new Map<number, QueueRow[]>()
  readonly flows = new Map<QueueRow, { readonly domain: string; readonly tenant: string }>()
  learned: readonly unknown[] = []

  restore(row: QueueRow, domain: string, tenant: string): void {
    const copy = { ...row }
    const rows = this.rows.get(row.number)
    if (rows === undefined) this.rows.set(row.number, [copy])
    else rows.push(copy)
    this.flows.set(copy, { domain, tenant })
  }

  relocateAll(moved: ReadonlyMap<number, RecordPlace>): void {
    for (const [number, { place, span }] of moved)
      for (const row of this.rows.get(number) ?? []) Object.assign(row, { place, span })
  }

  restoreLearned(learned: readonly unknown[]): void {
    this.learned = learned
  }
}
