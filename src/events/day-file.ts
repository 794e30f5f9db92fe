/** One day of the message store, open: what goes in. What comes out of it is in day-queries.ts. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { invariant } from '../kernel/assert.ts'
import { uuidText, writeUuid } from '../kernel/ids.ts'
import type { Attempt } from '../model/outcome.ts'
import type { SubmissionFacts } from '../model/submission.ts'
import { searchAddress } from '../standards/address.ts'
import { finalCode, kindCode, queuedCode, statusAfter, whatCode } from './codes.ts'
import { attemptsKeptMax, namesCachedMax, walBytesMax } from './limits.ts'
import type { AttemptOutcome, MessageHead } from './message-table.ts'
import { moreOf } from './more.ts'
import { dayKind } from './schema.ts'
import type { Day, Span } from './spans.ts'
import { aheadBytesAt, checkpoint, closeQuietly, openFile, prepareAll, run, syncAhead } from './sqlite.ts'

/** What is known of a day without looking into it. */
export interface DayFacts {
  messages: number
  acceptedFirstMs: number
  acceptedLastMs: number
  /** As text, which sorts as the bytes do. */
  idFirst: string
  idLast: string
}

const emptyDay = (): DayFacts => ({
  messages: 0,
  acceptedFirstMs: Number.MAX_SAFE_INTEGER,
  acceptedLastMs: 0,
  idFirst: '~',
  idLast: '',
})

export class DayFile {
  readonly day: Day
  readonly path: string
  readonly facts: DayFacts
  readonly spans: readonly Span[]
  readonly database: DatabaseSync
  readonly #write: Record<keyof typeof writes, StatementSync>
  readonly #tenants = new Map<string, number>()
  readonly #peers = new Map<string, number>()
  readonly #id = Buffer.alloc(16)
  /** In a transaction. */
  #open = false
  readonly #spansGrown = new Set<Span>()
  #factsGrown = false
  /** Written to since it was synced; a life before this one may have been. */
  #unsynced = true
  /** Somebody read the file when it was to be emptied: from how many octets on it is tried again. */
  #emptyFromBytes = 0

  constructor(path: string, day: Day) {
    this.day = day
    this.path = path
    this.database = openFile(path, dayKind)
    try {
      this.#write = run(path, () => prepareAll(this.database, writes))
      this.facts = run(path, () => readFacts(this.database))
      this.spans = run(path, () => readSpans(this.database, day))
    } catch (error) {
      closeQuietly(this.database)
      throw error
    }
  }

  /** False when it was there already. */
  submission(number: number, span: Span, head: MessageHead, facts: SubmissionFacts): boolean {
    this.#begin()
    const tenant = this.#tenant(head.tenant)
    writeUuid(this.#id, 0, head.id)
    const { acceptedAtMs, recipients } = head
    const kind = kindCode(head.mailClass, facts)
    const key = facts.idempotencyKey === '' ? null : facts.idempotencyKey
    const added = this.#write.message.run(
      number,
      this.#id,
      tenant,
      acceptedAtMs,
      head.expiresAtMs,
      head.contentBytes,
      recipients.length,
      kind,
      head.returnPath,
      facts.from,
      facts.subject,
      head.client,
      moreOf(facts),
      key,
      key === null ? null : facts.requestSha256,
    )
    if (added.changes === 0) return false
    for (let i = 0; i < recipients.length; i++) {
      const address = recipients[i] as string
      const folded = searchAddress(address)
      const asGiven = folded === address ? null : address
      this.#write.recipient.run(number, i, tenant, acceptedAtMs, folded, asGiven, queuedCode)
    }
    for (const tag of facts.tags) this.#write.tag.run(tenant, tag, acceptedAtMs, number)
    this.#count(span, acceptedAtMs, uuidText(this.#id, 0))
    return true
  }

  #count(span: Span, acceptedAtMs: number, id: string): void {
    const { facts } = this
    facts.messages += 1
    if (acceptedAtMs < facts.acceptedFirstMs) facts.acceptedFirstMs = acceptedAtMs
    if (acceptedAtMs > facts.acceptedLastMs) facts.acceptedLastMs = acceptedAtMs
    if (id < facts.idFirst) facts.idFirst = id
    if (id > facts.idLast) facts.idLast = id
    this.#factsGrown = true
    this.#spansGrown.add(span)
  }

  /** How many of its recipients were not there, or had come to their end. */
  outcome(number: number, { atMs, attempt: tried, recipients }: AttemptOutcome): number {
    this.#begin()
    const peer = this.#peer(tried)
    let ignored = 0
    for (const { recipient, attempt, outcome, nextAttemptAtMs, mayBeDuplicate } of recipients) {
      const status = statusAfter(outcome.kind)
      const duplicate = mayBeDuplicate || outcome.kind === 'uncertain' ? 1 : 0
      // When attempts are not counted any further (shape.attempts), the end has the number of the attempt before it.
      const before = status >= finalCode ? attempt + 1 : attempt
      const updated = this.#write.update.run(status, attempt, nextAttemptAtMs, duplicate, number, recipient, before)
      if (updated.changes === 0) {
        if (!this.#isKnown(number, recipient, attempt)) ignored += 1
        continue
      }
      this.#write.attempt.run(
        number,
        recipient,
        attempt,
        atMs,
        tried.startedAtMs,
        peer,
        tried.connectedMs,
        tried.envelopeMs,
        tried.finishedMs,
        whatCode(outcome, tried),
        outcome.code,
        outcome.enhanced,
        outcome.text,
      )
      if (attempt > attemptsKeptMax.value) this.#write.forget.run(number, recipient, attempt - attemptsKeptMax.value)
    }
    return ignored
  }

  /** Records that come again are no news. */
  #isKnown(number: number, recipient: number, attempt: number): boolean {
    const row = this.#write.attempts.get(number, recipient)
    return row !== undefined && attempt <= Number(row['attempts'])
  }

  #tenant(name: string): number {
    return (
      this.#tenants.get(name) ??
      remember(
        this.#tenants,
        name,
        Number((this.#write.tenant.get(name) ?? this.#write.addTenant.get(name))?.['tenant']),
      )
    )
  }

  #peer({ host, address, source, tls }: Attempt): number {
    const key = `${host}\n${address}\n${source}\n${tls}`
    return (
      this.#peers.get(key) ??
      remember(
        this.#peers,
        key,
        Number(
          (this.#write.peer.get(host, address, source, tls) ?? this.#write.addPeer.get(host, address, source, tls))?.[
            'peer'
          ],
        ),
      )
    )
  }

  #begin(): void {
    if (this.#open) return
    this.#write.begin.run()
    this.#open = true
  }

  /** Ends the open transaction. */
  commit(): void {
    if (!this.#open) return
    this.#endTransaction()
    this.emptyAhead(walBytesMax.value)
  }

  #endTransaction(): void {
    if (!this.#open) return
    run(this.path, () => {
      for (const { log, first, last } of this.#spansGrown) this.#write.span.run(log, first, last)
      const { messages, acceptedFirstMs, acceptedLastMs, idFirst, idLast } = this.facts
      if (this.#factsGrown) this.#write.facts.run(messages, acceptedFirstMs, acceptedLastMs, idFirst, idLast)
      this.#write.commit.run()
    })
    this.#open = false
    this.#unsynced = true
    this.#spansGrown.clear()
    this.#factsGrown = false
  }

  /** Commits, and makes everything durable. */
  sync(): void {
    this.commit()
    if (this.takeUnsynced()) syncAhead(this.path)
  }

  /** True when something was committed that nobody has synced; whoever asks does it now. */
  takeUnsynced(): boolean {
    const unsynced = this.#unsynced
    this.#unsynced = false
    return unsynced
  }

  get aheadBytes(): number {
    return aheadBytesAt(this.path)
  }

  /** Commits. What is ahead goes into the file, where it is more than that; what somebody else has moved already costs little. */
  emptyAhead(bytesMax: number): void {
    const { aheadBytes } = this
    if (aheadBytes <= Math.max(bytesMax, this.#emptyFromBytes)) return
    // In the midst of a transaction SQLite refuses it.
    this.#endTransaction()
    this.#emptyFromBytes = checkpoint(this.path, this.database) ? 0 : aheadBytes + walBytesMax.value / 8
  }

  close(): void {
    try {
      this.sync()
      checkpoint(this.path, this.database)
    } finally {
      closeQuietly(this.database)
    }
  }

  /** Saves nothing. */
  abandon(): void {
    closeQuietly(this.database)
  }
}

function remember(names: Map<string, number>, name: string, number: number): number {
  invariant(number > 0, 'a name has a number')
  if (names.size >= namesCachedMax.value) names.clear()
  names.set(name, number)
  return number
}

function readFacts(database: DatabaseSync): DayFacts {
  const row = database.prepare('SELECT * FROM about').get() as unknown as DayFacts | undefined
  if (row === undefined) return emptyDay()
  const { messages, acceptedFirstMs, acceptedLastMs, idFirst, idLast } = row
  return { messages, acceptedFirstMs, acceptedLastMs, idFirst, idLast }
}

function readSpans(database: DatabaseSync, day: Day): Span[] {
  const rows = database.prepare('SELECT log, first, last FROM spans').all() as unknown as Omit<Span, 'day'>[]
  return rows.map(({ log, first, last }) => ({ log, first, last, day }))
}

const writes = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  message: `INSERT INTO messages VALUES (${marks(15)}) ON CONFLICT (number) DO NOTHING`,
  recipient: `INSERT INTO recipients VALUES (${marks(7)}, 0, 0, 0)`,
  tag: `INSERT INTO tags VALUES (${marks(4)}) ON CONFLICT DO NOTHING`,
  update: `UPDATE recipients SET status = ?, attempts = ?, next = ?, duplicate = duplicate | ?
    WHERE number = ? AND recipient = ? AND attempts < ? AND status < ${finalCode}`,
  attempts: 'SELECT attempts FROM recipients WHERE number = ? AND recipient = ?',
  attempt: `INSERT OR REPLACE INTO attempts VALUES (${marks(13)})`,
  forget: 'DELETE FROM attempts WHERE number = ? AND recipient = ? AND attempt <= ?',
  tenant: 'SELECT tenant FROM tenants WHERE name = ?',
  addTenant: 'INSERT INTO tenants (name) VALUES (?) RETURNING tenant',
  peer: 'SELECT peer FROM peers WHERE host = ? AND address = ? AND source = ? AND tls = ?',
  addPeer: 'INSERT INTO peers (host, address, source, tls) VALUES (?, ?, ?, ?) RETURNING peer',
  span: 'INSERT OR REPLACE INTO spans VALUES (?, ?, ?)',
  facts: `INSERT OR REPLACE INTO about VALUES (1, ${marks(5)})`,
} as const

function marks(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ')
}
