/**
 * Who may ask. A page in the operator's browser can send requests to 127.0.0.1 too: by DNS rebinding (its own name resolves to
 * us: the Host header tells) or across origins (the Origin header tells). So both are checked, on loopback too.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { problem } from './problem.ts'

export interface GuardOptions {
  readonly address: string
  readonly token: string | null
  /** Further names that we are reached by: our hostname. */
  readonly names: readonly string[]
}

/** Load balancers carry no token; what they learn is one word. */
const open = new Set(['/healthz', '/readyz'])

export function createGuard(options: GuardOptions): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  const names = ownNames(options)
  const expected = options.token === null ? null : digest(options.token)
  return async (request, reply) => {
    const host = request.headers.host ?? ''
    if (!names.has(hostName(host))) {
      const cure = 'Use the address that management listens on, or the configured hostname.'
      return problem(reply, 421, 'foreign_host', `this server is not ${JSON.stringify(host)}`, cure)
    }
    const { origin } = request.headers
    // RFC 6454 §7: an opaque origin is sent as "null", which is foreign as well.
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      return problem(
        reply,
        403,
        'foreign_origin',
        `a page of ${JSON.stringify(origin)} may not use this server`,
        'Open the console at its own address.',
      )
    }
    // A browser that says where a request comes from is believed, whatever it left out beside.
    const from = request.headers['sec-fetch-site']
    if (request.method !== 'GET' && request.method !== 'HEAD' && from !== undefined && !ownSites.has(from)) {
      const cure = 'Open the console at its own address.'
      return problem(reply, 403, 'foreign_origin', 'a page of another site may change nothing here', cure)
    }
    if (expected === null || open.has(request.routeOptions.url ?? '')) return undefined
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return undefined
    void reply.header('www-authenticate', 'Bearer')
    const cure =
      'Send "Authorization: Bearer TOKEN"; the token is in management.token_file, or in admin-token in the data directory.'
    return problem(
      reply,
      401,
      'token_required',
      given === undefined ? 'a token is required' : 'the token is wrong',
      cure,
    )
  }
}

/** Fetch Metadata: our own page, or no page at all. */
const ownSites = new Set(['same-origin', 'none'])

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function ownNames({ address, names }: GuardOptions): ReadonlySet<string> {
  const all = new Set(['localhost', '127.0.0.1', '::1', address, ...names.map((name) => name.toLowerCase())])
  if (address === '0.0.0.0' || address === '::') {
    for (const entry of Object.values(networkInterfaces()).flat()) if (entry !== undefined) all.add(entry.address)
  }
  return all
}

/** "[::1]:8080" → "::1". The port is not compared: a port that is forwarded to us has another number outside. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d+)?$/.exec(host)?.[1]
  if (bracketed !== undefined) return isIPv6(bracketed) ? bracketed.toLowerCase() : ''
  return host.replace(/:\d+$/, '').toLowerCase()
}
