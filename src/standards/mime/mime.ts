/**
 * MIME assembly: a message as its sender describes it becomes the bytes that are signed and sent.
 *
 *   in   MimeMessage: addresses, subject, bodies, further header fields, attachments; date, Message-ID and the boundaries' seed
 *   out  AssembledMessage: its header as text, its exact size, and its bytes as a sequence of buffers; or a MimeProblem
 *
 * Always true:
 *   1. Pure: the same message gives the same bytes. Nothing asks for time or chance.
 *   2. No value can begin a header line of its own: CR, LF and NUL are refused, and the problem points at the field.
 *   3. What comes out is 7bit: no line is longer than 998 octets, nothing but CRLF ends one, and only addresses that are not ASCII
 *      put anything else than ASCII into it (`needsSmtpUtf8`).
 *   4. Bcc is never written: it has no place in a MimeMessage.
 *   5. Attachments and long texts are encoded block by block while the bytes are taken; what becomes of them never stands in memory as a whole.
 *
 * Shapes, from the outside in; a level with only one part in it is left out:
 *
 *   multipart/mixed
 *     multipart/alternative          the last one is the richest (RFC 2046 §5.1.4)
 *       text/plain
 *       text/x-amp-html
 *       multipart/related            RFC 2387
 *         text/html
 *         inline attachments that the HTML names by Content-ID
 *       text/calendar
 *     attachments
 *
 * RFC 5322 (form), 2045 and 2046 (MIME), 2047 (encoded words), 2183 (disposition), 2231 (parameters), 2387 (related),
 * 6532 (internationalised addresses).
 */
import { base64Blocks, base64Bytes } from './base64.ts'
import { messageFields } from './fields.ts'
import type { LongText } from './long-text.ts'
import { type Leaf, type Part, partTree } from './parts.ts'

export { isLong, LongText } from './long-text.ts'
export { MimeProblem, type MimeProblemCode } from './problem.ts'

export interface MimeMessage {
  readonly from: MimeAddress
  readonly sender?: MimeAddress | undefined
  readonly replyTo: readonly MimeAddress[]
  readonly to: readonly MimeAddress[]
  readonly cc: readonly MimeAddress[]
  /** An empty one is left out. */
  readonly subject: string
  /** Line ends may be any; CRLF is written. */
  readonly text?: string | LongText | undefined
  readonly html?: string | LongText | undefined
  /** AMP for Email, between text and HTML. */
  readonly amp?: string | undefined
  readonly calendar?: MimeCalendar | undefined
  /** Further fields, written in this order. What the message has a field for, or what is ours to write, is refused. */
  readonly headers: readonly MimeHeader[]
  readonly attachments: readonly MimeAttachment[]
  readonly dateMs: number
  /** With its angle brackets. */
  readonly messageId: string
  /** 1 to 60 letters and digits that nobody outside can guess: boundaries are made of it. */
  readonly boundarySeed: string
}

export interface MimeAddress {
  readonly name?: string | undefined
  /** `local@domain`, written as it is given. */
  readonly address: string
}

export interface MimeHeader {
  readonly name: string
  readonly value: string
}

/** An invitation or an answer to one, as a last alternative (RFC 6047 §2.4). */
export interface MimeCalendar {
  /** REQUEST, REPLY, CANCEL … (RFC 5546 §1.4); the same as METHOD inside the content. */
  readonly method: string
  readonly content: string
}

export interface MimeAttachment {
  /** '' for none. */
  readonly filename: string
  /** `type/subtype`, with parameters if it has any. */
  readonly contentType: string
  readonly content: Uint8Array
  /** What `cid:` in the HTML says, without angle brackets. */
  readonly contentId?: string | undefined
  /** To be shown in place. With a Content-ID and HTML to name it, it goes beside the HTML; otherwise among the attachments. */
  readonly inline: boolean
}

/** Checks everything and encodes short bodies; attachments and long texts wait until their bytes are taken. Throws MimeProblem. */
export function assemble(message: MimeMessage): AssembledMessage {
  const fields = messageFields(message)
  return new AssembledMessage(fields.text, fields.needsSmtpUtf8, partTree(message))
}

/** Exactly as many bytes as `assemble` gives; no attachment is encoded for it. Throws MimeProblem. */
export function assembledBytes(message: MimeMessage): number {
  return assemble(message).bytes
}

export class AssembledMessage implements Iterable<Buffer> {
  /** Each field with its CRLF; the empty line that follows is not part of it. */
  readonly headerText: string
  /** An address is not ASCII: the receiver must offer SMTPUTF8 (RFC 6531 §3.2). */
  readonly needsSmtpUtf8: boolean
  /** Text as it is, and what is to be encoded, in turn. */
  readonly #pieces: Leaf['body'][] = []

  constructor(fields: string, needsSmtpUtf8: boolean, root: Part) {
    this.headerText = `${fields}MIME-Version: 1.0\r\n${root.fields}`
    this.needsSmtpUtf8 = needsSmtpUtf8
    const rest = this.#write(root, `${this.headerText}\r\n`)
    // A message ends with a line end. An alternative's or an attachment's own last line is told from the delimiter's.
    this.#pieces.push(isLeaf(root) && (isEnded(root.body) || rest.endsWith('\r\n')) ? rest : `${rest}\r\n`)
  }

  *[Symbol.iterator](): Generator<Buffer, void> {
    // Without SMTPUTF8 everything is ASCII, which is copied faster as Latin-1.
    const encoding = this.needsSmtpUtf8 ? 'utf8' : 'latin1'
    for (const piece of this.#pieces) {
      if (typeof piece === 'string') yield Buffer.from(piece, encoding)
      else yield* piece instanceof Uint8Array ? base64Blocks(piece) : piece.blocks()
    }
  }

  /** How many there are. A long text in quoted-printable is encoded for it, a block at a time. */
  get bytes(): number {
    let bytes = 0
    for (const piece of this.#pieces) {
      if (typeof piece === 'string') bytes += this.needsSmtpUtf8 ? Buffer.byteLength(piece) : piece.length
      else if (piece instanceof Uint8Array) bytes += base64Bytes(piece.length)
      else for (const block of piece.blocks()) bytes += block.length
    }
    return bytes
  }

  /**
   * Writes a part's body behind `text`; returns the text that is not yet a piece. Its depth is that of the shapes above, whatever
   * comes in. RFC 2046 §5.1.1: the CRLF in front of a delimiter belongs to it.
   */
  #write(part: Part, text: string): string {
    if (isLeaf(part)) {
      if (typeof part.body === 'string') return text + part.body
      this.#pieces.push(text, part.body)
      return ''
    }
    let rest = text
    for (const inner of part.parts)
      rest = `${this.#write(inner, `${rest}--${part.boundary}\r\n${inner.fields}\r\n`)}\r\n`
    return `${rest}--${part.boundary}--`
  }
}

const isLeaf = (part: Part): part is Leaf => 'body' in part

const isEnded = (body: Leaf['body']): boolean =>
  typeof body === 'string' || body instanceof Uint8Array ? body.length === 0 : body.isEnded
