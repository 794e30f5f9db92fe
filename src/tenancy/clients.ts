/**
 * Who is this, and may it send as that: answered from the configuration file and a snapshot of the directory, without asking anybody. Made
 * anew for every snapshot.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import type { BlockList } from 'node:net'
import type { TenantConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Client, Clients, DirectoryClients, KeyClient } from '../ports/clients.ts'
import type { DirectorySnapshot, IntakeKey, IntakeTenant } from '../ports/directory.ts'
import { domainOf } from '../standards/address.ts'
import { isSecret, sha256 } from './directory/secrets.ts'
import { foldAddress } from './directory/values.ts'
import { blockList, holds, parseNetwork } from './networks.ts'

/** Those of the configuration file alone, who may send as anybody. Throws PosthasteError for what is no network, and for a user given twice. */
export function createClients(tenants: readonly TenantConfig[]): Clients {
  const networks = tenants
    .flatMap((tenant) => tenant.networks.map((cidr) => fileNetwork(tenant.name, cidr)))
    .sort((one, other) => other.prefix - one.prefix)
  const logins = fileLogins(tenants)
  return {
    byNetwork: (address) => networks.find(({ list }) => holds(list, address))?.client ?? null,
    byLogin: (user, password, address) => clientOfLogin(logins, user, password, address),
    maySendAs: () => true,
  }
}

export interface ClientsOptions {
  /** The sandbox, from which nothing gets out: everybody may send as anybody. */
  readonly anySender: boolean
  readonly clock: Clock
}

/**
 * Those of the file and of the directory together. A user of the file comes before one of the directory. A tenant of the file may send as
 * anybody: whoever writes that file runs the server.
 */
export function clientsOf(
  tenants: readonly TenantConfig[],
  snapshot: Pick<DirectorySnapshot, 'intake'>,
  { anySender, clock }: ClientsOptions,
): DirectoryClients {
  const ofFile = createClients(tenants)
  const fromFile = new Set(tenants.map(({ name }) => name))
  const logins = fileLogins(tenants)
  const keys = new Map<string, Key>()
  /** Ids of keys and logins in force. */
  const current = new Set<string>()
  const streams = new Map<string, IntakeTenant['streams']>()
  for (const { id: tenant, keys: itsKeys, logins: itsLogins, streams: itsStreams } of snapshot.intake) {
    streams.set(tenant, itsStreams)
    for (const { id, user, passwordSha256, networks } of itsLogins) {
      if (logins.has(user)) continue
      logins.set(user, login({ tenant, how: `login ${user}`, credentialId: id }, passwordSha256, networks))
      current.add(id)
    }
    for (const key of itsKeys) {
      keys.set(key.sha256, { key, tenant, doors: new Doors(key.networks) })
      current.add(key.id)
    }
  }
  const identities = new Identities(snapshot)
  return {
    byNetwork: (address) => ofFile.byNetwork(address),
    byLogin: (user, password, address) => clientOfLogin(logins, user, password, address),
    byKey(secret, address) {
      if (!isSecret('live', secret)) return null
      // Found by its hash: how long that takes tells of the hash of a guess, and nothing of any key.
      const found = keys.get(sha256(secret))
      if (found === undefined || !found.doors.open(address)) return null
      const { expiresMs } = found.key
      return expiresMs !== null && clock.nowMs() >= expiresMs ? null : clientOfKey(found)
    },
    isCurrent: ({ credentialId }) => credentialId === undefined || current.has(credentialId),
    stream: ({ tenant }, name) => streams.get(tenant)?.find((stream) => stream.name === name) ?? null,
    maySendAs: ({ tenant }, address) =>
      anySender || address === '' || fromFile.has(tenant) || identities.has(tenant, address),
  }
}

interface Key {
  readonly key: IntakeKey
  readonly tenant: string
  readonly doors: Doors
}

function clientOfKey({ key, tenant }: Key): KeyClient {
  return { tenant, how: `key ${key.id}`, credentialId: key.id, scopes: key.scopes }
}

/** Where a key or login may be used from. Its list is made when it is first used: most never meet this thread. */
class Doors {
  readonly #networks: readonly string[]
  #list: BlockList | null = null

  constructor(networks: readonly string[]) {
    this.#networks = networks
  }

  open(address: string | undefined): boolean {
    if (this.#networks.length === 0) return true
    if (address === undefined) return false
    this.#list ??= blockList(this.#networks.map((cidr) => parseNetwork(cidr)).filter((network) => network !== null))
    return holds(this.#list, address)
  }
}

interface Login {
  readonly passwordSha256: Buffer
  readonly client: Client
  readonly doors: Doors
}

/** What a stranger's password is compared with. */
const noPassword = Buffer.alloc(32)

function clientOfLogin(
  logins: ReadonlyMap<string, Login>,
  user: string,
  password: string,
  address: string | undefined,
): Client | null {
  const known = logins.get(user)
  const right = timingSafeEqual(hash('sha256', password, 'buffer'), known?.passwordSha256 ?? noPassword)
  return right && known !== undefined && known.doors.open(address) ? known.client : null
}

/** Which names and addresses are whose. */
class Identities {
  readonly #domains = new Map<string, { readonly tenant: string; readonly subdomains: boolean }>()
  /** By tenant. */
  readonly #senders = new Map<string, ReadonlySet<string>>()

  constructor({ intake }: Pick<DirectorySnapshot, 'intake'>) {
    for (const { id: tenant, domains, senders } of intake) {
      for (const { domain, subdomains } of domains) this.#domains.set(domain, { tenant, subdomains })
      if (senders.length > 0) this.#senders.set(tenant, new Set(senders))
    }
  }

  /** A single address counts only while nobody else has verified its domain. */
  has(tenant: string, address: string): boolean {
    const domain = domainOf(address)
    if (domain === '') return false
    const owner = this.#ownerOf(domain)
    return owner === null ? this.#senders.get(tenant)?.has(foldAddress(address, domain)) === true : owner === tenant
  }

  /** The name itself, else the nearest above it that was verified with its subdomains. */
  #ownerOf(domain: string): string | null {
    const exact = this.#domains.get(domain)
    if (exact !== undefined) return exact.tenant
    for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      const parent = this.#domains.get(domain.slice(dot + 1))
      if (parent?.subdomains === true) return parent.tenant
    }
    return null
  }
}

interface FileNetwork {
  readonly list: BlockList
  readonly prefix: number
  readonly client: Client
}

function fileNetwork(tenant: string, cidr: string): FileNetwork {
  const network = parseNetwork(cidr)
  if (network === null) {
    throw configError(
      'bad_network',
      `"${cidr}" is not a network`,
      'Write it like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32.',
    )
  }
  return { list: blockList([network]), prefix: network.prefix, client: { tenant, how: `network ${cidr}` } }
}

function fileLogins(tenants: readonly TenantConfig[]): Map<string, Login> {
  const logins = new Map<string, Login>()
  for (const tenant of tenants) {
    for (const { user, passwordSha256 } of tenant.logins) {
      if (logins.has(user))
        throw configError('login_repeated', `the login "${user}" is given twice`, 'Give each login to one tenant only.')
      if (!/^[0-9a-f]{64}$/i.test(passwordSha256)) {
        throw configError(
          'bad_password_hash',
          `the password hash of "${user}" is not SHA-256 in hex`,
          'Give 64 hex digits, as sha256sum prints them.',
        )
      }
      logins.set(user, login({ tenant: tenant.name, how: `login ${user}` }, passwordSha256, []))
    }
  }
  return logins
}

function login(client: Client, passwordSha256: string, networks: readonly string[]): Login {
  return { passwordSha256: Buffer.from(passwordSha256, 'hex'), client, doors: new Doors(networks) }
}

function configError(code: string, message: string, cure: string): PosthasteError {
  return new PosthasteError(code, message, cure, { exitCode: 78 })
}
