/** The hosts that take mail for a domain, by what DNS says (RFC 5321 §5.1), or why there are none. */
import type { Outcome } from '../model/outcome.ts'
import type { SiteHost } from '../model/site.ts'
import type { Dns, DnsFailure, MxRecord } from '../ports/dns.ts'
import { noRoute } from './failure.ts'
import { implicitMsMax } from './limits.ts'

export type Exchangers =
  | { readonly hosts: readonly SiteHost[]; readonly validForMs: number }
  | { readonly failure: Outcome }

/** @param ourNames lower-case names under which an exchanger would be ourselves */
export async function resolveExchangers(dns: Dns, domain: string, ourNames: ReadonlySet<string>): Promise<Exchangers> {
  const answer = await dns.mx(domain)
  if (answer.kind === 'mx') return choose(domain, answer.records, answer.ttlMs, ourNames)
  if (answer.kind !== 'no-data') return { failure: failed(domain, answer) }

  const own = await dns.addresses(domain)
  if (own.kind !== 'addresses') return { failure: failed(domain, own) }
  return choose(domain, [{ preference: 0, exchange: domain }], Math.min(own.ttlMs, implicitMsMax.value), ourNames)
}

function failed(domain: string, failure: DnsFailure): Outcome {
  if (failure.kind === 'temporary') return noRoute('dnsFails', domain, failure.reason)
  return noRoute(failure.kind === 'no-domain' ? 'noSuchDomain' : 'noAddress', domain)
}

function choose(
  domain: string,
  records: readonly MxRecord[],
  validForMs: number,
  ourNames: ReadonlySet<string>,
): Exchangers {
  if (records.length === 0) return { failure: noRoute('noUsableExchanger', domain) }
  // RFC 7505 §3: a null MX stands alone. Beside others it is an error, and they are tried.
  const named = records.filter(({ exchange }) => exchange !== '')
  if (named.length === 0) return { failure: noRoute('nullMx', domain) }

  // RFC 5321 §5.1: an exchanger hands on to better ones only, or mail runs in circles.
  const ourPreference = named.reduce(
    (least, mx) => (ourNames.has(mx.exchange) ? Math.min(least, mx.preference) : least),
    Infinity,
  )
  const hosts = named.filter(({ preference }) => preference < ourPreference)
  if (hosts.length === 0) return { failure: noRoute('loop', domain) }
  return { hosts: hosts.map(({ exchange, preference }) => ({ host: exchange, preference })), validForMs }
}

/**
 * Names a set of exchangers by the order in which they are tried: "+" joins those of equal preference, "," comes before the next best. The
 * numbers themselves do not matter, so domains that number the same order differently share a site.
 */
export function exchangersName(hosts: readonly SiteHost[]): string {
  const sorted = hosts.toSorted((a, b) => a.preference - b.preference || (a.host < b.host ? -1 : 1))
  let name = ''
  let before: SiteHost | null = null
  for (const host of sorted) {
    if (before !== null) name += host.preference === before.preference ? '+' : ','
    name += host.host
    before = host
  }
  return name
}
