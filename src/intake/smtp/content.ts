/**
 * Content as it comes over the wire: finds its end, takes the stuffed dots out, and notes what is wrong with it. Runs of bytes go on
 * untouched and uncopied.
 *
 * The end is CRLF "." CRLF and nothing else (RFC 5321 §4.1.1.4): every server that also took "LF . LF" or "CR . CR" for it
 * could be made to see two messages where its neighbour saw one. A CR or LF that is not part of a CRLF is only noted here; the
 * message is read to its true end and then refused.
 *
 *   lineStart ── "." ──> afterDot ── CR ──> afterDotCr ── LF ──> ended
 *     ^  │                  │                   │
 *     │  └──────┬───────────┴───────────────────┘ anything else
 *     LF        v
 *     └─ afterCr <── CR ── inLine
 *
 * Any split of the stream gives the same result: all that is remembered between chunks is the state and the length of the line.
 */
import { contentLineBytesMax } from './limits.ts'

/** Takes `bytes[start…end)` of content. */
export interface ContentSink {
  content(bytes: Buffer, start: number, end: number): void
}

const lf = 0x0a
const cr = 0x0d
const dot = 0x2e

const lineStart = 0
const inLine = 1
const afterCr = 2
const afterDot = 3
const afterDotCr = 4

/** Below this the view for reading words costs more than it saves. */
const wordsFromBytes = 64
const noWords = new Int32Array(0)

export class ContentScanner {
  /** The final dot was read. */
  ended = false
  bareLineEnd = false
  nul = false
  longLine = false
  /** A line of the content itself begins with a dot. */
  dotLines = false
  /** Octets of the header block with the empty line that ends it; -1 until that was read. */
  headerEnd = -1
  /** Lines up to the end of the header block. */
  headerLines = 0
  readonly #sink: ContentSink
  /** DATA stuffs dots and ends by one (RFC 5321 §4.5.2); BDAT counts octets and does neither (RFC 3030 §2). */
  readonly #stuffed: boolean
  #state = lineStart
  /** Octets of the unfinished line in earlier chunks. */
  #lineBytes = 0
  #bytes = 0
  /** All bytes or'ed together, four at a time. */
  #bits = 0

  constructor(sink: ContentSink, stuffed: boolean) {
    this.#sink = sink
    this.#stuffed = stuffed
  }

  /** RFC 6152: some octet is above 127. */
  get eightBit(): boolean {
    return (this.#bits & 0x80808080) !== 0
  }

  /** The last line is complete. BDAT may end without that. */
  get atLineStart(): boolean {
    return this.#state === lineStart
  }

  /** Reads `bytes[from…to)`; returns where it stopped, which is `to` unless the final dot was read. */
  scan(bytes: Buffer, from: number, to: number): number {
    const lineBytesMax = contentLineBytesMax.value
    const words = to - from < wordsFromBytes ? noWords : new Int32Array(bytes.buffer, 0, bytes.buffer.byteLength >> 2)
    let state = this.#state
    let line = from - this.#lineBytes
    let run = from
    let at = from
    while (at < to) {
      if (state === inLine) {
        at = this.#nextMark(bytes, words, at, to)
        if (at === to) break
        const byte = bytes[at++]
        if (byte === cr) state = afterCr
        else if (byte === lf) this.bareLineEnd = true
        else if (byte === 0) this.nul = true
      } else if (state === afterCr) {
        if (bytes[at] === lf) {
          at++
          if (at - line > lineBytesMax) this.longLine = true
          if (this.headerEnd < 0) this.#headerLine(at - line, this.#bytes + at - run)
          line = at
          state = at < to && bytes[at] !== dot ? inLine : lineStart // the way of nearly every line
        } else {
          this.bareLineEnd = true
          state = inLine
        }
      } else if (state === lineStart) {
        state = inLine
        if (bytes[at] !== dot) continue
        if (this.#stuffed) {
          this.#emit(bytes, run, at)
          run = line = ++at
          state = afterDot
        } else this.dotLines = true
      } else if (state === afterDot) {
        if (bytes[at] === cr) {
          run = ++at // not content, should the LF follow; should it not, the message is refused
          state = afterDotCr
        } else {
          if (bytes[at] === dot) this.dotLines = true
          state = inLine
        }
      } else if (bytes[at] === lf) {
        this.ended = true
        this.#state = lineStart
        return at + 1
      } else {
        this.bareLineEnd = true
        state = inLine
      }
    }
    this.#emit(bytes, run, to)
    this.#state = state
    this.#lineBytes = to - line
    return to
  }

  /** No more octets follow (BDAT LAST): a CR at the very end has lost its LF, and a line without CRLF gets one. */
  finish(): void {
    if (this.#state === afterCr) this.bareLineEnd = true
    else if (this.#state === inLine && this.#lineBytes + 2 > contentLineBytesMax.value) this.longLine = true
  }

  #headerLine(lineBytes: number, contentBytes: number): void {
    this.headerLines++
    if (lineBytes === 2) this.headerEnd = contentBytes
  }

  #emit(bytes: Buffer, start: number, end: number): void {
    if (start >= end) return
    this.#sink.content(bytes, start, end)
    this.#bytes += end - start
  }

  /**
   * Offset of the next byte below 14, which CR, LF and NUL are and text seldom is; `to` when there is none. Four bytes at
   * a time: in (x − 0x0e0e0e0e) & ~x the top bit of a byte shows that it was smaller than 14. A borrow may mark a larger byte too, but
   * only above one that is truly smaller, so that the lowest mark is always right.
   */
  #nextMark(bytes: Buffer, words: Int32Array, from: number, to: number): number {
    const base = bytes.byteOffset
    const wordEnd = (base + to) >> 2
    let word = (base + from) >> 2
    let bits = this.#bits
    let at = from
    if (words.length > 0 && word < wordEnd) {
      // What lies before `from` in its word belongs to somebody else: ones are neither marks nor, taken out again, bits.
      const before = (1 << (((base + from) & 3) << 3)) - 1
      let four = words[word] as number
      bits |= four & ~before
      four |= before
      let marks = (four - 0x0e0e0e0e) & ~four & 0x80808080
      while (marks === 0 && ++word < wordEnd) {
        four = words[word] as number
        bits |= four
        marks = (four - 0x0e0e0e0e) & ~four & 0x80808080
      }
      at = (word << 2) - base
      if (marks !== 0) {
        this.#bits = bits
        return at + ((31 - Math.clz32(marks & -marks)) >> 3)
      }
    }
    while (at < to) {
      const byte = bytes[at] as number
      bits |= byte
      if (byte < 14) break
      at++
    }
    this.#bits = bits
    return at
  }
}
