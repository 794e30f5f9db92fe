/**
 * Stage 4, route: says to which site the mail for a recipient domain goes.
 *
 *   in   a recipient domain, as `domainOf` in standards/address.ts gives it: lower case, A-labels, or a literal in brackets
 *   out  a Site and for how long that is so, or the outcome that the recipient gets instead
 *
 * Always true:
 *   1. One exchanger set is one Site object, whatever domain led to it: queues, connections and limits are kept per site.
 *   2. A domain whose exchangers change gets another site; the old one stays for as long as somebody uses it.
 *   3. Mail is bounced only on what DNS said for certain; a failing resolver defers it.
 *   4. With a sandbox sink there is no other site.
 *
 *   domain ─ sandbox sink ─ route for the domain ─ "*.parent", longest first ─ "*" ─ address literal: refused
 *          └ MX ─┬ records: without null MX, without ourselves and what is behind us → site
 *                └ none: the domain's own address is its exchanger (RFC 5321 §5.1)
 *
 * RFC 5321 §5.1 (exchangers), RFC 7505 (null MX), RFC 3463 (codes).
 */
import type { DeliveryConfig, RouteConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import { dayMs } from '../kernel/units.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import type { Dns } from '../ports/dns.ts'
import { exchangersName, resolveExchangers } from './exchangers.ts'
import { noRoute } from './failure.ts'
import { KnownDomains } from './known.ts'
import { domainsMax, failureMsMax, sitesMax } from './limits.ts'
import { SiteTable } from './sites.ts'
import { StaticRoutes } from './static-routes.ts'

export * as routeLimits from './limits.ts'

export type RouteResult = { readonly site: Site; readonly validForMs: number } | { readonly failure: Outcome }

export interface RouterOptions {
  readonly routes: readonly RouteConfig[]
  readonly delivery: DeliveryConfig
  /** Our own name: an exchanger called so is ourselves. `delivery.ehloName` counts as well. */
  readonly hostname: string
  readonly dns: Dns
  readonly clock: Clock
  /** Where all mail goes in the sandbox; null elsewhere. */
  readonly sandboxSink: { readonly address: string; readonly port: number } | null
}

export interface Router {
  /** At once when a route, the sandbox or the cache knows; never rejects. */
  route(recipientDomain: string): RouteResult | Promise<RouteResult>
  /** All known sites, in no order. */
  sites(): readonly Site[]
  /** Forgets sites from DNS that no live answer leads to and that nobody uses; their ids may be given to new ones. Returns how many. */
  prune(inUse: (site: Site) => boolean): number
}

/** Throws when two routes contradict each other. */
export function createRouter(options: RouterOptions): Router {
  return new DomainRouter(options)
}

class DomainRouter implements Router {
  readonly #delivery: DeliveryConfig
  readonly #dns: Dns
  readonly #clock: Clock
  readonly #ourNames: ReadonlySet<string>
  readonly #sites = new SiteTable(sitesMax.value)
  readonly #sandbox: Site | null
  readonly #routes: StaticRoutes
  readonly #known = new KnownDomains(domainsMax.value)
  readonly #asking = new Map<string, Promise<RouteResult>>()

  constructor({ routes, delivery, hostname, dns, clock, sandboxSink }: RouterOptions) {
    this.#delivery = delivery
    this.#dns = dns
    this.#clock = clock
    this.#ourNames = new Set([hostname.toLowerCase(), delivery.ehloName.toLowerCase()])
    this.#sandbox = sandboxSink === null ? null : this.#sandboxSite(sandboxSink)
    this.#routes = new StaticRoutes(sandboxSink === null ? routes : [], this.#sites, delivery.connectionsPerSite)
  }

  route(domain: string): RouteResult | Promise<RouteResult> {
    if (this.#sandbox !== null) return { site: this.#sandbox, validForMs: dayMs }
    const site = this.#routes.find(domain)
    if (site !== null) return { site, validForMs: dayMs }
    if (domain.startsWith('[')) return { failure: noRoute('addressLiteral', domain) }

    const known = this.#known.get(domain)
    const leftMs = known === undefined ? 0 : known.untilMs - this.#clock.monotonicMs()
    if (known !== undefined && leftMs > 0) {
      return 'site' in known.result ? { site: known.result.site, validForMs: leftMs } : known.result
    }
    const same = this.#asking.get(domain)
    if (same !== undefined) return same
    const asking = this.#learn(domain)
    this.#asking.set(domain, asking)
    return asking
  }

  sites(): readonly Site[] {
    return this.#sites.all()
  }

  prune(inUse: (site: Site) => boolean): number {
    const live = new Set<Site>()
    for (const result of this.#known.live(this.#clock.monotonicMs())) if ('site' in result) live.add(result.site)
    return this.#sites.prune((site) => site.trusted || live.has(site) || inUse(site))
  }

  async #learn(domain: string): Promise<RouteResult> {
    const found = await resolveExchangers(this.#dns, domain, this.#ourNames)
    const result: RouteResult = 'failure' in found ? found : this.#siteFor(domain, found)
    const validForMs = 'site' in result ? result.validForMs : failureMsMax.value
    this.#known.set(domain, result, this.#clock.monotonicMs() + validForMs)
    this.#asking.delete(domain)
    return result
  }

  #siteFor(domain: string, { hosts, validForMs }: { hosts: Site['hosts']; validForMs: number }): RouteResult {
    const { port, tls, connectionsPerSite } = this.#delivery
    const name = `${exchangersName(hosts)}:${port}`
    const site =
      this.#sites.get(name) ??
      this.#sites.add({ name, hosts, port, tls, credentials: null, trusted: false, connectionsMax: connectionsPerSite })
    return site === null ? { failure: noRoute('tooManySites', domain) } : { site, validForMs }
  }

  #sandboxSite({ address, port }: { address: string; port: number }): Site | null {
    return this.#sites.add({
      name: `[${address}]:${port}`,
      hosts: [{ host: address, preference: 0 }],
      port,
      tls: 'never',
      credentials: null,
      trusted: true,
      connectionsMax: this.#delivery.connectionsPerSite,
    })
  }
}
