/** Submissions as they become durable: each is read behind the disk, once, and handed to the queue. */
import { inLog } from '../model/submission.ts'
import type { Channel } from './channel.ts'
import { recordTypes } from './layout.ts'
import { TailReader } from './reader.ts'
import { readSubmission, type StoredSubmission } from './records.ts'
import { chunkSpan, lifeOf, type RecordPlace, shareOf } from './scan.ts'

/** A submission that became durable, for the queue. */
export interface Arrival extends RecordPlace {
  readonly number: number
  /** Each recipient's share of what is stored. */
  readonly bytes: number
  /** Seconds from acceptance to expiry; 0: as the configuration says. */
  readonly lifeS: number
  readonly submission: StoredSubmission
}

export class Arrivals {
  /** By the name of its log. */
  readonly tails = new Map<string, TailReader>()
  readonly #onArrival: (arrival: Arrival) => void

  constructor(onArrival: (arrival: Arrival) => void) {
    this.#onArrival = onArrival
  }

  /** From the end that the channel has now. */
  follow(log: number, channel: Channel): TailReader {
    const { segmentBytes } = channel
    const tail = new TailReader(channel, (type, number, position, bytes, at) => {
      if (type !== recordTypes.submission) return
      const submission = readSubmission(bytes, at)
      this.#onArrival({
        number,
        place: inLog(log, position),
        span: submission.chunks.length === 0 ? 0 : chunkSpan(position, submission, segmentBytes),
        bytes: shareOf(submission, at),
        lifeS: lifeOf(submission),
        submission,
      })
    })
    this.tails.set(tail.name, tail)
    return tail
  }

  poll(): void {
    for (const tail of this.tails.values()) tail.poll()
  }
}
