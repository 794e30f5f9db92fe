/** The scriptable receiver: listens, counts, keeps what came, and tells its owner. The conversation is in session.ts and mailing.ts. */
import { hash } from 'node:crypto'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { type Random, seededRandom, systemRandom } from '../../kernel/random.ts'
import { markField, type ReceivedRecord } from '../ledger/compare.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { loopbackAddress } from '../loopback.ts'
import { type PlayedScript, playScript } from './behaviour.ts'
import { type Content, fieldOf } from './content.ts'
import type { Counters, SessionHost, Transaction } from './host.ts'
import type { ReceiverScript } from './script.ts'
import { Session } from './session.ts'

export interface ReceiverOptions {
  /** Loopback only; default 127.0.0.1. */
  readonly address?: string
  /** Default 0, which the system replaces by a free one. */
  readonly port?: number
  /** STARTTLS is offered with it, or, when `implicit`, TLS spoken from the first byte. */
  readonly tls?: { readonly certificatePem: string; readonly keyPem: string; readonly implicit?: boolean }
  /** What a message carries: all bytes, their digest, or only their number, which is the cheapest. Default 'content'. */
  readonly keep?: 'content' | 'digest' | 'nothing'
  /** How many of the latest messages `received` holds. Default 1,000, without bytes or digest 0. */
  readonly rememberMax?: number
  /** Called for each message before it is answered. The answer waits for a promise; when that rejects the answer is 451. */
  readonly onMessage?: (message: ReceivedMessage) => void | Promise<void>
  /** Gets a line per recipient; each is durable before the client gets its 250. Needs a digest. */
  readonly ledger?: Ledger
  readonly clock?: Clock
  readonly random?: Random
}

export interface Receiver {
  readonly address: string
  readonly port: number
  readonly counters: Readonly<Counters>
  /** The latest messages, oldest first. */
  readonly received: readonly ReceivedMessage[]
  /** Plays another script from the next command on; its counts begin anew. Extensions change with the next EHLO. */
  script(next: ReceiverScript): void
  /** Settles once so many messages have been taken since the start. */
  untilMessages(count: number): Promise<void>
  /** Settles once no connection is open. */
  untilDisconnected(): Promise<void>
  /** Ends every connection as a server that dies does; it goes on listening. */
  dropConnections(): void
  /** Stops listening and ends every connection. */
  close(): Promise<void>
}

export interface ReceivedMessage {
  /** 1, 2, … */
  readonly number: number
  /** Number of the connection, and of the message within it. */
  readonly connection: number
  readonly messageOnConnection: number
  readonly envelope: {
    readonly from: string
    readonly to: readonly string[]
    readonly mailParameters: readonly string[]
    /** Of each in `to`, in the same order. */
    readonly rcptParameters: readonly (readonly string[])[]
  }
  readonly helo: string
  readonly peer: { readonly address: string; readonly port: number }
  /** "TLSv1.3 TLS_AES_256_GCM_SHA384"; null in clear. */
  readonly tls: string | null
  readonly login: string | null
  /** Wall clock, milliseconds. */
  readonly times: {
    readonly connectedMs: number
    readonly mailMs: number
    readonly contentMs: number
    readonly receivedMs: number
  }
  readonly sizeBytes: number
  /** Un-stuffed, without the final dot; null unless kept. */
  readonly content: Buffer | null
  /** A source's id for the message, and hex of the bytes from its mark on: see ledger/compare.ts. Without a mark null, and of all bytes. */
  readonly testId: string | null
  readonly sha256: string | null
  /** The script kept the reply from the client. */
  readonly replyLost: boolean
}

export async function startReceiver(script: ReceiverScript, options: ReceiverOptions = {}): Promise<Receiver> {
  const receiver = new ScriptedReceiver(script, options)
  await receiver.listen(loopbackAddress(options.address ?? '127.0.0.1'), options.port ?? 0)
  return receiver
}

class ScriptedReceiver implements Receiver, SessionHost {
  address = ''
  port = 0
  readonly counters: Counters = {
    connections: 0,
    connectionsOpen: 0,
    tls: 0,
    tlsResumed: 0,
    messages: 0,
    recipients: 0,
    contentBytes: 0,
    refused: 0,
    dropped: 0,
  }
  readonly received: ReceivedMessage[] = []
  readonly clock: Clock
  readonly secureContext: SecureContext | null
  random: Random
  readonly #options: ReceiverOptions
  readonly #keep: 'content' | 'digest' | 'nothing'
  readonly #rememberMax: number
  readonly #server: Server
  readonly #sessions = new Set<Session>()
  played: PlayedScript
  readonly #waitingForNone: (() => void)[] = []
  #waiting: { readonly count: number; readonly arrived: () => void }[] = []

  constructor(script: ReceiverScript, options: ReceiverOptions) {
    this.#options = options
    this.clock = options.clock ?? systemClock
    this.#keep = options.keep ?? 'content'
    this.#rememberMax = options.rememberMax ?? (this.#keep === 'nothing' ? 0 : 1_000)
    if (options.ledger !== undefined && this.#keep === 'nothing') {
      throw new PosthasteError(
        'ledger_without_digest',
        'a ledger needs the digest of each message',
        "Use keep: 'digest'.",
      )
    }
    const { tls } = options
    this.secureContext =
      tls === undefined
        ? null
        : createSecureContext({ cert: tls.certificatePem, key: tls.keyPem, sessionIdContext: 'receiver' })
    this.random = systemRandom
    this.played = this.#play(script)
    this.#server = createServer({ noDelay: true }, (socket) => this.#connected(socket))
  }

  #play(script: ReceiverScript): PlayedScript {
    this.random = script.seed === undefined ? (this.#options.random ?? systemRandom) : seededRandom(script.seed)
    const offersTls = this.secureContext !== null && this.#options.tls?.implicit !== true
    return playScript(script, this.clock, this.random, offersTls)
  }

  get keepsContent(): boolean {
    return this.#keep !== 'nothing' || this.played.readsMessageId
  }

  async listen(address: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(
          new PosthasteError(
            'cannot_listen',
            `cannot listen on ${address}:${port}: ${cause.message}`,
            'Choose a port that is free, or 0 for any.',
            {
              exitCode: 69,
              cause,
            },
          ),
        ),
      )
      this.#server.listen({ host: address, port, backlog: 1024 }, resolve)
    })
    this.address = address
    this.port = (this.#server.address() as AddressInfo).port
  }

  #connected(socket: Socket): void {
    this.counters.connections++
    this.counters.connectionsOpen++
    this.#sessions.add(new Session(this, socket, this.counters.connections, this.#options.tls?.implicit === true))
  }

  closed(session: Session): void {
    if (!this.#sessions.delete(session)) return
    this.counters.connectionsOpen--
    if (this.counters.connectionsOpen === 0) for (const left of this.#waitingForNone.splice(0)) left()
  }

  script(next: ReceiverScript): void {
    this.played = this.#play(next)
  }

  take(session: Session, transaction: Transaction, content: Content, replyLost: boolean): void | Promise<void> {
    const { onMessage, ledger } = this.#options
    const dotBytes = transaction.counted ? 0 : 3
    const sizeBytes = content.wireBytes - dotBytes
    this.counters.contentBytes += sizeBytes
    if (this.#waiting.length > 0) this.#tellWaiting()
    if (this.#rememberMax === 0 && onMessage === undefined && ledger === undefined) return undefined

    const message = this.#messageOf(session, transaction, content, replyLost, sizeBytes)
    if (this.#rememberMax > 0) this.received.push(message)
    // Trimmed in strides, because taking one off the front of a long array moves all of it.
    if (this.received.length > this.#rememberMax * 1.5)
      this.received.splice(0, this.received.length - this.#rememberMax)
    const told = onMessage?.(message)
    if (ledger === undefined) return told
    for (const rcpt of message.envelope.to) ledger.append(ledgerRecord(message, rcpt))
    const durable = ledger.durable()
    return told === undefined ? durable : Promise.all([told, durable]).then(() => {})
  }

  #messageOf(
    session: Session,
    transaction: Transaction,
    content: Content,
    replyLost: boolean,
    sizeBytes: number,
  ): ReceivedMessage {
    const bytes = this.#keep !== 'nothing' ? (transaction.counted ? content.counted() : content.dotted()) : null
    const mark = bytes === null ? -1 : markAt(bytes)
    return {
      number: this.counters.messages,
      connection: session.id,
      messageOnConnection: session.messages,
      envelope: {
        from: transaction.from,
        to: transaction.to,
        mailParameters: transaction.mailParameters,
        rcptParameters: transaction.rcptParameters,
      },
      helo: session.helo,
      peer: session.peer,
      tls: session.tls,
      login: session.login.user,
      times: {
        connectedMs: session.connectedMs,
        mailMs: transaction.mailMs,
        contentMs: transaction.contentMs,
        receivedMs: this.clock.nowMs(),
      },
      sizeBytes: bytes?.length ?? sizeBytes,
      content: this.#keep === 'content' ? bytes : null,
      testId: bytes === null || mark === -1 ? null : fieldOf(bytes.toString('latin1', mark, mark + 200), markField),
      sha256: bytes === null ? null : hash('sha256', mark === -1 ? bytes : bytes.subarray(mark), 'hex'),
      replyLost,
    }
  }

  async untilMessages(count: number): Promise<void> {
    if (this.counters.messages >= count) return
    await new Promise<void>((arrived) => this.#waiting.push({ count, arrived }))
  }

  async untilDisconnected(): Promise<void> {
    if (this.counters.connectionsOpen === 0) return
    await new Promise<void>((left) => this.#waitingForNone.push(left))
  }

  #tellWaiting(): void {
    const { messages } = this.counters
    for (const waiter of this.#waiting) if (messages >= waiter.count) waiter.arrived()
    this.#waiting = this.#waiting.filter((waiter) => messages < waiter.count)
  }

  dropConnections(): void {
    for (const session of this.#sessions) session.die()
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.dropConnections()
    await closed
  }
}

const mark = Buffer.from(`${markField}: `, 'latin1')
/** Header fields that relays put in front are smaller than this. */
const markWithinBytes = 64 * 1024

function markAt(bytes: Buffer): number {
  const found = bytes.subarray(0, markWithinBytes).indexOf(mark)
  return found <= 0 || bytes[found - 1] === 0x0a ? found : -1
}

function ledgerRecord(message: ReceivedMessage, rcpt: string): ReceivedRecord {
  return {
    id: message.testId,
    rcpt,
    sha256: message.sha256 as string,
    bytes: message.sizeBytes,
    from: message.envelope.from,
    receivedMs: message.times.receivedMs,
    connection: message.connection,
    replyLost: message.replyLost,
  }
}
