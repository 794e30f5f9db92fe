/**
 * SMTP replies as a client reads them (RFC 5321 §4.2, §4.2.1): bytes in, any split; whole replies out.
 *
 *   250-mx.example.net\r\n        every line carries the code; "-" says that more lines follow
 *   250 SIZE 1000\r\n             " " or the end of the line says that this was the last one
 *
 * A lone LF ends a line too, because it cannot be taken for anything else in a reply. What is not a reply is a fault, and the
 * parser stays faulty: after that the conversation means nothing.
 */
import { replyLineBytesMax, replyLinesMax } from './limits.ts'

const LF = 10
const CR = 13
const SPACE = 32
const HYPHEN = 45
const ZERO = 48

/** One whole reply. Its text is made only when asked for, because most replies are judged by their code alone. */
export class Reply {
  readonly code: number
  readonly #earlier: readonly string[]
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number

  constructor(code: number, earlier: readonly string[], bytes: Buffer, start: number, end: number) {
    this.code = code
    this.#earlier = earlier
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** 2 … 5: the digit that decides (RFC 5321 §4.2.1). */
  get digit(): number {
    return (this.code / 100) | 0
  }

  /** Text of the last line, which is the whole text of most replies. One character per byte. */
  get lastLine(): string {
    return this.#bytes.toString('latin1', this.#start, this.#end)
  }

  /** First byte of the last line's text, 0 when it is empty. */
  get firstTextByte(): number {
    return this.#start < this.#end ? (this.#bytes[this.#start] as number) : 0
  }

  /** Text of every line without its code. One character per byte. */
  lines(): string[] {
    return [...this.#earlier, this.lastLine]
  }

  get multiline(): boolean {
    return this.#earlier.length > 0
  }
}

const nothing = Buffer.alloc(0)
const noLines: readonly string[] = []

export class ReplyParser {
  /** Why the bytes are no reply; null as long as they are. */
  fault: string | null = null
  #bytes: Buffer = nothing
  /** Start of the line under way, and how far it has been searched for its end. */
  #line = 0
  #searched = 0
  /** Of the reply under way: its code, 0 before its first line is whole, and the text of the lines read so far. */
  #code = 0
  #earlier: string[] = []

  /** True between replies, with no byte left over. */
  get empty(): boolean {
    return this.#line === this.#bytes.length && this.#code === 0
  }

  /** Takes the bytes over: the caller must not change them. Call `take` until it returns null before feeding more. */
  feed(bytes: Buffer): void {
    if (this.#line === this.#bytes.length) {
      this.#bytes = bytes
      this.#line = 0
      this.#searched = 0
      return
    }
    const rest = this.#bytes.subarray(this.#line)
    this.#bytes = Buffer.concat([rest, bytes])
    this.#searched -= this.#line
    this.#line = 0
  }

  /** The next whole reply; null when more bytes are needed, or when `fault` is set. */
  take(): Reply | null {
    while (this.fault === null) {
      const lineEnd = this.#findLineEnd()
      if (lineEnd === -1) return null
      const reply = this.#readLine(this.#line, lineEnd)
      this.#line = lineEnd + 1
      this.#searched = this.#line
      if (reply !== null) return reply
    }
    return null
  }

  #findLineEnd(): number {
    const bytes = this.#bytes
    const bound = Math.min(bytes.length, this.#line + replyLineBytesMax.value)
    let at = this.#searched
    while (at < bound && bytes[at] !== LF) at++
    this.#searched = at
    if (at < bound) return at
    if (at - this.#line >= replyLineBytesMax.value)
      this.fault = `a reply line is longer than ${replyLineBytesMax.value} bytes`
    return -1
  }

  /** Reads the line bytes[start … lineEnd), and returns the reply that it completes. */
  #readLine(start: number, lineEnd: number): Reply | null {
    const bytes = this.#bytes
    const end = lineEnd > start && bytes[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
    const code = readCode(bytes, start, end)
    if (code === -1) return this.#fail('a line does not begin with a reply code from 200 to 599')
    if (this.#code !== 0 && code !== this.#code) return this.#fail(`codes ${this.#code} and ${code} in one reply`)
    const mark = end > start + 3 ? bytes[start + 3] : SPACE
    const textStart = Math.min(start + 4, end)
    if (mark === SPACE) {
      const earlier = this.#code === 0 ? noLines : this.#earlier
      if (this.#code !== 0) this.#earlier = []
      this.#code = 0
      return new Reply(code, earlier, bytes, textStart, end)
    }
    if (mark !== HYPHEN) return this.#fail('a reply code is followed by neither a space nor a hyphen')
    if (this.#earlier.length + 1 >= replyLinesMax.value)
      return this.#fail(`more than ${replyLinesMax.value} lines in one reply`)
    this.#code = code
    this.#earlier.push(bytes.toString('latin1', textStart, end))
    return null
  }

  #fail(fault: string): null {
    this.fault = fault
    return null
  }
}

/** RFC 5321 §4.2: Reply-code = %x32-35 %x30-35 %x30-39; a second digit up to 9 is put up with. −1 when it is not one. */
function readCode(bytes: Buffer, start: number, end: number): number {
  if (end - start < 3) return -1
  const a = (bytes[start] as number) - ZERO
  const b = (bytes[start + 1] as number) - ZERO
  const c = (bytes[start + 2] as number) - ZERO
  if (a < 2 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9) return -1
  return a * 100 + b * 10 + c
}
