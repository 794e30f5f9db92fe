/**
 * The ledger checker: what the source swears to, what the receiver swears to, and what the spool holds must agree, whatever was killed when.
 *
 *   no loss        acknowledged = delivered ∪ bounced ∪ pending, and whoever is recorded as delivered, or not recorded any more, was seen by the receiver
 *   no corruption  SHA-256 of what was sent = of what is stored = of what arrived behind the header fields that the engine says it added
 *   no invention   nothing arrives or is stored that was not sent, and nothing is stored twice
 *   few doubles    a copy beyond the first has a cause: the receiver withheld its reply, or a kill came between; and per kill there are at most
 *                  as many as transmissions were in flight and outcomes not yet committed (see `duplicatesAllowed`)
 */
import { compareLedgers, type ReceivedRecord, type SentRecord } from '../../src/sandbox/sandbox.ts'

/** A recipient of a submission, as `spool dump` shows it. */
export interface StoredRecipient {
  /** The source's id for the message. */
  readonly id: string
  readonly rcpt: string
  /** Of the accepted content; null when a part of it is gone. */
  readonly sha256: string | null
  /** Of the header fields that intake added. */
  readonly headersSha256: string
  /** Settled: not in the queue any more, and the outcome log does not go back far enough to say how. */
  readonly end: 'delivered' | 'bounced' | 'pending' | 'settled'
}

export interface Evidence {
  readonly sent: readonly SentRecord[]
  readonly received: readonly ReceivedRecord[]
  /** Of what stood before the source's first byte, by id: of every copy, so that it can be seen whether they differ. */
  readonly receivedHeaders: ReadonlyMap<string, ReadonlySet<string>>
  readonly stored: readonly StoredRecipient[]
  /** Would the receiver refuse this one for good? Then whoever is neither stored nor seen has bounced. */
  readonly refuses: (rcpt: string) => boolean
  /** When each kill was, by the receiver's clock, in order. */
  readonly killsAtMs: readonly number[]
  /** Connections per site × sites: transmissions that can be in flight. */
  readonly inFlightMax: number
  /** An outcome is on its way to the file for at most this long. */
  readonly outcomeMsMax: number
}

export interface Verdict {
  readonly violations: string[]
  readonly acknowledged: number
  readonly delivered: number
  readonly bounced: number
  readonly pending: number
  /** Without a reply for the client, and delivered all the same: allowed, and no duplicate. */
  readonly unacknowledgedDelivered: number
  readonly duplicates: DuplicateFigures
}

export interface DuplicateFigures {
  readonly total: number
  /** The receiver withheld its reply to the first copy. */
  readonly fromLostReplies: number
  readonly fromKills: number
  readonly perKillMax: number
  /** The sum of what was allowed, over all kills. */
  readonly allowed: number
  /** Age of the oldest first copy, at the kill, whose outcome was forgotten. */
  readonly forgottenMsMax: number
}

const violationsShown = 20
const keyOf = ({ id, rcpt }: { id: string | null; rcpt: string }): string => `${id} ${rcpt}`

export function checkEvidence(evidence: Evidence): Verdict {
  const { sent, received, stored } = evidence
  const violations: string[] = []
  const complain = (what: string, names: readonly string[]): void => {
    for (const name of names.slice(0, violationsShown)) violations.push(`${what}: ${name}`)
    if (names.length > violationsShown) violations.push(`${what}: ${names.length - violationsShown} more`)
  }
  const ledgers = compareLedgers(sent, received)
  complain('arrived with other bytes than were sent', ledgers.changed)
  complain('arrived and was never sent', ledgers.unknown)

  const storedByKey = new Map<string, StoredRecipient>()
  for (const recipient of stored) {
    if (storedByKey.has(keyOf(recipient))) complain('is stored twice', [keyOf(recipient)])
    storedByKey.set(keyOf(recipient), recipient)
  }
  const arrived = new Set(received.map(keyOf))
  const acknowledged = sent.filter(({ code }) => code >= 200 && code < 300)
  const ends = { delivered: 0, bounced: 0, pending: 0 }
  const lost: string[] = []
  for (const record of acknowledged) {
    const key = keyOf(record)
    // What has come to its end leaves the spool when its segment is used again.
    const end = storedByKey.get(key)?.end ?? 'settled'
    if (end === 'pending' || end === 'bounced') ends[end] += 1
    else if (arrived.has(key)) ends.delivered += 1
    else if (end === 'settled' && evidence.refuses(record.rcpt)) ends.bounced += 1
    else lost.push(key)
  }
  complain('acknowledged and lost', lost)
  complain('damaged in the spool', wrongInSpool(sent, storedByKey))
  complain('arrived with other added header fields than were stored', wrongHeaders(evidence))

  const duplicates = judgeDuplicates(evidence, complain)
  const unacknowledged = sent.filter(({ code }) => code === 0)
  return {
    violations,
    acknowledged: acknowledged.length,
    ...ends,
    unacknowledgedDelivered: unacknowledged.filter((record) => arrived.has(keyOf(record))).length,
    duplicates,
  }
}

function wrongInSpool(sent: readonly SentRecord[], stored: ReadonlyMap<string, StoredRecipient>): string[] {
  const sentByKey = new Map(sent.map((record) => [keyOf(record), record.sha256]))
  return [...stored].filter(([key, { sha256 }]) => sentByKey.get(key) !== sha256).map(([key]) => key)
}

/** Every attempt sends the same bytes, so there is one form of the added fields per message. */
function wrongHeaders({ receivedHeaders, stored }: Evidence): string[] {
  return stored
    .filter(({ id, headersSha256 }) => {
      const forms = receivedHeaders.get(id)
      return forms !== undefined && (forms.size > 1 || !forms.has(headersSha256))
    })
    .map(keyOf)
}

/**
 * After a kill everything is sent again whose outcome was not in the file: transmissions in flight, and messages that arrived so shortly before
 * that their outcome still waited for its commit. The latter are counted by what arrived in that time. It ends with the last arrival, not with
 * the kill: the mail never ceases, so when nothing arrives the machine or its disk stands still, and the commit with it.
 */
function duplicatesAllowed({ received, killsAtMs, inFlightMax, outcomeMsMax }: DuplicateEvidence): number[] {
  const times = received.map(({ receivedMs }) => receivedMs).sort((a, b) => a - b)
  return killsAtMs.map((killMs) => {
    const before = lowerBound(times, killMs + 1)
    return inFlightMax + before - lowerBound(times, (times[before - 1] ?? killMs) - outcomeMsMax)
  })
}

/** What arrived, and what may have made it arrive twice. */
export interface DuplicateEvidence extends Pick<Evidence, 'killsAtMs' | 'inFlightMax' | 'outcomeMsMax'> {
  readonly received: readonly Copy[]
}

type Copy = Pick<ReceivedRecord, 'id' | 'rcpt' | 'receivedMs' | 'replyLost'>

export function judgeDuplicates(
  evidence: DuplicateEvidence,
  complain: (what: string, names: readonly string[]) => void,
): DuplicateFigures {
  const { killsAtMs } = evidence
  const allowed = duplicatesAllowed(evidence)
  const perKill = killsAtMs.map(() => 0)
  let total = 0
  let fromLostReplies = 0
  let forgottenMsMax = 0
  const withoutCause: string[] = []
  for (const copies of copiesByKey(evidence.received)) {
    for (const [i, copy] of copies.entries()) {
      const before = copies[i - 1]
      if (before === undefined) continue
      total += 1
      if (before.replyLost) {
        fromLostReplies += 1
        continue
      }
      // What the dead process had written may still be read from the socket a moment later.
      const kill = lowerBound(killsAtMs, before.receivedMs - socketMsMax)
      if (kill === killsAtMs.length || (killsAtMs[kill] as number) > copy.receivedMs) withoutCause.push(keyOf(copy))
      else {
        perKill[kill] = (perKill[kill] as number) + 1
        forgottenMsMax = Math.max(forgottenMsMax, (killsAtMs[kill] as number) - before.receivedMs)
      }
    }
  }
  complain('delivered twice, though nothing was killed and no reply was lost between the copies', withoutCause)
  complain(
    'a kill caused more duplicates than were in flight and not yet committed',
    perKill.flatMap((count, kill) =>
      count <= (allowed[kill] as number) ? [] : [`kill ${kill + 1}: ${count} > ${allowed[kill]}`],
    ),
  )
  return {
    total,
    fromLostReplies,
    fromKills: perKill.reduce((sum, count) => sum + count, 0),
    perKillMax: Math.max(0, ...perKill),
    allowed: allowed.reduce((sum, count) => sum + count, 0),
    forgottenMsMax,
  }
}

const socketMsMax = 100

function copiesByKey(received: readonly Copy[]): Copy[][] {
  const byKey = new Map<string, Copy[]>()
  for (const copy of received) {
    const copies = byKey.get(keyOf(copy))
    if (copies === undefined) byKey.set(keyOf(copy), [copy])
    else copies.push(copy)
  }
  return [...byKey.values()].filter(({ length }) => length > 1)
}

/** Index of the first entry ≥ value in a rising list. */
function lowerBound(rising: readonly number[], value: number): number {
  let low = 0
  let high = rising.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rising[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}
