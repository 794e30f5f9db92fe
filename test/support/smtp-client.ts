/** A raw SMTP client: sends the bytes that it is given, reads whole replies, and knows how the connection ended. Nothing is checked. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface SmtpReply {
  readonly code: number
  /** "5.7.1"; '' when the reply has none. */
  readonly enhanced: string
  /** Last line, without codes. */
  readonly text: string
  /** All lines, codes and all. */
  readonly lines: readonly string[]
  /** "550 5.7.1" or "354": what the rows of the catalogue ask for. */
  readonly codes: string
}

export class SmtpClient {
  #socket: Socket
  #received = ''
  #ended = false
  #changed: (() => void)[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#listen(socket)
  }

  /** Connects to 127.0.0.1, or to what `options` say, with TLS at once when asked. `early` goes out with the handshake. The greeting is not read. */
  static async connect(
    port: number,
    options: { tls?: boolean; host?: string; localAddress?: string; early?: string } = {},
  ): Promise<SmtpClient> {
    const { tls = false, host = '127.0.0.1', localAddress, early } = options
    const target = { host, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) }
    const socket = tls ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target)
    const client = new SmtpClient(socket)
    if (early !== undefined) client.send(early)
    await once(socket, tls ? 'secureConnect' : 'connect')
    return client
  }

  /** Connects, reads the greeting, says EHLO. */
  static async hello(port: number, options: Parameters<typeof SmtpClient.connect>[1] = {}): Promise<SmtpClient> {
    const client = await SmtpClient.connect(port, options)
    await client.reply()
    await client.command('EHLO client.example')
    return client
  }

  /** Latin-1 when it is text. */
  send(bytes: string | Buffer): void {
    this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Sends a line and reads its reply. */
  async command(line: string): Promise<SmtpReply> {
    this.send(`${line}\r\n`)
    return this.reply()
  }

  /** Several in turn; the last one's codes. */
  async commands(...lines: string[]): Promise<string> {
    let codes = ''
    for (const line of lines) codes = (await this.command(line)).codes
    return codes
  }

  /** The next reply; rejects when the connection ends first. */
  async reply(): Promise<SmtpReply> {
    for (;;) {
      const match = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/.exec(this.#received)
      if (match !== null) {
        this.#received = this.#received.slice(match[0].length)
        return parseReply(match[0].split('\r\n').slice(0, -1))
      }
      if (this.#ended) throw new Error(`the connection ended; left over: ${JSON.stringify(this.#received)}`)
      await this.#change()
    }
  }

  /** Waits for the server to close, and gives what it still said. */
  async closed(): Promise<string> {
    while (!this.#ended) await this.#change()
    return this.#received
  }

  /** Upgrades after the 220 to STARTTLS. */
  async startTls(): Promise<void> {
    const plain = this.#socket.removeAllListeners('data').removeAllListeners('end')
    const secure = connectTls({ socket: plain, rejectUnauthorized: false })
    this.#socket = secure
    this.#listen(secure)
    await once(secure, 'secureConnect')
  }

  /** Half-closes: the server sees the end of what we send, and may still reply. */
  end(): void {
    this.#socket.end()
  }

  /** Stops reading, so that the server's sends fill up. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }

  #listen(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString('latin1')
      this.#wake()
    })
    const ended = (): void => {
      this.#ended = true
      this.#wake()
    }
    socket.on('end', ended)
    socket.on('error', ended)
    socket.on('close', ended)
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake()
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#changed.push(resolve))
  }
}

function parseReply(lines: readonly string[]): SmtpReply {
  const last = lines.at(-1) ?? ''
  const [, code = '0', enhanced = '', text = ''] = /^(\d{3})(?: (\d\.\d{1,3}\.\d{1,3}))?(?: (.*))?$/.exec(last) ?? []
  return { code: Number(code), enhanced, text, lines, codes: enhanced === '' ? code : `${code} ${enhanced}` }
}
