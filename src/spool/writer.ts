/**
 * The owner's end of a log: records go into the window, batches are closed over them, and the log thread makes them durable.
 * Exactly one thread holds a LogWriter for a log; nobody else ever writes it.
 *
 *   window   … committed | closed, being written | open batch: [header][record][record]→ room |
 *
 * A batch, and so a record, never crosses the end of the window or of a segment; what is left there becomes padding (`spanBytes`).
 */
import { invariant } from '../kernel/assert.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { Channel, SegmentPlan } from './channel.ts'
import {
  alignUp,
  batchHeaderBytes,
  type Checksum,
  copiedBit,
  type RecordType,
  recordHeaderBytes,
  sealRecord,
  segmentHeaderBytes,
  writeBatchHeader,
  writeRecordHeader,
  zlibChecksum,
} from './layout.ts'
import { batchBytesMax, recordBytesMax } from './limits.ts'

export interface LogWriterOptions {
  readonly channel: Channel
  /** Wakes the log thread, which serves several logs. */
  readonly wake: Int32Array
  readonly clock: Clock
  readonly random: Random
  /** What recovery said; null to go on where another owner of the same memory has stopped. */
  readonly start: LogStart | null
  readonly checksum?: Checksum
}

/** Where a log goes on after recovery: always in a segment of its own. */
export interface LogStart {
  readonly nextSegment: number
  readonly nextBatch: number
  /** End of what recovery proved to be on disk. */
  readonly previousEnd: number
}

export class LogWriter {
  readonly channel: Channel
  readonly #wake: Int32Array
  readonly #clock: Clock
  readonly #random: Random
  readonly #checksum: Checksum
  #salt = 0
  #segment: number
  #batch: number
  /** Where the open batch begins, and where its next record goes. */
  #batchAt: number
  #appendAt: number
  #records = 0
  #recordsCrc = 0
  /** While recovery writes again what it could not prove, nothing newer may be claimed: the old copies still count. */
  #rewriteFloor: number
  /** Where the record being filled begins; −1 between records. */
  #recordAt = -1
  #recordPayload = 0

  constructor(options: LogWriterOptions) {
    this.channel = options.channel
    this.#wake = options.wake
    this.#clock = options.clock
    this.#random = options.random
    this.#checksum = options.checksum ?? zlibChecksum
    const { segmentBytes } = this.channel
    if (options.start === null) {
      this.#batchAt = this.#appendAt = this.channel.closedTo
      // Its first segment was planned at the start, and may have its header on disk already.
      const untouched = this.#batchAt === this.channel.beganAt
      if (untouched) this.#batchAt = this.#appendAt = this.#batchAt + segmentHeaderBytes
      // At another segment's very end the next one is opened by the next batch.
      this.#segment = Math.ceil(this.#batchAt / segmentBytes) - 1
      this.#batch = this.channel.nextBatch
      this.#salt = this.#recordsCrc = this.channel.segmentPlan(this.#segment).salt
      this.#rewriteFloor = Number.POSITIVE_INFINITY
      return
    }
    const { nextSegment, nextBatch, previousEnd } = options.start
    const begin = nextSegment * segmentBytes
    this.#segment = nextSegment - 1
    this.#batch = nextBatch
    this.#batchAt = this.#appendAt = begin
    this.#rewriteFloor = previousEnd
    this.#openSegment(previousEnd)
    this.channel.begin(begin, nextBatch)
  }

  /** Bytes of the window that may not be overwritten: not on disk yet, or not read. */
  get backlogBytes(): number {
    return this.#appendAt - this.channel.readTo
  }

  /** Recovery has written its last unproven record again, durably: from now on headers may claim what they see. */
  endRewrite(): void {
    this.#rewriteFloor = Number.POSITIVE_INFINITY
  }

  /** Everything appended so far is on disk once the channel's `committedTo` has reached this. */
  get endOfOpenBatch(): number {
    return this.#records === 0 ? this.#batchAt : this.#batchAt + alignUp(this.#appendAt - this.#batchAt)
  }

  get openBatchBytes(): number {
    return this.#records === 0 ? 0 : this.#appendAt - this.#batchAt
  }

  /** Would a record of this payload overwrite bytes that are not on disk yet? Ask before `start`. */
  hasRoomFor(payloadBytes: number): boolean {
    // Twice: the rest of the window may have to be skipped before the record fits in one piece.
    const needed = 2 * (payloadBytes + recordHeaderBytes + batchHeaderBytes) + segmentHeaderBytes + 2 * 4096
    return this.backlogBytes + needed <= this.channel.windowBytes
  }

  /** Begins a record; fill `payload` at `payloadOffset` of the channel's window, then call `finish`. Returns the record's position. */
  start(type: RecordType, sequence: number, payloadBytes: number, copied = false): number {
    invariant(this.#recordAt === -1, 'a record is already being written')
    invariant(payloadBytes <= recordBytesMax.value, `record of ${payloadBytes} bytes`)
    const bytes = recordHeaderBytes + payloadBytes
    if (this.#records > 0 && this.#appendAt - this.#batchAt + bytes > batchBytesMax.value) this.closeBatch()
    if (this.#records === 0) this.#openBatch(bytes)
    else if (this.#roomInPiece(this.#appendAt) < bytes) {
      this.closeBatch()
      this.#openBatch(bytes)
    }
    this.#recordAt = this.#appendAt
    this.#recordPayload = payloadBytes
    const end = this.#batchAt + alignUp(this.#appendAt + bytes - this.#batchAt)
    invariant(
      end - this.channel.readTo <= this.channel.windowBytes,
      'a record would overwrite bytes that are still needed',
    )
    this.channel.announceWrite(end)
    const typeBits = copied ? type | copiedBit : type
    writeRecordHeader(this.channel.window, this.#recordAt % this.channel.windowBytes, typeBits, sequence, payloadBytes)
    return this.#recordAt
  }

  get payloadOffset(): number {
    return (this.#recordAt % this.channel.windowBytes) + recordHeaderBytes
  }

  finish(): void {
    const at = this.#recordAt % this.channel.windowBytes
    const window = this.channel.window
    sealRecord(window, at, this.#recordPayload, this.#salt, this.#checksum)
    this.#recordsCrc = this.#checksum(window.subarray(at, at + recordHeaderBytes), this.#recordsCrc)
    this.#appendAt = this.#recordAt + recordHeaderBytes + this.#recordPayload
    this.#records += 1
    this.#recordAt = -1
  }

  /** Hands the open batch to the log thread. */
  closeBatch(): void {
    if (this.#records === 0) return
    this.#writeHeader(alignUp(this.#appendAt - this.#batchAt))
    this.channel.close(this.#batchAt, this.#batch, this.#wake)
  }

  /** An empty batch, whose header proves what is on disk by now. Returns its end. */
  prove(): number {
    this.closeBatch()
    this.#openBatch(0)
    this.channel.announceWrite(this.#batchAt + alignUp(batchHeaderBytes))
    this.#writeHeader(alignUp(batchHeaderBytes))
    this.channel.close(this.#batchAt, this.#batch, this.#wake)
    return this.#batchAt
  }

  /** Finds a place where a batch with a record of `bytes` fits in one piece. */
  #openBatch(bytes: number): void {
    const needed = batchHeaderBytes + bytes
    if (this.#roomInPiece(this.#batchAt) < needed) {
      const rest = this.#roomInPiece(this.#batchAt)
      // An empty batch that spans the rest, so that every reader finds the next one by the same rule.
      if (rest > 0) {
        this.#appendAt = this.#batchAt + batchHeaderBytes
        this.channel.announceWrite(this.#batchAt + rest)
        this.#writeHeader(rest)
      }
      if (this.#batchAt % this.channel.segmentBytes === 0) this.#openSegment(this.#batchAt)
    }
    this.#appendAt = this.#batchAt + batchHeaderBytes
  }

  #writeHeader(spanBytes: number): void {
    const { window, windowBytes, committedTo } = this.channel
    const usedBytes = this.#appendAt - this.#batchAt
    const batchOffset = this.#batchAt % windowBytes
    window.fill(0, batchOffset + usedBytes, batchOffset + alignUp(usedBytes))
    const header = {
      segment: this.#segment,
      batch: this.#batch,
      committedThrough: Math.min(committedTo, this.#rewriteFloor),
      payloadBytes: usedBytes - batchHeaderBytes,
      records: this.#records,
      recordsCrc: this.#recordsCrc,
      spanBytes,
    }
    writeBatchHeader(window, batchOffset, header, this.#salt, this.#checksum)
    this.#batch += 1
    this.#batchAt = this.#appendAt = this.#batchAt + spanBytes
    this.#records = 0
    this.#recordsCrc = this.#salt
  }

  /** Bytes from `position` to the end of the window or of the segment, whichever comes first. */
  #roomInPiece(position: number): number {
    const piece = Math.min(this.channel.windowBytes, this.channel.segmentBytes)
    const used = position % piece
    // A fresh piece at a segment's start has no room before its header was accounted for by #openSegment.
    if (position % this.channel.segmentBytes === 0) return 0
    return piece - used
  }

  #openSegment(previousEnd: number): void {
    this.#segment += 1
    this.#salt = this.#random.uint32()
    this.#recordsCrc = this.#salt
    const plan: SegmentPlan = {
      segment: this.#segment,
      salt: this.#salt,
      firstBatch: this.#batch,
      createdAtMs: this.#clock.nowMs(),
      previousEnd: Math.min(previousEnd, this.#rewriteFloor),
    }
    this.channel.planSegment(plan)
    const start = this.#segment * this.channel.segmentBytes + segmentHeaderBytes
    this.#batchAt = this.#appendAt = start
    this.channel.announceWrite(start)
  }
}
