/**
 * A text of megabytes, looked over and encoded in blocks, so that whoever takes them can let others have their turn in between: 25 MB in one
 * piece are a second. Its bytes never stand in memory as a whole: a block of them is made of the text each time.
 *
 *   look over   line ends, the longest line, what would be escaped: from this follows the encoding
 *   encode      each block by itself, but for the column that quoted-printable has come to
 */
import { isAscii } from 'node:buffer'
import { KiB } from '../../kernel/units.ts'
import { lineBytesMax } from '../limits.ts'
import { crlfLines, surveyLines } from '../lines.ts'
import { base64OfPieces } from './base64.ts'
import { QuotedPrintable } from './quoted-printable.ts'
import { suitsBase64, type Transfer } from './transfer.ts'

const lf = 0x0a
const cr = 0x0d

/** Gmail clips what is longer than 102 KiB: mail seldom is. A look at each byte costs more than a search here, and very much less behind it. */
const shortCharacters = 128 * KiB
/** At most nine times as many octets of quoted-printable, in a millisecond at most. */
const usualBlockCharacters = 32 * KiB

/** Whether a text is long enough for a LongText. */
export function isLong(text: string): boolean {
  return text.length > shortCharacters
}

export class LongText {
  readonly #text: string
  readonly #blockCharacters: number
  /** Characters that were looked over. */
  #seen = 0
  #bytes = 0
  #bareEnds = 0
  #escaped = 0
  #longestBytes = 0
  #openLineBytes = 0
  #hasUnplain = false

  constructor(text: string, blockCharacters: number = usualBlockCharacters) {
    this.#text = text
    this.#blockCharacters = blockCharacters
  }

  /** Goes on looking, over so many bytes and to the end of a block. True when the whole was looked over. */
  lookOver(bytes: number): boolean {
    const stop = this.#bytes + bytes
    while (this.#seen < this.#text.length && this.#bytes < stop) {
      const end = this.#blockEnd(this.#seen)
      this.#look(Buffer.from(this.#text.slice(this.#seen, end)))
      this.#seen = end
    }
    return this.#seen === this.#text.length
  }

  /** As `encodeText` chooses. What is left to be looked over is looked over at once. */
  encoding(delimiterStart: string): Transfer['encoding'] {
    this.lookOver(Number.POSITIVE_INFINITY)
    const longestBytes = Math.max(this.#longestBytes, this.#openLineBytes)
    if (longestBytes <= lineBytesMax.value && !this.#hasUnplain && !this.#text.includes(delimiterStart)) return '7bit'
    return suitsBase64(this.#escaped, this.#bytes + this.#bareEnds) ? 'base64' : 'quoted-printable'
  }

  /** The body in this encoding, which is one that `encoding` gave. */
  blocks(encoding: Transfer['encoding']): Iterable<Buffer> {
    if (encoding === 'quoted-printable') return this.#quoted()
    return encoding === 'base64' ? base64OfPieces(this.#lines()) : this.#lines()
  }

  /** Nothing is behind its last line end. */
  get isEnded(): boolean {
    return this.#text === '' || this.#isLineEnd(this.#text.length - 1)
  }

  #look(block: Buffer): void {
    if (!isAscii(block) || block.includes(0)) this.#hasUnplain = true
    let start = -this.#openLineBytes
    for (let at = 0; at < block.length; at++) {
      const byte = block[at] as number
      if (byte > 0x7e) this.#escaped++
      if (byte > cr || (byte !== lf && byte !== cr)) continue
      if (at - start > this.#longestBytes) this.#longestBytes = at - start
      if (byte === cr && block[at + 1] === lf) at++
      else this.#bareEnds++
      start = at + 1
    }
    this.#openLineBytes = block.length - start
    this.#bytes += block.length
  }

  *#lines(): Generator<Buffer, void> {
    for (let at = 0; at < this.#text.length; ) {
      const end = this.#blockEnd(at)
      const block = Buffer.from(this.#text.slice(at, end))
      yield this.#bareEnds === 0 ? block : crlfLines(block, surveyLines(block))
      at = end
    }
  }

  *#quoted(): Generator<Buffer, void> {
    const encoder = new QuotedPrintable()
    for (let at = 0; at < this.#text.length; ) {
      const end = this.#blockEnd(at)
      yield encoder.encode(Buffer.from(this.#text.slice(at, end)), end === this.#text.length || this.#isLineEnd(end))
      at = end
    }
  }

  /** Neither the halves of a surrogate pair nor CR and LF are torn apart. */
  #blockEnd(start: number): number {
    const text = this.#text
    const end = start + this.#blockCharacters
    if (end >= text.length) return text.length
    const isCrlf = text.charCodeAt(end - 1) === cr && text.charCodeAt(end) === lf
    const isPair = (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 && (text.charCodeAt(end) & 0xfc00) === 0xdc00
    return isCrlf || isPair ? end + 1 : end
  }

  #isLineEnd(at: number): boolean {
    const code = this.#text.charCodeAt(at)
    return code === lf || code === cr
  }
}
