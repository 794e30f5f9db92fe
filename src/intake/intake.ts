/**
 * Stage 1, intake: speaks with those who hand mail in, over SMTP and over HTTP.
 *
 *   in   connections of clients
 *   out  submissions: a transaction per message, given to the spool (ports/submissions.ts)
 *
 * Always true:
 *   1. 250, or 202, is said only after `commit` settled without a failure. Whatever ends before that leaves nothing behind.
 *   2. A message comes only from a client that tenancy knows, by network, login or key. There is no open relay.
 *   3. A message ends at CRLF.CRLF or with its last counted octet; a lone CR or LF ends nothing and has the message refused.
 *   4. By SMTP an envelope and its content live in one object, made by MAIL and ended by one `reset()`.
 *   5. Nothing grows with what a client sends: lines, headers, chunks, recipients, held input, replies and failed logins are bounded
 *      (limits.ts), and what they may come to in all sessions together as well (memory.ts). An idle session has no buffer and no timer.
 *   6. A reply by SMTP never repeats what the client wrote; one by HTTP does so as JSON only, in short.
 *   7. By HTTP, what one reader would take for another value than the next is refused (http/json.ts), and a claim to an idempotency key is
 *      given back whatever becomes of its request.
 *
 *   listener ── doors ── connection ── session ── commands ── receiving ── message ── content ── handover
 *   ports       limits   socket, TLS   states     one each    DATA, BDAT   envelope   bytes      claim, commit, answer
 *
 *   http/listener ── app ── callers ── send ── body, json, validate ── written-email or raw-email ── hand-over
 *   ports            routes  keys      read    bytes to values          values to a draft             draft to the spool
 *
 * RFC 5321 (SMTP), 1870 (SIZE), 2034 (enhanced codes), 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS), 3848 (with …), 4954 (AUTH),
 * 6152 (8BITMIME), 6409 (submission), 6531 (SMTPUTF8), 8314 (implicit TLS). RFC 9110 (HTTP), 8259 (JSON), 9457 (problem details), 6901 (pointers),
 * 6750 (bearer keys); OpenAPI 3.1.
 */
export { type HttpIntake, type HttpIntakeOptions, startHttpIntake } from './http/listener.ts'
export * as httpLimits from './http/limits.ts'
export { type HttpCounters, type HttpHealth, type HttpLogEvent, newHttpCounters } from './http/server.ts'
export {
  provePortsFree,
  refuseConnections,
  type SmtpIntake,
  type SmtpIntakeOptions,
  startSmtpIntake,
} from './smtp/listener.ts'
export * as smtpLimits from './smtp/limits.ts'
export { type IntakeCounters, type IntakeLogEvent, type IntakeStage, newIntakeCounters } from './smtp/server.ts'
export { refuseRequests } from './http/refusing.ts'
