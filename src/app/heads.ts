/** What came in, for those who read what became of it: those that came last are kept, the others are read again where their outcomes say. */
import type { SubmissionFacts } from '../model/submission.ts'
import { MessageDamaged } from '../ports/messages.ts'
import { readFacts, type RecordReader, type RecordView, readSubmission, type StoredSubmission } from '../spool/spool.ts'
import { headsRecipientsMax } from './limits.ts'

export interface KnownSubmission {
  readonly head: StoredSubmission
  readonly facts: SubmissionFacts
}

export class Heads {
  readonly #records: RecordReader
  /** By number; the one that came first is the first. */
  readonly #kept = new Map<number, KnownSubmission>()
  #recipients = 0

  constructor(records: RecordReader) {
    this.#records = records
  }

  note(number: number, head: StoredSubmission, facts: SubmissionFacts): void {
    if (this.#kept.has(number)) return
    this.#kept.set(number, { head, facts })
    this.#recipients += head.recipients.length
    if (this.#recipients <= headsRecipientsMax.value) return
    for (const [oldest, known] of this.#kept) {
      if (this.#recipients <= headsRecipientsMax.value) break
      this.#kept.delete(oldest)
      this.#recipients -= known.head.recipients.length
    }
  }

  /** Null when it is not there any more, or is damaged. */
  of(number: number, place: number): KnownSubmission | null {
    return this.#kept.get(number) ?? this.#read(number, place)
  }

  #read(number: number, place: number): KnownSubmission | null {
    // An outcome of a former version does not tell.
    if (place === 0) return null
    const view = this.#records.fromWindow(place, number)
    if (view !== null) {
      try {
        const known = knownIn(view)
        if (this.#records.stillThere(place)) return known
      } catch (error) {
        if (this.#records.stillThere(place)) throw error
      }
    }
    try {
      return knownIn(this.#records.fromFileNow(place, number))
    } catch (error) {
      if (error instanceof MessageDamaged) return null
      throw error
    }
  }
}

function knownIn({ bytes, at }: RecordView): KnownSubmission {
  const head = readSubmission(bytes, at)
  return { head, facts: readFacts(bytes, head) }
}
