/** What came in, for those who read what became of it: those that came last are kept, the others are read again where their outcomes say. */
import type { AttemptOutcome } from '../events/events.ts'
import { isFinal } from '../model/outcome.ts'
import type { SubmissionFacts } from '../model/submission.ts'
import { MessageDamaged } from '../ports/messages.ts'
import {
  readFacts,
  type ReadSubmission,
  type RecordReader,
  type RecordView,
  readSubmission,
  type StoredSubmission,
} from '../spool/spool.ts'
import { headsRecipientsMax } from './limits.ts'

export class Heads {
  readonly #records: RecordReader
  /** By number, two generations: what is full becomes the older one, and that one is forgotten as a whole. */
  #younger = new Map<number, ReadSubmission>()
  #older = new Map<number, ReadSubmission>()
  #recipients = 0

  constructor(records: RecordReader) {
    this.#records = records
  }

  note(number: number, head: StoredSubmission, facts: SubmissionFacts): void {
    this.#recipients += head.recipients.length
    if (this.#recipients > headsRecipientsMax.value / 2) {
      this.#older = this.#younger
      this.#younger = new Map()
      this.#recipients = head.recipients.length
    }
    this.#younger.set(number, { head, facts })
  }

  /** Undefined when it is not kept. */
  kept(number: number): ReadSubmission | undefined {
    return this.#younger.get(number) ?? this.#older.get(number)
  }

  /**
   * The last reader has taken this outcome. Where nothing more can come of the message it is forgotten: most are within a tenth of a second, and what does
   * not live long costs the collector of garbage nothing. Whoever asks all the same reads it again.
   */
  taken(number: number, { recipients }: Pick<AttemptOutcome, 'recipients'>): void {
    const known = this.kept(number)
    if (known === undefined || recipients.length < known.head.recipients.length) return
    if (!recipients.every(({ outcome }) => isFinal(outcome.kind))) return
    if (this.#younger.delete(number)) this.#recipients -= known.head.recipients.length
    else this.#older.delete(number)
  }

  /** Null when it is not there any more, is damaged, or the disk cannot give it back. */
  of(number: number, place: number): ReadSubmission | null {
    return this.kept(number) ?? this.#read(number, place)
  }

  #read(number: number, place: number): ReadSubmission | null {
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
      // A bad sector: nobody shall die of it again and again.
      if (error instanceof MessageDamaged || (error as NodeJS.ErrnoException).syscall !== undefined) return null
      throw error
    }
  }
}

function knownIn({ bytes, at }: RecordView): ReadSubmission {
  const head = readSubmission(bytes, at)
  return { head, facts: readFacts(bytes, head) }
}
