/**
 * What a source swears to, what a receiver swears to, and whether both can be true. The mark is the field that a source puts first:
 * whatever a relay adds goes in front of it, so the bytes from it on are what was handed over.
 */

export const markField = 'X-Test-Ledger'

/** One line of a source's ledger. */
export interface SentRecord {
  readonly id: string
  readonly rcpt: string
  readonly sha256: string
  /** Code of the reply to the content; 0 when it was lost, so that the message may exist or not. Refused messages have no line. */
  readonly code: number
  readonly sentMs: number
  /** When the reply was read, or given up. */
  readonly ackedMs: number
}

/** One line of a receiver's ledger, one per recipient. */
export interface ReceivedRecord {
  /** Null for mail that no source marked. */
  readonly id: string | null
  readonly rcpt: string
  /** Of the bytes from the mark on, or of all when there is none. */
  readonly sha256: string
  readonly bytes: number
  readonly from: string
  readonly receivedMs: number
  readonly connection: number
  /** The script kept the reply from the client, so a second copy is due. */
  readonly replyLost: boolean
}

export interface LedgerComparison {
  readonly acked: number
  readonly received: number
  /** Acknowledged and never received. */
  readonly lost: string[]
  /** Received with other bytes than were sent. */
  readonly changed: string[]
  /** Received more often than once: those beyond the first copy. */
  readonly duplicates: string[]
  /** Received though nothing of that id and recipient was ever sent whole. */
  readonly unknown: string[]
}

export function compareLedgers(sent: readonly SentRecord[], received: readonly ReceivedRecord[]): LedgerComparison {
  const key = (record: { id: string | null; rcpt: string }): string => `${record.id} ${record.rcpt}`
  const sentByKey = new Map(sent.map((record) => [key(record), record]))
  const seen = new Set<string>()
  const [changed, duplicates, unknown]: [string[], string[], string[]] = [[], [], []]
  for (const copy of received) {
    const name = key(copy)
    const original = sentByKey.get(name)
    if (original === undefined) unknown.push(name)
    else if (original.sha256 !== copy.sha256) changed.push(name)
    if (seen.has(name)) duplicates.push(name)
    seen.add(name)
  }
  const acked = sent.filter((record) => record.code >= 200 && record.code < 300)
  const lost = acked.map(key).filter((name) => !seen.has(name))
  return { acked: acked.length, received: received.length, lost, changed, duplicates, unknown }
}
