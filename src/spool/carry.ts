/**
 * Carries stragglers: a segment that only a few recipients keep from being used again is emptied into a log of its own. Numbers do not change, and
 * a slot points to the copy only once that is on disk; until then, and for whoever is reading at that moment, the original counts.
 *
 *   idle ──▶ read (from files, one after the other) ──▶ written, waiting for the disk ──▶ slots moved ──▶ idle
 */
import { inLog, logOf } from '../model/submission.ts'
import type { QueueSource, SlotPlace } from '../ports/queue.ts'
import { recordTypes } from './layout.ts'
import { carriedShareMax } from './limits.ts'
import type { LogSegments } from './pins.ts'
import type { RecordReader } from './reader.ts'
import { readSubmission } from './records.ts'
import { copySubmission } from './rewrite.ts'
import type { RecordPlace } from './scan.ts'
import type { LogWriter } from './writer.ts'

export interface CarryOptions {
  readonly source: QueueSource
  readonly records: RecordReader
  /** Made when there is something to carry. */
  readonly writer: () => LogWriter
  readonly stragglers: number
  readonly segmentBytes: number
  readonly logs: ReadonlyMap<number, LogSegments>
}

/** A search over ten million slots takes 50 to 100 ms: then one every ten seconds, or 40 ticks. */
const searchedPerTick = 250_000

interface Copied {
  readonly slots: readonly SlotPlace[]
  readonly to: RecordPlace
  readonly end: number
}

export class Carrier {
  readonly #options: CarryOptions
  #busy = false
  readonly #copied: Copied[] = []
  /** The copies before this position are what slots point to. */
  #appliedTo = 0
  readonly #failed = new Set<string>()
  /** Segments that were looked at in this round. */
  readonly #seen = new Set<string>()
  /** Calls of `start` to let pass. */
  #pause = 0
  carried = 0

  constructor(options: CarryOptions) {
    this.#options = options
  }

  get idle(): boolean {
    return !this.#busy && this.#copied.length === 0
  }

  /** Straggler records from here on must be read again on top of a checkpoint that begins now; null: all are applied. */
  get appliedTo(): number | null {
    return this.idle ? null : this.#appliedTo
  }

  /** Looks for one segment behind `keepFrom` that is worth emptying. */
  start(keepFrom: ReadonlyMap<number, number>): void {
    if (!this.idle) return
    const { segmentBytes, source } = this.#options
    if (this.#pause > 0) return void (this.#pause -= 1)
    for (const [log, segments] of this.#options.logs) {
      for (const segment of segments.sparse(keepFrom.get(log) ?? 0, segmentBytes * carriedShareMax.value)) {
        const name = `${log} ${segment}`
        if (this.#failed.has(name) || this.#seen.has(name)) continue
        // One search at a time: it goes over all slots, on the thread that everybody waits for.
        this.#pause = Math.floor(source.slotsUsed / searchedPerTick)
        this.#seen.add(name)
        const slots = source.slotsIn(log, segment * segmentBytes, (segment + 1) * segmentBytes)
        // None: only chunks of a later record, or what is being sent right now.
        return slots.length === 0 ? undefined : void this.#empty(name, slots)
      }
    }
    // All were looked at: the next round begins.
    this.#seen.clear()
  }

  async #empty(name: string, slots: readonly SlotPlace[]): Promise<void> {
    this.#busy = true
    const writer = this.#options.writer()
    this.#appliedTo = writer.endOfOpenBatch
    const byPlace = new Map<number, SlotPlace[]>()
    for (const slot of slots) {
      const others = byPlace.get(slot.place)
      if (others === undefined) byPlace.set(slot.place, [slot])
      else others.push(slot)
    }
    try {
      for (const [place, together] of byPlace) {
        const to = await this.#copy(writer, place, (together[0] as SlotPlace).number)
        if (to !== null) this.#copied.push({ slots: together, to, end: writer.endOfOpenBatch })
      }
    } catch {
      // Damaged, or the disk fails: its deliverer will say so, and the segment stays.
      this.#failed.add(name)
    } finally {
      // Also what was copied before something was found damaged.
      writer.closeBatch()
      this.#busy = false
    }
  }

  /** Null when there is no room now: the next round tries again. */
  async #copy(writer: LogWriter, place: number, number: number): Promise<RecordPlace | null> {
    const { records, stragglers } = this.#options
    const view = await records.fromFile(place, number)
    const payload = view.bytes.subarray(view.at, view.at + view.payloadBytes)
    const moved = new Map<number, number>()
    for (const { position, bytes } of readSubmission(payload, 0).chunks) {
      const chunk = await records.fromFile(inLog(logOf(place), position), number, bytes)
      if (!writer.hasRoomFor(chunk.payloadBytes)) return null
      moved.set(position, writer.start(recordTypes.chunk, number, chunk.payloadBytes))
      chunk.bytes.copy(writer.channel.window, writer.payloadOffset, chunk.at, chunk.at + chunk.payloadBytes)
      writer.finish()
    }
    // The copy has an extra part also where the record had none.
    if (!writer.hasRoomFor(payload.length + 64)) return null
    return copySubmission(writer, stragglers, { sequence: number, payload }, moved, null)
  }

  /** Moves the slots whose copies have reached the disk. */
  poll(committedTo: number): void {
    for (let next = this.#copied[0]; next !== undefined && next.end <= committedTo; next = this.#copied[0]) {
      this.#copied.shift()
      this.#appliedTo = next.end
      for (const slot of next.slots)
        if (this.#options.source.relocate(slot, next.to.place, next.to.span)) this.carried += 1
    }
  }
}
