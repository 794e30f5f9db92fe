/** Everything in front of the stored body: signatures, added fields, stored fields, and the empty line when it lacks. */
import type { DsnRequest } from '../model/submission.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import type { Signing } from '../ports/signer.ts'
import { emptyLineAt, headerEnd } from '../standards/header.ts'
import type { StoredMessage } from './compose.ts'
import { countDotLines, stuffInto } from './dots.ts'

/** How a stored content divides. */
export interface Division {
  /** Just past the last header field. */
  readonly headerEnd: number
  /** First byte of the body proper; past the content's end when there is none. */
  readonly bodyStart: number
  /** 2: the body begins without the empty line that makes it one, so CRLF goes in between. */
  readonly emptyLineBytes: 0 | 2
}

/** Divides content of which `start` holds enough to see the header block's end, or all of it. */
export function divide(start: Buffer): Division {
  const end = headerEnd(start)
  // RFC 5322 §3.5: without a body there need not be an empty line.
  if (end === start.length || emptyLineAt(start, end)) return { headerEnd: end, bodyStart: end + 2, emptyLineBytes: 0 }
  return { headerEnd: end, bodyStart: end, emptyLineBytes: 2 }
}

export class Head {
  readonly signing: Signing | null
  /** On the wire, without stuffed dots. */
  readonly bytes: number
  /** Dots that `write` puts in. */
  readonly stuffedDots: number
  readonly #signatureBytes: number
  readonly #message: StoredMessage
  readonly #stored: Buffer
  readonly #emptyLineBytes: 0 | 2
  /** What signatures cover of it; null when nobody signs. */
  readonly #header: Buffer | null

  /** @param stored the stored header block; it must stay as it is until `write` */
  constructor(message: StoredMessage, stored: Buffer, emptyLineBytes: 0 | 2, signing: Signing | null) {
    this.#message = message
    this.#stored = stored
    this.#emptyLineBytes = emptyLineBytes
    this.stuffedDots = message.dotLines ? countDotLines(stored, 0, true) : 0
    const bytes = Buffer.byteLength(message.addedHeaders) + stored.length
    this.signing = signing
    let header: Buffer | null = null
    let signatureBytes = 0
    if (signing !== null) {
      header = Buffer.allocUnsafe(bytes)
      stored.copy(header, header.write(message.addedHeaders, 'utf8'))
      signatureBytes = signing.fieldsBytes(header, this.#timeSeconds())
    }
    this.#header = header
    this.#signatureBytes = signatureBytes
    this.bytes = signatureBytes + bytes + emptyLineBytes
  }

  /** Writes all but the signatures, for which it leaves room in front; returns where the head ends. The stored header is not needed any more. */
  write(wire: Buffer): number {
    let at = this.#signatureBytes
    at += wire.write(this.#message.addedHeaders, at, 'utf8')
    if (this.stuffedDots > 0) at = stuffInto(wire, at, this.#stored, 0, true)
    else at += this.#stored.copy(wire, at)
    if (this.#emptyLineBytes > 0) at += wire.write('\r\n', at, 'latin1')
    return at
  }

  /** Writes the signatures into that room. The whole body was fed to `signing` before. */
  sign(wire: Buffer): void {
    if (this.signing === null || this.#header === null) return
    wire.write(this.signing.fields(this.#header, this.#timeSeconds()), 'latin1')
  }

  #timeSeconds(): number {
    return Math.floor(this.#message.acceptedAtMs / 1_000)
  }
}

/** The part of a PreparedMessage that is copied from the submission. */
export abstract class Prepared implements PreparedMessage {
  readonly id: string
  readonly tenant: string
  readonly returnPath: string
  readonly recipients: readonly string[]
  readonly sizeBytes: number
  readonly eightBit: boolean
  readonly smtpUtf8: boolean
  readonly dsn: DsnRequest | null

  constructor(message: StoredMessage, sizeBytes: number) {
    this.id = message.id
    this.tenant = message.tenant
    this.returnPath = message.returnPath
    this.recipients = message.recipients
    this.sizeBytes = sizeBytes
    this.eightBit = message.eightBit
    this.smtpUtf8 = message.smtpUtf8
    this.dsn = message.dsn
  }

  abstract read(): Buffer | null | Promise<Buffer | null>

  release(): void {}
}
