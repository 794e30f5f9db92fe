/**
 * Stage 9, deliver: carries a granted message to its site over SMTP, and says what became of every recipient.
 *
 *   in   Grant (from shape): these recipients of one submission, this site, this source, now
 *   out  DeliveryReport, exactly one per grant, never from within `deliver` itself
 *
 * Always true:
 *   1. One grant in flight is one connection; shape counts the grants, so the site's limit holds without a word between us.
 *   2. A message is opened only when a connection is ready, and its content is read only when the envelope was not refused.
 *   3. "delivered" was said by the receiver in reply to the whole content; nothing else is ever taken for it.
 *   4. When the whole content was handed over and no reply came, the outcome is "uncertain": sent again later, flagged.
 *   5. A terminating dot is sent only behind content that is whole and undamaged.
 *   6. Only `outcome.ts` decides what a reply or a failure means.
 *   7. Whom the tenant's suppression list names when the message is opened is never named to a server.
 *
 *   deliver ─┬─ idle connection of the site ──────────────┬─ dialogue.ts: prepare, envelope, content, final ─ report
 *            └─ opening.ts: resolve, connect, TLS, AUTH ──┘                                             └ idle again
 *
 * RFC 5321 (SMTP), 1870 (SIZE), 2034 and 3463 (enhanced codes), 2920 (PIPELINING), 3207 and 7435 (STARTTLS), 4954 (AUTH),
 * 6152 (8BITMIME), 6531 (SMTPUTF8), 3461 (DSN), 1047 (duplicates).
 */
export { createDeliverer, type Deliverer, type DelivererOptions } from './deliverer.ts'
export { createDeliverCounters, type DeliverCounters } from './counters.ts'
export * as deliverLimits from './limits.ts'
export { waitLimits } from './waits.ts'
