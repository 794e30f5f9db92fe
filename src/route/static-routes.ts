/** The operator's own routes: which one a domain takes, and the site behind each. */
import { isIP } from 'node:net'

import type { RouteConfig } from '../config/compiled.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Site } from '../model/site.ts'
import { domainName } from '../standards/address.ts'
import type { SiteTable } from './sites.ts'

export class StaticRoutes {
  /** Keys: "example.com" for itself, ".example.com" for its children, "" for everything. */
  readonly #sites = new Map<string, Site>()

  constructor(routes: readonly RouteConfig[], sites: SiteTable, connectionsMax: number) {
    for (const route of routes) this.#sites.set(keyOf(route.domain), siteOf(route, sites, connectionsMax))
  }

  /** The domain itself, then its closest parent with a "*." route, then "*". */
  find(domain: string): Site | null {
    if (this.#sites.size === 0) return null
    const exact = this.#sites.get(domain)
    if (exact !== undefined) return exact
    for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
      const parent = this.#sites.get(domain.slice(dot))
      if (parent !== undefined) return parent
    }
    return this.#sites.get('') ?? null
  }
}

/** U-labels become A-labels; what is no domain, such as a literal or a name with an underscore, stays. */
function canonical(name: string): string {
  return domainName(name) || name.toLowerCase()
}

function keyOf(pattern: string): string {
  if (pattern === '*') return ''
  return pattern.startsWith('*.') ? `.${canonical(pattern.slice(2))}` : canonical(pattern)
}

/** Routes with the same next hop share a site, hence its connections and limits. */
function siteOf(route: RouteConfig, sites: SiteTable, connectionsMax: number): Site {
  const { host, port, tls, credentials } = route
  const name = `${credentials === null ? '' : `${credentials.user}@`}[${host}]:${port}${tls === 'opportunistic' ? '' : `/${tls}`}`
  const known = sites.get(name)
  if (known !== null) {
    if (known.credentials?.password === credentials?.password) return known
    throw new PosthasteError(
      'route_passwords',
      `two routes log in to ${host}:${port} as ${credentials?.user ?? ''} with different passwords`,
      'Give all routes to this host the same password for this user, or use another user.',
      { exitCode: 78 },
    )
  }
  const site = sites.add({
    name,
    hosts: [{ host: isIP(host) === 0 ? canonical(host) : host, preference: 0 }],
    port,
    tls,
    credentials,
    trusted: true,
    connectionsMax,
  })
  if (site !== null) return site
  throw new PosthasteError(
    'route_count',
    'there are more routes than sites can be kept',
    'Use "*." patterns for domains with the same next hop.',
    { exitCode: 78 },
  )
}
