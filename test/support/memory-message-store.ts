/** A message store in memory over a spool in memory, for tests of intake: what was committed is known, and claims wait as they do in the real one. */
import type { MemorySubmission, MemorySubmissions } from './memory-submissions.ts'
import type { RecipientRecord } from '../../src/ports/message-store.ts'
import {
  BadCursor,
  type Claim,
  type MessagePage,
  type MessageQuery,
  type MessageRecord,
  type MessageStore,
  StoreUnavailable,
} from '../../src/ports/message-store.ts'

export class MemoryMessageStore implements MessageStore {
  /** True: it cannot answer. */
  unavailable = false
  /** What was asked of it last. */
  readonly queries: MessageQuery[] = []
  /** Given instead of what was committed. */
  readonly records = new Map<string, MessageRecord>()
  /** Claims that were taken and not given back. */
  readonly open = new Map<number, string>()
  readonly #spool: MemorySubmissions
  #claims = 0
  #waiting: (() => void)[] = []

  constructor(spool: MemorySubmissions) {
    this.#spool = spool
  }

  /** Requests that wait for another one's end. */
  get waiting(): number {
    return this.#waiting.length
  }

  async find(tenant: string, id: string): Promise<MessageRecord | null> {
    this.#mustAnswer()
    const record = this.records.get(id) ?? this.#all().find((message) => message.id === id)
    return record?.tenant === tenant ? record : null
  }

  status(tenant: string, id: string): Promise<MessageRecord | null> {
    return this.find(tenant, id)
  }

  async list(tenant: string, query: MessageQuery): Promise<MessagePage> {
    this.#mustAnswer()
    this.queries.push(query)
    const from = query.cursor === undefined ? 0 : /^c\d+$/.test(query.cursor) ? Number(query.cursor.slice(1)) : -1
    if (from < 0) throw new BadCursor()
    const all = this.#all()
      .filter((message) => message.tenant === tenant)
      .filter(({ facts }) => query.tag === undefined || facts.tags.includes(query.tag))
      .reverse()
    const end = from + query.limit
    return { messages: all.slice(from, end), next: end < all.length ? `c${end}` : null }
  }

  async claim(tenant: string, key: string, requestSha256: string): Promise<Claim> {
    this.#mustAnswer()
    const name = `${tenant} ${key}`
    while ([...this.open.values()].includes(name)) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    const known = this.#spool.committed.find(({ head }) => head.tenant === tenant && head.facts.idempotencyKey === key)
    if (known !== undefined) {
      return { kind: known.head.facts.requestSha256 === requestSha256 ? 'same' : 'conflict', id: known.id }
    }
    this.open.set(++this.#claims, name)
    return { kind: 'new', claim: this.#claims }
  }

  release(claim: number): void {
    if (!this.open.delete(claim)) throw new Error('this claim was given back before')
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #mustAnswer(): void {
    if (this.unavailable) throw new StoreUnavailable()
  }

  #all(): MessageRecord[] {
    return this.#spool.committed.map(recordOf)
  }
}

function recordOf({ id, head, content }: MemorySubmission): MessageRecord {
  const recipients = head.recipients.map(
    (address): RecipientRecord => ({
      address,
      status: 'queued',
      attempts: 0,
      code: 0,
      enhanced: '',
      text: '',
      updatedAtMs: 1_700_000_000_000,
      nextAttemptAtMs: 0,
      mayBeDuplicate: false,
      tries: [],
    }),
  )
  return {
    id,
    tenant: head.tenant,
    returnPath: head.returnPath,
    mailClass: head.mailClass,
    facts: head.facts,
    acceptedAtMs: 1_700_000_000_000,
    expiresAtMs: head.expiresAtMs,
    contentBytes: content.length,
    client: head.client,
    recipientCount: recipients.length,
    recipients,
    status: 'queued',
  }
}
