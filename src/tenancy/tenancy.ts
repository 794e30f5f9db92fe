/**
 * Stage 2, tenancy: knows who may send, by where they are or by what they know.
 *
 *   in   an address, or a user name and password (from intake)
 *   out  the client: its tenant, and how it was recognised; or null, which intake refuses
 *
 * Always true:
 *   1. An address belongs to the most specific network that holds it.
 *   2. A password is compared in constant time, whether the user exists or not. Passwords are random and long and made by us, so that one
 *      SHA-256 keeps them (a slow hash is for passwords that people think up).
 *   3. What it answers depends on the configuration alone; nothing is looked up elsewhere.
 *
 * RFC 4632 (CIDR), RFC 4291 §2.5.5.2 (IPv4 addresses in IPv6's clothes).
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { BlockList, isIP, isIPv4 } from 'node:net'
import type { TenantConfig } from '../config/compiled.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Client, Clients } from '../ports/clients.ts'

/** Throws PosthasteError for what is no network, and for a user that belongs to two. */
export function createClients(tenants: readonly TenantConfig[]): Clients {
  const networks = tenants
    .flatMap((tenant) => tenant.networks.map((cidr) => network(tenant.name, cidr)))
    .sort((one, other) => other.prefix - one.prefix)
  const logins = new Map<string, Login>()
  for (const tenant of tenants) {
    for (const { user, passwordSha256 } of tenant.logins) {
      if (logins.has(user))
        throw configError('login_repeated', `the login "${user}" is given twice`, 'Give each login to one tenant only.')
      logins.set(user, login(tenant.name, user, passwordSha256))
    }
  }
  return {
    byNetwork(address) {
      const plain = withoutMapping(address)
      const family = isIP(plain)
      if (family === 0) return null
      return networks.find(({ list }) => list.check(plain, family === 4 ? 'ipv4' : 'ipv6'))?.client ?? null
    },
    byLogin(user, password) {
      const known = logins.get(user)
      const right = timingSafeEqual(hash('sha256', password, 'buffer'), known?.passwordSha256 ?? noPassword)
      return right && known !== undefined ? known.client : null
    },
    maySendAs: () => true,
  }
}

interface Network {
  readonly list: BlockList
  readonly prefix: number
  readonly client: Client
}

interface Login {
  readonly passwordSha256: Buffer
  readonly client: Client
}

/** What a stranger's password is compared with. */
const noPassword = Buffer.alloc(32)

function network(tenant: string, cidr: string): Network {
  const [written = '', length, ...rest] = cidr.split('/')
  const address = withoutMapping(written)
  const family = isIP(address)
  const mappedBits = address === written ? 0 : 96
  const bits = family === 4 ? 32 : 128
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) - mappedBits : -1
  if (family === 0 || rest.length > 0 || prefix < 0 || prefix > bits) {
    throw configError(
      'bad_network',
      `"${cidr}" is not a network`,
      'Write it like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32.',
    )
  }
  const list = new BlockList()
  list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
  return { list, prefix, client: { tenant, how: `network ${cidr}` } }
}

function login(tenant: string, user: string, passwordSha256: string): Login {
  if (!/^[0-9a-f]{64}$/i.test(passwordSha256)) {
    throw configError(
      'bad_password_hash',
      `the password hash of "${user}" is not SHA-256 in hex`,
      'Give 64 hex digits, as sha256sum prints them.',
    )
  }
  return { passwordSha256: Buffer.from(passwordSha256, 'hex'), client: { tenant, how: `login ${user}` } }
}

/** "::ffff:192.0.2.7" → "192.0.2.7". */
function withoutMapping(address: string): string {
  const inner = address.slice(7)
  return /^::ffff:/i.test(address) && isIPv4(inner) ? inner : address
}

function configError(code: string, message: string, cure: string): PosthasteError {
  return new PosthasteError(code, message, cure, { exitCode: 78 })
}
