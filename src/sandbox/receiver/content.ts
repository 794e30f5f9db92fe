/** Content as it arrives: its end is found across any split, nothing is copied before it. */

const terminator = Buffer.from('\r\n.\r\n', 'latin1')
const stuffedLine = Buffer.from('\r\n.', 'latin1')
const headerEnd = Buffer.from('\r\n\r\n', 'latin1')
const CR = 0x0d
const dot = 0x2e

/** Bytes in which the header's end and a mark are looked for. */
const headerBytesMax = 64 * 1024

export class Content {
  readonly #bytesMax: number
  readonly #keep: boolean
  #pieces: Buffer[] = []
  /** How much of the terminator the last bytes were. RFC 5321 §4.1.1.4: the CRLF of the DATA line is the first half of an empty content's. */
  #matched = 2
  /** Bytes taken, the terminating dot's included. */
  wireBytes = 0

  constructor(bytesMax: number, keep: boolean) {
    this.#bytesMax = bytesMax
    this.#keep = keep
  }

  get tooBig(): boolean {
    return this.wireBytes > this.#bytesMax + 3
  }

  /** Takes dotted content from `start` on. Returns where it ended, behind the terminator, or −1 when all was taken and it goes on. */
  take(chunk: Buffer, start: number): number {
    const end = this.#findEnd(chunk, start)
    this.#add(chunk.subarray(start, end === -1 ? chunk.length : end))
    return end
  }

  /** Takes counted content (RFC 3030 §2), which has neither a dot nor stuffing. */
  takeCounted(piece: Buffer): void {
    this.#add(piece)
  }

  #add(piece: Buffer): void {
    this.wireBytes += piece.length
    if (!this.#keep) return
    if (this.tooBig) this.#pieces = []
    else this.#pieces.push(piece)
  }

  /** RFC 5321 §2.3.8 and §4.1.1.4: CRLF.CRLF ends it and nothing else does. */
  #findEnd(chunk: Buffer, start: number): number {
    let at = start
    while (this.#matched > 0 && at < chunk.length) {
      if (this.#step(chunk[at++] as number)) return at
    }
    if (this.#matched > 0) return -1
    const found = chunk.indexOf(terminator, at)
    if (found !== -1) return found + terminator.length
    for (at = Math.max(at, chunk.length - 4); at < chunk.length; at++) this.#step(chunk[at] as number)
    return -1
  }

  /** One byte of the search by hand. A mismatch can only be the start of a new match when it is a CR. */
  #step(byte: number): boolean {
    if (byte === terminator[this.#matched]) this.#matched++
    else this.#matched = byte === CR ? 1 : 0
    return this.#matched === terminator.length
  }

  /** The header so far as text, once it is complete or 64 KiB long; null before. */
  header(): string | null {
    const start = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces)
    const end = start.indexOf(headerEnd)
    if (end === -1 && start.length < headerBytesMax) return null
    return start.toString('latin1', 0, Math.min(end === -1 ? headerBytesMax : end, headerBytesMax))
  }

  /** All of it, in memory of its own, without the final dot and un-stuffed (RFC 5321 §4.5.2). */
  dotted(): Buffer {
    const wire = Buffer.concat(this.#pieces)
    return unstuffed(wire.subarray(0, wire.length - 3))
  }

  counted(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

function unstuffed(wire: Buffer): Buffer {
  let found = wire[0] === dot ? 0 : wire.indexOf(stuffedLine)
  if (found === -1) return wire
  const plain = Buffer.allocUnsafe(wire.length)
  let [from, to] = [0, 0]
  while (found !== -1) {
    const dotAt = wire[found] === dot ? found : found + 2
    to += wire.copy(plain, to, from, dotAt)
    from = dotAt + 1
    found = wire.indexOf(stuffedLine, dotAt)
  }
  to += wire.copy(plain, to, from)
  return plain.subarray(0, to)
}

/** Value of the header field `name` in a header block, unfolded; '' when it is not there. */
export function fieldOf(header: string, name: string): string {
  const lower = header.toLowerCase()
  const mark = `${name.toLowerCase()}:`
  let at = lower.startsWith(mark) ? 0 : lower.indexOf(`\r\n${mark}`)
  if (at === -1) return ''
  if (at > 0) at += 2
  const rest = header.slice(at + mark.length)
  const end = /\r\n(?![ \t])/.exec(rest)?.index ?? rest.length
  return rest
    .slice(0, end)
    .replace(/\r\n(?=[ \t])/g, '')
    .trim()
}
