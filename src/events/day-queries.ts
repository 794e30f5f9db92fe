/** One day of the message store, open: what comes out. Every query names its tenant, except the one that operators use. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { uuidText } from '../kernel/ids.ts'
import type { MessageSummary, RecipientStatus } from '../ports/message-store.ts'
import { classOf, statusOf, viaOf } from './codes.ts'
import { summaryRecipientsMax } from './limits.ts'
import type { KeyedMessage } from './message-table.ts'
import { readMore } from './more.ts'
import { type PackedMessage, recipientsSql, triesSql, unpackSummary } from './packed-message.ts'

export interface Search {
  readonly tenant: string
  /** Lower case; at most one of these two leads the search. */
  readonly recipient: string | null
  readonly tag: string | null
  readonly fromMs: number
}

/** Newest first: by time of acceptance, then by number. A search goes on behind it. */
export interface Place {
  readonly acceptedAtMs: number
  readonly number: number
}

/** What a search looks at before it takes the whole message. */
export interface Candidate extends Place {
  readonly returnPath: string
  readonly sender: string
  /** How many. */
  readonly recipients: number
}

export class DayQueries {
  readonly #statements = new Map<string, StatementSync>()
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Null tenant: of any. */
  find(tenant: string | null, id: Buffer, withTries: boolean): PackedMessage | null {
    const message = this.#prepared(`${messageSql} WHERE m.id = ?`).get(id) as unknown as MessageRow | undefined
    if (message === undefined || (tenant !== null && message.tenant !== tenant)) return null
    return this.#packed(message, -1, withTries)
  }

  summary(number: number): MessageSummary {
    const message = this.#prepared(`${messageSql} WHERE m.number = ?`).get(number) as unknown as MessageRow
    const summary = unpackSummary(this.#packed(message, summaryRecipientsMax.value, false))
    return summary.recipients.length === message.recipients ? summary : { ...summary, status: this.status(number) }
  }

  #packed(message: MessageRow, recipientsMax: number, withTries: boolean): PackedMessage {
    const { number } = message
    return {
      head: headOf(message),
      recipients: textOf(this.#prepared(recipientsSql).get(number, recipientsMax)),
      tries: withTries ? textOf(this.#prepared(triesSql).get(number)) : null,
    }
  }

  status(number: number): RecipientStatus {
    const row = this.#prepared('SELECT min(status) AS status FROM recipients WHERE number = ?').get(number)
    return statusOf(Number(row?.['status']))
  }

  hasTag(tenant: string, tag: string, { acceptedAtMs, number }: Place): boolean {
    const sql = `SELECT 1 FROM tags WHERE tenant = ${tenantSql} AND tag = ? AND accepted = ? AND number = ?`
    return this.#prepared(sql).get(tenant, tag, acceptedAtMs, number) !== undefined
  }

  /**
   * Those that the search may be for, behind `after`; a message with the same recipient twice comes twice in a row. Whoever stops early leaves the rest
   * unread.
   */
  candidates({ tenant, recipient, tag, fromMs }: Search, after: Place): Iterable<Candidate> {
    const behind = [fromMs, after.acceptedAtMs, after.number]
    const rows =
      recipient !== null
        ? this.#prepared(candidatesBy('recipients', 'AND l.folded = ?')).iterate(tenant, recipient, ...behind)
        : tag !== null
          ? this.#prepared(candidatesBy('tags', 'AND l.tag = ?')).iterate(tenant, tag, ...behind)
          : this.#prepared(candidatesBy('messages', '')).iterate(tenant, ...behind)
    return rows as unknown as Iterable<Candidate>
  }

  /** The last one accepted with this key, at this time or later. */
  key(tenant: string, key: string, fromMs: number): KeyedMessage | null {
    const row = this.#prepared(
      `SELECT id, requestSha256 FROM messages
        WHERE tenant = ${tenantSql} AND idempotencyKey IS NOT NULL AND idempotencyKey = ? AND accepted >= ? ORDER BY accepted DESC LIMIT 1`,
    ).get(tenant, key, fromMs) as unknown as { id: Uint8Array; requestSha256: string } | undefined
    return row === undefined ? null : { id: uuidText(row.id, 0), requestSha256: row.requestSha256 }
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }
}

const tenantSql = '(SELECT tenant FROM tenants WHERE name = ?)'

/** A cross join is made in the order in which it is written: the index leads, and no row is read before it is asked for. */
const candidatesBy = (leader: string, condition: string): string =>
  `SELECT m.number, m.accepted AS acceptedAtMs, m.returnPath, m.sender, m.recipients FROM ${leader} AS l CROSS JOIN messages AS m ON m.number = l.number
    WHERE l.tenant = ${tenantSql} ${condition} AND l.accepted >= ? AND (l.accepted, l.number) < (?, ?) ORDER BY l.accepted DESC, l.number DESC`

const messageSql = `SELECT m.number, m.id, t.name AS tenant, m.accepted, m.expires, m.bytes, m.recipients, m.kind, m.returnPath, m.sender, m.subject,
  m.client, m.more, m.idempotencyKey, m.requestSha256 FROM messages AS m JOIN tenants AS t ON t.tenant = m.tenant`

interface MessageRow {
  readonly number: number
  readonly id: Uint8Array
  readonly tenant: string
  readonly accepted: number
  readonly expires: number
  readonly bytes: number
  readonly recipients: number
  readonly kind: number
  readonly returnPath: string
  readonly sender: string
  readonly subject: string
  readonly client: string
  readonly more: string | null
  readonly idempotencyKey: string | null
  readonly requestSha256: string | null
}

const textOf = (row: Record<string, unknown> | undefined): string => String(Object.values(row ?? {})[0])

const headOf = (row: MessageRow): PackedMessage['head'] => ({
  id: uuidText(row.id, 0),
  tenant: row.tenant,
  returnPath: row.returnPath,
  mailClass: classOf(row.kind),
  facts: {
    via: viaOf(row.kind),
    from: row.sender,
    subject: row.subject,
    ...readMore(row.more),
    idempotencyKey: row.idempotencyKey ?? '',
    requestSha256: row.requestSha256 ?? '',
  },
  acceptedAtMs: row.accepted,
  expiresAtMs: row.expires,
  contentBytes: row.bytes,
  client: row.client,
  recipientCount: row.recipients,
})
