/** Brings the spool up: scan, set damage aside, open new segments, write again what nothing proves to be on disk. */
import type { SpoolConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'
import { MiB } from '../kernel/units.ts'
import { inLog } from '../model/submission.ts'
import type { Disk } from '../ports/disk.ts'
import type { QueueSink, QueueSource } from '../ports/queue.ts'
import { Channel, type ChannelMemory, makeChannelMemory } from './channel.ts'
import { type CheckpointLog, checkpointPath } from './checkpoint.ts'
import { makeCheckpointMemory } from './checkpoint-files.ts'
import {
  checkpointDirectory,
  intakeLogName,
  mailLogName,
  mailLogNumber,
  outcomeLog,
  quarantineDirectory,
  spoolRoot,
  stragglerLog,
  stragglerLogNumber,
} from './files.ts'
import { type Checksum, recordTypes, zlibChecksum } from './layout.ts'
import { outcomeCommitMsMax } from './limits.ts'
import { type LogThreadMemory, wakeLogThread } from './log-thread.ts'
import { OutcomeLog } from './outcome-log.ts'
import type { LogSegments, SpoolPins } from './pins.ts'
import { RecordReader, TailReader } from './reader.ts'
import { Reclaim } from './reclaim.ts'
import { readSubmission, type StoredSubmission } from './records.ts'
import { quarantineDamage } from './recovery.ts'
import { Rewrite } from './rewrite.ts'
import {
  chunkSpan,
  lifeOf,
  mailLogs,
  type RecordPlace,
  type ScannedLog,
  type ScannedSpool,
  scanSpool,
  shareOf,
} from './scan.ts'
import { checkSizes, refuseOtherSegmentSize } from './sizes.ts'
import { SubmissionLog } from './submission-log.ts'
import { type LogStart, LogWriter } from './writer.ts'

/** A submission that became durable, for the queue. */
export interface Arrival extends RecordPlace {
  readonly number: number
  /** Each recipient's share of what is stored. */
  readonly bytes: number
  /** Seconds from acceptance to expiry; 0: as the configuration says. */
  readonly lifeS: number
  readonly submission: StoredSubmission
}

export interface SpoolOptions {
  readonly disk: Disk
  readonly config: SpoolConfig
  readonly memory: LogThreadMemory
  readonly clock: Clock
  readonly random: Random
  /** Made of the same memory, and known to the queue. */
  readonly pins: SpoolPins
  /** Gets what is pending, and is asked for it when a checkpoint is written. */
  readonly queue: QueueSink & QueueSource
  /** Log 0 is filled by this thread; otherwise each intake thread takes over its own once recovery is through. */
  readonly intakeHere: boolean
  readonly onArrival: (arrival: Arrival) => void
  /** What a transaction stages before it spills, if `intakeHere`. */
  readonly stageBytesMax?: number
  /** Where salts come from; the simulation takes them away. */
  readonly salts?: Random
  readonly checksum?: Checksum
}

export interface RecoveryReport {
  /** Of the checkpoint that recovery began with; 0: there was none, and all logs were read. */
  readonly checkpoint: number
  readonly checkpointsDamaged: number
  readonly records: number
  readonly pendingRecipients: number
  /** In the queue, and the segment that holds them is not there. */
  readonly recipientsWithoutSegment: number
  readonly rewritten: number
  readonly tornBytes: number
  readonly damagedBytes: number
  /** Ids of submissions whose content is gone; they stay listed and are never sent. */
  readonly damagedSubmissions: readonly string[]
  readonly quarantined: readonly string[]
  /** The last process ended with nothing under way: what is pending was not on its way to anybody. */
  readonly stoppedInOrder: boolean
}

export interface Spool {
  /** Null when intake has threads of its own. */
  readonly submissions: SubmissionLog | null
  readonly outcomes: OutcomeLog
  /** Records of mail, by place. */
  readonly records: RecordReader
  readonly recovery: RecoveryReport
  readonly channels: readonly Channel[]
  readonly reclaim: Reclaim
  /** True once the first segments exist and everything recovery wrote again is on disk: act on the queue only from then on. */
  settled(): boolean
  /** Reads what became durable, once each, and releases whoever waited for the disk. */
  poll(): void
  close(): void
}

/**
 * Shared memory for the logs of one disk: made by main, handed to the log thread and to the owners. Logs of more intake threads than there are now keep
 * a place, because their mail is still in them.
 * @param followed a SpoolFollower reads along: until it says how far it is, no segment is used again
 * @throws PosthasteError `spool_sizes` when segment and window do not fit each other
 */
export function makeSpoolMemory(
  disk: Disk,
  config: SpoolConfig,
  intakeLogs: number,
  followed = false,
): LogThreadMemory {
  const { segmentBytes, windowBytes } = config
  checkSizes(segmentBytes, windowBytes)
  const outcomeBytes = Math.min(segmentBytes, 16 * MiB)
  const names = new Set([stragglerLog])
  for (let log = 0; log < intakeLogs; log++) names.add(intakeLogName(log))
  for (const log of mailLogs(disk)) names.add(mailLogName(log))
  const channels = [
    makeChannelMemory(outcomeLog, outcomeBytes, outcomeBytes % windowBytes === 0 ? windowBytes : outcomeBytes),
    ...[...names].map((name) => makeChannelMemory(name, segmentBytes, windowBytes)),
  ]
  for (const memory of channels) {
    const channel = new Channel(memory)
    if (!followed || memory.name === stragglerLog) channel.setHeldFrom(Number.POSITIVE_INFINITY)
    if (!followed) channel.setToldTo(Number.POSITIVE_INFINITY)
  }
  return {
    channels,
    intakeLogs,
    checkpoint: makeCheckpointMemory(),
    wake: new SharedArrayBuffer(8),
  }
}

/** Directories of the spool, with their names on disk. @throws PosthasteError when the place cannot be written */
export function makeSpoolDirectories(disk: Disk, intakeLogs: number): void {
  try {
    const names = [outcomeLog, stragglerLog, checkpointDirectory]
    for (let log = 0; log < intakeLogs; log++) names.push(intakeLogName(log))
    for (const path of [spoolRoot, ...names.map((name) => `${spoolRoot}/${name}`)]) disk.makeDirectory(path)
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

/** For an intake thread: goes on in its log where recovery, or an owner that died, has stopped. */
export function openIntakeLog(options: {
  readonly memory: LogThreadMemory
  readonly log: number
  readonly config: SpoolConfig
  readonly clock: Clock
  readonly random: Random
  readonly salts?: Random
  readonly checksum?: Checksum
  readonly stageBytesMax?: number
}): SubmissionLog {
  const { memory, log, config, clock, random, salts, checksum = zlibChecksum, stageBytesMax } = options
  const writer = new LogWriter({
    channel: new Channel(channelMemory(memory, intakeLogName(log))),
    wake: new Int32Array(memory.wake),
    clock,
    random: salts ?? random,
    checksum,
    start: null,
  })
  const { commitDelayMs, commitBytesMax } = config
  const pace = { commitDelayMs, commitBytesMax, ...(stageBytesMax !== undefined && { stageBytesMax }) }
  return new SubmissionLog({ writer, log, clock, random, ...pace })
}

function channelMemory(memory: LogThreadMemory, name: string): ChannelMemory {
  const found = memory.channels.find((channel) => channel.name === name)
  if (found === undefined) throw new Error(`there is no log ${name}`)
  return found
}

export function openSpool(options: SpoolOptions): Spool {
  return new OpenSpool(options)
}

class OpenSpool implements Spool {
  readonly submissions: SubmissionLog | null
  readonly outcomes: OutcomeLog
  readonly records: RecordReader
  readonly recovery: RecoveryReport
  readonly channels: readonly Channel[]
  readonly reclaim: Reclaim
  readonly #options: SpoolOptions
  readonly #checksum: Checksum
  readonly #tails: TailReader[] = []
  readonly #rewrites: { readonly rewrite: Rewrite; readonly tail: TailReader | null }[] = []
  readonly #outcomeWriter: LogWriter
  #stragglerWriter: LogWriter | null = null
  readonly #stragglerStart: LogStart
  #moved = false

  constructor(options: SpoolOptions) {
    const { disk, memory, clock, random, config, queue } = options
    this.#options = options
    this.#checksum = options.checksum ?? zlibChecksum
    for (const channel of memory.channels) refuseOtherSegmentSize(disk, channel)
    const scanned = scanSpool({ disk, checksum: this.#checksum, sink: queue })
    syncUnwritten(disk, scanned, memory.intakeLogs)
    this.recovery = tidyUp(disk, scanned)
    this.channels = memory.channels.map((channel) => new Channel(channel))
    for (const log of options.pins.logs.values()) noteFiles(log, scanned)
    this.#outcomeWriter = this.#open(outcomeLog, startOf(scanned.outcomes))
    this.#rewrite(this.#outcomeWriter, null, scanned.outcomes)
    this.outcomes = new OutcomeLog({ writer: this.#outcomeWriter, clock, commitDelayMs: outcomeCommitMsMax.value })
    const stragglers = scanned.mail.get(stragglerLogNumber)
    this.#stragglerStart = startOf(stragglers)
    if (stragglers !== undefined && stragglers.recovery.unproven.length > 0)
      this.#rewrite(this.#stragglers(), null, stragglers)
    const writers = this.#openIntake(scanned)
    const { commitDelayMs, commitBytesMax } = config
    const { stageBytesMax } = options
    const pace = { commitDelayMs, commitBytesMax, ...(stageBytesMax !== undefined && { stageBytesMax }) }
    this.submissions = options.intakeHere
      ? new SubmissionLog({ writer: writers[0] as LogWriter, log: 0, clock, random, ...pace })
      : null
    this.records = new RecordReader(disk, this.channels, config.segmentBytes, this.#checksum)
    this.reclaim = new Reclaim({
      ...options,
      segments: options.pins.logs,
      mail: options.pins.mail,
      records: this.records,
      outcomes: this.outcomes,
      tails: this.#tailsByName(),
      stragglers: () => this.#stragglers(),
      heads: scanned.checkpoints.map(({ head }) => head),
      nextCheckpoint: Math.max(0, ...scanned.checkpointNumbers) + 1,
      lastCheckpointBytes: scanned.checkpoints[0]?.bytes ?? 0,
      tailBytes: tailBytesOf(scanned),
      found: foundLogs(this.channels, scanned),
    })
    wakeLogThread(memory)
  }

  settled(): boolean {
    const open = this.channels.every((channel) => !channel.begun || channel.open)
    if (!open || !this.#rewrites.every(({ rewrite }) => rewrite.done)) return false
    if (!this.#moved) {
      for (const { rewrite } of this.#rewrites) this.#options.queue.relocateAll(rewrite.moved)
      this.#moved = true
      for (const channel of this.channels) channel.setSettled()
    }
    return true
  }

  poll(): void {
    for (const tail of this.#tails) tail.poll()
    this.#outcomeWriter.channel.setReadTo(this.#outcomeWriter.channel.committedTo)
    const stragglers = this.#stragglerWriter?.channel
    stragglers?.setReadTo(stragglers.committedTo)
    // Only now is there room: no other wake may come, should the log thread have nothing left to do.
    for (const { rewrite, tail } of this.#rewrites) {
      if (rewrite.done) continue
      rewrite.poll()
      tail?.pass(rewrite.endsAt)
    }
    this.outcomes.poll()
    this.submissions?.poll()
    if (this.#moved) this.reclaim.poll()
  }

  close(): void {
    this.records.close()
  }

  #open(name: string, start: LogStart): LogWriter {
    const { memory, clock, random, salts } = this.#options
    return new LogWriter({
      channel: this.channels.find((channel) => channel.name === name) as Channel,
      wake: new Int32Array(memory.wake),
      clock,
      random: salts ?? random,
      checksum: this.#checksum,
      start,
    })
  }

  /** Begun when there is something for it: most spools never have any. */
  #stragglers(): LogWriter {
    this.#stragglerWriter ??= this.#open(stragglerLog, this.#stragglerStart)
    return this.#stragglerWriter
  }

  #openIntake(scanned: ScannedSpool): LogWriter[] {
    const writers: LogWriter[] = []
    for (let log = 0; log < this.#options.memory.intakeLogs; log++) {
      const found = scanned.mail.get(log)
      const name = intakeLogName(log)
      this.channels.find((channel) => channel.name === name)?.setNextSequence(scanned.nextSequences.get(log) ?? 1)
      const writer = this.#open(name, startOf(found))
      writers.push(writer)
      // The tail starts before the rewritten records, and passes them by.
      const tail = new TailReader(writer.channel, this.#reader(log, writer.channel.segmentBytes))
      this.#tails.push(tail)
      this.#rewrite(writer, tail, found)
    }
    return writers
  }

  #reader(log: number, segmentBytes: number): ConstructorParameters<typeof TailReader>[1] {
    const { onArrival } = this.#options
    return (type, number, position, bytes, at) => {
      if (type !== recordTypes.submission) return
      const submission = readSubmission(bytes, at)
      this.reclaim.arrived(submission.recipients.length)
      onArrival({
        number,
        place: inLog(log, position),
        span: submission.chunks.length === 0 ? 0 : chunkSpan(position, submission, segmentBytes),
        bytes: shareOf(submission, at),
        lifeS: lifeOf(submission),
        submission,
      })
    }
  }

  #rewrite(writer: LogWriter, tail: TailReader | null, found: ScannedLog | undefined): void {
    if (found === undefined) return
    const rewrite = new Rewrite(writer, mailLogNumber(writer.channel.name) ?? 0, found.recovery.unproven)
    tail?.pass(rewrite.endsAt)
    this.#rewrites.push({ rewrite, tail })
  }

  #tailsByName(): Map<string, TailReader> {
    return new Map(this.#tails.map((tail) => [tail.name, tail]))
  }
}

const startOf = (log: ScannedLog | undefined): LogStart => ({
  nextSegment: log?.recovery.nextSegment ?? 1,
  nextBatch: log?.recovery.nextBatch ?? 1,
  previousEnd: log?.recovery.provenThrough ?? 0,
})

/** What is on disk of this log; files that stand ready go to the log thread at once. */
function noteFiles(segments: LogSegments, scanned: ScannedSpool): void {
  const number = mailLogNumber(segments.channel.name)
  const log = number === null ? scanned.outcomes : scanned.mail.get(number)
  if (log === undefined) return
  const { files, nextSegment } = log.recovery
  for (const spare of files.spares) segments.channel.offerFree(spare)
  segments.found(
    files.segments.map(({ header }) => header.segment),
    nextSegment,
  )
}

/** Not in the constructor: a function made there that names `scanned` would keep all that recovery read in memory, for as long as any other does. */
const foundLogs = (channels: readonly Channel[], scanned: ScannedSpool): Map<string, CheckpointLog> =>
  new Map(channels.map((channel) => [channel.name, foundLog(channel, scanned)]))

/** A log that nobody writes: all of it was read, so it lies behind the queue. */
function foundLog({ name, segmentBytes }: Channel, scanned: ScannedSpool): CheckpointLog {
  const number = mailLogNumber(name)
  const log = number === null ? scanned.outcomes : scanned.mail.get(number)
  const { nextSegment, nextBatch } = startOf(log)
  const position = nextSegment * segmentBytes
  const nextSequence = number === null ? 1 : (scanned.nextSequences.get(number) ?? 1)
  return { name, position, keepFrom: position, nextSegment, nextBatch, nextSequence }
}

/**
 * What nothing proves to be on disk is written again into its log; a log of a thread that there is no more has nobody to do that. The queue is about to
 * count on it all the same.
 */
function syncUnwritten(disk: Disk, scanned: ScannedSpool, intakeLogs: number): void {
  for (const [log, { recovery }] of scanned.mail) {
    const [first] = recovery.unproven
    if (log < intakeLogs || log === stragglerLogNumber || first === undefined) continue
    for (const { path, header } of recovery.files.segments) {
      if ((header.segment + 1) * header.segmentBytes <= first.position) continue
      const file = disk.open(path, 'write')
      file.dataSync()
      file.close()
    }
  }
}

function tailBytesOf({ outcomes, mail }: ScannedSpool): number {
  let bytes = 0
  for (const { recovery, known } of [outcomes, ...mail.values()])
    bytes += Math.max(0, recovery.provenThrough - (known?.position ?? 0))
  return bytes
}

/** Sets aside what is damaged, and says what was found. */
function tidyUp(disk: Disk, scanned: ScannedSpool): RecoveryReport {
  const quarantine = `${spoolRoot}/${quarantineDirectory}`
  const logs = [scanned.outcomes, ...scanned.mail.values()]
  const quarantined = logs.flatMap(({ name, recovery }) =>
    quarantineDamage(disk, `${spoolRoot}/${name}`, quarantine, recovery),
  )
  // A newer one would take the place of a whole one among the two that are kept.
  for (const number of scanned.brokenCheckpoints) disk.remove(checkpointPath(number))
  const sum = (of: (log: ScannedLog) => number): number => logs.reduce((total, log) => total + of(log), 0)
  return {
    checkpoint: scanned.checkpoints[0]?.head.number ?? 0,
    checkpointsDamaged: scanned.brokenCheckpoints.length,
    records: sum(({ recovery }) => recovery.records),
    pendingRecipients: scanned.pendingRecipients,
    recipientsWithoutSegment: scanned.recipientsWithoutSegment,
    rewritten: sum(({ recovery }) => recovery.unproven.length),
    tornBytes: sum(({ recovery }) => recovery.tornBytes),
    damagedBytes: sum(({ recovery }) => recovery.damage.reduce((total, { bytes }) => total + bytes, 0)),
    damagedSubmissions: scanned.damagedSubmissions,
    quarantined,
    stoppedInOrder: scanned.stoppedInOrder,
  }
}
