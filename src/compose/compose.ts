/**
 * Stage 6, compose: the bytes that go over the wire, made from what was stored.
 *
 *   in   a stored submission, its content as one Buffer or as a reader of blocks, and the signer
 *   out  a PreparedMessage: what MAIL and RCPT need at once, the content when it is asked for
 *
 *   [ DKIM-Signature fields ][ added header fields ][ stored header fields ](empty line, when it lacks)[ stored body ]
 *                            |<--------------- signed ------------------->|                           |<- signed ->|
 *
 * Always true:
 *   1. Pure: the same submission gives the same bytes at every attempt.
 *   2. Stored bytes are sent as they are, but for four things: dots are stuffed, a last line without CRLF gets one, where the
 *      body begins without an empty line one is put in front, for else receivers would differ on what is header, and fields that
 *      intake marked as meant for us are left out.
 *   3. Signatures are made at the first `read()`, when the receiver has agreed to the envelope; `sizeBytes` knows them before.
 *
 * A content in blocks is read twice when it is signed; its `sizeBytes` does not know of a last line without CRLF, which intake never lets in.
 *
 * RFC 5322 §2.1 (header, empty line, body), RFC 5321 §4.5.2 (dots), RFC 1870 (SIZE counts no stuffed dots).
 */
import { invariant } from '../kernel/assert.ts'
import type { DsnRequest } from '../model/submission.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import type { Signer } from '../ports/signer.ts'
import { withoutCuts } from './cuts.ts'
import { prepareLarge } from './large.ts'
import { prepareSmall } from './small.ts'

export * as composeLimits from './limits.ts'

export interface StoredMessage<Content extends Buffer | ContentReader = Buffer | ContentReader> {
  readonly id: string
  /** Whose it is: the keys of one sign nothing of another. */
  readonly tenant: string
  readonly returnPath: string
  /** Those of this attempt, in the grant's order. */
  readonly recipients: readonly string[]
  readonly eightBit: boolean
  readonly smtpUtf8: boolean
  readonly dsn: DsnRequest | null
  /** Some line of the content begins with a dot. False is believed: a lone dot would then end the message early. */
  readonly dotLines: boolean
  /** Whole fields, each ending in CRLF. */
  readonly addedHeaders: string
  readonly fromDomain: string
  readonly acceptedAtMs: number
  readonly contentBytes: number
  /** Of the content, rising, from…to: what is left out. */
  readonly cuts: readonly number[]
  /** As accepted: un-stuffed, CRLF line ends. A Buffer may be a view of shared memory: it is copied before `prepare` returns. */
  readonly content: Content
}

/** Content too large to hold. It is read twice when it is signed. */
export interface ContentReader {
  /** 1 … `bytesMax` bytes from `position` on, which the caller may keep. Rejects with `MessageDamaged` when they are not what was stored. */
  read(position: number, bytesMax: number): Promise<Buffer>
}

export function prepare(message: StoredMessage<Buffer>, signer: Signer): PreparedMessage
export function prepare(message: StoredMessage<ContentReader>, signer: Signer): Promise<PreparedMessage>
export function prepare(message: StoredMessage, signer: Signer): PreparedMessage | Promise<PreparedMessage>
export function prepare(message: StoredMessage, signer: Signer): PreparedMessage | Promise<PreparedMessage> {
  const { content } = message
  if (message.cuts.length > 0) return prepare(withoutCuts(message), signer)
  if (!(content instanceof Uint8Array)) return prepareLarge(message, content, signer)
  invariant(content.length === message.contentBytes, 'content has the length that its record says')
  return prepareSmall(message, content, signer)
}
