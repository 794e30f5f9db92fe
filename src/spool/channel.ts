/**
 * The memory that a log's owner and the log thread share: the window with the log's newest bytes, and a few words of control.
 *
 *   owner       appends records into the window, closes batches, moves `closedTo`
 *   log thread  writes what lies between `committedTo` and `closedTo`, syncs it, moves `committedTo`
 *   reader      the scheduler reads what is committed and moves `readTo`: only then may the window be overwritten there
 *   others      copy out of the window, then look at `writtenTo`: if it has moved a window's length past what they copied, the
 *               copy is worthless and they read the file instead
 *   follower    reads what is committed, out of the window or the file, and says from where on it still needs the log (`heldFrom`)
 *   reclaimer   says which segments are free, and the log thread uses their files again
 *
 * A byte at position p lies in the window at p mod windowBytes. Positions are 64-bit in shared memory, doubles elsewhere.
 */
import { invariant } from '../kernel/assert.ts'
import { freeRingMax, segmentRingMax } from './limits.ts'

const words = {
  closedTo: 0,
  committedTo: 1,
  writtenTo: 2,
  readTo: 3,
  nextBatch: 4,
  nextSequence: 5,
  pinnedFrom: 6,
  beganAt: 7,
  heldFrom: 8,
  toldTo: 9,
  count: 10,
} as const
const flags = {
  work: 0,
  done: 1,
  state: 2,
  freeMiB: 3,
  open: 4,
  freeHead: 5,
  freeTail: 6,
  settled: 7,
  count: 8,
} as const
/** Per segment: segment number, salt, first batch, creation time, end of what came before. */
const segmentFields = 5
const nothingPinned = -1n

export interface SegmentPlan {
  readonly segment: number
  readonly salt: number
  readonly firstBatch: number
  readonly createdAtMs: number
  readonly previousEnd: number
}

export type ChannelState = 'ok' | 'full' | 'broken'
const states: readonly ChannelState[] = ['ok', 'full', 'broken']

/** What is handed to another thread: structured-cloneable. */
export interface ChannelMemory {
  readonly name: string
  /** False: of an intake thread that there is no more. It is read and emptied, and its files go. */
  readonly filled: boolean
  readonly segmentBytes: number
  readonly windowBytes: number
  readonly control: SharedArrayBuffer
  readonly window: SharedArrayBuffer
}

export function makeChannelMemory(
  name: string,
  segmentBytes: number,
  windowBytes: number,
  filled = true,
): ChannelMemory {
  invariant(
    segmentBytes % windowBytes === 0 || windowBytes % segmentBytes === 0,
    'window and segment must divide each other',
  )
  const control = new SharedArrayBuffer(
    words.count * 8 + flags.count * 4 + (segmentRingMax.value * segmentFields + freeRingMax.value) * 8,
  )
  return { name, filled, segmentBytes, windowBytes, control, window: new SharedArrayBuffer(windowBytes) }
}

export class Channel {
  readonly name: string
  readonly filled: boolean
  readonly segmentBytes: number
  readonly windowBytes: number
  readonly window: Buffer
  readonly #words: BigInt64Array
  /** For Atomics.wait and waitAsync; `doneFlag` wakes owner and readers. */
  readonly flags: Int32Array
  readonly #segments: Float64Array
  readonly #free: Float64Array

  static readonly doneFlag = flags.done

  constructor(memory: ChannelMemory) {
    this.name = memory.name
    this.filled = memory.filled
    this.segmentBytes = memory.segmentBytes
    this.windowBytes = memory.windowBytes
    this.window = Buffer.from(memory.window)
    const segmentsAt = words.count * 8 + flags.count * 4
    this.#words = new BigInt64Array(memory.control, 0, words.count)
    this.flags = new Int32Array(memory.control, words.count * 8, flags.count)
    this.#segments = new Float64Array(memory.control, segmentsAt, segmentRingMax.value * segmentFields)
    this.#free = new Float64Array(memory.control, segmentsAt + this.#segments.byteLength, freeRingMax.value)
  }

  get closedTo(): number {
    return Number(Atomics.load(this.#words, words.closedTo))
  }

  /** Owner: everything before `position` is complete and may be written; `nextBatch` follows there. Wakes the log thread. */
  close(position: number, nextBatch: number, wake: Int32Array): void {
    Atomics.store(this.#words, words.nextBatch, BigInt(nextBatch))
    Atomics.store(this.#words, words.closedTo, BigInt(position))
    Atomics.add(wake, 0, 1)
    Atomics.notify(wake, 0)
  }

  /** Number of the batch that will begin at `closedTo`: with it a new owner goes on where one that died has stopped. */
  get nextBatch(): number {
    return Number(Atomics.load(this.#words, words.nextBatch))
  }

  get committedTo(): number {
    return Number(Atomics.load(this.#words, words.committedTo))
  }

  /** Log thread: everything before `position` is on disk. Wakes owner and readers. */
  commit(position: number): void {
    Atomics.store(this.#words, words.committedTo, BigInt(position))
    this.wakeOwner()
  }

  wakeOwner(): void {
    Atomics.add(this.flags, flags.done, 1)
    Atomics.notify(this.flags, flags.done)
  }

  get writtenTo(): number {
    return Number(Atomics.load(this.#words, words.writtenTo))
  }

  /** Owner: about to write window bytes up to `position`; what lay a window's length before it is gone. */
  announceWrite(position: number): void {
    // An owner that died may have written further than the new one begins.
    if (position > this.writtenTo) Atomics.store(this.#words, words.writtenTo, BigInt(position))
  }

  /** What may be overwritten in the window: on disk, and read. */
  get readTo(): number {
    return Number(Atomics.load(this.#words, words.readTo))
  }

  setReadTo(position: number): void {
    Atomics.store(this.#words, words.readTo, BigInt(position))
  }

  /** The next sequence of a log that takes submissions. */
  get nextSequence(): number {
    return Number(Atomics.load(this.#words, words.nextSequence))
  }

  setNextSequence(sequence: number): void {
    Atomics.store(this.#words, words.nextSequence, BigInt(sequence))
  }

  /** Where the first chunk of any open transaction is; Infinity when none has chunks. No segment from there on may go. */
  get pinnedFrom(): number {
    const position = Atomics.load(this.#words, words.pinnedFrom)
    return position === nothingPinned ? Number.POSITIVE_INFINITY : Number(position)
  }

  setPinnedFrom(position: number): void {
    Atomics.store(this.#words, words.pinnedFrom, Number.isFinite(position) ? BigInt(position) : nothingPinned)
  }

  /** No segment from there on may go, because a reader of events has not passed it for good; Infinity when there is no such reader. */
  get heldFrom(): number {
    const position = Atomics.load(this.#words, words.heldFrom)
    return position === nothingPinned ? Number.POSITIVE_INFINITY : Number(position)
  }

  setHeldFrom(position: number): void {
    Atomics.store(this.#words, words.heldFrom, Number.isFinite(position) ? BigInt(position) : nothingPinned)
  }

  /** Of the outcome log: up to here a reader has told whoever must be told, for good; Infinity when there is no such reader. */
  get toldTo(): number {
    const position = Atomics.load(this.#words, words.toldTo)
    return position === nothingPinned ? Number.POSITIVE_INFINITY : Number(position)
  }

  setToldTo(position: number): void {
    Atomics.store(this.#words, words.toldTo, Number.isFinite(position) ? BigInt(position) : nothingPinned)
  }

  /**
   * Owner, once, when its first segment is planned: the log begins at `position`. The log thread may be looking already, and takes a log for
   * begun when `committedTo` is set; so that comes last.
   */
  begin(position: number, nextBatch: number): void {
    Atomics.store(this.#words, words.nextBatch, BigInt(nextBatch))
    Atomics.store(this.#words, words.pinnedFrom, nothingPinned)
    Atomics.store(this.#words, words.readTo, BigInt(position))
    Atomics.store(this.#words, words.beganAt, BigInt(position))
    Atomics.store(this.#words, words.closedTo, BigInt(position))
    Atomics.store(this.#words, words.committedTo, BigInt(position))
  }

  /** Nothing before this position has ever been in the window. */
  get beganAt(): number {
    return Number(Atomics.load(this.#words, words.beganAt))
  }

  /** A log that nobody writes has no files, and no work. */
  get begun(): boolean {
    return this.committedTo !== 0
  }

  get state(): ChannelState {
    return states[Atomics.load(this.flags, flags.state)] as ChannelState
  }

  setState(state: ChannelState): void {
    Atomics.store(this.flags, flags.state, states.indexOf(state))
  }

  /** The first segment's file is there: from now on a commit waits for nothing but its own bytes. */
  get open(): boolean {
    return Atomics.load(this.flags, flags.open) === 1
  }

  setOpen(): void {
    Atomics.store(this.flags, flags.open, 1)
    this.wakeOwner()
  }

  /** Whatever a start has found is on disk for good: before this a crash may forget what can be read. */
  get settled(): boolean {
    return Atomics.load(this.flags, flags.settled) === 1
  }

  setSettled(): void {
    Atomics.store(this.flags, flags.settled, 1)
  }

  get freeBytes(): number {
    return Atomics.load(this.flags, flags.freeMiB) * 2 ** 20
  }

  setFreeBytes(bytes: number): void {
    Atomics.store(this.flags, flags.freeMiB, Math.min(2 ** 31 - 1, Math.floor(bytes / 2 ** 20)))
  }

  /** Reclaimer: nothing needs this segment's file any more. False when the log thread has not taken the last 64 yet: try again later. */
  offerFree(segment: number): boolean {
    const tail = Atomics.load(this.flags, flags.freeTail)
    if (tail - Atomics.load(this.flags, flags.freeHead) === freeRingMax.value) return false
    this.#free[tail % freeRingMax.value] = segment
    Atomics.store(this.flags, flags.freeTail, tail + 1)
    return true
  }

  /** Log thread: a segment whose file may be used again, or null. */
  takeFree(): number | null {
    const head = Atomics.load(this.flags, flags.freeHead)
    if (head === Atomics.load(this.flags, flags.freeTail)) return null
    const segment = this.#free[head % freeRingMax.value] as number
    Atomics.store(this.flags, flags.freeHead, head + 1)
    return segment
  }

  /** Owner: what the log thread must write into the header of this segment before its first batch. */
  planSegment(plan: SegmentPlan): void {
    const at = (plan.segment % segmentRingMax.value) * segmentFields
    this.#segments[at] = plan.segment
    this.#segments[at + 1] = plan.salt
    this.#segments[at + 2] = plan.firstBatch
    this.#segments[at + 3] = plan.createdAtMs
    this.#segments[at + 4] = plan.previousEnd
  }

  segmentPlan(segment: number): SegmentPlan {
    const at = (segment % segmentRingMax.value) * segmentFields
    const fields = this.#segments
    invariant(fields[at] === segment, `log ${this.name}: segment ${segment} was never planned`)
    return {
      segment,
      salt: fields[at + 1] as number,
      firstBatch: fields[at + 2] as number,
      createdAtMs: fields[at + 3] as number,
      previousEnd: fields[at + 4] as number,
    }
  }
}
