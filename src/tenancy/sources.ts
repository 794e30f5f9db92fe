/** Who is recognised by where it is. */
import type { Client } from '../ports/clients.ts'
import { type Network, parseAddress } from '../standards/network.ts'
import { NetworkMap } from './networks.ts'

/** Those of exactly one network. */
interface Residents {
  ofFile: Client | null
  readonly tenants: Map<string, Client>
}

export class Sources {
  readonly #networks = new NetworkMap<Residents>()

  addOfFile(network: Network, client: Client): void {
    this.#residents(network).ofFile = client
  }

  add(network: Network, client: Client): void {
    this.#residents(network).tenants.set(client.tenant, client)
  }

  remove(network: Network, tenant: string): void {
    const residents = this.#networks.get(network)
    if (residents === undefined) return
    residents.tenants.delete(tenant)
    if (residents.tenants.size === 0 && residents.ofFile === null) this.#networks.delete(network)
  }

  knows(address: string): boolean {
    return this.#at(address) !== undefined
  }

  /** `owners`: who may send as the sender. */
  find(address: string, owners: () => readonly string[]): Client | null {
    const residents = this.#at(address)
    if (residents === undefined) return null
    const { ofFile, tenants } = residents
    if (ofFile === null && tenants.size === 1) return tenants.values().next().value as Client
    if (tenants.size === 0) return ofFile
    const meant = owners().flatMap((tenant) => tenants.get(tenant) ?? [])
    return meant.length === 1 ? (meant[0] as Client) : meant.length === 0 ? ofFile : null
  }

  #at(address: string): Residents | undefined {
    const parsed = parseAddress(address)
    return parsed === null ? undefined : this.#networks.find(parsed)
  }

  #residents(network: Network): Residents {
    let residents = this.#networks.get(network)
    if (residents === undefined) this.#networks.set(network, (residents = { ofFile: null, tenants: new Map() }))
    return residents
  }
}
