/** A message of the store, as the admin API shows it. */
import type { AttemptView, MessageView, RecipientView } from '../admin/admin.ts'
import type { AttemptRecord, MessageRecord, RecipientRecord } from '../ports/message-store.ts'

export function describeMessage(message: MessageRecord, tenant: string): MessageView {
  return {
    id: message.id,
    tenant,
    from: message.returnPath,
    subject: message.facts.subject,
    acceptedAt: time(message.acceptedAtMs),
    sizeBytes: message.contentBytes,
    client: message.client,
    recipients: message.recipients.map(describeRecipient),
  }
}

function describeRecipient({
  address,
  status,
  tries,
  nextAttemptAtMs,
  mayBeDuplicate,
}: RecipientRecord): RecipientView {
  const nextAttemptAt = status === 'deferred' && nextAttemptAtMs > 0 ? time(nextAttemptAtMs) : null
  return { address, state: status, attempts: tries.map(describeAttempt), nextAttemptAt, mayBeDuplicate }
}

function describeAttempt({ outcome, startedAtMs, ...attempt }: AttemptRecord): AttemptView {
  const { kind, stage, code, enhanced, text } = outcome
  const { host, address, source, tls, reusedConnection, connectedMs, envelopeMs, finishedMs } = attempt
  const reply = { outcome: kind, stage, code, enhanced, text }
  const where = { host, address, source, tls, reusedConnection }
  return { startedAt: time(startedAtMs), ...reply, ...where, connectedMs, envelopeMs, finishedMs }
}

const time = (ms: number): string => new Date(ms).toISOString()
