/** What an outcome means for a recipient: it is over, or it is tried again, and when. */
import { isFinal, type Outcome } from '../model/outcome.ts'
import { attemptsMax } from './limits.ts'
import type { RetrySchedule } from './retry.ts'

export interface SettledRecipient {
  readonly recipient: number
  readonly attempt: number
  readonly outcome: Outcome
  /** 0 when the recipient is settled for good. */
  readonly nextAttemptAtMs: number
  /** An attempt before this one may have arrived. */
  readonly mayBeDuplicate: boolean
}

/** A recipient as it was before the attempt. */
export interface TriedRecipient {
  readonly recipient: number
  readonly attempts: number
  readonly acceptedAtMs: number
  readonly lifeS: number
  readonly mayBeDuplicate: boolean
}

/** Adds what the outcome log is told. Returns when it is tried again; 0: never. */
export function judge(
  tried: TriedRecipient,
  outcome: Outcome,
  retry: RetrySchedule,
  nowMs: number,
  told: SettledRecipient[],
): number {
  const { recipient, acceptedAtMs, lifeS, mayBeDuplicate } = tried
  const attempt = Math.min(tried.attempts + 1, attemptsMax.value)
  if (isFinal(outcome.kind)) {
    told.push({ recipient, attempt, outcome, nextAttemptAtMs: 0, mayBeDuplicate })
    return 0
  }
  const expiresAtMs = acceptedAtMs + retry.lifeMs(lifeS)
  if (nowMs < expiresAtMs) {
    const nextAttemptAtMs = retry.nextAttemptAtMs(attempt, expiresAtMs, nowMs)
    told.push({ recipient, attempt, outcome, nextAttemptAtMs, mayBeDuplicate })
    return nextAttemptAtMs
  }
  // What the last attempt met stays on record, and the end follows it.
  const last = outcome.code === 0 ? outcome.text : `${outcome.code} ${outcome.text}`
  told.push(
    { recipient, attempt, outcome, nextAttemptAtMs: nowMs, mayBeDuplicate },
    {
      recipient,
      attempt: Math.min(attempt + 1, attemptsMax.value),
      outcome: retry.expired(attempt, lifeS, last),
      nextAttemptAtMs: 0,
      mayBeDuplicate: mayBeDuplicate || outcome.kind === 'uncertain',
    },
  )
  return 0
}
