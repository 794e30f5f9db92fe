/**
 * One connection to one server: the socket, the reply parser, and the state of the dialogue. It knows how to move through the table;
 * what is said and how replies are judged is in steps/. Listeners are attached once per socket, never per message, and time is
 * a deadline that the owner's sweep compares, so a message costs no timer.
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { invariant } from '../kernel/assert.ts'
import type { Clock } from '../kernel/clock.ts'
import type { DialogueStage, Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import type { Messages, PreparedMessage } from '../ports/messages.ts'
import type { Net } from '../ports/net.ts'
import { type Reply, ReplyParser } from '../standards/smtp-reply.ts'
import { endpoint, type Candidate } from './candidates.ts'
import { type Capabilities, noCapabilities } from './capabilities.ts'
import type { DeliverCounters } from './counters.ts'
import { dialogue, type State, type Step } from './dialogue.ts'
import type { HostMemory } from './hosts.ts'
import { outcomeOfFault, statusDisagrees, type Fault } from './outcome.ts'
import type { Transaction } from './transaction.ts'

/** What every connection of a deliverer shares. */
export interface ConnectionSetting {
  readonly clock: Clock
  readonly net: Net
  readonly messages: Messages
  readonly hosts: HostMemory
  readonly counters: DeliverCounters
  readonly ehloName: string
  readonly idleMs: number
  readonly messagesMax: number
  /** Null: nobody is. */
  readonly isSuppressed: IsSuppressed | null
}

/** Asked of every recipient before it is named to a server, so it must cost next to nothing. */
export type IsSuppressed = (tenant: string, address: string) => boolean

/** Whoever holds the connection. Calls come last in what the connection does, so it may be used again within them. */
export interface ConnectionOwner {
  /** Ready for its first transaction, or (with a failure) never going to be. Called once. */
  onSetup(connection: Connection, failure: Outcome | null): void
  /** The content of `transaction` is about to be sent: another one whose envelope may follow it, or null. Nothing else happens within. */
  onAhead(transaction: Transaction): Transaction | null
  /** Every recipient of the transaction has an outcome. The connection is idle, leaving or closed, unless it is `busy` with the one after it. */
  onSettled(connection: Connection, transaction: Transaction, busy: boolean): void
  /** It was idle, and takes no further transaction; `onClosed` follows. */
  onLeaving(connection: Connection): void
  /** It is gone, and carried no transaction. */
  onClosed(connection: Connection): void
}

export interface ConnectionPlan {
  readonly site: Site
  readonly candidate: Candidate
  readonly source: string | null
  /** STARTTLS is not tried, because it just failed here. */
  readonly plain: boolean
}

export class Connection {
  state: State = 'connect'
  /** Refines the table's stage inside a group of commands. */
  stage: DialogueStage = 'connect'
  readonly setting: ConnectionSetting
  readonly plan: ConnectionPlan
  /** "host:port", as things are remembered of it. */
  readonly hostKey: string
  capabilities: Capabilities = noCapabilities
  /** "TLSv1.3 TLS_AES_256_GCM_SHA384"; '' in plain text. */
  tls = ''
  /** Local address, known once connected. */
  localAddress = ''
  transaction: Transaction | null = null
  /** The one that comes after `transaction`. */
  ahead: Transaction | null = null
  /** Its envelope went out behind the content of `transaction`, in the same write (RFC 2920 §3.1). */
  aheadSent = false
  /** Replies read of the command group under way. */
  replies = 0
  /** Monotonic time at which it last became idle. */
  restingSinceMs = 0
  /** Set when TLS was begun and broke: the same server may still take plain text. */
  tlsBroke = false
  /** False once no further transaction may begin. */
  reusable = true
  #owner: ConnectionOwner
  #socket: Socket
  #parser = new ReplyParser()
  #deadlineMs = 0
  #messagesTaken = 0
  #wasReady = false

  constructor(setting: ConnectionSetting, plan: ConnectionPlan, owner: ConnectionOwner) {
    this.setting = setting
    this.plan = plan
    this.hostKey = endpoint(plan.candidate.host, plan.site.port)
    this.#owner = owner
    const { address } = plan.candidate
    this.#socket = setting.net.connect({ address, port: plan.site.port, source: plan.source })
    this.#listen(this.#socket)
    this.#socket.once('connect', this.#onConnect)
    this.#extendDeadline()
  }

  /** The message in hand; only steps after `prepare` ask. */
  get message(): PreparedMessage {
    const message = this.transaction?.message ?? null
    invariant(message !== null, `state ${this.state} without a message`)
    return message
  }

  /** Begins a transaction. The connection is idle. */
  start(transaction: Transaction): void {
    invariant(this.transaction === null, 'a connection has one transaction in hand')
    this.#adopt(transaction)
    this.transaction = transaction
    this.enter('prepare')
  }

  /** Asks for what comes after the transaction in hand, whose terminator is being written; its envelope may be sent at once. */
  lookAhead(): Transaction | null {
    const { transaction, capabilities, setting } = this
    if (transaction === null || !capabilities.pipelining || !this.reusable) return null
    if (this.#messagesTaken >= setting.messagesMax || setting.hosts.deafToAhead.has(this.hostKey)) return null
    this.ahead = this.#owner.onAhead(transaction)
    return this.ahead
  }

  /** The envelope of `ahead` is out. */
  wentAhead(): void {
    if (this.ahead !== null) this.#adopt(this.ahead)
    this.aheadSent = true
  }

  #adopt(transaction: Transaction): void {
    const { candidate } = this.plan
    transaction.reused = this.#messagesTaken > 0
    transaction.host = candidate.host
    transaction.address = candidate.address
    transaction.source = this.localAddress
    transaction.tls = this.tls
    transaction.connectedMs = transaction.reused ? 0 : this.elapsedMs(transaction)
    this.#messagesTaken++
  }

  elapsedMs(transaction: Transaction): number {
    return this.setting.clock.monotonicMs() - transaction.startedMonotonicMs
  }

  /** Moves on to a state that the table allows, and sends what is to be sent there. */
  enter(next: State): void {
    const { state } = this
    if (state === 'closed') return
    invariant(
      next !== 'closed' && dialogue[state].next.includes(next),
      `the dialogue does not go from ${state} to ${next}`,
    )
    this.state = next
    const row = dialogue[next]
    this.stage = row.stage
    this.replies = 0
    this.#extendDeadline()
    row.step.begin(this)
    if (next === 'idle') this.#rest()
    else if (next === 'ahead') this.#turn()
  }

  send(text: string, encoding: 'latin1' | 'utf8' = 'latin1'): void {
    this.#socket.write(text, encoding)
  }

  /** False asks to wait for `drained`. */
  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  /** What is written until `uncork` leaves in one call of the system where it fits. */
  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  /** The server does what it should: more time for the next block or reply. */
  progressed(): void {
    this.#extendDeadline()
  }

  /** Every byte that was written has left this process. */
  get flushed(): boolean {
    return this.#socket.writableLength === 0
  }

  /** No byte of a reply waits to be judged. */
  get nothingUnread(): boolean {
    return this.#parser.empty
  }

  /** Ends the conversation with an outcome for everybody who has none yet. Returns null, for steps to return in turn. */
  fail(outcome: Outcome): null {
    this.#close(outcome)
    return null
  }

  /** The same for what is not a reply. */
  failWith(fault: Fault, detail = ''): null {
    return this.fail(outcomeOfFault(fault, this.stage, detail))
  }

  /** Leaves at the next rest, or now when idle. */
  retire(): void {
    this.reusable = false
    if (this.state !== 'idle') return
    this.enter('quit')
    this.#owner.onLeaving(this)
  }

  /** Ends it now, whatever it is doing. */
  abort(fault: Fault): void {
    if (this.state === 'final') this.failWith('finalReplyLost', 'this server stopped before the reply came')
    else this.failWith(fault)
  }

  /** Called by the sweep. */
  checkDeadline(nowMs: number): void {
    if (nowMs < this.#deadlineMs) return
    if (this.state === 'idle') return this.retire()
    if (this.state !== 'closed') this.#broken('timeout', `waited ${dialogue[this.state].replyMsMax / 1000} s`)
  }

  /** Starts TLS on the connected socket; `handshake` ends when `onSecure` has come, or the socket fails. */
  secure(): void {
    const raw = this.#socket
    this.#unlisten(raw)
    // The raw socket's failures surface on the TLS socket; without a listener here they would end the process.
    raw.on('error', ignore)
    const { hosts, net } = this.setting
    const { site, candidate } = this.plan
    const session = hosts.tlsSessions.get(this.#sessionKey)
    const secured = net.secure(raw, {
      serverName: candidate.host,
      verify: site.tls === 'verified',
      ...(session === undefined ? {} : { session }),
    })
    this.#socket = secured
    this.#listen(secured)
    secured.once('secureConnect', () => this.#onSecure(secured))
    secured.on('session', (ticket) => hosts.tlsSessions.set(this.#sessionKey, ticket))
  }

  /** A resumed session skips the check of the certificate's name, so an unverified one must never serve a verified site. */
  get #sessionKey(): string {
    return `${this.plan.site.tls} ${this.hostKey}`
  }

  #onConnect = (): void => {
    this.localAddress = this.#socket.localAddress ?? ''
    this.setting.counters.connectionsOpened++
    this.enter('greeting')
  }

  #onSecure(secured: TLSSocket): void {
    if (this.state !== 'handshake') return
    this.tls = `${secured.getProtocol() ?? 'TLS'} ${secured.getCipher().name}`
    this.setting.counters.tlsHandshakes++
    if (secured.isSessionReused()) this.setting.counters.tlsResumed++
    this.enter('ehlo')
  }

  #onData = (bytes: Buffer): void => {
    const parser = this.#parser
    parser.feed(bytes)
    while (this.state !== 'closed') {
      const reply = parser.take()
      if (reply !== null) this.#judge(reply)
      else if (parser.fault === null) return
      else this.#misspoke(parser.fault)
    }
  }

  #judge(reply: Reply): void {
    if (this.state === 'closed') return
    if (statusDisagrees(reply)) this.setting.counters.statusMismatches++
    const next = dialogue[this.state].step.reply(this, reply)
    if (next === null) this.#extendDeadline()
    else this.enter(next)
  }

  /** After a malformed or misplaced reply nothing that follows can be trusted. */
  #misspoke(detail: string): void {
    if (this.state === 'final') this.failWith('finalReplyLost', detail)
    else this.failWith(this.#wasReady ? 'protocolError' : 'setupProtocol', detail)
  }

  #onDrain = (): void => {
    if (this.state === 'closed') return
    const step: Step = dialogue[this.state].step
    step.drained?.(this)
  }

  #onError = (error: Error & { code?: string }): void => {
    if (error.code === 'EPOLICY') this.failWith('addressRefused', error.message)
    else this.#broken('lost', error.message)
  }

  #onEnd = (): void => this.#broken('lost', 'closed by the server')

  /** The conversation stopped without a reply: what that means depends on where it stood. */
  #broken(how: 'lost' | 'timeout', detail: string): void {
    const timeout = how === 'timeout'
    const { state } = this
    if (timeout && state === 'ahead' && this.replies === 0) this.setting.hosts.deafToAhead.set(this.hostKey, true)
    if (state === 'connect') this.failWith(timeout ? 'connectTimeout' : 'connectFailed', detail)
    else if (state === 'starttls' || state === 'handshake') {
      this.tlsBroke = true
      this.failWith('tlsFailed', detail)
    } else if (!this.#wasReady) this.failWith(timeout ? 'setupTimeout' : 'setupLost', detail)
    else if (state === 'final') this.failWith('finalReplyLost', detail)
    else if (state === 'prepare' && timeout) this.failWith('unreadable', detail)
    else this.failWith(timeout ? 'replyTimeout' : 'linkLost', detail)
  }

  /** In `idle`: settles the transaction that brought us here, or announces the first rest. */
  #rest(): void {
    this.restingSinceMs = this.setting.clock.monotonicMs()
    if (!this.#wasReady) return this.#announce()
    const { transaction, ahead } = this
    this.transaction = this.ahead = null
    // Left-over bytes would be taken for replies to the next envelope.
    if (!this.nothingUnread || this.#messagesTaken >= this.setting.messagesMax) this.reusable = false
    if (!this.reusable) this.enter('quit')
    if (transaction !== null) this.#owner.onSettled(this, transaction, ahead !== null)
    if (ahead === null) return
    if (this.state === 'idle') this.start(ahead)
    else this.#giveBack(ahead)
  }

  /** In `ahead`: settles the transaction that brought us here; the next one's envelope is out already. */
  #turn(): void {
    const settled = this.transaction
    this.transaction = this.ahead
    this.ahead = null
    this.aheadSent = false
    if (settled !== null) this.#owner.onSettled(this, settled, true)
  }

  /** Nobody answered anything about it: whatever happened concerned the one before it. */
  #giveBack(ahead: Transaction): void {
    ahead.worthRetrying = true
    ahead.settlePending(outcomeOfFault('linkLost', 'mail'))
    this.#owner.onSettled(this, ahead, false)
  }

  #announce(): void {
    if (!this.nothingUnread) return void this.failWith('setupProtocol', 'more replies than commands')
    this.#wasReady = true
    this.#owner.onSetup(this, null)
  }

  #close(outcome: Outcome): void {
    const { state, transaction, ahead } = this
    if (state === 'closed') return
    this.state = 'closed'
    this.reusable = false
    this.transaction = null
    this.ahead = null
    this.#unlisten(this.#socket)
    this.#socket.on('error', ignore)
    this.#socket.destroy()
    if (!this.#wasReady) return this.#owner.onSetup(this, outcome)
    if (transaction === null) return this.#owner.onClosed(this)
    // RFC 5321 §4.5.4.1 leaves the manner of retrying to us: a server may close an idle connection at any time, which says nothing of the
    // message that was about to be sent.
    const unheard = state === 'prepare' || ((state === 'envelope' || state === 'ahead') && this.replies === 0)
    if (unheard && transaction.reused && outcome.code === 0) transaction.worthRetrying = true
    transaction.settlePending(outcome)
    this.#owner.onSettled(this, transaction, false)
    if (ahead !== null) this.#giveBack(ahead)
  }

  #extendDeadline(): void {
    if (this.state === 'closed') return
    const { idleMs, clock } = this.setting
    const { replyMsMax } = dialogue[this.state]
    this.#deadlineMs = clock.monotonicMs() + (this.state === 'idle' ? Math.min(idleMs, replyMsMax) : replyMsMax)
  }

  #listen(socket: Socket): void {
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('error', this.#onError)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onEnd)
  }

  #unlisten(socket: Socket): void {
    socket.off('data', this.#onData)
    socket.off('drain', this.#onDrain)
    socket.off('error', this.#onError)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onEnd)
    socket.off('connect', this.#onConnect)
  }
}

function ignore(): void {}
