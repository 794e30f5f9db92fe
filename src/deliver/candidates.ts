/**
 * The addresses of a site in the order to try them (RFC 5321 §5.1): hosts by preference, equal ones shuffled for every connection so
 * that the load spreads, each resolved only when it is its turn. Addresses that failed a moment ago come last.
 */
import { isIP } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Site, SiteHost } from '../model/site.ts'
import type { Dns } from '../ports/dns.ts'
import type { AddressRule } from './address-rule.ts'
import type { HostMemory } from './hosts.ts'
import { addressesPerAttemptMax } from './limits.ts'
import { moreTelling, outcomeOfFault } from './outcome.ts'

export interface Candidate {
  readonly host: string
  readonly address: string
}

export interface CandidateSources {
  readonly dns: Dns
  readonly random: Random
  readonly clock: Clock
  readonly hosts: HostMemory
  readonly addressRule: AddressRule
  readonly sandbox: boolean
  /** Our own name and addresses: an exchanger that is us, and all less preferred ones, would make a loop (RFC 5321 §5.1). */
  readonly hostname: string
  readonly ownAddresses: ReadonlySet<string>
}

export class Candidates {
  /** Why the site gave no (further) candidate. */
  failure: Outcome | null = null
  readonly #site: Site
  readonly #source: string | null
  readonly #sources: CandidateSources
  readonly #hosts: SiteHost[]
  readonly #ready: Candidate[] = []
  readonly #failing: Candidate[] = []
  #tried = 0

  /** @param source local address to leave from: addresses of the other family are passed over */
  constructor(site: Site, source: string | null, sources: CandidateSources) {
    this.#source = source
    this.#site = site
    this.#sources = sources
    this.#hosts = shuffleEqual(site.hosts, sources.random)
  }

  /** The next address to try; null when there are no more, or enough were tried. */
  async next(): Promise<Candidate | null> {
    if (this.#tried === addressesPerAttemptMax.value) return null
    while (this.#ready.length === 0) {
      const host = this.#hosts.shift()
      if (host !== undefined) await this.#resolve(host)
      else if (this.#failing.length > 0) this.#ready.push(...this.#failing.splice(0))
      else return this.#exhausted()
    }
    this.#tried++
    return this.#ready.shift() as Candidate
  }

  async #resolve(host: SiteHost): Promise<void> {
    const { dns, hosts, addressRule, hostname, ownAddresses, sandbox } = this.#sources
    const free = this.#site.trusted || sandbox
    if (!free && host.host.toLowerCase() === hostname.toLowerCase()) return this.#stopAtOurselves(host)
    const answer = isIP(host.host) === 0 ? await dns.addresses(host.host) : [host.host]
    if ('kind' in answer && answer.kind !== 'addresses') {
      const fault = answer.kind === 'temporary' ? 'dnsTemporary' : 'noAddress'
      return this.#fail(outcomeOfFault(fault, 'resolve', host.host))
    }
    for (const address of 'kind' in answer ? answer.addresses : answer) {
      if (!free && ownAddresses.has(address)) return this.#stopAtOurselves(host)
      if (!free && !addressRule.isPublic(address)) {
        this.#fail(outcomeOfFault('addressRefused', 'resolve', `${host.host} is ${address}`))
        continue
      }
      if (this.#source !== null && isIP(this.#source) !== isIP(address)) {
        this.#fail(
          outcomeOfFault('connectFailed', 'connect', `${address} cannot be reached from source ${this.#source}`),
        )
        continue
      }
      const failing = hosts.failing.has(endpoint(address, this.#site.port))
      ;(failing ? this.#failing : this.#ready).push({ host: host.host, address })
    }
  }

  #stopAtOurselves(host: SiteHost): void {
    this.#hosts.length = 0
    this.#fail(outcomeOfFault('loopsBack', 'resolve', `${host.host} is this server`))
  }

  #fail(outcome: Outcome): void {
    this.failure = moreTelling(this.failure, outcome)
  }

  #exhausted(): null {
    this.failure ??= outcomeOfFault('noAddress', 'resolve', this.#site.name)
    return null
  }
}

/** How hosts and addresses are remembered. */
export function endpoint(host: string, port: number): string {
  return `${host}:${port}`
}

/** Fisher and Yates, within each run of equal preference. */
function shuffleEqual(sorted: readonly SiteHost[], random: Random): SiteHost[] {
  const hosts = [...sorted]
  for (let i = 1; i < hosts.length; i++) {
    let first = i
    while (first > 0 && hosts[first - 1]?.preference === hosts[i]?.preference) first--
    const j = first + Math.floor(random.fraction() * (i - first + 1))
    ;[hosts[i], hosts[j]] = [hosts[j] as SiteHost, hosts[i] as SiteHost]
  }
  return hosts
}
