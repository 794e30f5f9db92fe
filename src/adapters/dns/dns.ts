/**
 * Port `dns` over UDP and TCP, as a stub resolver: it asks the recursive servers of the configuration or of the system.
 *
 *   in   a recipient domain or an exchanger's name; the name of a TXT record
 *   out  exchangers, addresses or texts with the time that they stay true, or a failure that says whether asking again helps
 *
 * Always true:
 *   1. Nothing that a server sends makes this throw or reject; a reply that cannot be believed is as good as none.
 *   2. A question is under way once, however many ask it; memory, sockets and time are bounded (limits.ts).
 *   3. A failure of all servers never turns into "no such domain": records past their time serve for a day, then it is temporary.
 *
 *   mx, addresses → AnswerCache → Resolver (which servers, aliases) → ask (UDP, TCP) → readReply (bytes)
 *
 * RFC 1035, 2181 §8 (TTL), 2308 (negative answers), 5321 §5.1 and 7505 (MX), 5452 (forged answers), 6604, 6891 (EDNS), 7766 (TCP),
 * 8767 (serving stale answers).
 */
import { isIP } from 'node:net'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

import type { DnsConfig } from '../../config/compiled.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { dayMs, minuteMs } from '../../kernel/units.ts'
import type { AddressAnswer, Dns, MxAnswer, TextAnswer } from '../../ports/dns.ts'
import { AnswerCache, type Cached } from './cache.ts'
import { cacheEntriesMax, failureTtlMs, staleTtlMs } from './limits.ts'
import { dnsName } from './name.ts'
import { type Exchanger, Resolver } from './resolver.ts'
import { parseServer, type Server, systemServers } from './servers.ts'
import type { RecordType } from './wire.ts'

export * as dnsLimits from './limits.ts'

export interface DnsOptions {
  readonly config: DnsConfig
  readonly clock: Clock
  readonly random: Random
  /** Path of the file with the system's servers, read when the configuration names none. */
  readonly resolvConf?: string
  /** The machine's network interfaces, for tests. */
  readonly interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>
}

/** For the sandbox, which asks nobody: every destination is known without it, and any other does not exist. */
export const silentDns: Dns = {
  mx: async () => ({ kind: 'no-domain' }),
  addresses: async (host) =>
    isIP(host) === 0 ? { kind: 'no-domain' } : { kind: 'addresses', addresses: [host], ttlMs: 0 },
  txt: async () => ({ kind: 'no-domain' }),
  close() {},
}

/** Throws when the configuration names a server that is not an address. */
export function openDns(options: DnsOptions): Dns {
  return new StubDns(options)
}

class StubDns implements Dns {
  readonly #clock: Clock
  readonly #random: Random
  readonly #cache = new AnswerCache(cacheEntriesMax.value)
  readonly #resolver: Resolver
  readonly #underWay = new Map<string, Promise<Cached>>()
  readonly #resolvConf: string | null
  #servers: readonly Server[]
  #serversReadAtMs: number
  readonly #interfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]>
  #ipv6 = false
  #ipv6CheckedAtMs = -Infinity

  constructor({ config, clock, random, resolvConf = '/etc/resolv.conf', interfaces = networkInterfaces }: DnsOptions) {
    this.#clock = clock
    this.#random = random
    this.#interfaces = interfaces
    this.#resolvConf = config.servers.length === 0 ? resolvConf : null
    this.#servers = config.servers.length === 0 ? systemServers(resolvConf) : config.servers.map(parseServer)
    this.#serversReadAtMs = clock.monotonicMs()
    const exchanges = { clock, random, open: new Set<() => void>() }
    this.#resolver = new Resolver({ exchanges, servers: () => this.#servers, timeoutMs: config.timeoutMs })
  }

  async mx(domain: string): Promise<MxAnswer> {
    const name = dnsName(domain)
    if (name === null) return { kind: 'no-domain' }
    const { resolved, ttlMs } = await this.#lookUp(name, 'MX')
    if (resolved.kind === 'records') return { kind: 'mx', records: this.#spread(resolved.exchangers), ttlMs }
    return resolved.kind === 'loop' ? { kind: 'mx', records: [], ttlMs } : resolved
  }

  async addresses(host: string): Promise<AddressAnswer> {
    if (isIP(host) !== 0) return { kind: 'addresses', addresses: [host], ttlMs: dayMs }
    const name = dnsName(host)
    if (name === null) return { kind: 'no-domain' }
    const questions = [this.#lookUp(name, 'A')]
    if (this.#hasIpv6()) questions.unshift(this.#lookUp(name, 'AAAA'))
    const answers = await Promise.all(questions)

    const addresses: string[] = []
    let ttlMs = Infinity
    for (const answer of answers) {
      if (answer.resolved.kind !== 'records') continue
      addresses.push(...this.#shuffled(answer.resolved.addresses))
      ttlMs = Math.min(ttlMs, answer.ttlMs)
    }
    if (addresses.length > 0) return { kind: 'addresses', addresses, ttlMs }
    for (const { resolved } of answers) if (resolved.kind === 'temporary') return resolved
    return { kind: answers.every(({ resolved }) => resolved.kind === 'no-domain') ? 'no-domain' : 'no-data' }
  }

  /** Past the cache, in which an answer from before the record was published may stand. */
  async txt(text: string): Promise<TextAnswer> {
    const name = dnsName(text)
    if (name === null) return { kind: 'no-domain' }
    const { resolved, ttlMs } = await this.#resolver.resolve({ name, type: 'TXT' })
    if (resolved.kind === 'records') return { kind: 'txt', records: resolved.texts, ttlMs }
    return resolved.kind === 'loop' ? { kind: 'no-data' } : resolved
  }

  close(): void {
    this.#resolver.close()
  }

  async #lookUp(name: string, type: RecordType): Promise<Cached> {
    const key = `${type} ${name}`
    const known = this.#cache.fresh(key, this.#clock.monotonicMs())
    if (known !== null) return known
    const same = this.#underWay.get(key)
    if (same !== undefined) return same
    const asking = this.#ask(key, name, type)
    this.#underWay.set(key, asking)
    try {
      return await asking
    } finally {
      this.#underWay.delete(key)
    }
  }

  async #ask(key: string, name: string, type: RecordType): Promise<Cached> {
    const answer = await this.#resolver.resolve({ name, type })
    const nowMs = this.#clock.monotonicMs()
    if (answer.resolved.kind === 'temporary') {
      this.#readServersAgain(nowMs)
      const stale = this.#cache.stale(key, failureTtlMs.value, nowMs)
      if (stale !== null) return { resolved: stale, ttlMs: staleTtlMs.value }
    }
    this.#cache.put(key, answer.resolved, answer.ttlMs, nowMs)
    return answer
  }

  /** The file may have been written after we started, or the machine may have moved to another network. */
  #readServersAgain(nowMs: number): void {
    if (this.#resolvConf === null || nowMs - this.#serversReadAtMs < minuteMs / 2) return
    this.#serversReadAtMs = nowMs
    this.#servers = systemServers(this.#resolvConf)
  }

  /** RFC 4291 §2.4: an address in 2000::/3. Without one, an IPv6 destination cannot be reached, and asking for it is wasted. */
  #hasIpv6(): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#ipv6CheckedAtMs >= minuteMs) {
      this.#ipv6CheckedAtMs = nowMs
      const all = Object.values(this.#interfaces()).flatMap((addresses) => addresses ?? [])
      this.#ipv6 = all.some(
        ({ family, internal, address }) => family === 'IPv6' && !internal && /^[23][0-9a-f]{3}:/.test(address),
      )
    }
    return this.#ipv6
  }

  /** RFC 5321 §5.1: equal preferences are tried in random order, anew for each caller. */
  #spread(exchangers: readonly Exchanger[]): Exchanger[] {
    return this.#shuffled(exchangers).sort((a, b) => a.preference - b.preference)
  }

  #shuffled<T>(values: readonly T[]): T[] {
    const result = [...values]
    for (let i = result.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random.fraction() * (i + 1))
      const moved = result[i] as T
      result[i] = result[j] as T
      result[j] = moved
    }
    return result
  }
}
