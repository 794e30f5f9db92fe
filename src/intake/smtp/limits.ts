/** Bounds of the SMTP server that are not the operator's to set. Those that are, are in the section `smtp` of the configuration. */
import { limit } from '../../kernel/limits.ts'

/** RFC 5321 §4.5.3.1.4: 512 octets with CRLF. Nothing that we offer makes the other commands longer. */
export const commandBytesMax = limit({ value: 512, unit: 'bytes', owner: 'intake/smtp', breach: '500 5.5.2' })

/** 512 + 500 AUTH (RFC 4954 §5) + 26 SIZE + 17 BODY + 10 SMTPUTF8 = 1,065; rounded up for the parameters of others, which we refuse by name. */
export const envelopeCommandBytesMax = limit({ value: 2_048, unit: 'bytes', owner: 'intake/smtp', breach: '500 5.5.2' })

/** RFC 4954 §4: 12,288 octets of base64. */
export const authLineBytesMax = limit({ value: 12_288, unit: 'bytes', owner: 'intake/smtp', breach: '500 5.5.6' })

/** A line that is refused is read on without being kept. Who sends 64 KiB without a line end is not speaking SMTP. */
export const refusedLineBytesMax = limit({
  value: 65_536,
  unit: 'bytes',
  owner: 'intake/smtp',
  breach: '500 5.5.2, then close',
})

/** RFC 5321 §4.5.3.1.6: 1,000 octets with CRLF, not counting a stuffed dot. */
export const contentLineBytesMax = limit({ value: 1_000, unit: 'bytes', owner: 'intake/smtp', breach: '550 5.6.0' })

/** Postfix's header_size_limit. Held in memory per open transaction only when the header comes in several pieces. */
export const headerBytesMax = limit({ value: 102_400, unit: 'bytes', owner: 'intake/smtp', breach: '552 5.3.4' })

export const headerFieldsMax = limit({ value: 1_000, unit: 'fields', owner: 'intake/smtp', breach: '552 5.3.4' })

/** RFC 5321 §6.3 asks for at least 100 where loops are the only concern; Postfix has found 50 to be enough for real mail. */
export const receivedFieldsMax = limit({ value: 50, unit: 'fields', owner: 'intake/smtp', breach: '554 5.4.6' })

/** 50 MiB in Exim's chunks of 8 KiB = 6,400. Nothing is kept per chunk; this bounds what a reply per octet costs. */
export const chunksPerMessageMax = limit({ value: 10_000, unit: 'chunks', owner: 'intake/smtp', breach: '421 4.7.0' })

/** Content beyond the size limit is read on, so that the client hears 552 and not a reset; but only so far. */
export const oversizeFactorMax = limit({
  value: 4,
  unit: '× messageBytesMax',
  owner: 'intake/smtp',
  breach: '552 5.3.4, then close',
})

/** Pipelined input that waits behind a commit. One read of the socket is 64 KiB; beyond that the socket is paused. */
export const heldInputBytesMax = limit({
  value: 65_536,
  unit: 'bytes',
  owner: 'intake/smtp',
  breach: 'the socket is paused',
})

/** Postfix's smtpd_hard_error_limit. Starts again with each message taken. */
export const badCommandsMax = limit({ value: 20, unit: 'commands', owner: 'intake/smtp', breach: '421 4.7.0' })

/** Failed logins per address, refilled evenly over a minute; and per session without refill. */
export const authFailuresMax = limit({
  value: 10,
  unit: 'failures per minute',
  owner: 'intake/smtp',
  breach: '421 4.7.0',
})

/** 10,000 × (≤ 45-byte key + 2 numbers + map slot) ≈ 2 MB. Beyond that the longest unused is forgotten. */
export const authBucketsMax = limit({
  value: 10_000,
  unit: 'addresses',
  owner: 'intake/smtp',
  breach: 'the oldest is forgotten',
})

/** Long enough for the bytes of an early talker to show, too short for anyone to notice. */
export const greetingDelayMs = limit({ value: 2, unit: 'ms', owner: 'intake/smtp', breach: '554 5.5.0' })

/** RFC 3207 gives no number; a handshake is two round trips. */
export const handshakeMsMax = limit({ value: 30_000, unit: 'ms', owner: 'intake/smtp', breach: 'close' })

/** How long a closed connection may take to fetch its last reply. */
export const lingerMsMax = limit({ value: 5_000, unit: 'ms', owner: 'intake/smtp', breach: 'reset' })
