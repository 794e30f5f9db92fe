/** Dot-stuffing (RFC 5321 §4.5.2): a line that begins with a dot gets another one. Only CRLF ends a line. */

const lf = 0x0a
const cr = 0x0d
const dot = 0x2e
const lineBeginsWithDot = Buffer.from('\r\n.')

/** How many lines of `bytes[start…]` begin with a dot; `lineStart`: a line begins at `start`. */
export function countDotLines(bytes: Buffer, start: number, lineStart: boolean): number {
  let count = lineStart && bytes[start] === dot ? 1 : 0
  for (let at = bytes.indexOf(lineBeginsWithDot, start); at >= 0; at = bytes.indexOf(lineBeginsWithDot, at + 2)) count++
  return count
}

/** Copies `bytes[start…]` to `into` at `to`, stuffed; returns where it ends. */
export function stuffInto(into: Buffer, to: number, bytes: Buffer, start: number, lineStart: boolean): number {
  if (lineStart && bytes[start] === dot) into[to++] = dot
  let at = start
  for (;;) {
    const found = bytes.indexOf(lineBeginsWithDot, at)
    if (found < 0) return to + bytes.copy(into, to, at)
    to += bytes.copy(into, to, at, found + 2)
    into[to++] = dot
    at = found + 2
  }
}

/** Whether another line would begin after `bytes`; after none at all it would. */
export function endsLine(bytes: Uint8Array): boolean {
  return bytes.length === 0 || (bytes.length >= 2 && bytes[bytes.length - 2] === cr && bytes[bytes.length - 1] === lf)
}

/** The same for content that comes in blocks, wherever they are split. */
export class DotStuffer {
  /** How much of a CRLF the bytes so far end with. */
  #ending: 'none' | 'cr' | 'crlf'

  constructor(lineStart: boolean) {
    this.#ending = lineStart ? 'crlf' : 'none'
  }

  get atLineStart(): boolean {
    return this.#ending === 'crlf'
  }

  /** The stuffed block, which is `bytes` itself when nothing is to be stuffed. */
  block(bytes: Buffer): Buffer {
    const completesLine = this.#ending === 'cr' && bytes[0] === lf
    const lineStart = completesLine || this.atLineStart
    const start = completesLine ? 1 : 0
    const last = bytes[bytes.length - 1]
    if (last === cr) this.#ending = 'cr'
    else if (endsLine(bytes) || (completesLine && bytes.length === 1)) this.#ending = 'crlf'
    else this.#ending = 'none'

    const dots = countDotLines(bytes, start, lineStart)
    if (dots === 0) return bytes
    const stuffed = Buffer.allocUnsafe(bytes.length + dots)
    bytes.copy(stuffed, 0, 0, start)
    stuffInto(stuffed, start, bytes, start, lineStart)
    return stuffed
  }
}
