/**
 * Messages to load a server with: exactly so many bytes, each with its own id in the first field, in Message-ID and in the first body
 * line, so that mixed or shortened content shows. The rest of the body is one prepared block, copied.
 */
import { hash } from 'node:crypto'
import { invariant } from '../../kernel/assert.ts'
import type { Clock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { markField } from '../ledger/compare.ts'

/** Header with the longest addresses, and one line of body. */
const messageBytesMin = 1_024

export interface SourceMessage {
  readonly id: string
  readonly from: string
  readonly to: string
  /** Content and the final dot, as it goes on the wire; no line of it begins with a dot. */
  readonly wire: Buffer
}

const lineBytes = 80

export class MessageMaker {
  readonly #bytes: number
  readonly #run: string
  readonly #clock: Clock
  readonly #filler: Buffer
  #dateSecond = -1
  #date = ''

  /** `run` is a word that sets the ids of this run apart from those of others. */
  constructor(bytes: number, run: string, clock: Clock) {
    if (!Number.isSafeInteger(bytes) || bytes < messageBytesMin) {
      throw new PosthasteError(
        'message_too_small',
        `a message of ${bytes} bytes has no room for its header`,
        `Ask for at least ${messageBytesMin} bytes.`,
        {
          exitCode: 64,
        },
      )
    }
    this.#bytes = bytes
    this.#run = run
    this.#clock = clock
    const text = 'the quick brown fox jumps over the lazy dog and is back in time for the next one '
    const line = `${text.repeat(2).slice(0, lineBytes - 2)}\r\n`
    this.#filler = Buffer.from(line.repeat(Math.ceil(bytes / lineBytes)), 'latin1')
  }

  make(number: number, from: string, to: string): SourceMessage {
    const id = `${this.#run}-${number}`
    const head =
      `${markField}: ${id}\r\nDate: ${this.#now()}\r\nFrom: <${from}>\r\nTo: <${to}>\r\nMessage-ID: <${id}@source.test>\r\n` +
      `Subject: test ${id}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${id} of ${this.#bytes} bytes\r\n`
    const wire = Buffer.allocUnsafe(this.#bytes + 3)
    const start = wire.write(head, 0, 'utf8')
    invariant(
      start <= this.#bytes - 2,
      'the header fits into the smallest message, as addresses have at most 254 bytes',
    )
    this.#filler.copy(wire, start, 0, this.#bytes - start)
    // Whatever the length left no room for is cut, and the last line ends like the others.
    wire.write('\r\n.\r\n', this.#bytes - 2, 'latin1')
    // Were the cut to fall between the CR and LF of a line, a bare CR would stand before it.
    if (wire[this.#bytes - 3] === 0x0d) wire[this.#bytes - 3] = 0x78
    return { id, from, to, wire }
  }

  /** RFC 5322 §3.3, made once a second. */
  #now(): string {
    const second = Math.floor(this.#clock.nowMs() / 1000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#date = new Date(second * 1000).toUTCString().replace('GMT', '+0000')
    }
    return this.#date
  }
}

/** Hex digest of the content. */
export function contentSha256(message: SourceMessage): string {
  return hash('sha256', message.wire.subarray(0, message.wire.length - 3), 'hex')
}
