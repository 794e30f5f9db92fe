/**
 * Messages that have come to their end, as the store told of them: nothing can follow, so whoever asks again is answered without another question. Those
 * who wait for an end ask every second; afterwards pages and scripts ask once more.
 */
import type { Clock } from '../kernel/clock.ts'
import { isFinalStatus, type MessageRecord, type MessageSummary } from '../ports/message-store.ts'
import { endedKeptMax, endedMsMax, endedRecipientsMax } from './limits.ts'

interface Ended {
  readonly summary: MessageSummary
  /** Null: the attempts were not asked for. */
  readonly record: MessageRecord | null
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
    return this.#find(tenant, id)?.record ?? null
  }

  /** Null: unknown here. */
  status(tenant: string, id: string): MessageSummary | null {
    return this.#find(tenant, id)?.summary ?? null
  }

  #find(tenant: string, id: string): Ended | null {
    const name = nameOf(tenant, id)
    const found = this.#byName.get(name)
    if (found === undefined) return null
    if (this.#clock.monotonicMs() - found.notedMs < endedMsMax.value) return found
    this.#byName.delete(name)
    return null
  }

  /** `summary` has all recipients. */
  note(tenant: string, id: string, summary: MessageSummary, record: MessageRecord | null): void {
    const { recipients } = summary
    if (recipients.length > endedRecipientsMax.value || !recipients.every(({ status }) => isFinalStatus(status))) return
    this.#byName.delete(nameOf(tenant, id))
    this.#byName.set(nameOf(tenant, id), { summary, record, notedMs: this.#clock.monotonicMs() })
    if (this.#byName.size <= endedKeptMax.value) return
    const [oldest] = this.#byName.keys()
    if (oldest !== undefined) this.#byName.delete(oldest)
  }
}

/** An id may be written in capitals, and is then another name: that costs a question and no more. */
const nameOf = (tenant: string, id: string): string => `${tenant} ${id}`
