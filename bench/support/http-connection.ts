/**
 * One kept HTTP/1.1 connection with at most one request under way. Written and read by hand, because at thousands of requests a second a
 * client library would take most of the machine that is to be measured.
 */
import { connect, type Socket } from 'node:net'

export interface HttpReply {
  readonly status: number
  /** Latin-1 text of the body: an id or a status in it is ASCII. */
  readonly body: string
}

/** Null: the connection ended before the reply was whole. */
export type Replied = (reply: HttpReply | null) => void

export class HttpConnection {
  readonly #port: number
  #socket: Socket | null = null
  #text = ''
  #replied: Replied | null = null

  constructor(port: number) {
    this.#port = port
  }

  /** Latin-1 text of a whole request. Connects first when the server has closed. */
  ask(request: string, replied: Replied): void {
    this.#replied = replied
    this.#socket ??= this.#open()
    this.#socket.write(request, 'latin1')
  }

  close(): void {
    this.#replied = null
    this.#socket?.destroy()
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    socket.on('data', (chunk: Buffer) => this.#read(chunk.toString('latin1')))
    // What went wrong is told by the close that follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#socket = null
      this.#text = ''
      this.#end(null)
    })
    return socket
  }

  #read(text: string): void {
    this.#text += text
    const headEnd = this.#text.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#text.slice(0, headEnd))?.[1]
    if (length === undefined) throw new Error(`a reply has no Content-Length:\n${this.#text.slice(0, headEnd)}`)
    const bodyStart = headEnd + 4
    const end = bodyStart + Number(length)
    if (this.#text.length < end) return
    const reply = { status: Number(this.#text.slice(9, 12)), body: this.#text.slice(bodyStart, end) }
    this.#text = ''
    this.#end(reply)
  }

  #end(reply: HttpReply | null): void {
    const replied = this.#replied
    this.#replied = null
    replied?.(reply)
  }
}
