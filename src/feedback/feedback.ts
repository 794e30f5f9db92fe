/**
 * Stage 10, feedback: tells the sender what became of its mail.
 *
 *   in   an outcome, with what the sender asked to be told; all recipients of one message that are due the same notice
 *   out  which notice is due; the notice, as mail that takes the way of all mail; whether the address is to be suppressed
 *
 * Always true:
 *   1. The null sender is told nothing, and every notice has it (RFC 5321 §4.5.5): no notice answers a notice.
 *   2. Nothing that came from outside begins a line, a field or a part of its own; no line is longer than 998 octets; only CRLF ends one.
 *   3. A notice is 7bit, unless its return path is not ASCII or it holds a whole message that is not: then it says so.
 *   4. Pure: the same notice gives the same bytes. So one that was lost in a crash can be written again.
 *
 *   multipart/report
 *     text/plain                    what happened and what can be done about it, for people
 *     message/delivery-status       the same, for programs
 *     text/rfc822-headers           the header that was sent, or
 *     message/rfc822                the whole message
 *
 * If the message needed SMTPUTF8 the last two are message/global-delivery-status, message/global-headers and message/global.
 *
 * RFC 3461 (what may be asked for, §6: how a notice is sent), 3464 (delivery-status), 6522 (report), 6533 (SMTPUTF8), 3834 (Auto-Submitted).
 */
export { NoticeBudget } from './budget.ts'
export { type NoticeKind, noticeFor, returnsWhole } from './due.ts'
export { isHardBounce } from './hard-bounce.ts'
export * as feedbackLimits from './limits.ts'
export { composeNotice, type Notice, type NoticeRecipient } from './notice.ts'
