/**
 * One line of acct.json: a flat JSON object, its schema in docs/accounting.schema.json. What is empty is left out. A record of the logs makes one line per
 * recipient, and always the same one: whoever writes it again writes the same bytes.
 */
import type { LogMark } from '../../model/log-mark.ts'
import type { SubmissionFacts } from '../../model/submission.ts'
import type { AttemptOutcome, MessageHead } from '../message-table.ts'

/** A new one only when a field changes its meaning or goes; new fields may come at any time. */
const version = 1

/** @param index place of the recipient in the envelope */
export function acceptedLine(
  number: number,
  head: MessageHead,
  facts: SubmissionFacts,
  { log, position }: LogMark,
  index: number,
): string {
  return jsonLine({
    v: version,
    event: 'accepted',
    time: isoTime(head.acceptedAtMs),
    log,
    position,
    index,
    id: head.id,
    number,
    tenant: head.tenant,
    recipient: head.recipients[index],
    return_path: orNone(head.returnPath),
    class: head.mailClass,
    stream: orNone(facts.stream),
    campaign: orNone(facts.campaign),
    from: orNone(facts.from),
    subject: orNone(facts.subject),
    tags: facts.tags.length === 0 ? undefined : facts.tags,
    via: facts.via,
    client: orNone(head.client),
    credential_id: orNone(facts.credentialId),
    bytes: head.contentBytes,
    recipients: head.recipients.length,
    expires_at: timeOrNone(head.expiresAtMs),
  })
}

/** @param index place in the record: of `outcome.recipients` */
export function outcomeLine(
  number: number,
  head: MessageHead,
  facts: SubmissionFacts,
  { atMs, attempt, recipients }: AttemptOutcome,
  { log, position }: LogMark,
  index: number,
): string {
  const { recipient, attempt: count, outcome, nextAttemptAtMs, mayBeDuplicate } = at(recipients, index)
  return jsonLine({
    v: version,
    event: outcome.kind,
    time: isoTime(atMs),
    log,
    position,
    index,
    id: head.id,
    number,
    tenant: head.tenant,
    recipient: head.recipients[recipient],
    return_path: orNone(head.returnPath),
    class: head.mailClass,
    stream: orNone(facts.stream),
    campaign: orNone(facts.campaign),
    attempt: count,
    code: outcome.code === 0 ? undefined : outcome.code,
    enhanced: orNone(outcome.enhanced),
    reply: orNone(outcome.text),
    stage: outcome.stage,
    scope: outcome.scope,
    next_attempt_at: timeOrNone(nextAttemptAtMs),
    may_be_duplicate: mayBeDuplicate ? true : undefined,
    host: orNone(attempt.host),
    address: orNone(attempt.address),
    source: orNone(attempt.source),
    tls: orNone(attempt.tls),
    reused_connection: attempt.reusedConnection ? true : undefined,
    connect_ms: msOrNone(attempt.connectedMs),
    envelope_ms: msOrNone(attempt.envelopeMs),
    total_ms: msOrNone(attempt.finishedMs),
    // A clock that was set back makes no negative one.
    queued_ms: Math.max(0, atMs - head.acceptedAtMs),
  })
}

/** Beyond what JSON asks for: control characters of terminals, and what some programs take for the end of a line. */
const unsafe = /[\u007f-\u009f\u2028\u2029]/
const eachUnsafe = new RegExp(unsafe, 'g')

/** Lone surrogates are escaped by JSON.stringify itself. */
export function jsonLine(fields: object): string {
  const text = JSON.stringify(fields)
  return `${unsafe.test(text) ? text.replaceAll(eachUnsafe, escaped) : text}\n`
}

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

const orNone = (text: string): string | undefined => (text === '' ? undefined : text)
const timeOrNone = (ms: number): string | undefined => (ms === 0 ? undefined : isoTime(ms))
const msOrNone = (ms: number): number | undefined => (ms < 0 ? undefined : Math.round(ms))
const at = <T>(list: readonly T[], index: number): T => list[index] as T

/** The second that was written last: lines come in the order of time, and a Date costs half a microsecond. */
let second = Number.NaN
let secondText = ''

/** "2026-11-22T13:18:50.123Z" */
export function isoTime(ms: number): string {
  const whole = Math.floor(ms / 1000)
  if (whole !== second) {
    secondText = new Date(whole * 1000).toISOString().slice(0, -4)
    second = whole
  }
  const rest = Math.floor(ms - whole * 1000)
  return `${secondText}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`
}
