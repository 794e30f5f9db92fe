/**
 * Command lines out of a stream (RFC 5321 §2.3.8: lines end in CRLF only). A line is bounded: one that grows beyond its limit is
 * answered at once and then read to its end without being kept, so that the session stays in step.
 */
import { commandText } from '../../standards/smtp-command.ts'
import { authLineBytesMax, commandBytesMax, envelopeCommandBytesMax, refusedLineBytesMax } from './limits.ts'

type LineVerdict = 'incomplete' | 'line' | 'malformed' | 'too-long' | 'endless'

const lf = 0x0a
const cr = 0x0d

export class LineReader {
  #text = ''
  /** Where in the chunk reading goes on. */
  next = 0
  /** The unfinished line, a character per byte: no more memory than what was sent, where a Buffer would keep a slab of 8 KiB alive. */
  #partial = ''
  /** Octets of a line that was refused for its length; 0 when none is being skipped. */
  #skippedBytes = 0

  /** A line is half read. */
  get pending(): boolean {
    return this.#partial !== '' || this.#skippedBytes > 0
  }

  /** The line, when the verdict was 'line'. It may be a password, and is not kept. */
  take(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  /** Forgets what it was in the middle of. */
  clear(): void {
    this.#text = ''
    this.#partial = ''
    this.#skippedBytes = 0
  }

  /** Reads on at `bytes[from]`. A login's answer (`login`) may be as long as AUTH itself. */
  read(bytes: Buffer, from: number, login: boolean): LineVerdict {
    const lineEnd = bytes.indexOf(lf, from)
    const end = lineEnd < 0 ? bytes.length : lineEnd + 1
    this.next = end
    if (this.#skippedBytes > 0) return this.#skip(end - from, lineEnd >= 0)

    let line = bytes
    let start = from
    let stop = end
    if (this.#partial !== '') {
      line = Buffer.from(this.#partial + bytes.toString('latin1', from, end), 'latin1')
      start = 0
      stop = line.length
      this.#partial = ''
    }
    if (stop - start > commandBytesMax.value && stop - start > lineBytesMax(line, start, login)) {
      if (lineEnd < 0) this.#skippedBytes = stop - start
      return 'too-long'
    }
    if (lineEnd < 0) {
      this.#partial = line.toString('latin1', start, stop)
      return 'incomplete'
    }
    if (stop - start < 2 || line[stop - 2] !== cr) return 'malformed'
    const text = commandText(line, start, stop - 2)
    if (text === null) return 'malformed'
    this.#text = text
    return 'line'
  }

  #skip(bytes: number, complete: boolean): LineVerdict {
    this.#skippedBytes += bytes
    if (this.#skippedBytes > refusedLineBytesMax.value) return 'endless'
    if (complete) this.#skippedBytes = 0
    return 'incomplete'
  }
}

function lineBytesMax(line: Buffer, start: number, login: boolean): number {
  if (login) return authLineBytesMax.value
  const verb = line.toString('latin1', start, start + 5).toUpperCase()
  if (verb === 'AUTH ') return authLineBytesMax.value
  return verb === 'MAIL ' || verb === 'RCPT ' ? envelopeCommandBytesMax.value : commandBytesMax.value
}
