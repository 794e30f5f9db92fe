/** Port `outbox`: mail that Posthaste writes itself goes the way of all mail. */
import type { Failure } from '../model/failures.ts'
import type { MailClass } from '../model/submission.ts'

/** Whose that mail is. No tenant is called so: names and ids begin with a letter or a digit. What is in it, no tenant may read. */
export const systemTenant = '_posthaste'

export interface OutgoingMail {
  /** Public id; absent: a new one. */
  readonly id?: string
  readonly tenant: string
  readonly mailClass: MailClass
  readonly returnPath: string
  readonly recipients: readonly string[]
  /** Address of the From header. */
  readonly from: string
  /** Of the From header, in A-labels: for the choice of the DKIM key. */
  readonly fromDomain: string
  readonly subject: string
  /** A whole message: CRLF line ends, 7bit but for what `smtpUtf8` and `eightBit` tell. */
  readonly content: Buffer
  /** An address is not ASCII (RFC 6531). */
  readonly smtpUtf8: boolean
  /** A part of it has bytes above 127 (RFC 6152). */
  readonly eightBit?: boolean
}

export interface Outbox {
  /** Settles when it is on disk (null), or with the reason that nothing was taken. */
  send(mail: OutgoingMail): Promise<Failure | null>
}
