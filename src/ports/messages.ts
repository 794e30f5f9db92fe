/** What a deliverer asks of the spool and of compose: the bytes of the message that it was granted. */
import type { Grant } from '../model/grant.ts'
import type { DsnRequest } from '../model/submission.ts'

export interface PreparedMessage {
  readonly id: string
  /** Whose it is: its list says who is sent nothing. */
  readonly tenant: string
  readonly returnPath: string
  /** Addresses of `grant.recipients`, in the same order. */
  readonly recipients: readonly string[]
  /** Bytes of header and body before dot-stuffing, for SIZE. */
  readonly sizeBytes: number
  readonly eightBit: boolean
  readonly smtpUtf8: boolean
  /** What the sender asked to be told, of `recipients` in the same order; null when nothing, as mostly. */
  readonly dsn: DsnRequest | null
  /**
   * The next block of the content: dot-stuffed, whole content ending in CRLF, without the terminating dot. Null after the last. A small
   * message is one block, returned without a promise. Rejects when the stored bytes are damaged: then nothing more may be sent.
   */
  read(): Buffer | null | Promise<Buffer | null>
  /** Says that the receiver has answered to the whole of it, so that nobody looks at its blocks any more: their memory may serve again. */
  release(): void
}

export interface Messages {
  /** Rejects or throws `MessageDamaged` when the stored record is not what was accepted. */
  open(grant: Grant): PreparedMessage | Promise<PreparedMessage>
}

/** The stored bytes fail their checksum. Such a message is set aside for the operator and never sent. */
export class MessageDamaged extends Error {
  override readonly name = 'MessageDamaged'
}
