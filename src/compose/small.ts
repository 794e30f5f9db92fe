/** A message held in memory: one block, no promise, one copy of the content. */
import type { PreparedMessage } from '../ports/messages.ts'
import type { Signer } from '../ports/signer.ts'
import type { StoredMessage } from './compose.ts'
import { countDotLines, endsLine, stuffInto } from './dots.ts'
import { divide, Head, Prepared } from './head.ts'

export function prepareSmall(message: StoredMessage, content: Buffer, signer: Signer): PreparedMessage {
  const { headerEnd, bodyStart, emptyLineBytes } = divide(content)
  const head = new Head(message, content.subarray(0, headerEnd), emptyLineBytes, signer.forDomain(message.fromDomain))
  return new SmallMessage(message, content, head, headerEnd, bodyStart)
}

class SmallMessage extends Prepared {
  readonly #content: Buffer
  readonly #head: Head
  readonly #headerEnd: number
  readonly #bodyStart: number
  readonly #dotLines: boolean
  #read = false

  constructor(message: StoredMessage, content: Buffer, head: Head, headerEnd: number, bodyStart: number) {
    super(message, head.bytes + content.length - headerEnd + (endsLine(content) ? 0 : 2))
    this.#content = content
    this.#head = head
    this.#headerEnd = headerEnd
    this.#bodyStart = bodyStart
    this.#dotLines = message.dotLines
  }

  override read(): Buffer | null {
    if (this.#read) return null
    this.#read = true
    const content = this.#content
    this.#head.signing?.body(content.subarray(this.#bodyStart))
    // What follows the header block begins a line, so its dots can be counted and stuffed on their own.
    const dots = this.#dotLines ? countDotLines(content, this.#headerEnd, true) : 0
    const wire = Buffer.allocUnsafe(this.sizeBytes + this.#head.stuffedDots + dots)
    let at = this.#head.write(wire)
    if (dots > 0) at = stuffInto(wire, at, content, this.#headerEnd, true)
    else at += content.copy(wire, at, this.#headerEnd)
    if (at < wire.length) wire.write('\r\n', at, 'latin1')
    return wire
  }
}
