/** A client without manners or intelligence: sends the bytes it is told to and shows what came back. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

export class RawClient {
  socket: Socket | TLSSocket
  /** Everything received since the last `reply`. */
  pending = ''
  /** How the connection ended; null while it is open. */
  ended: 'end' | 'reset' | null = null
  #changed: (() => void)[] = []

  constructor(socket: Socket | TLSSocket) {
    this.socket = socket
    this.#listen()
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    const client = new RawClient(socket)
    // Whoever is reset at once is connected as well: `ended` says the rest.
    await new Promise<void>((resolve) => void socket.once('connect', resolve).once('close', () => resolve()))
    return client
  }

  #listen(): void {
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => {
      this.pending += text
      this.#wake()
    })
    this.socket.on('end', () => this.#end('end'))
    this.socket.on('error', () => this.#end('reset'))
    this.socket.on('close', () => this.#end('end'))
  }

  #end(how: 'end' | 'reset'): void {
    this.ended ??= how
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake()
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#changed.push(resolve))
  }

  send(bytes: string): void {
    this.socket.write(bytes, 'latin1')
  }

  /** The next whole reply, its lines joined by \n; what there was when the connection ended before it was whole. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.pending)
      if (match !== null) {
        this.pending = this.pending.slice(match[0].length)
        return match[0].trimEnd().replaceAll('\r\n', '\n')
      }
      if (this.ended !== null) return this.pending
      await this.#change()
    }
  }

  /** Sends a line and gives its reply. */
  async ask(line: string): Promise<string> {
    this.send(`${line}\r\n`)
    return this.reply()
  }

  /** Sends lines one by one and gives the codes of their replies. */
  async codes(...lines: string[]): Promise<string> {
    const codes: string[] = []
    for (const line of lines) codes.push((await this.ask(line)).slice(0, 3))
    return codes.join(' ')
  }

  /** Greeting and EHLO. */
  async hello(): Promise<string> {
    await this.reply()
    return this.ask('EHLO client.test')
  }

  /** One message in one go; the reply to its content. */
  async mail(to: string, content = 'Subject: hi\r\n\r\nhello\r\n'): Promise<string> {
    const codes = await this.codes('MAIL FROM:<s@client.test>', `RCPT TO:<${to}>`, 'DATA')
    if (codes !== '250 250 354') return codes
    return this.ask(`${content}.`)
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.ended !== null) throw new Error(`connection ended while waiting, pending: ${this.pending}`)
      await this.#change()
    }
  }

  async end(): Promise<'end' | 'reset'> {
    while (this.ended === null) await this.#change()
    return this.ended
  }

  /** Starts TLS without judging the certificate. */
  async secure(session?: Buffer): Promise<TLSSocket> {
    for (const event of ['data', 'end', 'error', 'close']) this.socket.removeAllListeners(event)
    const socket = connectTls({ socket: this.socket, rejectUnauthorized: false, ...(session && { session }) })
    this.socket = socket
    this.#listen()
    await once(socket, 'secureConnect')
    return socket
  }
}
