/** A message's history, from its records in the logs and the slots of its recipients. */
import type { AttemptView, MessageView, RecipientView } from '../admin/admin.ts'
import type { FoundSubmission, StoredOutcome } from '../spool/spool.ts'
import type { LiveRecipient } from './exchange.ts'

export function describeMessage(found: FoundSubmission, live: readonly LiveRecipient[]): MessageView {
  const { submission, outcomes } = found
  return {
    id: submission.id,
    tenant: submission.tenant,
    from: submission.returnPath,
    acceptedAt: new Date(submission.acceptedAtMs).toISOString(),
    sizeBytes: submission.contentBytes,
    client: submission.client,
    recipients: submission.recipients.map((address, index) => recipientView(address, index, outcomes, live)),
  }
}

function recipientView(
  address: string,
  index: number,
  outcomes: readonly StoredOutcome[],
  live: readonly LiveRecipient[],
): RecipientView {
  const attempts: AttemptView[] = []
  const seen = new Set<number>()
  let last: RecipientView['state'] = 'queued'
  let nextAttemptAtMs = 0
  let mayBeDuplicate = false
  for (const { attempt, recipients } of outcomes) {
    for (const { recipient, outcome, attempt: number, nextAttemptAtMs: next, mayBeDuplicate: flagged } of recipients) {
      if (recipient !== index || seen.has(number)) continue
      seen.add(number)
      attempts.push({
        startedAt: new Date(attempt.startedAtMs).toISOString(),
        outcome: outcome.kind,
        stage: outcome.stage,
        code: outcome.code,
        enhanced: outcome.enhanced,
        text: outcome.text,
        host: attempt.host,
        address: attempt.address,
        source: attempt.source,
        tls: attempt.tls,
        reusedConnection: attempt.reusedConnection,
        connectedMs: attempt.connectedMs,
        envelopeMs: attempt.envelopeMs,
        finishedMs: attempt.finishedMs,
      })
      last = outcome.kind === 'uncertain' ? 'deferred' : outcome.kind
      nextAttemptAtMs = next
      mayBeDuplicate ||= flagged || outcome.kind === 'uncertain'
    }
  }
  const now = live.find(({ recipient }) => recipient === index)
  if (now !== undefined) {
    last = now.state
    nextAttemptAtMs = now.nextAttemptAtMs
    mayBeDuplicate ||= now.mayBeDuplicate
  }
  const waits = last === 'deferred' && nextAttemptAtMs > 0
  return {
    address,
    state: last,
    attempts,
    nextAttemptAt: waits ? new Date(nextAttemptAtMs).toISOString() : null,
    mayBeDuplicate,
  }
}
