/** One connection of the source: greeting, EHLO, TLS, AUTH, and then message after message as the run hands them out. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { SourceMessage } from './message.ts'

export interface SessionOptions {
  readonly address: string
  readonly port: number
  readonly tls: { readonly mode: 'starttls' | 'implicit'; readonly ca?: string; readonly serverName?: string } | null
  readonly auth: { readonly user: string; readonly password: string } | null
  /** MAIL, RCPT and DATA in one write, where it is offered. */
  readonly pipelining: boolean
}

/** What the run is told. Exactly one of `finished` and `lost` follows each `send`. */
export interface SessionOwner {
  ready(session: SourceSession): void
  /** `code` is that of the reply that decided. The session will be `ready` again, or `lost`. */
  finished(session: SourceSession, code: number): void
  /** The connection is over; a message in hand has no answer. */
  lost(session: SourceSession, reason: string): void
}

type Step = 'greeting' | 'ehlo' | 'starttls' | 'auth' | 'ready' | 'mail' | 'rcpt' | 'data' | 'content' | 'rset' | 'over'

/** Far beyond any reply, so that an endless one ends. */
const replyBytesMax = 64 * 1024

export class SourceSession {
  /** These belong to the run: the message in hand and its times, and whether the connection has been counted. */
  message: SourceMessage | null = null
  counted = false
  dueMs = 0
  sentMs = 0
  readonly #options: SessionOptions
  readonly #owner: SessionOwner
  #socket: Socket
  #step: Step = 'greeting'
  #text = ''
  #extensions = ''
  #secured: boolean
  /** First refusal within the envelope of the message in hand; 0 is none. */
  #refusal = 0

  constructor(options: SessionOptions, owner: SessionOwner) {
    this.#options = options
    this.#owner = owner
    const { address: host, port, tls } = options
    this.#secured = tls?.mode === 'implicit'
    this.#socket = this.#secured
      ? connectTls({ host, port, ...this.#verification() })
      : connectTcp({ host, port, noDelay: true })
    this.#listen()
  }

  #verification(): { rejectUnauthorized: boolean; ca?: string; servername?: string } {
    const { ca, serverName } = this.#options.tls ?? {}
    const servername = serverName === undefined ? {} : { servername: serverName }
    return ca === undefined
      ? { rejectUnauthorized: false, ...servername }
      : { rejectUnauthorized: true, ca, ...servername }
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk))
    this.#socket.on('error', (error: Error) => this.#lose(error.message))
    this.#socket.on('close', () => this.#lose('the server closed the connection'))
  }

  /** Only when ready. */
  send(message: SourceMessage): void {
    this.message = message
    this.#refusal = 0
    this.#step = 'mail'
    const mail = `MAIL FROM:<${message.from}>\r\n`
    if (this.#pipelines) this.#socket.write(`${mail}RCPT TO:<${message.to}>\r\nDATA\r\n`)
    else this.#socket.write(mail)
  }

  get #pipelines(): boolean {
    return this.#options.pipelining && this.#extensions.includes('\nPIPELINING\n')
  }

  quit(): void {
    if (this.#step === 'over') return
    this.#step = 'over'
    this.#socket.write('QUIT\r\n')
    this.#socket.destroySoon()
  }

  abort(): void {
    this.#socket.destroy()
  }

  #lose(reason: string): void {
    if (this.#step === 'over') return
    this.#step = 'over'
    this.#socket.destroy()
    if (this.message !== null && this.#refusal !== 0) {
      this.#owner.finished(this, this.#refusal)
      this.message = null
    }
    this.#owner.lost(this, reason)
  }

  #received(chunk: Buffer): void {
    this.#text += chunk.toString('latin1')
    if (this.#text.length > replyBytesMax) return this.#lose('the server sent a reply without end')
    let at = 0
    for (let end = this.#text.indexOf('\r\n', at); end !== -1; end = this.#text.indexOf('\r\n', at)) {
      const line = this.#text.slice(at, end)
      at = end + 2
      if (this.#step === 'over') return
      if (this.#step === 'ehlo') this.#extensions += `${line.slice(4).toUpperCase()}\n`
      if (line[3] === '-') continue
      const code = Number(line.slice(0, 3))
      if (!(code >= 200 && code < 600)) return this.#lose(`the server sent ${JSON.stringify(line.slice(0, 80))}`)
      this.#reply(code, line)
    }
    if (at > 0) this.#text = this.#text.slice(at)
  }

  #reply(code: number, line: string): void {
    switch (this.#step) {
      case 'greeting':
      case 'ehlo':
      case 'starttls':
      case 'auth':
        return this.#prepared(code, line)
      case 'mail':
      case 'rcpt':
      case 'data':
        return this.#envelope(code)
      case 'content':
        return this.#finish(this.#refusal === 0 ? code : this.#refusal)
      case 'rset':
        return this.#ready()
      case 'ready':
        return this.#lose(`the server said unasked: ${line.slice(0, 200)}`)
      case 'over':
        return undefined
    }
  }

  #prepared(code: number, line: string): void {
    if (code >= 300) return this.#lose(`the server refused the session: ${line.slice(0, 200)}`)
    const { tls, auth } = this.#options
    if (this.#step === 'starttls') return this.#startTls()
    if (this.#step === 'greeting') return this.#hello()
    if (this.#step === 'ehlo' && tls !== null && !this.#secured) {
      this.#step = 'starttls'
      return void this.#socket.write('STARTTLS\r\n')
    }
    if (this.#step === 'ehlo' && auth !== null) {
      this.#step = 'auth'
      const response = Buffer.from(`\0${auth.user}\0${auth.password}`, 'utf8').toString('base64')
      return void this.#socket.write(`AUTH PLAIN ${response}\r\n`)
    }
    this.#ready()
  }

  #hello(): void {
    this.#step = 'ehlo'
    this.#extensions = '\n'
    this.#socket.write('EHLO source.test\r\n')
  }

  #startTls(): void {
    this.#secured = true
    const plain = this.#socket
    for (const event of ['data', 'error', 'close']) plain.removeAllListeners(event)
    plain.on('error', () => {})
    this.#socket = connectTls({ socket: plain, ...this.#verification() }, () => this.#hello())
    this.#listen()
  }

  /** Replies to MAIL, RCPT and DATA, which came in one group or one by one. */
  #envelope(code: number): void {
    const message = this.message as SourceMessage
    const wanted = this.#step === 'data' ? code === 354 : code < 300
    if (!wanted && this.#refusal === 0) this.#refusal = code
    if (this.#step === 'data') {
      this.#step = 'content'
      if (code !== 354) return this.#finish(this.#refusal)
      // RFC 2920 §3.1: a server may say 354 though it refused the recipient. Then there is nothing to send but the end of it.
      return void this.#socket.write(this.#refusal === 0 ? message.wire : '.\r\n')
    }
    if (this.#pipelines) this.#step = this.#step === 'mail' ? 'rcpt' : 'data'
    else if (!wanted) this.#finish(code)
    else if (this.#step === 'mail') {
      this.#step = 'rcpt'
      this.#socket.write(`RCPT TO:<${message.to}>\r\n`)
    } else {
      this.#step = 'data'
      this.#socket.write('DATA\r\n')
    }
  }

  #finish(code: number): void {
    const answered = this.#step === 'content' && this.#refusal === 0
    this.#step = 'rset'
    this.#owner.finished(this, code)
    this.message = null
    if (code === 421) return this.#lose('the server said 421')
    // After an accepted or refused content there is no transaction left; after a refused envelope there may be.
    if (answered) this.#ready()
    else this.#socket.write('RSET\r\n')
  }

  #ready(): void {
    this.#step = 'ready'
    this.#owner.ready(this)
  }
}
