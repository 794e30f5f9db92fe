/**
 * Sandbox: the instruments with which tests, benchmarks and users script the world around the engine.
 *
 *   receiver   a mail server that does what a script says: answers late or wrongly, throttles, drops, loses its final reply
 *   capture    a receiver that keeps everything, with five addresses that misbehave: where all mail goes in the sandbox
 *   credentials  a tenant of the directory to try it with, whose secrets can be shown again
 *   source     a client that loads a server at a rate, with messages whose bytes are known
 *   ledger     what source and receiver swear to, durable, and the comparison of both
 *
 * Always true:
 *   1. Nothing here listens on or connects to anything but loopback.
 *   2. A line that `durable` was waited for survives kill and power cut; a receiver with a ledger says 250 only after it.
 *   3. Parsers are the instruments' own: sharing the engine's would share its mistakes.
 *
 * Standards: RFC 5321 SMTP, 1870 SIZE, 2920 PIPELINING, 3030 CHUNKING, 3207 STARTTLS, 4954 AUTH, 6152 8BITMIME, 6531 SMTPUTF8;
 * to show what was captured RFC 5322, 2045–2047, 2231.
 */
export { type CaptureSink, type CaptureSinkOptions, startCaptureSink } from './capture/sink.ts'
export {
  type CapturedMessage,
  type CapturedSummary,
  type CaptureReader,
  type ListQuery,
  openCaptured,
} from './capture/store.ts'
export { sandboxCredentials, type SandboxSecrets } from './credentials.ts'
export { compareLedgers, type LedgerComparison, type ReceivedRecord, type SentRecord } from './ledger/compare.ts'
export { type Ledger, type LedgerContents, openLedger, readLedger } from './ledger/ledger.ts'
export { loadScript } from './receiver/load-script.ts'
export { type ReceivedMessage, type Receiver, type ReceiverOptions, startReceiver } from './receiver/receiver.ts'
export type { Behaviour, ContentBehaviour, ReceiverScript, RuleScript, SessionScript } from './receiver/script.ts'
export { runSource, type SourceOptions } from './source/source.ts'
export * as sandboxLimits from './limits.ts'
export type { SourceResult } from './source/tally.ts'
