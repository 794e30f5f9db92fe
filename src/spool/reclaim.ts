/** When the queue is written down, which segments are given back afterwards, and which are emptied so that they can be. */
import type { SpoolConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import { queueRowBytes } from '../model/queue.ts'
import type { QueueSource } from '../ports/queue.ts'
import { Carrier } from './carry.ts'
import type { Channel } from './channel.ts'
import type { CheckpointHead, CheckpointLog } from './checkpoint.ts'
import { CheckpointPort } from './checkpoint-files.ts'
import { Checkpointer } from './checkpointer.ts'
import { mailLogNumber, outcomeLog, stragglerLog, stragglerLogNumber } from './files.ts'
import type { LogThreadMemory } from './log-thread.ts'
import type { OutcomeLog } from './outcome-log.ts'
import type { LogSegments } from './pins.ts'
import type { RecordReader, TailReader } from './reader.ts'
import type { LogWriter } from './writer.ts'

export interface ReclaimOptions {
  readonly config: SpoolConfig
  readonly clock: Clock
  readonly memory: LogThreadMemory
  readonly queue: QueueSource
  /** Of every log, by name; and those that hold mail, by number. */
  readonly segments: ReadonlyMap<string, LogSegments>
  readonly mail: ReadonlyMap<number, LogSegments>
  readonly records: RecordReader
  readonly outcomes: OutcomeLog
  readonly tails: ReadonlyMap<string, TailReader>
  readonly stragglers: () => LogWriter
  /** Of the whole checkpoints that were found, newest first. */
  readonly heads: readonly CheckpointHead[]
  readonly nextCheckpoint: number
  readonly lastCheckpointBytes: number
  /** Of all logs, what lies behind the newest checkpoint: a program that dies soon after each start must not have ever more to read. */
  readonly tailBytes: number
  /** How recovery found each log, by name: true of those that nobody writes. */
  readonly found: ReadonlyMap<string, CheckpointLog>
}

export interface ReclaimFigures {
  /** Newest checkpoint that is whole; 0: none yet. */
  readonly checkpoint: number
  readonly checkpointAtMs: number
  readonly checkpointsFailed: number
  readonly reclaimed: number
  readonly carried: number
}

/** While the disk is full. */
const fullCheckpointEveryMs = 10 * secondMs

export class Reclaim {
  readonly #options: ReclaimOptions
  readonly #checkpointer: Checkpointer
  readonly #carrier: Carrier
  /** The two that are on disk, newest first. */
  #heads: readonly CheckpointHead[]
  #settleAt: number | null = null
  /** Segments that nobody needs, to be offered when the outcome log is on disk up to there. */
  #leaving: (readonly [LogSegments, readonly number[]])[] = []
  #leavesAt = 0
  #roomAtMs = 0
  #rowBytes = 0
  #failed = 0
  #reclaimed = 0

  constructor(options: ReclaimOptions) {
    const { clock, config, memory, queue } = options
    this.#options = options
    this.#heads = options.heads
    this.#carrier = new Carrier({
      source: queue,
      records: options.records,
      writer: options.stragglers,
      stragglers: stragglerLogNumber,
      segmentBytes: config.segmentBytes,
      logs: options.mail,
    })
    this.#checkpointer = new Checkpointer({
      port: new CheckpointPort(memory.checkpoint, new Int32Array(memory.wake)),
      logs: {
        positions: () => this.#positions(),
        grownBytes: () => this.#grownBytes(),
        settled: () => this.outcomesSettled(),
      },
      source: queue,
      clock,
      afterBytes: config.checkpointAfterBytes,
      nextNumber: options.nextCheckpoint,
      lastBytes: options.lastCheckpointBytes,
      onWritten: (head) => {
        this.#heads = [head, ...this.#heads].slice(0, 2)
        this.#giveBack()
      },
      onFailed: () => (this.#failed += 1),
    })
  }

  get figures(): ReclaimFigures {
    return {
      checkpoint: this.#heads[0]?.number ?? 0,
      checkpointAtMs: this.#heads[0]?.createdAtMs ?? 0,
      checkpointsFailed: this.#failed,
      reclaimed: this.#reclaimed,
      carried: this.#carrier.carried,
    }
  }

  get idle(): boolean {
    return this.#checkpointer.idle && this.#carrier.idle
  }

  /** That many recipients came in: reading them again would take a start as long as reading their rows. */
  arrived(recipients: number): void {
    this.#rowBytes += recipients * queueRowBytes
  }

  /** A checkpoint now, so that the next start has nothing to read. */
  request(): void {
    this.#checkpointer.request()
  }

  /** With every wake of the log thread. */
  poll(): void {
    this.#carrier.poll(this.copiedTo())
    this.#checkpointer.step()
    this.#offer()
  }

  /** Copies of stragglers are on disk up to here. */
  copiedTo(): number {
    return this.#options.segments.get(stragglerLog)?.channel.committedTo ?? 0
  }

  /** Now and then: slots have gone since the last checkpoint. */
  tick(): void {
    this.poll()
    this.#giveBack()
    this.#makeRoom()
    if (this.#heads.length >= 2) this.#carrier.start(this.#keepFrom())
  }

  /** On a full disk the logs hardly grow, so no checkpoint would ever fall due; but two of them are what lets segments go. */
  #makeRoom(): void {
    const { clock, segments } = this.#options
    const full = [...segments.values()].some(({ channel }) => channel.state === 'full')
    if (!full || !this.#checkpointer.idle || clock.monotonicMs() < this.#roomAtMs) return
    this.#roomAtMs = clock.monotonicMs() + fullCheckpointEveryMs
    this.#checkpointer.request()
  }

  /** Per log that holds mail: what lies before is behind both checkpoints. */
  #keepFrom(): Map<number, number> {
    const keep = new Map<number, number>()
    for (const log of this.#options.mail.keys()) keep.set(log, Number.POSITIVE_INFINITY)
    for (const head of this.#heads) {
      for (const log of keep.keys()) {
        const known = head.logs.find(({ name }) => mailLogNumber(name) === log)?.keepFrom ?? 0
        keep.set(log, Math.min(known, keep.get(log) as number))
      }
    }
    return keep
  }

  /**
   * A segment has no slots any more because their outcomes were appended. If a crash forgot these, the mail would be pending again and its record
   * written over; so segments leave once they are on disk. And once whoever follows has told what they say: a notice quotes the mail that it is about.
   */
  #giveBack(): void {
    const { outcomes } = this.#options
    if (this.#heads.length < 2 || this.#leaving.length > 0 || outcomes.waiting) return
    for (const [name, segments] of this.#options.segments) {
      const behind = this.#heads.map(({ logs }) => logs.find((log) => log.name === name)?.keepFrom ?? 0)
      const keepFrom = Math.min(...behind, segments.channel.heldFrom)
      const leaving = segments.unused(keepFrom)
      if (leaving.length > 0) this.#leaving.push([segments, leaving])
    }
    if (this.#leaving.length === 0) return
    outcomes.flush()
    this.#leavesAt = this.#outcomeChannel.closedTo
    this.#offer()
  }

  #offer(): void {
    const { committedTo, toldTo } = this.#outcomeChannel
    if (this.#leaving.length === 0 || Math.min(committedTo, toldTo) < this.#leavesAt) return
    for (const [segments, leaving] of this.#leaving) this.#reclaimed += segments.offer(leaving)
    this.#leaving = []
  }

  get #outcomeChannel(): Channel {
    return (this.#options.segments.get(outcomeLog) as LogSegments).channel
  }

  /**
   * In this order: how far each tail was read; then which chunks still wait for their commit; then the rest of the tail. A transaction that was
   * committed in between is in the queue by now, and whatever comes later lies behind the position.
   */
  #positions(): CheckpointLog[] {
    const { segments, tails, outcomes, found } = this.#options
    const logs: CheckpointLog[] = []
    for (const [name, { channel }] of segments) {
      if (!channel.begun) {
        logs.push(found.get(name) as CheckpointLog)
        continue
      }
      const tail = tails.get(name)
      let position = tail?.position ?? 0
      let keepFrom = Math.min(position, channel.pinnedFrom)
      tail?.poll()
      if (name === outcomeLog) {
        outcomes.flush()
        position = keepFrom = outcomes.stoppedAt ?? channel.closedTo
      } else if (name === stragglerLog) position = keepFrom = this.#carrier.appliedTo ?? channel.closedTo
      logs.push({
        name,
        position,
        keepFrom,
        nextSegment: Math.floor(channel.closedTo / channel.segmentBytes) + 1,
        nextBatch: channel.nextBatch,
        nextSequence: channel.nextSequence,
      })
    }
    return logs
  }

  /** By what is closed since the process began, mail and outcomes alike, and by the rows that would have to be made of it. */
  #grownBytes(): number {
    let bytes = this.#options.tailBytes + this.#rowBytes
    for (const { channel } of this.#options.segments.values()) bytes += channel.closedTo - channel.beganAt
    return bytes
  }

  /** Is every outcome on disk that the queue shows? From the moment of the first question on. */
  outcomesSettled(): boolean {
    const { outcomes } = this.#options
    const channel = this.#outcomeChannel
    if (this.#settleAt === null) {
      if (outcomes.waiting) return false
      outcomes.flush()
      this.#settleAt = channel.closedTo
    }
    if (channel.committedTo < this.#settleAt) return false
    this.#settleAt = null
    return true
  }
}
