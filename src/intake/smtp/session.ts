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
 * Replies are gathered and written once per chunk of input. Input that arrives while a commit, a TLS handshake, the spool or the
 * peer's own slowness is waited for is held, in order, and is bounded by pausing the socket. An idle session holds itself, its socket and
 * nothing else: no buffer, no timer.
 */
import { secondMs } from '../../kernel/units.ts'
import { type Failure, failures } from '../../model/failures.ts'
import type { Client, ClientStream } from '../../ports/clients.ts'
import { isQuotaRefusal } from '../../ports/quotas.ts'
import { commandArguments, commandVerb } from '../../standards/smtp-command.ts'
import type { Peer } from '../peer.ts'
import { protocolWord } from '../trace.ts'
import { commands, foreignVerbs } from './commands.ts'
import type { Mortal } from './deadlines.ts'
import { handOver } from './handover.ts'
import { HeldInput } from './held-input.ts'
import { badCommandsMax, greetingDelayMs, oversizeFactorMax, repliesBytesMax, stuckSessionBytes } from './limits.ts'
import { LineReader } from './line-reader.ts'
import type { IncomingMessage, MessageOwner } from './message.ts'
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

export class Session implements MessageOwner, Mortal {
  readonly server: SmtpServer
  readonly peer: Peer
  readonly link: Link
  /** STARTTLS can be had. */
  readonly tlsAvailable: boolean
  phase: Phase
  dueMs: number
  secure = false
  hello = ''
  extended = false
  /** Of the login; without one, of the open message, because where there is no login the sender tells who is meant. */
  client: Client | null = null
  authenticated = false
  loginFailures = 0
  message: IncomingMessage | null = null
  #exchange: LoginExchange | null = null
  #chunkBytesLeft = 0
  #chunkLast = false
  #chunkKept = false
  #badCommands = 0
  #greeted = false
  #replies = ''
  #sendFull = false
  #spoolFull = false
  #peerEnded = false
  /** A whole command came since `dueMs` was set. */
  #progress = false
  /** Octets of content since then. */
  #contentBytes = 0
  readonly #lines = new LineReader()
  readonly #held: HeldInput

  constructor(server: SmtpServer, peer: Peer, link: Link, tls: 'none' | 'offered' | 'implicit') {
    this.server = server
    this.peer = peer
    this.link = link
    this.tlsAvailable = tls === 'offered'
    this.phase = tls === 'implicit' ? 'tls' : 'greeting'
    this.#held = new HeldInput(link)
    this.dueMs = server.clock.monotonicMs() + server.config.idleMsMax
    server.deadlines.add(this)
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
    this.#endSendFull() // that was the socket underneath
    this.forget()
    this.phase = this.#greeted ? 'command' : 'greeting'
    if (!this.#greeted) this.#greetSoon()
    this.#progress = true
    this.#settle()
  }

  sendReady(): void {
    this.#endSendFull()
    this.#resume()
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
    this.#endSendFull()
    this.server.deadlines.delete(this)
  }

  /** The server is closing down (`server.draining`). */
  drain(): void {
    this.#settle()
  }

  // Events from the spool.

  spoolFull(): void {
    this.#spoolFull = true
  }

  /** Asked for within the reading of content, which goes on by itself. */
  spoolGone(): void {
    this.#spoolFull = false
  }

  get tenant(): string {
    return (this.client as Client).tenant
  }

  /** What was revoked since MAIL hands nothing over any more. */
  get current(): boolean {
    return this.server.clients.isCurrent(this.client as Client)
  }

  get credentialId(): string {
    return (this.client as Client).credentialId ?? ''
  }

  maySendAs(address: string): boolean {
    return this.server.clients.maySendAs(this.client as Client, address)
  }

  stream(name: string): ClientStream | null {
    return this.server.clients.stream(this.client as Client, name)
  }

  spoolReady(): void {
    this.#spoolFull = false
    this.#resume()
  }

  settled(failure: Failure | null, message: IncomingMessage): void {
    const { counters, store, quotas } = this.server
    if (message.claim !== null) store?.release(message.claim)
    if (failure !== null) quotas.giveBack(message.taken)
    if (failure === null) {
      counters.messages++
      counters.recipients += message.recipients.length
      counters.contentBytes += message.contentBytes
    } else counters.messagesRefused++
    if (!this.closed) this.#answer(failure, message.id)
  }

  // Events from the end of content (handover.ts).

  /** Makes it durable, and `settled` follows; or says why it is not tried: others have used up the quota meanwhile. */
  commit(message: IncomingMessage): Failure | null {
    const { hostname, clock, quotas } = this.server
    const taken = quotas.take(this.client as Client, message.recipients.length)
    if (isQuotaRefusal(taken)) return taken.failure
    message.taken = taken
    const protocol = protocolWord(this, message.smtpUtf8)
    const { address } = this.peer
    message.commit({ hostname, hello: this.hello, address, protocol, timeMs: clock.nowMs() })
    return null
  }

  /** It was accepted before, as that one. */
  repeated(id: string): void {
    this.#answer(null, id)
  }

  refused(failure: Failure): void {
    this.server.counters.messagesRefused++
    this.#answer(failure, '')
  }

  #answer(failure: Failure | null, id: string): void {
    this.phase = 'command'
    if (failure === null) {
      this.#badCommands = 0
      this.reply(`250 2.0.0 accepted as ${id}`)
    } else this.refuse(failure, 'content')
    this.reset()
    this.#progress = true
    this.#resume()
  }

  // What commands are made of.

  /** One reply line: code, enhanced code and text. */
  reply(text: string): void {
    this.#replies += `${text}\r\n`
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
    this.#spoolFull = false
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

  startData(): void {
    this.phase = 'data'
    this.#contentBytes = 0
    this.reply('354 end data with <CR><LF>.<CR><LF>')
  }

  /** `kept` is false for octets that are read only to stay in step: then the reply has been given. */
  startChunk(bytes: number, last: boolean, kept: boolean): void {
    if (this.closed) return
    this.phase = 'chunk'
    this.#contentBytes = 0
    this.#chunkBytesLeft = bytes
    this.#chunkLast = last
    this.#chunkKept = kept
    if (bytes === 0) this.#endOfChunk()
  }

  // Input.

  /** Something is waited for, and input with it. */
  get #stalled(): boolean {
    return this.phase === 'commit' || this.phase === 'tls' || this.#spoolFull || this.#sendFull
  }

  #resume(): void {
    while (!this.#held.empty && !this.#stalled) {
      const chunk = this.#held.shift() as Buffer
      this.#held.putBack(chunk, this.#consume(chunk))
    }
    this.#settle()
    if (!this.#stalled) this.#held.release()
  }

  /** Returns how far it came. */
  #consume(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.#stalled && !this.closed) {
      if (this.phase === 'data') at = this.#takeData(chunk, at)
      else if (this.phase === 'chunk') at = this.#takeChunk(chunk, at)
      else at = this.#takeLine(chunk, at)
      if (this.#replies.length >= repliesBytesMax.value) this.#flush()
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
    this.#progress = true
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

  #takeData(chunk: Buffer, from: number): number {
    const message = this.message as IncomingMessage
    const next = message.scan(chunk, from, chunk.length)
    this.#contentBytes += next - from
    if (message.ended) this.#endOfContent(message)
    else this.#checkOversize(message)
    return next
  }

  #takeChunk(chunk: Buffer, from: number): number {
    const next = Math.min(chunk.length, from + this.#chunkBytesLeft)
    this.#contentBytes += next - from
    this.#chunkBytesLeft -= next - from
    if (this.#chunkKept) {
      const message = this.message as IncomingMessage
      message.scan(chunk, from, next)
      this.#checkOversize(message)
    }
    if (this.#chunkBytesLeft === 0 && !this.closed) this.#endOfChunk()
    return next
  }

  #checkOversize(message: IncomingMessage): void {
    const { messageBytesMax } = this.server.config
    if (message.contentBytes <= oversizeFactorMax.value * messageBytesMax) return
    this.server.counters.messagesRefused++
    this.end(failures.messageTooBig(messageBytesMax), 'content')
  }

  #endOfChunk(): void {
    this.phase = 'command'
    if (!this.#chunkKept) return
    const message = this.message as IncomingMessage
    if (this.#chunkLast) return this.#endOfContent(message)
    const complaint = message.complaint()
    if (complaint === null) this.reply('250 2.0.0 chunk received')
    else this.#refuseMessage(complaint)
  }

  #endOfContent(message: IncomingMessage): void {
    this.#progress = true
    const verdict = this.current ? message.verdict() : failures.authenticationRevoked
    if (verdict !== null) return this.#refuseMessage(verdict)
    this.phase = 'commit'
    this.#spoolFull = false
    const failure = handOver(this, message)
    if (failure !== null) this.#refuseMessage(failure)
  }

  #refuseMessage(failure: Failure): void {
    this.phase = 'command'
    this.server.counters.messagesRefused++
    this.refuse(failure, 'content')
    this.reset()
  }

  // Time and the way out.

  #greetSoon(): void {
    this.server.clock.after(greetingDelayMs.value, () => this.link.whenRead(() => this.#greet()))
  }

  #greet(): void {
    if (this.phase !== 'greeting') return
    this.#greeted = true
    this.phase = 'command'
    this.reply(`220 ${this.server.hostname} ESMTP`)
    this.#resume()
  }

  /** A whole command must come in time (RFC 5321 §4.5.3.2.7), content at the rate that the operator asks for. */
  onDue(): void {
    const { config, counters } = this.server
    const content = this.phase === 'data' || this.phase === 'chunk'
    const enough = content && this.#contentBytes * secondMs >= config.contentBytesPerSecondMin * config.idleMsMax
    const ours = this.phase === 'commit' || this.phase === 'tls' || this.#spoolFull
    if (ours || (enough && this.#contentBytes > 0)) {
      this.#contentBytes = 0
      this.#startTime()
      return
    }
    counters.timeouts++
    if (this.#sendFull) this.drop()
    else this.end(failures.timedOut, 'session')
  }

  /** After each event: what may end now, and what there is to say. */
  #settle(): void {
    if (this.#progress) this.#startTime()
    this.#progress = false
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
    if (this.#replies === '') return
    const replies = this.#replies
    this.#replies = ''
    if (!this.link.send(replies) && !this.#sendFull && !this.closed) this.#startSendFull()
  }

  /** The peer does not fetch its replies. It is waited for, unless too many are. */
  #startSendFull(): void {
    this.#sendFull = this.server.memory.reserve(stuckSessionBytes.value)
    if (this.#sendFull) return
    const { code, smtp, say } = failures.tooManyConnections
    this.#log(code, `${smtp} ${say}`, 'session')
    this.drop()
  }

  #endSendFull(): void {
    if (this.#sendFull) this.server.memory.release(stuckSessionBytes.value)
    this.#sendFull = false
  }

  #startTime(): void {
    this.dueMs = this.server.clock.monotonicMs() + this.server.config.idleMsMax
  }
}
