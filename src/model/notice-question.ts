/** What must be known of a recipient's outcome to say whether its sender is told of it. */
import type { Attempt, Outcome } from './outcome.ts'
import type { DsnRequest } from './submission.ts'

export interface NoticeQuestion {
  readonly returnPath: string
  readonly dsn: DsnRequest | undefined
  /** Its place in the envelope. */
  readonly recipient: number
  readonly outcome: Outcome
  readonly attempt: Attempt
  /** Since the message was accepted. */
  readonly ageMs: number
  /** It is given up now, or nothing follows: there is no use in telling of a delay. */
  readonly attemptIsLast: boolean
}
