/**
 * A message with all that became of it, on its way to the thread that asked: rows as JSON that SQLite makes. 1,000 recipients with 20 attempts each are
 * 20,000 objects, and making and copying them would keep everybody else waiting here for six times as long.
 */
import type {
  AttemptRecord,
  MessageRecord,
  MessageSummary,
  RecipientRecord,
  RecipientStatus,
  RecipientSummary,
} from '../ports/message-store.ts'
import { outcomeOf, reusedOf, statusOf } from './codes.ts'

export interface PackedMessage {
  readonly head: Omit<MessageSummary, 'recipients' | 'status'>
  readonly recipients: string
  /** Null: not asked for. */
  readonly tries: string | null
}

type RecipientRow = readonly [
  recipient: number,
  accepted: number,
  address: string,
  status: number,
  attempts: number,
  next: number,
  duplicate: number,
  at: number | null,
  code: number | null,
  enhanced: string | null,
  reply: string | null,
]

type TryRow = readonly [
  recipient: number,
  attempt: number,
  started: number,
  connected: number,
  envelope: number,
  finished: number,
  what: number,
  code: number,
  enhanced: string,
  reply: string,
  host: string,
  address: string,
  source: string,
  tls: string,
]

/** Of a message, the first so many; -1: all. */
export const recipientsSql = `SELECT json_group_array(json_array(recipient, accepted, address, status, attempts, next, duplicate, at, code, enhanced, reply))
  FROM (SELECT r.recipient, r.accepted, coalesce(r.address, r.folded) AS address, r.status, r.attempts, r.next, r.duplicate, a.at, a.code, a.enhanced, a.reply
    FROM recipients AS r LEFT JOIN attempts AS a ON a.number = r.number AND a.recipient = r.recipient AND a.attempt = r.attempts
    WHERE r.number = ? ORDER BY r.recipient LIMIT ?)`

export const triesSql = `SELECT json_group_array(json_array(a.recipient, a.attempt, a.started, a.connected, a.envelope, a.finished, a.what, a.code, a.enhanced,
  a.reply, p.host, p.address, p.source, p.tls)) FROM attempts AS a CROSS JOIN peers AS p ON p.peer = a.peer WHERE a.number = ?`

/** With all recipients that were packed. */
export function unpackSummary({ head, recipients }: PackedMessage): MessageSummary {
  const rows = rowsOf<RecipientRow>(recipients)
  return { ...head, recipients: rows.map(recipientOf), status: firstStatus(rows) }
}

export function unpackMessage({ head, recipients, tries }: PackedMessage): MessageRecord {
  const rows = rowsOf<RecipientRow>(recipients)
  const triesOf = Map.groupBy(rowsOf<TryRow>(tries ?? '[]'), (row) => row[0])
  const records = rows.map(
    (row): RecipientRecord => ({
      ...recipientOf(row),
      tries: (triesOf.get(row[0]) ?? []).sort((a, b) => a[1] - b[1]).map(tryOf),
    }),
  )
  return { ...head, recipients: records, status: firstStatus(rows) }
}

/** SQLite promises no order in an aggregate. What is in order already costs nothing to sort. */
const rowsOf = <Row extends readonly [number, ...unknown[]]>(json: string): Row[] =>
  (JSON.parse(json) as Row[]).sort((a, b) => a[0] - b[0])

/** Statuses are numbered in the order in which they count. */
const firstStatus = (rows: readonly RecipientRow[]): RecipientStatus =>
  statusOf(rows.reduce((first, row) => Math.min(first, row[3]), Number.MAX_SAFE_INTEGER))

function recipientOf(row: RecipientRow): RecipientSummary {
  const [, accepted, address, status, attempts, next, duplicate, at, code, enhanced, reply] = row
  return {
    address,
    status: statusOf(status),
    attempts,
    code: code ?? 0,
    enhanced: enhanced ?? '',
    text: reply ?? '',
    updatedAtMs: at ?? accepted,
    nextAttemptAtMs: next,
    mayBeDuplicate: duplicate !== 0,
  }
}

function tryOf(row: TryRow): AttemptRecord {
  const { kind, scope, stage } = outcomeOf(row[6])
  return {
    number: row[1],
    startedAtMs: row[2],
    host: row[10],
    address: row[11],
    source: row[12],
    tls: row[13],
    reusedConnection: reusedOf(row[6]),
    connectedMs: row[3],
    envelopeMs: row[4],
    finishedMs: row[5],
    outcome: { kind, scope, stage, code: row[7], enhanced: row[8], text: row[9] },
  }
}
