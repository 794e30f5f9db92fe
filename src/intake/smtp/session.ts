/**
 * One SMTP session: a state machine that knows no sockets. `phase` is the whole of its state; what a phase needs lives in the message or
 * the login exchange and dies with it, through the one `reset()`.
 *
 *                      ┌──────── STARTTLS ─> tls ─┐ (starts anew: nothing is carried across, RFC 3207 §4.2)
 *   [implicit TLS ─>]  │                          v
 *   greeting ──220──> command <─────────────── greeting is not repeated
 *                      │ ^ AUTH <─> auth
 *                      │ │ BDAT ──> chunk ──250/5xx──┐
 *                      │ │ DATA ──> data ──┐         │
 *                      │ └──── 250/4xx <── commit <──┘ LAST
 *                      v
 *                    closed
 *
 *   receiving   content after DATA and BDAT            replies   gathered, and written once per chunk of input
 *   handover    the message between client and spool   pace      how long the client is waited for
 *
 * Input that arrives while a commit, a TLS handshake, the spool or the peer's own slowness is waited for is held, in order, and is bounded
 * by pausing the socket. An idle session holds itself, its socket and nothing else: no buffer, no timer.
 */
import { type Failure, failures } from '../../model/failures.ts'
import type { Client } from '../../ports/clients.ts'
import { commandArguments, commandVerb } from '../../standards/smtp-command.ts'
import type { Peer } from '../peer.ts'
import { commands, foreignVerbs } from './commands.ts'
import { Handover } from './handover.ts'
import { HeldInput } from './held-input.ts'
import { badCommandsMax, greetingDelayMs, repliesBytesMax } from './limits.ts'
import { LineReader } from './line-reader.ts'
import type { IncomingMessage } from './message.ts'
import { Pace } from './pace.ts'
import { Receiving } from './receiving.ts'
import { Replies } from './replies.ts'
import type { IntakeStage, SmtpServer } from './server.ts'

/** What the session asks of its connection. */
export interface Link {
  /** False: the peer does not fetch its replies; `session.sendReady()` follows. */
  send(replies: string): boolean
  pause(): void
  resume(): void
  /** Calls back when everything that had arrived by now was handed over. */
  whenRead(then: () => void): void
  /** Begins TLS as server; `session.secured()` follows. */
  startTls(): void
  /** Closes once everything is sent. */
  end(): void
  /** Closes now. */
  destroy(): void
}

export type Phase = 'greeting' | 'command' | 'auth' | 'data' | 'chunk' | 'commit' | 'tls' | 'closed'

/** A login that waits for the client's next line. */
export interface LoginExchange {
  line(text: string): void
}

const tlsHandshakeRecord = 0x16

export class Session {
  readonly server: SmtpServer
  readonly peer: Peer
  readonly link: Link
  /** STARTTLS can be had. */
  readonly tlsAvailable: boolean
  phase: Phase
  secure = false
  hello = ''
  extended = false
  /** Of the login; without one, of the open message, because where there is no login the sender tells who is meant. */
  client: Client | null = null
  authenticated = false
  loginFailures = 0
  message: IncomingMessage | null = null
  readonly receiving: Receiving
  readonly handover: Handover
  readonly pace: Pace
  readonly #replies: Replies
  readonly #lines = new LineReader()
  readonly #held: HeldInput
  #exchange: LoginExchange | null = null
  #badCommands = 0
  #greeted = false
  #peerEnded = false

  constructor(server: SmtpServer, peer: Peer, link: Link, tls: 'none' | 'offered' | 'implicit') {
    this.server = server
    this.peer = peer
    this.link = link
    this.tlsAvailable = tls === 'offered'
    this.phase = tls === 'implicit' ? 'tls' : 'greeting'
    this.receiving = new Receiving(this)
    this.handover = new Handover(this)
    this.pace = new Pace(this)
    this.#replies = new Replies(link, server.memory)
    this.#held = new HeldInput(link)
    if (tls === 'implicit') link.startTls()
    else this.#greetSoon()
  }

  /** RFC 4954 §4: a password in clear text is not asked for. */
  get authAvailable(): boolean {
    return this.secure || (this.server.config.authWithoutTlsOnLoopback && this.peer.loopback)
  }

  get closed(): boolean {
    return this.phase === 'closed'
  }

  /** The client has done its part, and input waits until we have done ours. */
  get waitsForUs(): boolean {
    return this.phase === 'commit' || this.phase === 'tls' || this.handover.waitsForSpool
  }

  get #stalled(): boolean {
    return this.waitsForUs || this.#replies.stuck
  }

  // Events from the connection.

  input(chunk: Buffer): void {
    if (this.closed) return
    if (this.#held.empty && !this.#stalled) this.#held.putBack(chunk, this.#consume(chunk))
    else this.#held.push(chunk)
    this.#settle()
  }

  secured(): void {
    if (this.closed) return
    this.secure = true
    this.#replies.unstick() // that was the socket underneath
    this.forget()
    this.phase = this.#greeted ? 'command' : 'greeting'
    if (!this.#greeted) this.#greetSoon()
    this.pace.progress()
    this.#settle()
  }

  sendReady(): void {
    this.#replies.unstick()
    this.resume()
  }

  /** The peer will send no more; what it has sent is still answered. */
  peerEnded(): void {
    this.#peerEnded = true
    this.#settle()
  }

  /** The connection is gone. A commit that was asked for goes on without us (RFC 1047). */
  lost(): void {
    this.phase = 'closed'
    this.reset()
    this.#held.clear()
    this.#replies.unstick()
    this.pace.end()
  }

  /** The server is closing down (`server.draining`). */
  drain(): void {
    this.#settle()
  }

  // Events from what was waited for.

  /** What was held may go on. */
  resume(): void {
    while (!this.#held.empty && !this.#stalled) {
      const chunk = this.#held.shift() as Buffer
      this.#held.putBack(chunk, this.#consume(chunk))
    }
    this.#settle()
    if (!this.#stalled) this.#held.release()
  }

  /** What became of the message: its failure, or the `id` that it was accepted as. */
  answer(failure: Failure | null, id: string): void {
    this.phase = 'command'
    if (failure === null) {
      this.#badCommands = 0
      this.reply(`250 2.0.0 accepted as ${id}`)
    } else this.refuse(failure, 'content')
    this.reset()
    this.pace.progress()
    this.resume()
  }

  timeOut(): void {
    this.server.counters.timeouts++
    if (this.#replies.stuck) this.drop()
    else this.end(failures.timedOut, 'session')
  }

  // What commands are made of.

  /** One reply line: code, enhanced code and text. */
  reply(text: string): void {
    this.#replies.add(text)
  }

  /** A refusal of the catalogue: answered, logged, and final when it is a 421 (RFC 5321 §3.8). */
  refuse(failure: Failure, stage: IntakeStage): void {
    if (failure.smtp.startsWith('421')) this.end(failure, stage)
    else this.refuseAs(failure.code, `${failure.smtp} ${failure.say}`, stage)
  }

  /** The same for what only SMTP can say. */
  refuseAs(code: string, reply: string, stage: IntakeStage): void {
    this.#log(code, reply, stage)
    this.reply(reply)
  }

  /** A refusal that ends the session. */
  end(failure: Failure, stage: IntakeStage): void {
    if (this.closed) return
    this.refuseAs(failure.code, `${failure.smtp} ${failure.say}`, stage)
    this.close()
  }

  /** A breach of the protocol. Whoever goes on like that is not a mail client. */
  bad(reply: string): void {
    if (this.bears()) this.reply(reply)
  }

  /** Counts a breach; false when it was one too many, and the session is over. */
  bears(): boolean {
    this.server.counters.badCommands++
    if (++this.#badCommands >= badCommandsMax.value) this.end(failures.tooManyBadCommands, 'session')
    return !this.closed
  }

  /** The one way in which an envelope and its content end, whatever the reason (RFC 5321 §4.1.1.5). */
  reset(): void {
    this.message?.abort()
    this.message = null
    if (!this.authenticated) this.client = null
    this.handover.spoolGone()
  }

  /** The one way back to a session that knows nothing of its client (RFC 3207 §4.2). */
  forget(): void {
    this.authenticated = false
    this.reset()
    this.hello = ''
    this.extended = false
    this.#exchange = null
    this.#lines.clear()
  }

  /** Sends what there is to say, and closes. */
  close(): void {
    if (this.closed) return
    this.lost()
    this.#flush()
    this.link.end()
  }

  /** Closes without a word: the other side does not speak SMTP. */
  drop(): void {
    this.lost()
    this.link.destroy()
  }

  startTls(): void {
    this.reply('220 2.0.0 ready to start TLS')
    this.phase = 'tls'
    this.#flush()
    if (!this.closed) this.link.startTls()
  }

  startLogin(exchange: LoginExchange): void {
    this.#exchange = exchange
    this.phase = 'auth'
  }

  endLogin(): void {
    this.#exchange = null
    if (this.phase === 'auth') this.phase = 'command'
  }

  // Input.

  /** Returns how far it came. */
  #consume(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.#stalled && !this.closed) {
      if (this.phase === 'data') at = this.receiving.data(chunk, at)
      else if (this.phase === 'chunk') at = this.receiving.chunk(chunk, at)
      else at = this.#takeLine(chunk, at)
      if (this.#replies.bytes >= repliesBytesMax.value) this.#flush()
    }
    return this.closed ? chunk.length : at
  }

  #takeLine(chunk: Buffer, from: number): number {
    // A TLS client on a port without TLS: its hello has no line end, and an answer would only start a loop.
    if (chunk[from] === tlsHandshakeRecord && !this.#lines.pending) this.drop()
    else if (this.phase === 'greeting') this.#outOfTurn('connect')
    if (this.closed) return chunk.length

    const login = this.phase === 'auth'
    const verdict = this.#lines.read(chunk, from, login)
    const { next } = this.#lines
    if (verdict === 'incomplete') return next
    this.pace.progress()
    if (verdict === 'line') this.#line(this.#lines.take(), next < chunk.length || !this.#held.empty)
    else if (verdict === 'endless') this.close()
    else {
      this.endLogin()
      if (verdict === 'malformed') this.bad('500 5.5.2 a command is text without control characters and ends in CRLF')
      else this.bad(login ? '500 5.5.6 authentication line too long' : '500 5.5.2 line too long')
    }
    return next
  }

  #line(line: string, behind: boolean): void {
    const exchange = this.#exchange
    const verb = commandVerb(line)
    const command = commands.get(verb)
    // RFC 2920 §3.1: whoever goes on before it has the answer to such a command does not know whom it is talking to.
    if (behind && (exchange !== null || command?.endsGroup === true)) this.#outOfTurn('session')
    else if (exchange !== null) exchange.line(line)
    else if (command !== undefined) command.run(this, commandArguments(line))
    else if (foreignVerbs.has(verb)) this.drop()
    else this.bad('500 5.5.1 command not recognized')
  }

  #outOfTurn(stage: IntakeStage): void {
    this.server.counters.outOfTurn++
    this.end(failures.notInTurn, stage)
  }

  // The greeting, and what follows each event.

  #greetSoon(): void {
    this.server.clock.after(greetingDelayMs.value, () => this.link.whenRead(() => this.#greet()))
  }

  #greet(): void {
    if (this.phase !== 'greeting') return
    this.#greeted = true
    this.phase = 'command'
    this.reply(`220 ${this.server.hostname} ESMTP`)
    this.resume()
  }

  /** After each event: what may end now, and what there is to say. */
  #settle(): void {
    this.pace.afterEvent()
    if (!this.closed && !this.#stalled && this.#held.empty) {
      const { draining } = failures
      if (this.server.draining && this.message === null && this.phase !== 'chunk') {
        this.reply(`${draining.smtp} ${draining.say}`)
        this.close()
      } else if (this.#peerEnded) this.close()
    }
    this.#flush()
  }

  #log(code: string, reply: string, stage: IntakeStage): void {
    const { address } = this.peer
    this.server.log({ stage, code, address, hello: this.hello, tenant: this.client?.tenant ?? '', reply })
  }

  #flush(): void {
    if (this.closed) this.#replies.send()
    else if (!this.#replies.flush()) {
      const { code, smtp, say } = failures.tooManyConnections
      this.#log(code, `${smtp} ${say}`, 'session')
      this.drop()
    }
  }
}
