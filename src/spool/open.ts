/** Brings the spool up: scan, set damage aside, open new segments, write again what nothing proves to be on disk. */
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'
import type { SpoolConfig } from '../config/compiled.ts'
import type { Disk } from '../ports/disk.ts'
import { Channel, type ChannelMemory, makeChannelMemory } from './channel.ts'
import { intakeLog, outcomeLog, quarantineDirectory, spoolRoot } from './files.ts'
import { type Checksum, recordTypes, zlibChecksum } from './layout.ts'
import type { LogThreadMemory } from './log-thread.ts'
import { OutcomeLog } from './outcome-log.ts'
import { OutcomeFold, type PendingRecipient } from './pending.ts'
import { RecordReader, type SegmentPlace, TailReader } from './reader.ts'
import {
  readOutcome,
  readSubmission,
  type StoredOutcome,
  type StoredSubmission,
  submissionBytes,
  writeSubmission,
} from './records.ts'
import { type LogRecovery, quarantineDamage, type RecoveredRecord, scanLog } from './recovery.ts'
import { SubmissionLog } from './submission-log.ts'
import { LogWriter } from './writer.ts'

/** Outcomes are committed this late: at 1,000 a second at most 10 are forgotten by a crash. */
const outcomeCommitDelayMs = 10

export interface SpoolOptions {
  readonly disk: Disk
  readonly config: SpoolConfig
  readonly memory: LogThreadMemory
  readonly clock: Clock
  readonly random: Random
  /** Where salts come from; the simulation takes them away. */
  readonly salts?: Random
  readonly checksum?: Checksum
}

/** A submission with recipients that still wait, as recovery found it. */
export interface PendingSubmission {
  readonly sequence: number
  readonly position: number
  readonly submission: StoredSubmission
  readonly recipients: readonly PendingRecipient[]
}

export interface RecoveryReport {
  readonly submissions: number
  readonly pendingSubmissions: number
  readonly pendingRecipients: number
  readonly rewritten: number
  readonly tornBytes: number
  readonly damagedBytes: number
  /** Ids of submissions whose content is gone; they stay listed and are never sent. */
  readonly damagedSubmissions: readonly string[]
  readonly quarantined: readonly string[]
}

export interface Spool {
  readonly submissions: SubmissionLog
  readonly outcomes: OutcomeLog
  /** Records of the intake log, by position. */
  readonly records: RecordReader
  readonly recovery: RecoveryReport
  readonly channels: readonly Channel[]
  /** True once the first segments exist and everything recovery wrote again is on disk: act on pending submissions only from then on. */
  settled(): boolean
  /** Calls back for every submission that becomes durable, and for those that were pending at start, once each. */
  poll(onSubmission: (sequence: number, position: number, submission: StoredSubmission) => void): void
  takePending(): readonly PendingSubmission[]
  close(): void
}

/** Shared memory for the logs of one disk: made by main, handed to the log thread and to the owner. */
export function makeSpoolMemory(config: SpoolConfig): LogThreadMemory {
  const outcomeBytes = Math.min(config.segmentBytes, 16 * 2 ** 20)
  return {
    channels: [
      makeChannelMemory(intakeLog, config.segmentBytes, config.windowBytes),
      makeChannelMemory(outcomeLog, outcomeBytes, Math.min(outcomeBytes, config.windowBytes)),
    ],
    wake: new SharedArrayBuffer(8),
  }
}

/** Directories of the spool, with their names on disk. @throws PosthasteError when the place cannot be written */
export function makeSpoolDirectories(disk: Disk): void {
  try {
    for (const path of [spoolRoot, `${spoolRoot}/${intakeLog}`, `${spoolRoot}/${outcomeLog}`]) disk.makeDirectory(path)
    disk.syncDirectory('')
    disk.syncDirectory(spoolRoot)
  } catch (cause) {
    throw new PosthasteError(
      'spool_unwritable',
      `the spool cannot be created or written: ${(cause as Error).message}`,
      'give the data directory to the user that Posthaste runs as, or choose another one with `data` or --data',
      { exitCode: 73, cause },
    )
  }
}

export function openSpool(options: SpoolOptions): Spool {
  const { disk, clock, random } = options
  const checksum = options.checksum ?? zlibChecksum
  const quarantine = `${spoolRoot}/${quarantineDirectory}`
  const [intakeMemory, outcomeMemory] = options.memory.channels as [ChannelMemory, ChannelMemory]
  const intake = scanIntake(disk, checksum, scanOutcomes(disk, checksum))
  const quarantined = [
    ...quarantineDamage(disk, `${spoolRoot}/${intakeLog}`, quarantine, intake.recovery),
    ...quarantineDamage(disk, `${spoolRoot}/${outcomeLog}`, quarantine, intake.outcomes.recovery),
  ]

  const places = new Map<number, SegmentPlace>()
  for (const { header, fileOrdinal, file } of intake.recovery.files.segments) {
    places.set(header.segment, { fileOrdinal, salt: header.salt })
    file.close()
  }
  for (const { file } of intake.outcomes.recovery.files.segments) file.close()
  const wake = new Int32Array(options.memory.wake)
  const writerFor = (
    memory: ChannelMemory,
    recovery: LogRecovery,
    known: Map<number, SegmentPlace> | null,
  ): LogWriter =>
    new LogWriter({
      channel: new Channel(memory),
      wake,
      clock,
      random: options.salts ?? random,
      checksum,
      nextSegment: recovery.nextSegment,
      nextFileOrdinal: recovery.nextFileOrdinal,
      nextBatch: recovery.nextBatch,
      previousEnd: recovery.provenThrough,
      onSegment: (plan) => known?.set(plan.segment, plan),
    })
  const intakeWriter = writerFor(intakeMemory, intake.recovery, places)
  const outcomeWriter = writerFor(outcomeMemory, intake.outcomes.recovery, null)
  // Readers start before the rewritten records, which therefore reach the scheduler like any other.
  const tail = new SubmissionTail(intakeWriter.channel, intake.pending)
  const rewrites = [
    new Rewrite(intakeWriter, intake.recovery.unproven),
    new Rewrite(outcomeWriter, intake.outcomes.recovery.unproven),
  ] as const

  // The log thread makes the first segments' files while nobody waits for them.
  Atomics.add(wake, 0, 1)
  Atomics.notify(wake, 0)

  const submissions = new SubmissionLog({
    writer: intakeWriter,
    clock,
    random,
    nextSequence: Math.max(intake.recovery.sequenceMax, intake.outcomes.recovery.sequenceMax) + 1,
    commitDelayMs: options.config.commitDelayMs,
    commitBytesMax: options.config.commitBytesMax,
  })
  const outcomes = new OutcomeLog({ writer: outcomeWriter, clock, commitDelayMs: outcomeCommitDelayMs })
  const records = new RecordReader(disk, intakeWriter.channel, places, checksum)
  const pending = [...intake.pending.values()]
  return {
    submissions,
    outcomes,
    records,
    channels: [intakeWriter.channel, outcomeWriter.channel],
    recovery: {
      submissions: intake.submissions,
      pendingSubmissions: pending.length,
      pendingRecipients: pending.reduce((sum, { recipients }) => sum + recipients.length, 0),
      rewritten: intake.recovery.unproven.length + intake.outcomes.recovery.unproven.length,
      tornBytes: intake.recovery.tornBytes + intake.outcomes.recovery.tornBytes,
      damagedBytes: [...intake.recovery.damage, ...intake.outcomes.recovery.damage].reduce(
        (sum, { bytes }) => sum + bytes,
        0,
      ),
      damagedSubmissions: intake.damagedSubmissions,
      quarantined,
    },
    settled: () => intakeWriter.channel.open && outcomeWriter.channel.open && rewrites.every((rewrite) => rewrite.done),
    poll(onSubmission) {
      if (rewrites.some((rewrite) => !rewrite.done)) {
        for (const rewrite of rewrites) rewrite.poll()
        tail.pass(rewrites[0].endsAt)
      }
      tail.poll(onSubmission)
      intakeWriter.releaseTo(tail.position)
      outcomeWriter.releaseTo(outcomeWriter.channel.committedTo)
      submissions.poll()
    },
    takePending: () => tail.takePending(),
    close: () => records.close(),
  }
}

interface ScannedOutcomes {
  readonly recovery: LogRecovery
  readonly fold: OutcomeFold
}

function scanOutcomes(disk: Disk, checksum: Checksum): ScannedOutcomes {
  const fold = new OutcomeFold()
  const recovery = scanLog(
    disk,
    `${spoolRoot}/${outcomeLog}`,
    (record) => {
      if (record.type === recordTypes.outcome) fold.add(record.sequence, readOutcome(record.payload, 0))
    },
    checksum,
  )
  return { recovery, fold }
}

function scanIntake(disk: Disk, checksum: Checksum, outcomes: ScannedOutcomes) {
  const pending = new Map<number, PendingSubmission>()
  const chunks = new Set<number>()
  const damagedSubmissions: string[] = []
  let submissions = 0
  const recovery = scanLog(
    disk,
    `${spoolRoot}/${intakeLog}`,
    (record) => {
      if (record.type === recordTypes.chunk) chunks.add(record.position)
      if (record.type !== recordTypes.submission) return
      submissions += 1
      const submission = readSubmission(record.payload, 0)
      const recipients = outcomes.fold.pending(record.sequence, submission.recipients.length)
      if (recipients.length === 0) return
      if (submission.chunks.every((chunk) => chunks.has(chunk.position))) {
        pending.set(record.sequence, { sequence: record.sequence, position: record.position, submission, recipients })
      } else damagedSubmissions.push(submission.id)
    },
    checksum,
  )
  return { recovery, outcomes, pending, damagedSubmissions, submissions }
}

/** Writes unproven records again, as far as the window has room; the rest follows with the next poll. */
class Rewrite {
  readonly #writer: LogWriter
  readonly #todo: RecoveredRecord[]
  readonly #moved = new Map<number, number>()
  #endsAt = 0
  #done = false

  constructor(writer: LogWriter, unproven: readonly RecoveredRecord[]) {
    this.#writer = writer
    this.#todo = [...unproven].reverse()
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
    this.#done = this.#todo.length === 0 && this.#writer.channel.committedTo >= this.#endsAt
    if (this.#done) this.#writer.endRewrite()
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
class SubmissionTail {
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

export type { StoredOutcome, StoredSubmission }
