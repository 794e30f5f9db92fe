/** Opens the spool: recovery first, then the writers and readers of its logs, joined. What is polled here is never waited for. */
import type { SpoolConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { Disk } from '../ports/disk.ts'
import type { QueueSink, QueueSource } from '../ports/queue.ts'
import { type Arrival, Arrivals } from './arrivals.ts'
import { Channel, type ChannelMemory } from './channel.ts'
import { intakeLogName, outcomeLog, stragglerLog, stragglerLogNumber } from './files.ts'
import { foundLogs, noteFiles, type RecoveryReport, startOf, syncUnwritten, tailBytesOf, tidyUp } from './found.ts'
import { type Checksum, zlibChecksum } from './layout.ts'
import { outcomeCommitMsMax } from './limits.ts'
import { type LogThreadMemory, wakeLogThread } from './log-thread.ts'
import { OutcomeLog } from './outcome-log.ts'
import type { SpoolPins } from './pins.ts'
import { RecordReader } from './reader.ts'
import { Reclaim } from './reclaim.ts'
import { Rewrites } from './rewrite.ts'
import { type ScannedSpool, scanSpool } from './scan.ts'
import { refuseOtherSegmentSize } from './sizes.ts'
import { SubmissionLog } from './submission-log.ts'
import { type LogStart, LogWriter } from './writer.ts'

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
  readonly #arrivals = new Arrivals((arrival) => this.#arrived(arrival))
  readonly #rewrites = new Rewrites()
  readonly #outcomeWriter: LogWriter
  #stragglerWriter: LogWriter | null = null
  readonly #stragglerStart: LogStart
  #moved = false

  /** No function that is made in here may name `scanned`: it would keep all that recovery read in memory, for as long as any other does. */
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
    this.#rewrites.begin(this.#outcomeWriter, null, scanned.outcomes)
    this.outcomes = new OutcomeLog({ writer: this.#outcomeWriter, clock, commitDelayMs: outcomeCommitMsMax.value })
    const stragglers = scanned.mail.get(stragglerLogNumber)
    this.#stragglerStart = startOf(stragglers)
    if (stragglers !== undefined && stragglers.recovery.unproven.length > 0)
      this.#rewrites.begin(this.#stragglers(), null, stragglers)
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
      tails: this.#arrivals.tails,
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
    if (!open || !this.#rewrites.done) return false
    if (!this.#moved) {
      for (const moved of this.#rewrites.moved()) this.#options.queue.relocateAll(moved)
      this.#moved = true
      for (const channel of this.channels) channel.setSettled()
    }
    return true
  }

  poll(): void {
    this.#arrivals.poll()
    this.#outcomeWriter.channel.setReadTo(this.#outcomeWriter.channel.committedTo)
    const stragglers = this.#stragglerWriter?.channel
    stragglers?.setReadTo(stragglers.committedTo)
    // Only now is there room: no other wake may come, should the log thread have nothing left to do.
    this.#rewrites.poll()
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
      const tail = this.#arrivals.follow(log, writer.channel)
      if (found !== undefined) this.#rewrites.begin(writer, tail, found)
    }
    return writers
  }

  #arrived(arrival: Arrival): void {
    this.reclaim.arrived(arrival.submission.recipients.length)
    this.#options.onArrival(arrival)
  }
}
