/**
 * Who is this, and may it send as that: answered from the configuration file and the directory's tenants, without asking anybody. A tenant that
 * has changed is put in the place of what it was, and what that costs does not depend on how many others there are.
 */
import type { TenantConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Client, Clients, ClientStream, KeyClient } from '../ports/clients.ts'
import type { DirectorySnapshot, IntakeTenant } from '../ports/directory.ts'
import { type Network, parseNetwork } from '../standards/network.ts'
import { configError } from './config-error.ts'
import { Credentials } from './credentials.ts'
import { Identities } from './identities.ts'
import { Sources } from './sources.ts'

export interface ClientsOptions {
  /** The sandbox, from which nothing gets out: everybody may send as anybody. */
  readonly anySender: boolean
  readonly clock: Clock
}

export interface LiveClients extends Clients {
  /** The tenant as it is now, in force when it returns. */
  put(tenant: IntakeTenant): void
}

/**
 * Those of the file and of the directory together. A tenant of the file may send as anybody: whoever writes that file runs the server. Throws
 * PosthasteError for what is no network or everybody's, and for a user that the file has twice.
 */
export function clientsOf(
  fileTenants: readonly TenantConfig[],
  { intake }: Pick<DirectorySnapshot, 'intake'>,
  options: ClientsOptions,
): LiveClients {
  const clients = new TenantClients(fileTenants, options)
  for (const tenant of intake) clients.put(tenant)
  return clients
}

class TenantClients implements LiveClients {
  readonly #anySender: boolean
  readonly #fromFile: ReadonlySet<string>
  readonly #tenants = new Map<string, IntakeTenant>()
  readonly #credentials: Credentials
  readonly #sources = new Sources()
  readonly #identities = new Identities()
  /** Ids of keys, logins and networks in force. */
  readonly #current = new Set<string>()

  constructor(fileTenants: readonly TenantConfig[], { anySender, clock }: ClientsOptions) {
    this.#anySender = anySender
    this.#fromFile = new Set(fileTenants.map(({ name }) => name))
    this.#credentials = new Credentials(fileTenants, clock)
    for (const { name, networks } of fileTenants) {
      for (const text of networks) {
        const network = fileNetwork(text)
        this.#sources.addOfFile(network, { tenant: name, how: `network ${network.cidr}` })
      }
    }
  }

  put(tenant: IntakeTenant): void {
    const before = this.#tenants.get(tenant.id)
    if (before !== undefined) this.#remove(before)
    this.#tenants.set(tenant.id, tenant)
    this.#identities.add(tenant)
    for (const id of this.#credentials.add(tenant)) this.#current.add(id)
    for (const { id, cidr } of tenant.networks) {
      const network = parseNetwork(cidr)
      if (network === null || network.prefix === 0) continue
      this.#sources.add(network, { tenant: tenant.id, how: `network ${cidr}`, credentialId: id })
      this.#current.add(id)
    }
  }

  #remove(tenant: IntakeTenant): void {
    this.#identities.remove(tenant)
    this.#credentials.remove(tenant)
    for (const { cidr } of tenant.networks) {
      const network = parseNetwork(cidr)
      if (network !== null) this.#sources.remove(network, tenant.id)
    }
    for (const { id } of [...tenant.keys, ...tenant.logins, ...tenant.networks]) this.#current.delete(id)
  }

  knowsNetwork(address: string): boolean {
    return this.#sources.knows(address)
  }

  bySource(address: string, sender: string): Client | null {
    return this.#sources.find(address, () => this.#identities.of(sender))
  }

  byLogin(user: string, password: string, address?: string): Client | null {
    return this.#credentials.byLogin(user, password, address)
  }

  byKey(secret: string, address: string): KeyClient | null {
    return this.#credentials.byKey(secret, address)
  }

  isCurrent({ credentialId }: Client): boolean {
    return credentialId === undefined || this.#current.has(credentialId)
  }

  stream({ tenant }: Client, name: string): ClientStream | null {
    return this.#tenants.get(tenant)?.streams.find((stream) => stream.name === name) ?? null
  }

  maySendAs({ tenant }: Client, address: string): boolean {
    const free = this.#anySender || address === '' || this.#fromFile.has(tenant)
    return free || this.#identities.of(address).includes(tenant)
  }
}

function fileNetwork(text: string): Network {
  const network = parseNetwork(text)
  if (network !== null && network.prefix > 0) return network
  const cure = 'Write it like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32.'
  if (network === null) throw configError('bad_network', `"${text}" is not a network`, cure)
  throw configError('bad_network', `"${text}" is everybody: an open relay`, 'Name the networks of your own senders.')
}
