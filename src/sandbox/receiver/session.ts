/**
 * One SMTP session (RFC 5321), played by the script: connection, lines, answers, hello, TLS and login; mail itself is in mailing.ts.
 * Input is consumed in order; `#busy` holds it back while an answer waits for its latency, for a ledger, or for ever. Where the script
 * says nothing no closure and no promise is on the way.
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Timer } from '../../kernel/clock.ts'
import { type Answer, type Chosen, codeOf, isSuccess } from './behaviour.ts'
import type { SessionHost } from './host.ts'
import { Login } from './login.ts'
import { Mailing } from './mailing.ts'
import { AnswerPlayer } from './player.ts'
import type { Ending } from './script.ts'

/** RFC 5321 §4.5.3.1.4 asks for 512; extensions add to it, and a receiver that plays others should not be the narrowest. */
const lineBytesMax = 4_096
/** Input held back while an answer waits. */
const heldBytesMax = 1024 * 1024
/** After our FIN, for the client to read the last reply and leave. */
const lingerMsMax = 5_000

const empty: Buffer = Buffer.alloc(0)
const crlf = Buffer.from('\r\n', 'latin1')

export class Session {
  readonly id: number
  readonly connectedMs: number
  readonly peer: { readonly address: string; readonly port: number }
  readonly login = new Login()
  helo = ''
  /** Protocol and cipher; null in clear. */
  tls: string | null = null
  readonly #host: SessionHost
  readonly #idle: Timer
  readonly #player: AnswerPlayer
  readonly #mailing: Mailing
  /** The TCP connection, under TLS too: only it can be reset. */
  readonly #transport: Socket
  #socket: Socket
  #linger: Timer | null = null
  #input: Buffer = empty
  #at = 0
  #busy = false
  #over = false

  constructor(host: SessionHost, socket: Socket, id: number, implicitTls: boolean) {
    this.id = id
    this.#host = host
    this.#transport = socket
    this.#socket = socket
    this.connectedMs = host.clock.nowMs()
    this.peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    this.#idle = host.clock.after(host.played.idleMsMax, () => this.#expire())
    this.#player = new AnswerPlayer(host.clock, host.random)
    this.#mailing = new Mailing(this, host)
    socket.on('error', () => {})
    socket.on('close', () => this.#closed())
    if (implicitTls) this.#secure(() => this.#greet())
    else {
      this.#listen(socket)
      this.#greet()
    }
  }

  get messages(): number {
    return this.#mailing.messages
  }

  #listen(socket: Socket): void {
    this.#player.socket = socket
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
  }

  #greet(): void {
    const { played, counters } = this.#host
    if (counters.connectionsOpen > played.connectionsMax) return this.hangUp('421 4.7.0 too many connections\r\n')
    this.answer(played.connect, '', `220 ${played.hostname} ESMTP\r\n`, null)
    this.#player.flush()
  }

  #received(chunk: Buffer): void {
    if (this.#over) return
    this.#idle.refresh()
    this.#input = this.#at === this.#input.length ? chunk : Buffer.concat([this.#input.subarray(this.#at), chunk])
    this.#at = 0
    if (!this.#busy) this.#run()
    else if (this.#input.length > heldBytesMax) this.#socket.pause()
  }

  #run(): void {
    while (!this.#busy && !this.#over && this.#at < this.#input.length) {
      if (this.#mailing.receiving) this.#at = this.#mailing.receive(this.#input, this.#at)
      else if (!this.#consumeLine()) break
    }
    this.#player.flush()
  }

  #consumeLine(): boolean {
    const end = this.#input.indexOf(crlf, this.#at)
    const length = (end === -1 ? this.#input.length : end) - this.#at
    if (length > lineBytesMax) {
      this.hangUp('500 5.5.2 line too long\r\n')
      return true
    }
    if (end === -1) return false
    const line = this.#input.toString('utf8', this.#at, end)
    this.#at = end + 2
    const { played } = this.#host
    // RFC 5321 §2.3.8: nothing but CRLF ends a line, and neither half may stand alone.
    if (line.includes('\n') || line.includes('\r')) this.say('500 5.5.2 bare line end\r\n')
    else if (this.login.waiting) this.say(this.login.answer(line, played.auth ?? null))
    else if (!played.pipelining && this.#at < this.#input.length && !/^BDAT /i.test(line)) {
      this.hangUp('421 5.5.0 commands came in a group, though PIPELINING was not offered\r\n')
    } else this.#command(line)
    return true
  }

  #command(line: string): void {
    const { played } = this.#host
    switch (line.slice(0, 4).toUpperCase()) {
      case 'MAIL':
        return this.#mailing.mail(line)
      case 'RCPT':
        return this.#mailing.rcpt(line)
      case 'DATA':
        return this.#mailing.data()
      case 'BDAT':
        return this.#mailing.bdat(line)
      case 'EHLO':
      case 'HELO':
        return this.#hello(line)
      case 'RSET':
        this.#mailing.reset()
        return this.say('250 2.0.0 forgotten\r\n')
      case 'NOOP':
        return this.say('250 2.0.0 ok\r\n')
      case 'VRFY':
        return this.say('252 2.1.5 send some mail and see\r\n')
      case 'QUIT':
        return this.answer(played.quit, '', '221 2.0.0 bye\r\n', () => this.hangUp(''))
      case 'STAR':
        return this.#startTls(line)
      case 'AUTH':
        return this.say(this.login.begin(line, played.auth ?? null))
      default:
        return this.say('500 5.5.1 command not known\r\n')
    }
  }

  #hello(line: string): void {
    const { played } = this.#host
    const name = line.slice(5).trim()
    if (name === '') return this.say('501 5.5.4 a name is missing\r\n')
    const extended = /^E/i.test(line)
    const lines = [played.hostname, ...played.ehloLines]
    if (played.startTls && this.tls === null) lines.push('STARTTLS')
    const reply = lines.map((text, index) => `250${index < lines.length - 1 ? '-' : ' '}${text}\r\n`).join('')
    this.answer(extended ? played.ehlo : played.helo, '', extended ? reply : `250 ${played.hostname}\r\n`, (code) => {
      if (!isSuccess(code)) return
      this.helo = name
      this.#mailing.reset()
    })
  }

  #startTls(line: string): void {
    const { played } = this.#host
    if (line.toUpperCase() !== 'STARTTLS') return this.say('501 5.5.4 STARTTLS has no parameters\r\n')
    if (!played.startTls || this.tls !== null) return this.say('503 5.5.1 STARTTLS was not offered\r\n')
    this.answer(played.startTlsAnswer, '', '220 2.0.0 go ahead\r\n', (code) => {
      if (code !== 220) return
      this.#player.flush()
      this.#secure(() => {})
    })
  }

  #secure(ready: () => void): void {
    const { secureContext, counters } = this.#host
    if (secureContext === null) return this.close('reset')
    this.#transport.removeAllListeners('data')
    // RFC 3207 §4.2 and §5: nothing said before the handshake counts, least of all commands that came with STARTTLS.
    this.#input = empty
    this.#at = 0
    this.helo = ''
    this.#mailing.reset()
    const socket = new TLSSocket(this.#transport, { isServer: true, secureContext })
    socket.on('error', () => this.#transport.destroy())
    socket.on('close', () => this.#transport.destroy())
    socket.on('secure', () => {
      counters.tls++
      if (socket.isSessionReused()) counters.tlsResumed++
      this.tls = `${socket.getProtocol() ?? ''} ${socket.getCipher().name}`
      ready()
    })
    this.#socket = socket
    this.#listen(socket)
  }

  // Answers, for mailing too

  /** Says this line or group of lines with the next flush. */
  say(reply: string): void {
    if (codeOf(reply) >= 400) this.#host.counters.refused++
    this.#player.add(reply)
  }

  /** Gives the usual answer, or what fires in its place, then calls `done` with its code: 0 when it has none. */
  answer(chosen: Chosen<Answer>, recipient: string, usual: string, done: ((code: number) => void) | null): void {
    this.give(chosen === null ? null : chosen.choose(recipient, ''), usual, done)
  }

  give(answer: Answer | null, usual: string, done: ((code: number) => void) | null): void {
    if (answer === null) {
      this.say(usual)
      done?.(codeOf(usual))
      return
    }
    this.#busy = true
    let returned = false
    this.#player.play(answer, usual, () => {
      if (this.#over) return
      const code = answer.bytes === null ? codeOf(usual) : answer.code
      if (code >= 400) this.#host.counters.refused++
      if (answer.ending !== null) return this.endByScript(answer.ending)
      this.#busy = false
      done?.(code)
      if (returned) this.#resume()
    })
    returned = true
  }

  /** Gives the answer once `before` has settled; `failed` in its place when that rejects. */
  giveAfter(before: Promise<void>, answer: Answer | null, usual: string, failed: string): void {
    this.#busy = true
    const go = (played: Answer | null, reply: string): void => {
      if (this.#over) return
      this.#busy = false
      this.give(played, reply, null)
      this.#resume()
    }
    before.then(
      () => go(answer, usual),
      () => go(null, failed),
    )
  }

  #resume(): void {
    if (this.#over || this.#busy) return this.#player.flush()
    this.#socket.resume()
    this.#run()
  }

  /** Reads on after `delayMs`; null never. */
  pauseReading(delayMs: number | null): void {
    this.#socket.pause()
    if (delayMs !== null) this.#player.later(delayMs, () => this.#socket.resume())
  }

  // Endings

  endByScript(ending: Ending): void {
    this.#host.counters.dropped++
    this.#player.flush()
    this.#busy = true
    // The idle timer lets go of a client that listens to silence for too long.
    if (ending !== 'silence') this.close(ending)
  }

  /** Says the last word and closes. */
  hangUp(reply: string): void {
    if (reply !== '') this.say(reply)
    this.#player.flush()
    this.close('close')
  }

  close(ending: 'close' | 'reset'): void {
    if (this.#over) return
    this.#over = true
    this.#player.stop()
    // Node 26 leaves a socket open for ever, and spins at exit, when a reset meets a shutdown under way.
    if (ending === 'reset') {
      const shutDown = this.#socket.writableEnded || this.#transport.writableEnded
      if (shutDown) this.#transport.destroy()
      else this.#transport.resetAndDestroy()
      return
    }
    // What the client still sends is read and thrown away: unread bytes would turn the close into a reset that eats the last reply.
    this.#socket.resume().end()
    this.#linger = this.#host.clock.after(lingerMsMax, () => this.#transport.destroy())
  }

  /** As when the server's process is killed: the system closes what was open. */
  die(): void {
    this.#over = true
    this.#transport.destroy()
  }

  #expire(): void {
    if (this.#over) return
    if (this.#busy) this.close('close')
    else this.hangUp('421 4.4.2 idle for too long\r\n')
  }

  #closed(): void {
    this.#over = true
    this.#idle.cancel()
    this.#linger?.cancel()
    this.#player.stop()
    this.#host.closed(this)
  }
}
