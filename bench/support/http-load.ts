/**
 * Requests at a fixed rate (open loop) or as fast as the connections allow (closed loop). A request's time runs from when it was written; when it was due
 * and all connections waited for the server, from when it was due, so that a slow server cannot slow its own load. How late the source itself was
 * is told beside it.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { HttpConnection, type HttpReply } from './http-connection.ts'
import { steadyMs } from './steady-ms.ts'

export interface LoadOptions {
  readonly port: number
  /** 0: as fast as the connections allow. */
  readonly ratePerSecond: number
  readonly connections: number
  readonly seconds: number
}

/** What is asked, and what is made of the answers. Numbers count from 0. */
export interface Asker {
  /** A whole request; null when there is nothing to ask now. */
  request(number: number): string | null
  answered(number: number, reply: HttpReply): void
}

export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface LoadResult {
  /** Answered, whatever with. */
  readonly requests: number
  readonly statuses: Readonly<Record<string, number>>
  /** Connections that ended in the middle of a request. */
  readonly lost: number
  /** Neither answered nor lost when waiting for answers ended. */
  readonly unanswered: number
  readonly elapsedMs: number
  readonly latencyMs: Latency
  /** From when a request was due until it was written, when a connection was free: the source's own part, not in `latencyMs`. */
  readonly lateMs: Latency
}

/** The source's code is compiled and its connections are opened in this time; what is sent in it is answered and counted, but its latency is not. */
const leadInMs = 1_000
/** After the last request was sent. */
const answerMsMax = 15_000
const lostMax = 1_000
/** Whole microseconds up to a minute, to three digits. */
const histogram = (): RecordableHistogram => createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 })

export function runLoad(options: LoadOptions, asker: Asker): Promise<LoadResult> {
  return new Promise((resolve, reject) => new Load(options, asker, resolve, reject).start())
}

class Load {
  readonly #options: LoadOptions
  readonly #asker: Asker
  readonly #resolve: (result: LoadResult) => void
  readonly #reject: (error: Error) => void
  readonly #connections: HttpConnection[]
  readonly #idle: HttpConnection[]
  /** Numbers that are due and wait for a connection; those before `#waitingFrom` have got one. */
  readonly #waiting: number[] = []
  #waitingFrom = 0
  readonly #latency = histogram()
  readonly #late = histogram()
  readonly #statuses = new Map<number, number>()
  #startedMs = 0
  #lastAnswerMs = 0
  #next = 0
  #underWay = 0
  #answers = 0
  #lost = 0
  #sending = true
  #ended = false
  #deadline: NodeJS.Timeout | null = null

  constructor(
    options: LoadOptions,
    asker: Asker,
    resolve: (result: LoadResult) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options
    this.#asker = asker
    this.#resolve = resolve
    this.#reject = reject
    this.#connections = Array.from({ length: options.connections }, () => new HttpConnection(options.port))
    this.#idle = [...this.#connections]
  }

  start(): void {
    const { ratePerSecond, seconds } = this.#options
    this.#startedMs = steadyMs()
    this.#deadline = setTimeout(() => this.#finish(), seconds * 1_000 + answerMsMax)
    if (ratePerSecond > 0) return this.#tick()
    for (const connection of this.#idle.splice(0)) this.#askNext(connection)
  }

  /** Sends what is due, at most a millisecond late. */
  #tick(): void {
    if (this.#ended) return
    const { ratePerSecond, seconds } = this.#options
    const nowMs = steadyMs()
    for (; this.#next < ratePerSecond * seconds && this.#dueMs(this.#next) <= nowMs; this.#next++) {
      const connection = this.#idle.pop()
      if (connection === undefined) this.#waiting.push(this.#next)
      else {
        const dueMs = this.#dueMs(this.#next)
        if (dueMs - this.#startedMs >= leadInMs) this.#late.record(microseconds(nowMs - dueMs))
        this.#ask(connection, this.#next, steadyMs())
      }
    }
    this.#sending = this.#next < ratePerSecond * seconds
    if (this.#sending) setTimeout(() => this.#tick(), 1)
    else this.#finishIfDone()
  }

  #dueMs(number: number): number {
    return this.#startedMs + (number * 1_000) / this.#options.ratePerSecond
  }

  /** Closed loop: until the time is over. */
  #askNext(connection: HttpConnection): void {
    this.#sending = steadyMs() - this.#startedMs < this.#options.seconds * 1_000
    if (this.#sending) this.#ask(connection, this.#next++, steadyMs())
    else this.#finishIfDone()
  }

  #ask(connection: HttpConnection, number: number, sinceMs: number): void {
    const request = this.#asker.request(number)
    if (request === null) return void this.#idle.push(connection)
    this.#underWay++
    connection.ask(request, (reply) => {
      this.#underWay--
      try {
        this.#answered(number, sinceMs, reply)
      } catch (error) {
        return this.#fail(error as Error)
      }
      this.#goOn(connection)
    })
  }

  #answered(number: number, sinceMs: number, reply: HttpReply | null): void {
    if (reply === null) {
      this.#lost++
      if (this.#lost > lostMax) throw new Error(`the server ended ${this.#lost} connections in the middle of a request`)
      return
    }
    this.#lastAnswerMs = steadyMs()
    this.#answers++
    if (sinceMs - this.#startedMs >= leadInMs) this.#latency.record(microseconds(this.#lastAnswerMs - sinceMs))
    this.#statuses.set(reply.status, (this.#statuses.get(reply.status) ?? 0) + 1)
    this.#asker.answered(number, reply)
  }

  #goOn(connection: HttpConnection): void {
    if (this.#options.ratePerSecond === 0) return this.#askNext(connection)
    const number = this.#waiting[this.#waitingFrom]
    if (number === undefined) this.#idle.push(connection)
    else {
      this.#waitingFrom++
      this.#ask(connection, number, this.#dueMs(number))
    }
    this.#finishIfDone()
  }

  #finishIfDone(): void {
    if (!this.#sending && this.#underWay === 0 && this.#waitingFrom === this.#waiting.length) this.#finish()
  }

  #finish(): void {
    this.#end()
    const unanswered = this.#underWay + this.#waiting.length - this.#waitingFrom
    this.#resolve({
      requests: this.#answers,
      statuses: Object.fromEntries(this.#statuses),
      lost: this.#lost,
      unanswered,
      elapsedMs: this.#lastAnswerMs - this.#startedMs,
      latencyMs: latencyOf(this.#latency),
      lateMs: latencyOf(this.#late),
    })
  }

  #fail(error: Error): void {
    this.#end()
    this.#reject(error)
  }

  #end(): void {
    this.#ended = true
    if (this.#deadline !== null) clearTimeout(this.#deadline)
    for (const connection of this.#connections) connection.close()
  }
}

const microseconds = (ms: number): number => Math.min(60_000_000, Math.max(1, Math.round(ms * 1_000)))

function latencyOf(histogram: RecordableHistogram): Latency {
  const ms = (value: number): number => (histogram.count === 0 ? 0 : value / 1_000)
  const at = (percent: number): number => ms(histogram.percentile(percent))
  return { p50: at(50), p99: at(99), p999: at(99.9), max: ms(histogram.max) }
}
