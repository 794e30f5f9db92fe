/** What a client hands over once. Its content stays as it came in; everything we add is in `addedHeaders`. */

export type MailClass = 'urgent' | 'transactional' | 'bulk'

/** What is known of a submission once its content is complete; the commit record is made of it. */
export interface SubmissionHead {
  readonly tenant: string
  /** Address of the reverse-path without brackets; '' is the null sender. */
  readonly returnPath: string
  /** Addresses as given, byte-exact, without brackets. 1 … 1,000 of them. */
  readonly recipients: readonly string[]
  readonly mailClass: MailClass
  /** Header fields that we put in front, each ending in CRLF: Received always, Date and Message-ID when absent. */
  readonly addedHeaders: string
  /** Lower-case domain of the From header's first address, for the choice of the DKIM key; '' when there is none. */
  readonly fromDomain: string
  /** Where it came from, for logs and `message show`: "203.0.113.7 helo.example" . */
  readonly client: string
  /** RFC 6152: content holds bytes above 127, so a server must offer 8BITMIME. */
  readonly eightBit: boolean
  /** RFC 6531: an address or header is not ASCII, so a server must offer SMTPUTF8. */
  readonly smtpUtf8: boolean
  /** Some line of the content begins with a dot and must be stuffed on the way out (RFC 5321 §4.5.2). */
  readonly dotLines: boolean
  /** After this time it is given up; 0: as the configuration says. */
  readonly expiresAtMs: number
  /** Offsets into the content, rising, in pairs from…to: header fields that spoke to us and are not sent. At most `cutsMax` pairs. */
  readonly cuts: readonly number[]
  /** What the sender asked to be told; absent when it said nothing of it. */
  readonly dsn?: DsnRequest
  readonly facts: SubmissionFacts
}

/** Parameters of MAIL and RCPT (RFC 3461 §4), as they were given: xtext stays encoded, and was found well-formed. */
export interface DsnRequest {
  /** RET: what of the message goes into a notice of failure; '' leaves it to us. */
  readonly returns: 'FULL' | 'HDRS' | ''
  /** ENVID, at most 100 characters; '' is none. */
  readonly envelopeId: string
  /** By place in the envelope; one for each recipient. */
  readonly recipients: readonly DsnRecipient[]
}

export interface DsnRecipient {
  /** Sum of `notifyOn`; 0 when nothing was asked: then failures are told. */
  readonly notify: number
  /** ORCPT, "rfc822;xtext", at most 500 characters; '' is none. */
  readonly originalRecipient: string
}

export const notifyOn = { success: 1, failure: 2, delay: 4, never: 8 } as const

/** Kept for whoever asks about it; nothing on the way out needs these. '' is none. */
export interface SubmissionFacts {
  readonly via: SubmissionVia
  /** By SMTP the address of the From header; by HTTP as it was given. */
  readonly from: string
  /** Readable: encoded words are decoded. */
  readonly subject: string
  readonly stream: string
  readonly campaign: string
  readonly tags: readonly string[]
  /** A JSON object. */
  readonly metadata: string
  /** Of the key or login in the directory. */
  readonly credentialId: string
  readonly idempotencyKey: string
  /** SHA-256 in hex of the request that had the key. */
  readonly requestSha256: string
}

export type SubmissionVia = 'smtp' | 'http'

export const noFacts: SubmissionFacts = {
  via: 'smtp',
  from: '',
  subject: '',
  stream: '',
  campaign: '',
  tags: [],
  metadata: '',
  credentialId: '',
  idempotencyKey: '',
  requestSha256: '',
}

/**
 * A submission's number is (log that accepted it, sequence there): its identity for as long as anything is known of it, never reused. A place is (log
 * that holds it now, position there). Both travel as one double, value × 64 + log, exact up to 2⁵³: 140 TB or as many submissions per log.
 */
export const logsMax = 64
export const inLog = (log: number, value: number): number => value * logsMax + log
export const logOf = (packed: number): number => packed % logsMax
export const valueOf = (packed: number): number => Math.floor(packed / logsMax)
