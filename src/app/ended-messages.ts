/**
 * Messages that have come to their end, as the store told of them: nothing can follow, so whoever asks again is answered without another question. Those
 * who wait for an end ask every second; afterwards pages and scripts ask once more.
 */
import type { Clock } from '../kernel/clock.ts'
import { isFinalStatus, type MessageRecord } from '../ports/message-store.ts'
import { endedKeptMax, endedMsMax, endedRecipientsMax } from './limits.ts'

interface Ended {
  readonly record: MessageRecord
  readonly notedMs: number
}

export class EndedMessages {
  readonly #clock: Clock
  /** The one that was noted longest ago comes first. */
  readonly #byName = new Map<string, Ended>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Null: unknown here. */
  get(tenant: string, id: string): MessageRecord | null {
    const name = nameOf(tenant, id)
    const found = this.#byName.get(name)
    if (found === undefined) return null
    if (this.#clock.monotonicMs() - found.notedMs < endedMsMax.value) return found.record
    this.#byName.delete(name)
    return null
  }

  note(tenant: string, id: string, record: MessageRecord): void {
    const { recipients } = record
    if (recipients.length > endedRecipientsMax.value || !recipients.every(({ status }) => isFinalStatus(status))) return
    this.#byName.delete(nameOf(tenant, id))
    this.#byName.set(nameOf(tenant, id), { record, notedMs: this.#clock.monotonicMs() })
    if (this.#byName.size <= endedKeptMax.value) return
    const [oldest] = this.#byName.keys()
    if (oldest !== undefined) this.#byName.delete(oldest)
  }
}

/** An id may be written in capitals, and is then another name: that costs a question and no more. */
const nameOf = (tenant: string, id: string): string => `${tenant} ${id}`
