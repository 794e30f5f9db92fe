/**
 * Who is left over when a receiver takes only so many recipients at once: it answers 452 4.5.3 to those beyond, and RFC 5321 §4.5.3.1.10 asks to send to
 * those that it took and then to try the rest again, at once. They were not tried: no attempt counts, nothing is logged, and after a crash
 * they are as they were.
 */
import { type DialogueStage, type Outcome, saysTooMany } from '../model/outcome.ts'

export interface LeftOver {
  /** Recipients that the receiver took in this transaction, 1 or more. */
  readonly taken: number
  /**
   * Indexes of those who go again at once. Nobody does unless the message was delivered to somebody: so every transaction has an end for at least one
   * recipient, and the worst receiver gets as many of them as there are recipients. What else became of the message would become of it again.
   */
  readonly again: readonly number[]
}

/** Null for nearly all transactions, and also when the very first one was too many: that is a deferral like any other. */
export function leftOver(outcomes: readonly Outcome[]): LeftOver | null {
  let taken = 0
  let delivered = false
  const beyond: number[] = []
  for (let i = 0; i < outcomes.length; i++) {
    const outcome = outcomes[i] as Outcome
    if (takenStages.has(outcome.stage)) {
      taken += 1
      delivered ||= outcome.kind === 'delivered'
    } else if (taken > 0 && saysTooMany(outcome)) beyond.push(i)
  }
  if (beyond.length === 0) return null
  return { taken, again: delivered ? beyond : [] }
}

/** Whoever came as far had a RCPT that was accepted. */
const takenStages: ReadonlySet<DialogueStage> = new Set(['data', 'content', 'final'])
