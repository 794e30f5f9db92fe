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

/** A log's segments that are on disk and not free, with what points into them. Asked several times a second, so nothing here goes over all of them. */
export class LogSegments {
  readonly channel: Channel
  readonly #use = new Map<number, SegmentUse>()
  /** On disk; those being written are not among them. */
  readonly #present = new Set<number>()
  /** Of these, the ones that nothing points into. */
  readonly #unused = new Set<number>()
  #nextSegment = 1

  constructor(channel: Channel) {
    this.channel = channel
  }

  /** Recovery: these are on disk, and the log goes on in that one. */
  found(present: readonly number[], nextSegment: number): void {
    for (const segment of present) this.#enter(segment)
    this.#nextSegment = nextSegment
  }

  #enter(segment: number): void {
    this.#present.add(segment)
    if (!this.#use.has(segment)) this.#unused.add(segment)
  }

  add(segment: number, bytes: number): void {
    const use = this.#use.get(segment)
    if (use === undefined) {
      this.#use.set(segment, { slots: 1, bytes })
      this.#unused.delete(segment)
    } else {
      use.slots += 1
      use.bytes += bytes
    }
  }

  remove(segment: number, bytes: number): void {
    const use = this.#use.get(segment)
    if (use === undefined) return
    use.slots -= 1
    use.bytes -= bytes
    if (use.slots > 0) return
    this.#use.delete(segment)
    if (this.#present.has(segment)) this.#unused.add(segment)
  }

  /** Segments that end at or before `keepFrom` and that nothing points into. */
  unused(keepFrom: number): readonly number[] {
    const { segmentBytes } = this.channel
    for (; (this.#nextSegment + 1) * segmentBytes <= keepFrom; this.#nextSegment++) this.#enter(this.#nextSegment)
    return [...this.#unused].filter((segment) => (segment + 1) * segmentBytes <= keepFrom)
  }

  /** Segments before `keepFrom` with at most `bytesMax` of living mail. */
  *sparse(keepFrom: number, bytesMax: number): Generator<number, undefined> {
    const { segmentBytes } = this.channel
    for (const [segment, { bytes }] of this.#use)
      if (bytes <= bytesMax && (segment + 1) * segmentBytes <= keepFrom && this.#present.has(segment)) yield segment
  }

  /** Offers segments to the log thread, except those that are needed after all. Returns how many it took. */
  offer(segments: readonly number[]): number {
    let taken = 0
    for (const segment of segments) {
      if (!this.#unused.has(segment)) continue
      if (!this.channel.offerFree(segment)) break
      this.#present.delete(segment)
      this.#unused.delete(segment)
      taken += 1
    }
    return taken
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
