/** Which outcome wants which notice (RFC 3461 §4.1, §6.2), as far as the sender asked for it, and as the operator allows. */
import type { NoticesConfig } from '../config/compiled.ts'
import { unreachable } from '../kernel/assert.ts'
import type { NoticeQuestion } from '../model/notice-question.ts'
import { type DsnRequest, notifyOn } from '../model/submission.ts'

/** Never 'delivered' or 'expanded': see `noticeFor`. */
export type NoticeKind = 'failed' | 'delayed' | 'relayed'

/**
 * Which notice this recipient's outcome is due, if any. It remembers nothing: of a recipient that waits 'delayed' is the answer after every attempt,
 * and whoever asks sends it once.
 *
 * Mail that a receiver took is never told as 'delivered'. That word is for who puts it into the mailbox (RFC 3464 §2.3.3), and we hand everything on,
 * by a fixed route too. A receiver that offers DSN was told what the sender wants to know, and it is the one to tell it (RFC 3461 §5.2.1); where it does
 * not, the last that anybody can say is 'relayed' (§5.2.2).
 */
export function noticeFor(question: NoticeQuestion, policy: NoticesConfig): NoticeKind | null {
  const { returnPath, dsn, recipient, outcome, attempt, ageMs, attemptIsLast } = question
  // RFC 5321 §6.1: what has no return path is a notice itself, and gets none.
  if (!policy.enabled || returnPath === '') return null
  const asked = dsn?.recipients[recipient]?.notify ?? 0
  if ((asked & notifyOn.never) !== 0) return null
  switch (outcome.kind) {
    case 'bounced':
    case 'expired':
      return asked === 0 || (asked & notifyOn.failure) !== 0 ? 'failed' : null
    case 'suppressed':
      // The sender's own list has refused it, and an event says so. Who asks to be told of failures in so many words is told.
      return (asked & notifyOn.failure) !== 0 || (asked === 0 && policy.suppressed) ? 'failed' : null
    case 'delivered':
      return (asked & notifyOn.success) !== 0 && attempt.dsnPassedOn !== true ? 'relayed' : null
    case 'deferred':
      return (asked & notifyOn.delay) !== 0 && ageMs >= policy.delayAfterMs && !attemptIsLast ? 'delayed' : null
    case 'uncertain':
      return null
    default:
      return unreachable(outcome.kind)
  }
}

/** RFC 3461 §4.3: RET speaks of failures only, and lets us return the header alone when the message is large. */
export function returnsWhole(
  kind: NoticeKind,
  returns: DsnRequest['returns'],
  messageBytes: number,
  policy: NoticesConfig,
): boolean {
  return kind === 'failed' && returns === 'FULL' && messageBytes <= policy.returnFullBytesMax
}
