/**
 * A connection of a client of the sending API, with one request at a time, that can be cut at any moment. Written by hand, because a client
 * library repeats, pools and pipelines by its own lights.
 */
import { connect, type Socket } from 'node:net'

export interface ApiReply {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** A POST of JSON, or a GET, as text that is ready to be written. */
export function apiRequest(request: {
  readonly path: string
  readonly secret: string
  readonly idempotencyKey?: string
  /** ASCII. */
  readonly body?: string
}): string {
  const { path, secret, idempotencyKey, body } = request
  const key = idempotencyKey === undefined ? '' : `Idempotency-Key: ${idempotencyKey}\r\n`
  const content =
    body === undefined ? '\r\n' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const method = body === undefined ? 'GET' : 'POST'
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${secret}\r\n${key}${content}`
}

export class ApiConnection {
  readonly #port: number
  #socket: Socket | null = null
  #text = ''
  #replied: ((reply: ApiReply | null) => void) | null = null

  constructor(port: number) {
    this.#port = port
  }

  /** Null: the connection ended before the reply was whole. Connects first when it is closed. */
  ask(request: string): Promise<ApiReply | null> {
    return new Promise((resolve) => {
      this.#replied = resolve
      this.#open().write(request, 'latin1')
    })
  }

  /** Settles when the request is on its way, and nobody is there any more to hear the answer. */
  askAndHangUp(request: string): Promise<void> {
    const socket = this.#open()
    this.#socket = null
    return new Promise((resolve) => {
      socket.once('close', () => resolve())
      socket.write(request, 'latin1', () => socket.destroy())
    })
  }

  close(): void {
    this.#socket?.destroy()
  }

  #open(): Socket {
    if (this.#socket !== null) return this.#socket
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    this.#text = ''
    socket.on('data', (chunk: Buffer) => this.#read(chunk.toString('latin1')))
    // What went wrong is told by the close that follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = null
      this.#end(null)
    })
    return socket
  }

  #read(text: string): void {
    this.#text += text
    const headEnd = this.#text.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const head = this.#text.slice(0, headEnd)
    const bodyStart = headEnd + 4
    const bodyEnd = bodyStart + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#text.length < bodyEnd) return
    const reply = { status: Number(head.slice(9, 12)), head, body: this.#text.slice(bodyStart, bodyEnd) }
    this.#text = ''
    if (/\r\nconnection: *close/i.test(head)) {
      this.#socket?.destroy()
      this.#socket = null
    }
    this.#end(reply)
  }

  #end(reply: ApiReply | null): void {
    const replied = this.#replied
    this.#replied = null
    replied?.(reply)
  }
}
