/**
 * Which segments somebody still needs. A segment of any log may be used again when it lies behind both checkpoints and all readers, and no slot points
 * into it: this is the one rule, and this file is the one place that applies it.
 *
 *   segments of a log   7   8   9   12  13  14
 *   slots that point    0   3   0   1   0   250
 *                       ^free   ^free   ^ not behind both checkpoints
 */
import type { Pins } from '../ports/queue.ts'
import { logOf, valueOf } from '../model/submission.ts'
import { Channel, type ChannelMemory } from './channel.ts'
import { mailLogNumber } from './files.ts'

interface SegmentUse {
  slots: number
  /** Of live recipients, and the most there ever were: what is mostly dead is worth carrying away. */
  bytes: number
}

/** A log's segments that are on disk and not free, with what points into them. */
export class LogSegments {
  readonly channel: Channel
  readonly #use = new Map<number, SegmentUse>()
  /** On disk, rising; those being written are not among them. */
  #present: number[] = []
  #nextSegment = 1

  constructor(channel: Channel) {
    this.channel = channel
  }

  /** Recovery: these are on disk, and the log goes on in that one. */
  found(present: readonly number[], nextSegment: number): void {
    this.#present = [...present].sort((a, b) => a - b)
    this.#nextSegment = nextSegment
  }

  add(segment: number, bytes: number): void {
    const use = this.#use.get(segment)
    if (use === undefined) this.#use.set(segment, { slots: 1, bytes })
    else {
      use.slots += 1
      use.bytes += bytes
    }
  }

  remove(segment: number, bytes: number): void {
    const use = this.#use.get(segment)
    if (use === undefined) return
    use.slots -= 1
    use.bytes -= bytes
    if (use.slots === 0) this.#use.delete(segment)
  }

  /** Segments on disk that end at or before `position`. */
  behind(position: number): readonly number[] {
    const { segmentBytes } = this.channel
    for (; (this.#nextSegment + 1) * segmentBytes <= position; this.#nextSegment++)
      this.#present.push(this.#nextSegment)
    return this.#present.filter((segment) => (segment + 1) * segmentBytes <= position)
  }

  used(segment: number): SegmentUse | undefined {
    return this.#use.get(segment)
  }

  /** Offers what nobody needs to the log thread. Returns how many segments that were. */
  reclaim(keepFrom: number): number {
    const gone = new Set<number>()
    for (const segment of this.behind(keepFrom)) {
      if (this.#use.has(segment)) continue
      if (!this.channel.offerFree(segment)) break
      gone.add(segment)
    }
    if (gone.size > 0) this.#present = this.#present.filter((segment) => !gone.has(segment))
    return gone.size
  }

  get count(): number {
    return this.#present.length
  }

  get pinned(): ReadonlyMap<number, SegmentUse> {
    return this.#use
  }
}

/** All logs of a spool. Made before anything is read, because recovery fills the queue, and the queue says where it points. */
export class SpoolPins implements Pins {
  /** By name; and those that hold mail, by number. */
  readonly logs = new Map<string, LogSegments>()
  readonly mail = new Map<number, LogSegments>()
  readonly #segmentBytes: number

  constructor(channels: readonly ChannelMemory[]) {
    let segmentBytes = 1
    for (const memory of channels) {
      const log = new LogSegments(new Channel(memory))
      const number = mailLogNumber(memory.name)
      this.logs.set(memory.name, log)
      if (number === null) continue
      this.mail.set(number, log)
      segmentBytes = memory.segmentBytes
    }
    this.#segmentBytes = segmentBytes
  }

  add(place: number, span: number, bytes: number): void {
    const log = this.mail.get(logOf(place))
    if (log === undefined) return
    const segment = Math.floor(valueOf(place) / this.#segmentBytes)
    log.add(segment, bytes)
    for (let i = 1; i <= span; i++) log.add(segment - i, 0)
  }

  remove(place: number, span: number, bytes: number): void {
    const log = this.mail.get(logOf(place))
    if (log === undefined) return
    const segment = Math.floor(valueOf(place) / this.#segmentBytes)
    log.remove(segment, bytes)
    for (let i = 1; i <= span; i++) log.remove(segment - i, 0)
  }
}
