/**
 * Stage 1, intake: speaks with those who hand mail in, over SMTP.
 *
 *   in   connections of clients
 *   out  submissions: a transaction per message, given to the spool (ports/submissions.ts)
 *
 * Always true:
 *   1. 250 is said only after `commit` settled without a failure. Whatever ends before that leaves nothing behind.
 *   2. A message comes only from a client that tenancy knows, by network or by login. There is no open relay.
 *   3. A message ends at CRLF.CRLF or with its last counted octet; a lone CR or LF ends nothing and has the message refused.
 *   4. An envelope and its content live in one object, made by MAIL and ended by one `reset()`.
 *   5. Nothing grows with what a client sends: lines, headers, chunks, recipients, held input, replies and failed logins are bounded
 *      (limits.ts), and what they may come to in all sessions together as well (memory.ts). An idle session has no buffer and no timer.
 *   6. A reply never repeats what the client wrote.
 *
 *   listener ── doors ── connection ── session ── commands ── message ── content
 *   ports       limits   socket, TLS   states     one each    envelope   bytes
 *
 * RFC 5321 (SMTP), 1870 (SIZE), 2034 (enhanced codes), 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS), 3848 (with …), 4954 (AUTH),
 * 6152 (8BITMIME), 6409 (submission), 6531 (SMTPUTF8), 8314 (implicit TLS).
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
