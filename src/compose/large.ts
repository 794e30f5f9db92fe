/** A message too large to hold: blocks of 256 KiB, read once more in front when somebody signs. */
import { MessageDamaged } from '../ports/messages.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import type { Signer } from '../ports/signer.ts'
import type { ContentReader, StoredMessage } from './compose.ts'
import { DotStuffer, endsLine } from './dots.ts'
import { divide, Head, Prepared } from './head.ts'
import type { Division } from './head.ts'
import { blockBytes, signedHeaderBytesMax } from './limits.ts'

export async function prepareLarge(
  message: StoredMessage,
  reader: ContentReader,
  signer: Signer,
): Promise<PreparedMessage> {
  const start = await readHeader(message, reader)
  if (start === null) {
    const head = new Head(message, Buffer.alloc(0), 0, null)
    return new LargeMessage(message, reader, head, { headerEnd: 0, bodyStart: 0, emptyLineBytes: 0 })
  }
  const { stored, division } = start
  const signing = signer.forDomain(message.fromDomain, message.tenant)
  const head = new Head(message, stored, division.emptyLineBytes, signing)
  return new LargeMessage(message, reader, head, division)
}

/** The stored header block; null when it is longer than what is held for it. */
async function readHeader(
  message: StoredMessage,
  reader: ContentReader,
): Promise<{ stored: Buffer; division: Division } | null> {
  let start: Buffer = Buffer.alloc(0)
  for (;;) {
    const whole = start.length === message.contentBytes
    // Half a line says nothing yet, and what ends the last whole one may be folded on.
    const lastLineEnd = start.lastIndexOf('\r\n')
    const seen = whole ? start : start.subarray(0, lastLineEnd < 0 ? 0 : lastLineEnd + 2)
    const division = divide(seen)
    if (whole || division.headerEnd < seen.length) {
      return { stored: Buffer.from(start.subarray(0, division.headerEnd)), division }
    }
    if (start.length >= signedHeaderBytesMax.value) return null
    start = Buffer.concat([start, await readBlock(message, reader, start.length)])
  }
}

async function readBlock(message: StoredMessage, reader: ContentReader, position: number): Promise<Buffer> {
  const block = await reader.read(position, Math.min(blockBytes.value, message.contentBytes - position))
  if (block.length === 0)
    throw new MessageDamaged(`message ${message.id} ends at byte ${position} of ${message.contentBytes}`)
  return block
}

class LargeMessage extends Prepared {
  readonly #message: StoredMessage
  readonly #reader: ContentReader
  readonly #head: Head
  readonly #bodyStart: number
  #position: number
  /** Null until the head was read. */
  #stuffer: DotStuffer | null = null
  #ended = false

  constructor(message: StoredMessage, reader: ContentReader, head: Head, division: Division) {
    super(message, head.bytes + message.contentBytes - division.headerEnd)
    this.#message = message
    this.#reader = reader
    this.#head = head
    this.#bodyStart = division.bodyStart
    this.#position = division.headerEnd
  }

  override async read(): Promise<Buffer | null> {
    if (this.#stuffer === null) {
      const head = await this.#signedHead()
      this.#stuffer = new DotStuffer(endsLine(head))
      return head
    }
    if (this.#position < this.#message.contentBytes) {
      const block = await readBlock(this.#message, this.#reader, this.#position)
      this.#position += block.length
      const stuffed = this.#stuffer.block(block)
      return this.#message.dotLines ? stuffed : block
    }
    if (this.#ended || this.#stuffer.atLineStart) return null
    this.#ended = true
    return Buffer.from('\r\n')
  }

  async #signedHead(): Promise<Buffer> {
    const { signing } = this.#head
    if (signing !== null) {
      for (let at = this.#bodyStart; at < this.#message.contentBytes; ) {
        const block = await readBlock(this.#message, this.#reader, at)
        signing.body(block)
        at += block.length
      }
    }
    const wire = Buffer.allocUnsafe(this.#head.bytes + this.#head.stuffedDots)
    this.#head.write(wire)
    this.#head.sign(wire)
    return wire
  }
}
