/** A message held in memory: one block, no promise, one copy of the content. */
import type { PreparedMessage } from '../ports/messages.ts'
import type { Signer } from '../ports/signer.ts'
import type { StoredMessage } from './compose.ts'
import { countDotLines, endsLine, stuffInto } from './dots.ts'
import { divide, Head, Prepared } from './head.ts'
import { pool } from './pool.ts'

/**
 * The wire form is laid out here and now, because the content may be a view of memory that moves on; only the signatures wait for `read`, in
 * the room that was left for them.
 */
export function prepareSmall(message: StoredMessage, content: Buffer, signer: Signer): PreparedMessage {
  const { headerEnd, bodyStart, emptyLineBytes } = divide(content)
  const signing = signer.forDomain(message.fromDomain, message.tenant)
  const head = new Head(message, content.subarray(0, headerEnd), emptyLineBytes, signing)
  const sizeBytes = head.bytes + content.length - headerEnd + (endsLine(content) ? 0 : 2)
  // What follows the header block begins a line, so its dots can be counted and stuffed on their own.
  const dots = message.dotLines ? countDotLines(content, headerEnd, true) : 0
  const memory = pool.take(sizeBytes + head.stuffedDots + dots)
  const wire = memory.subarray(0, sizeBytes + head.stuffedDots + dots)
  let at = head.write(wire)
  // Stuffed dots are not signed, so the body is hashed before they are in.
  if (dots > 0) head.signing?.body(content.subarray(bodyStart))
  const signedFrom = dots > 0 ? wire.length : at + bodyStart - headerEnd
  if (dots > 0) at = stuffInto(wire, at, content, headerEnd, true)
  else at += content.copy(wire, at, headerEnd)
  const signedTo = at
  if (at < wire.length) wire.write('\r\n', at, 'latin1')
  return new SmallMessage(message, sizeBytes, head, memory, wire, signedFrom, signedTo)
}

class SmallMessage extends Prepared {
  readonly #head: Head
  #memory: Buffer | null
  readonly #wire: Buffer
  /** The part of the wire form that is still to be hashed. */
  readonly #signedFrom: number
  readonly #signedTo: number
  #read = false

  constructor(
    message: StoredMessage,
    sizeBytes: number,
    head: Head,
    memory: Buffer,
    wire: Buffer,
    signedFrom: number,
    signedTo: number,
  ) {
    super(message, sizeBytes)
    this.#head = head
    this.#memory = memory
    this.#wire = wire
    this.#signedFrom = signedFrom
    this.#signedTo = signedTo
  }

  override read(): Buffer | null {
    if (this.#read) return null
    this.#read = true
    const { signing } = this.#head
    if (signing === null) return this.#wire
    if (this.#signedFrom < this.#signedTo) signing.body(this.#wire.subarray(this.#signedFrom, this.#signedTo))
    this.#head.sign(this.#wire)
    return this.#wire
  }

  override release(): void {
    if (this.#memory !== null) pool.give(this.#memory)
    this.#memory = null
  }
}
