/** The load source: keeps sessions open, hands them messages as they fall due, and swears in its ledger to what was acknowledged. */
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { type Random, systemRandom } from '../../kernel/random.ts'
import type { SentRecord } from '../ledger/compare.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { loopbackAddress } from '../loopback.ts'
import { contentSha256, MessageMaker } from './message.ts'
import { type SessionOptions, type SessionOwner, SourceSession } from './session.ts'
import { type SourceResult, Tally } from './tally.ts'

export interface SourceOptions {
  /** Loopback only. */
  readonly host: string
  readonly port: number
  readonly sessions: number
  /** How many messages, how long, or both: whichever ends first. Messages under way are finished. */
  readonly messages?: number
  readonly durationMs?: number
  /** Messages fall due evenly, whether or not a session is free; latency counts from then, which adds up to 1 ms of timer. Unset: as fast as the sessions can. */
  readonly ratePerSecond?: number
  /** Size of each content. Default 10,240; at least 1,024. */
  readonly bytes?: number
  /** Sender and recipient of message 0, 1, …; a text is everyone's. */
  readonly from?: string | ((number: number) => string)
  readonly to?: string | ((number: number) => string)
  /** Default true: where the server offers it. */
  readonly pipelining?: boolean
  /** With `ca` the certificate is verified, without it is taken as it is. */
  readonly tls?: { readonly mode: 'starttls' | 'implicit'; readonly ca?: string; readonly serverName?: string }
  readonly auth?: { readonly user: string; readonly password: string }
  readonly ledger?: Ledger
  /** Connects again, for up to so long without success, when the server goes away. Otherwise a lost session stays lost. */
  readonly reconnectMsMax?: number
  /** Longest pause between two attempts to connect, which are made less often the longer the server is away. Default 1 s. */
  readonly reconnectDelayMsMax?: number
  /** Ends the run early; messages in hand are unacked. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly random?: Random
}

export async function runSource(options: SourceOptions): Promise<SourceResult> {
  if (options.messages === undefined && options.durationMs === undefined) {
    throw new PosthasteError(
      'source_without_end',
      'the source would never stop',
      'Say how many messages, or for how long.',
      {
        exitCode: 64,
      },
    )
  }
  return new SourceRun(options).run()
}

const reconnectDelayMsMin = 50

class SourceRun implements SessionOwner {
  readonly #options: SourceOptions
  readonly #session: SessionOptions
  readonly #clock: Clock
  readonly #maker: MessageMaker
  readonly #startMs: number
  readonly #tally: Tally
  readonly #messagesMax: number
  readonly #endMs: number
  readonly #intervalMs: number
  readonly #sessions = new Set<SourceSession>()
  #idle: SourceSession[] = []
  #next = 0
  #waiting = 0
  #timerSet = false
  #aborted = false
  /** Since when no session got through to `ready`; −1 while some do. */
  #deadSinceMs: number
  #done: () => void = () => {}

  constructor(options: SourceOptions) {
    this.#options = options
    const { host, port, tls = null, auth = null, pipelining = true } = options
    this.#session = { address: loopbackAddress(host), port, tls, auth, pipelining }
    this.#clock = options.clock ?? systemClock
    const run = (options.random ?? systemRandom).uint32().toString(36).padStart(7, '0')
    this.#maker = new MessageMaker(options.bytes ?? 10_240, run, this.#clock)
    this.#startMs = this.#clock.monotonicMs()
    this.#deadSinceMs = this.#startMs
    this.#tally = new Tally(this.#startMs)
    this.#messagesMax = options.messages ?? Number.POSITIVE_INFINITY
    this.#endMs = options.durationMs === undefined ? Number.POSITIVE_INFINITY : this.#startMs + options.durationMs
    this.#intervalMs = options.ratePerSecond === undefined ? 0 : 1000 / options.ratePerSecond
  }

  async run(): Promise<SourceResult> {
    // Kernel timers keep no process alive, and while the server is away there is no socket that would.
    const alive = setInterval(() => {}, 60_000)
    const abort = (): void => {
      this.#aborted = true
      for (const session of this.#sessions) session.abort()
      this.#settle()
    }
    this.#options.signal?.addEventListener('abort', abort)
    try {
      await new Promise<void>((resolve) => {
        this.#done = resolve
        for (let i = 0; i < this.#options.sessions; i++) this.#connect()
        if (this.#options.signal?.aborted === true) abort()
        if (this.#endMs !== Number.POSITIVE_INFINITY) this.#clock.after(this.#endMs - this.#startMs, () => this.#pump())
        this.#settle()
      })
    } finally {
      clearInterval(alive)
      this.#options.signal?.removeEventListener('abort', abort)
      for (const session of this.#sessions) session.quit()
    }
    await this.#options.ledger?.durable()
    const planned = Number.isFinite(this.#messagesMax) ? this.#messagesMax : this.#next
    return this.#tally.result(this.#clock.monotonicMs(), planned - this.#next)
  }

  #connect(): void {
    this.#sessions.add(new SourceSession(this.#session, this))
  }

  get #exhausted(): boolean {
    return this.#aborted || this.#next >= this.#messagesMax || this.#clock.monotonicMs() >= this.#endMs
  }

  /** Ends the run when nothing is left to do, or nobody to do it. */
  #settle(): void {
    const underWay = this.#next - this.#tally.ended
    if (underWay === 0 && (this.#exhausted || this.#sessions.size + this.#waiting === 0)) this.#done()
  }

  ready(session: SourceSession): void {
    this.#deadSinceMs = -1
    if (!session.counted) this.#tally.connections++
    session.counted = true
    this.#idle.push(session)
    this.#pump()
  }

  /** Hands due messages to idle sessions, the one idle for longest first. */
  #pump(): void {
    if (this.#exhausted) return this.#settle()
    let handed = 0
    while (handed < this.#idle.length && !this.#exhausted) {
      const nowMs = this.#clock.monotonicMs()
      const dueMs = this.#intervalMs === 0 ? nowMs : this.#startMs + this.#next * this.#intervalMs
      if (dueMs > nowMs) {
        this.#wake(dueMs - nowMs)
        break
      }
      this.#hand(this.#idle[handed++] as SourceSession, dueMs)
    }
    if (handed > 0) this.#idle = this.#idle.slice(handed)
  }

  #wake(delayMs: number): void {
    if (this.#timerSet) return
    this.#timerSet = true
    this.#clock.after(delayMs, () => {
      this.#timerSet = false
      this.#pump()
    })
  }

  #hand(session: SourceSession, dueMs: number): void {
    const { from = 'sender@source.test', to = 'recipient@receiver.test' } = this.#options
    const number = this.#next++
    const message = this.#maker.make(
      number,
      typeof from === 'string' ? from : from(number),
      typeof to === 'string' ? to : to(number),
    )
    session.dueMs = dueMs
    session.sentMs = this.#clock.nowMs()
    session.send(message)
  }

  finished(session: SourceSession, code: number): void {
    const nowMs = this.#clock.monotonicMs()
    if (code >= 200 && code < 300) {
      this.#tally.acked(code, nowMs, nowMs - session.dueMs, this.#options.bytes ?? 10_240)
      this.#swear(session, code)
    } else this.#tally.refused(code, nowMs)
    this.#settle()
  }

  lost(session: SourceSession, reason: string): void {
    this.#tally.trouble = reason
    this.#sessions.delete(session)
    this.#idle = this.#idle.filter((other) => other !== session)
    const nowMs = this.#clock.monotonicMs()
    if (session.message !== null) {
      this.#tally.unacked(nowMs)
      this.#swear(session, 0)
    }
    if (!this.#exhausted) this.#connectLater(nowMs)
    this.#settle()
  }

  #connectLater(nowMs: number): void {
    const { reconnectMsMax = 0, reconnectDelayMsMax = 1_000 } = this.#options
    if (this.#sessions.size === 0 && this.#deadSinceMs === -1) this.#deadSinceMs = nowMs
    const deadMs = this.#deadSinceMs === -1 ? 0 : nowMs - this.#deadSinceMs
    if (deadMs >= reconnectMsMax) return
    this.#waiting++
    this.#clock.after(Math.min(reconnectDelayMsMax, Math.max(reconnectDelayMsMin, deadMs)), () => {
      this.#waiting--
      if (!this.#exhausted) this.#connect()
      this.#settle()
    })
  }

  #swear(session: SourceSession, code: number): void {
    const { ledger } = this.#options
    const { message } = session
    if (ledger === undefined || message === null) return
    const record: SentRecord = {
      id: message.id,
      rcpt: message.to,
      sha256: contentSha256(message),
      code,
      sentMs: session.sentMs,
      ackedMs: this.#clock.nowMs(),
    }
    ledger.append(record)
  }
}
