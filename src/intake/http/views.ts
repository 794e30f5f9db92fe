/** What the store knows, as it goes over the wire. */
import type {
  AttemptRecord,
  MessagePage,
  MessageRecord,
  MessageSummary,
  RecipientRecord,
  RecipientSummary,
} from '../../ports/message-store.ts'
import type { Static } from 'typebox'
import type { email, emailPage, emailStatus, emailSummary } from './schemas.ts'

export function statusView(message: MessageSummary): Static<typeof emailStatus> {
  return { ...messageView(message), recipients: message.recipients.map(recipientView) }
}

export function recordView(message: MessageRecord): Static<typeof email> {
  return { ...messageView(message), ...originView(message), recipients: message.recipients.map(recipientRecordView) }
}

export function pageView({ messages, next }: MessagePage): Static<typeof emailPage> {
  return { data: messages.map(summaryView), next_cursor: next, has_more: next !== null }
}

function summaryView(message: MessageSummary): Static<typeof emailSummary> {
  return { ...messageView(message), ...originView(message), recipients: message.recipients.map(recipientView) }
}

function messageView(message: MessageSummary) {
  return {
    id: message.id,
    status: message.status,
    from: message.facts.from,
    return_path: message.returnPath,
    subject: message.facts.subject,
    accepted_at: timeText(message.acceptedAtMs),
    recipient_count: message.recipientCount,
  }
}

function originView({ facts, client, expiresAtMs, contentBytes, mailClass }: MessageSummary) {
  return {
    via: facts.via,
    client,
    expires_at: timeOrNull(expiresAtMs),
    content_bytes: contentBytes,
    class: mailClass,
    stream: textOrNull(facts.stream),
    campaign: textOrNull(facts.campaign),
    tags: [...facts.tags],
    metadata: facts.metadata === '' ? {} : (JSON.parse(facts.metadata) as Record<string, string>),
  }
}

function recipientView(recipient: RecipientSummary) {
  return {
    email: recipient.address,
    status: recipient.status,
    attempts: recipient.attempts,
    smtp_code: recipient.code === 0 ? null : recipient.code,
    enhanced_code: textOrNull(recipient.enhanced),
    reply: textOrNull(recipient.text),
    updated_at: timeText(recipient.updatedAtMs),
    next_attempt_at: timeOrNull(recipient.nextAttemptAtMs),
    may_be_duplicate: recipient.mayBeDuplicate,
  }
}

function recipientRecordView(recipient: RecipientRecord) {
  return { ...recipientView(recipient), tries: recipient.tries.map(attemptView) }
}

function attemptView(attempt: AttemptRecord) {
  const { outcome } = attempt
  return {
    number: attempt.number,
    started_at: timeText(attempt.startedAtMs),
    outcome: outcome.kind,
    stage: outcome.stage,
    smtp_code: outcome.code === 0 ? null : outcome.code,
    enhanced_code: textOrNull(outcome.enhanced),
    reply: outcome.text,
    host: attempt.host,
    address: attempt.address,
    source: attempt.source,
    tls: attempt.tls,
    reused_connection: attempt.reusedConnection,
    connected_ms: reached(attempt.connectedMs),
    envelope_ms: reached(attempt.envelopeMs),
    finished_ms: reached(attempt.finishedMs),
  }
}

/** RFC 3339. */
const timeText = (ms: number): string => new Date(ms).toISOString()
const timeOrNull = (ms: number): string | null => (ms === 0 ? null : timeText(ms))
const textOrNull = (text: string): string | null => (text === '' ? null : text)
const reached = (ms: number): number | null => (ms < 0 ? null : Math.round(ms))
