/** What the outcome log says about each recipient, folded together during recovery: who is settled, who has tried how often. */
import { isFinal } from '../model/outcome.ts'
import type { StoredOutcome } from './records.ts'

export interface PendingRecipient {
  readonly recipient: number
  /** Attempts made so far. */
  readonly attempts: number
  /** When the next one is due; 0: at once. */
  readonly nextAttemptAtMs: number
  readonly mayBeDuplicate: boolean
}

interface RecipientState {
  settled: boolean
  attempts: number
  nextAttemptAtMs: number
  mayBeDuplicate: boolean
}

export type KnownRecipient = Readonly<RecipientState>

export class OutcomeFold {
  readonly #bySequence = new Map<number, Map<number, RecipientState>>()

  /** Applying an outcome twice changes nothing, because it carries its attempt's number. */
  add(sequence: number, stored: StoredOutcome): void {
    let recipients = this.#bySequence.get(sequence)
    if (recipients === undefined) this.#bySequence.set(sequence, (recipients = new Map()))
    for (const { recipient, attempt, outcome, nextAttemptAtMs, mayBeDuplicate } of stored.recipients) {
      const state = recipients.get(recipient) ?? {
        settled: false,
        attempts: 0,
        nextAttemptAtMs: 0,
        mayBeDuplicate: false,
      }
      if (state.settled) continue
      state.settled = isFinal(outcome.kind)
      state.mayBeDuplicate ||= mayBeDuplicate || outcome.kind === 'uncertain'
      if (attempt >= state.attempts) {
        state.attempts = attempt
        state.nextAttemptAtMs = nextAttemptAtMs
      }
      recipients.set(recipient, state)
    }
  }

  /** Undefined when no outcome speaks of it. */
  stateOf(sequence: number, recipient: number): KnownRecipient | undefined {
    return this.#bySequence.get(sequence)?.get(recipient)
  }

  /** Recipients of a submission that still wait for an end. */
  pending(sequence: number, recipientCount: number): PendingRecipient[] {
    const states = this.#bySequence.get(sequence)
    const pending: PendingRecipient[] = []
    for (let recipient = 0; recipient < recipientCount; recipient++) {
      const state = states?.get(recipient)
      if (state?.settled === true) continue
      pending.push({
        recipient,
        attempts: state?.attempts ?? 0,
        nextAttemptAtMs: state?.nextAttemptAtMs ?? 0,
        mayBeDuplicate: state?.mayBeDuplicate ?? false,
      })
    }
    return pending
  }
}
