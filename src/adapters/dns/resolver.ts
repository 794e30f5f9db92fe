/**
 * One question to all servers: who is asked when, how often, and what a chain of aliases leads to.
 *
 * Round one asks each server once, those that answered lately first; round two asks those again that kept silent, with
 * twice the time. A server that answered with an error is not asked twice. All of it stays within `questionMsMax`, and within a
 * number of questions in flight; further ones wait in order.
 */
import type { Limit } from '../../kernel/limits.ts'
import { ask, type Exchanges, type Unanswered } from './exchange.ts'
import {
  addressesMax,
  aliasesMax,
  exchangersMax,
  downMs,
  failureTtlMs,
  negativeTtlMsMax,
  positiveTtlMsMax,
  questionMsMax,
  questionsInFlightMax,
  questionsWaitingMax,
  textsMax,
  ttlMsMin,
} from './limits.ts'
import { dnsName } from './name.ts'
import type { Server } from './servers.ts'
import { type Message, type Question, rcodes, type RecordType, type ReplyRecord } from './wire.ts'

export interface Exchanger {
  readonly preference: number
  readonly exchange: string
}

export type Resolved =
  /** What a caller can use of it, trimmed and in a stable order; possibly nothing. */
  | {
      readonly kind: 'records'
      readonly exchangers: readonly Exchanger[]
      readonly addresses: readonly string[]
      readonly texts: readonly string[]
    }
  | { readonly kind: 'no-domain' }
  | { readonly kind: 'no-data' }
  /** Aliases without an end, or too many of them. */
  | { readonly kind: 'loop' }
  | { readonly kind: 'temporary'; readonly reason: string }

export interface TimedResolved {
  readonly resolved: Resolved
  readonly ttlMs: number
}

export interface ResolverOptions {
  readonly exchanges: Exchanges
  /** The servers to ask now; asked for at each question, since the system's list may change. */
  readonly servers: () => readonly Server[]
  readonly timeoutMs: number
}

const rounds = 2

export class Resolver {
  readonly #exchanges: Exchanges
  readonly #servers: () => readonly Server[]
  readonly #timeoutMs: number
  #inFlight = 0
  readonly #waiting: (() => void)[] = []
  #closed = false

  constructor(options: ResolverOptions) {
    this.#exchanges = options.exchanges
    this.#servers = options.servers
    this.#timeoutMs = options.timeoutMs
  }

  /** Never rejects. */
  async resolve(question: Question): Promise<TimedResolved> {
    if (this.#inFlight < questionsInFlightMax.value) this.#inFlight++
    else if (this.#waiting.length >= questionsWaitingMax.value) return temporary('too many DNS questions are waiting')
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await this.#follow(question)
    } finally {
      const next = this.#waiting.shift()
      // The place is handed on rather than freed: a newcomer must not take it in between.
      if (next === undefined) this.#inFlight--
      else next()
    }
  }

  close(): void {
    this.#closed = true
    for (const cancel of this.#exchanges.open) cancel()
  }

  /** Recursive servers send the whole chain of aliases at once; what one left out is asked for. */
  async #follow({ name, type }: Question): Promise<TimedResolved> {
    const deadlineMs = this.#exchanges.clock.monotonicMs() + questionMsMax.value
    const chain: Chain = { name, aliases: 0, ttlMs: Infinity }
    for (;;) {
      const asked = chain.name
      const reply = await this.#askAll({ name: asked, type }, deadlineMs)
      if ('unanswered' in reply) return temporary(reply.unanswered)
      if (!walk(chain, reply.answers, type))
        return { resolved: { kind: 'loop' }, ttlMs: within(negativeTtlMsMax, chain.ttlMs) }
      const records = reply.answers.filter((record) => record.type === type && record.name === chain.name)
      if (records.length > 0) return usable(records, chain.ttlMs)
      const negativeMs =
        reply.negativeTtlMs === null ? failureTtlMs.value : within(negativeTtlMsMax, reply.negativeTtlMs)
      // RFC 6604 §3: the code speaks of the chain's last name.
      if (reply.rcode === rcodes.noSuchName) return { resolved: { kind: 'no-domain' }, ttlMs: negativeMs }
      const complete = reply.negativeTtlMs !== null || chain.name === asked || dnsName(chain.name) === null
      if (complete) return { resolved: { kind: 'no-data' }, ttlMs: negativeMs }
    }
  }

  async #askAll(question: Question, deadlineMs: number): Promise<Message | Unanswered> {
    const { clock } = this.#exchanges
    const startMs = clock.monotonicMs()
    const silence = (server: Server): number => Math.max(0, server.downUntilMs - startMs)
    let waiting = this.#servers().toSorted((a, b) => silence(a) - silence(b))
    let last: Unanswered = { unanswered: 'no DNS server answered in time', answered: false }
    for (let round = 0; round < rounds; round++) {
      const silent: Server[] = []
      for (const server of waiting) {
        const nowMs = clock.monotonicMs()
        if (this.#closed || nowMs >= deadlineMs) return last
        const reply = await ask(
          this.#exchanges,
          server,
          question,
          Math.min(this.#timeoutMs * 2 ** round, deadlineMs - nowMs),
        )
        if (!('unanswered' in reply)) {
          server.downUntilMs = 0
          return reply
        }
        last = reply
        if (reply.answered) continue
        server.downUntilMs = clock.monotonicMs() + downMs.value
        silent.push(server)
      }
      waiting = silent
    }
    return last
  }
}

interface Chain {
  /** Where it has led so far. */
  name: string
  aliases: number
  ttlMs: number
}

/** Follows the aliases in one reply. False when there are too many, which is how a loop ends (row 124). */
function walk(chain: Chain, answers: readonly ReplyRecord[], type: RecordType): boolean {
  for (;;) {
    if (answers.some((record) => record.type === type && record.name === chain.name)) return true
    const alias = answers.find((record) => record.type === 'CNAME' && record.name === chain.name)
    if (alias?.type !== 'CNAME') return true
    if (++chain.aliases > aliasesMax.value) return false
    chain.name = alias.target
    chain.ttlMs = Math.min(chain.ttlMs, alias.ttlMs)
  }
}

function usable(records: readonly ReplyRecord[], chainTtlMs: number): TimedResolved {
  const ttlMs = records.reduce((least, record) => Math.min(least, record.ttlMs), chainTtlMs)
  const addresses = new Set<string>()
  const texts: string[] = []
  for (const record of records) {
    if ('address' in record && addresses.size < addressesMax.value) addresses.add(record.address)
    if ('text' in record && texts.length < textsMax.value) texts.push(record.text)
  }
  return {
    resolved: { kind: 'records', exchangers: bestExchangers(records), addresses: [...addresses], texts },
    ttlMs: within(positiveTtlMsMax, ttlMs),
  }
}

/** The best twenty. Equal preferences are cut by name, so that the same records always give the same set, hence the same site. */
function bestExchangers(records: readonly ReplyRecord[]): Exchanger[] {
  const best = new Map<string, number>()
  for (const record of records) {
    if (record.type !== 'MX') continue
    // RFC 7505 §3: "." says that no mail is taken. RFC 5321 §5.1: an address in place of a name is an error, so ignored (row 122).
    const exchange = record.exchange === '.' ? '' : dnsName(record.exchange)
    if (exchange !== null) best.set(exchange, Math.min(record.preference, best.get(exchange) ?? Infinity))
  }
  return [...best]
    .map(([exchange, preference]) => ({ exchange, preference }))
    .sort((a, b) => a.preference - b.preference || (a.exchange < b.exchange ? -1 : 1))
    .slice(0, exchangersMax.value)
}

function within(longest: Limit, ttlMs: number): number {
  return Math.min(longest.value, Math.max(ttlMsMin.value, ttlMs))
}

function temporary(reason: string): TimedResolved {
  return { resolved: { kind: 'temporary', reason }, ttlMs: failureTtlMs.value }
}
