/** Bounds of the SMTP server that are not the operator's to set. Those that are, are in the section `smtp` of the configuration. */
import { limit } from '../../kernel/limits.ts'
import { KiB, MiB, secondMs } from '../../kernel/units.ts'

const owner = 'intake/smtp'

export const commandBytesMax = limit({
  name: 'smtp.command-line',
  value: 512,
  unit: 'bytes',
  owner,
  why: 'RFC 5321 §4.5.3.1.4: 512 octets with CRLF. Nothing that we offer makes the other commands longer.',
  breach: '500 5.5.2',
})

export const envelopeCommandBytesMax = limit({
  name: 'smtp.envelope-line',
  value: 2 * KiB,
  unit: 'bytes',
  owner,
  why: 'MAIL: 512 + 500 AUTH (RFC 4954 §5) + 26 SIZE + 17 BODY + 10 SMTPUTF8 + 9 RET + 107 ENVID = 1,181; RCPT: 512 + 29 NOTIFY + 507 ORCPT; rounded up for the parameters of others, which are refused by name.',
  breach: '500 5.5.2',
})

export const authLineBytesMax = limit({
  name: 'smtp.auth-line',
  value: 12 * KiB,
  unit: 'bytes',
  owner,
  why: 'RFC 4954 §4: 12,288 octets of base64.',
  breach: '500 5.5.6',
})

export const refusedLineBytesMax = limit({
  name: 'smtp.refused-line',
  value: 64 * KiB,
  unit: 'bytes',
  owner,
  why: 'A line that is refused is read on without being kept. Who sends 64 KiB without a line end is not speaking SMTP.',
  breach: '500 5.5.2, then close',
})

export const contentLineBytesMax = limit({
  name: 'smtp.content-line',
  value: 1_000,
  unit: 'bytes',
  owner,
  why: 'RFC 5321 §4.5.3.1.6: 1,000 octets with CRLF, not counting a stuffed dot.',
  breach: '550 5.6.0',
})

export const headerBytesMax = limit({
  name: 'smtp.header',
  value: 100 * KiB,
  unit: 'bytes',
  owner,
  why: 'Postfix’s header_size_limit. Held per open transaction, and only when the header comes in several pieces.',
  breach: '552 5.3.4',
})

export const headerFieldsMax = limit({
  name: 'smtp.header-fields',
  value: 1_000,
  unit: 'fields',
  owner,
  why: '100 KiB hold 25,600 of the shortest, and each costs a turn of the header’s survey. Mail of many hops has about a hundred.',
  breach: '552 5.3.4',
})

export const receivedFieldsMax = limit({
  name: 'smtp.received-fields',
  value: 50,
  unit: 'fields',
  owner,
  why: 'RFC 5321 §6.3 asks for at least 100 where loops are the only concern; Postfix has found 50 to be enough for real mail.',
  breach: '554 5.4.6',
})

export const optionBytesMax = limit({
  name: 'smtp.option',
  value: 16 * KiB,
  unit: 'bytes',
  owner,
  why: 'Value of an X-Posthaste- field as it is written: 4 KiB of metadata as JSON, where an escape like \\u00fc takes three times its two bytes, and folds.',
  breach: '550 5.6.0',
})

export const chunksPerMessageMax = limit({
  name: 'smtp.chunks',
  value: 10_000,
  unit: 'chunks',
  owner,
  why: '50 MiB in Exim’s chunks of 8 KiB = 6,400. Nothing is kept per chunk; this bounds what a reply per octet costs.',
  breach: '421 4.7.0',
})

export const oversizeFactorMax = limit({
  name: 'smtp.oversize',
  value: 4,
  unit: '× smtp.message_size_max',
  owner,
  why: 'Content beyond the size limit is read on, so that the client hears 552 and not a reset; but only so far.',
  breach: '552 5.3.4, then close',
})

export const heldInputBytesMax = limit({
  name: 'smtp.held-input',
  value: 4 * KiB,
  unit: 'bytes',
  owner,
  why: 'Pipelined input that waits behind a commit: some hundred commands. Beyond that the socket is paused, when one read of 64 KiB more may be in hand.',
  breach: 'the socket is paused',
})

export const repliesBytesMax = limit({
  name: 'smtp.replies',
  value: 4 * KiB,
  unit: 'bytes',
  owner,
  why: 'Replies that are gathered before they are sent. Without it, 64 KiB of HELP would become 260 KiB of replies at once.',
  breach: 'they are sent',
})

export const socketBytesMax = limit({
  name: 'smtp.socket',
  value: 16 * KiB,
  unit: 'bytes',
  owner,
  why: 'What Node keeps of each direction of a paused or stuck socket; a read that had begun may bring 64 KiB on top.',
  breach: 'no more is read, and no more replies are made',
})

export const stuckSessionBytes = limit({
  name: 'smtp.stuck-session',
  value: 164 * KiB,
  unit: 'bytes',
  owner,
  why: 'Reserved for a client that does not fetch its replies: 64 KiB of input in hand, 16 + 64 KiB that Node reads before it stops, 16 + 4 KiB of replies.',
  breach: 'the connection is dropped when no memory is left for it',
})

export const recipientOverheadBytes = limit({
  name: 'smtp.recipient-overhead',
  value: 64,
  unit: 'bytes',
  owner,
  why: 'Reserved for a recipient beside its address: header of the string, place in the list, growth of the list. As much again for its ORCPT or NOTIFY.',
  breach: '452 4.3.1 when no memory is left for it',
})

export const sharedBytesPerConnection = limit({
  name: 'smtp.shared-memory',
  value: 8 * KiB,
  unit: 'bytes per connection allowed',
  owner,
  why: 'What sessions hold together in envelopes, headers in pieces and for stuck clients: 10,000 × 8 KiB = 80 MiB. A usual transaction holds 0.1 to 5 KiB of it, the largest 1 MiB: 1,000 recipients, each with an ORCPT.',
  breach: '452 4.3.1; the connection of a stuck client is dropped',
})

export const sharedBytesMin = limit({
  name: 'smtp.shared-memory-least',
  value: 16 * MiB,
  unit: 'bytes',
  owner,
  why: 'The same where few connections are allowed: sixteen of the largest transactions.',
  breach: '452 4.3.1; the connection of a stuck client is dropped',
})

export const deadlineSweepMsMin = limit({
  name: 'smtp.deadline-sweep',
  value: 1 * secondMs,
  unit: 'ms',
  owner,
  why: 'Between two looks at the deadlines of all sessions, which take some 50 µs for 10,000.',
  breach: 'a session is timed out that much late',
})

export const badCommandsMax = limit({
  name: 'smtp.bad-commands',
  value: 20,
  unit: 'commands',
  owner,
  why: 'Postfix’s smtpd_hard_error_limit. Starts again with each message taken.',
  breach: '421 4.7.0',
})

export const authFailuresMax = limit({
  name: 'smtp.auth-failures',
  value: 10,
  unit: 'failures per minute',
  owner,
  why: 'Failed logins per address, refilled evenly over a minute; and per session without refill. 14,400 guesses a day find no password of 16 characters.',
  breach: '421 4.7.0',
})

export const authBucketsMax = limit({
  name: 'smtp.auth-addresses',
  value: 10_000,
  unit: 'addresses',
  owner,
  why: '10,000 × (≤ 45-byte key + 2 numbers + map slot) ≈ 2 MB. Addresses with failed logins that are remembered.',
  breach: 'the longest unused is forgotten',
})

export const greetingDelayMs = limit({
  name: 'smtp.greeting-delay',
  value: 2,
  unit: 'ms',
  owner,
  why: 'Long enough for the bytes of an early talker to show, too short for anyone to notice.',
  breach: '554 5.5.0',
})

export const handshakeMsMax = limit({
  name: 'smtp.handshake',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'RFC 3207 gives no number; a handshake is two round trips.',
  breach: 'close',
})

export const lingerMsMax = limit({
  name: 'smtp.linger',
  value: 5 * secondMs,
  unit: 'ms',
  owner,
  why: 'How long a closed connection may take to fetch its last reply.',
  breach: 'reset',
})
