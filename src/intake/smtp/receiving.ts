/**
 * The receiving of content: after DATA up to the final dot, after BDAT as many octets as were announced. Octets of a chunk that was refused are read all
 * the same and go nowhere, so that the session stays in step (RFC 3030 §2).
 */
import { type Failure, failures } from '../../model/failures.ts'
import { oversizeFactorMax } from './limits.ts'
import type { IncomingMessage } from './message.ts'
import type { Session } from './session.ts'

export class Receiving {
  readonly #session: Session
  #chunkBytesLeft = 0
  #chunkLast = false
  #chunkKept = false

  constructor(session: Session) {
    this.#session = session
  }

  startData(): void {
    const session = this.#session
    session.phase = 'data'
    session.pace.contentBegins()
    session.reply('354 end data with <CR><LF>.<CR><LF>')
  }

  /** `kept` is false for octets that are read only to stay in step: then the reply has been given. */
  startChunk(bytes: number, last: boolean, kept: boolean): void {
    const session = this.#session
    if (session.closed) return
    session.phase = 'chunk'
    session.pace.contentBegins()
    this.#chunkBytesLeft = bytes
    this.#chunkLast = last
    this.#chunkKept = kept
    if (bytes === 0) this.#endOfChunk()
  }

  /** Reads on at `bytes[from]`, as far as the final dot; returns how far it came. */
  data(bytes: Buffer, from: number): number {
    const message = this.#session.message as IncomingMessage
    const next = message.scan(bytes, from, bytes.length)
    this.#session.pace.content(next - from)
    if (message.ended) this.#endOfContent(message)
    else this.#checkOversize(message)
    return next
  }

  /** The same as far as the chunk's last octet. */
  chunk(bytes: Buffer, from: number): number {
    const next = Math.min(bytes.length, from + this.#chunkBytesLeft)
    this.#session.pace.content(next - from)
    this.#chunkBytesLeft -= next - from
    if (this.#chunkKept) {
      const message = this.#session.message as IncomingMessage
      message.scan(bytes, from, next)
      this.#checkOversize(message)
    }
    if (this.#chunkBytesLeft === 0 && !this.#session.closed) this.#endOfChunk()
    return next
  }

  #checkOversize(message: IncomingMessage): void {
    const { config, counters } = this.#session.server
    if (message.contentBytes <= oversizeFactorMax.value * config.messageBytesMax) return
    counters.messagesRefused++
    this.#session.end(failures.messageTooBig(config.messageBytesMax), 'content')
  }

  #endOfChunk(): void {
    const session = this.#session
    session.phase = 'command'
    if (!this.#chunkKept) return
    const message = session.message as IncomingMessage
    if (this.#chunkLast) return this.#endOfContent(message)
    const complaint = message.complaint()
    if (complaint === null) session.reply('250 2.0.0 chunk received')
    else this.#refuse(complaint)
  }

  #endOfContent(message: IncomingMessage): void {
    this.#session.pace.progress()
    const failure = this.#session.handover.begin(message)
    if (failure !== null) this.#refuse(failure)
  }

  #refuse(failure: Failure): void {
    const session = this.#session
    session.phase = 'command'
    session.server.counters.messagesRefused++
    session.refuse(failure, 'content')
    session.reset()
  }
}
