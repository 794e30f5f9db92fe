/** Which names and addresses are whose. */
import type { IntakeTenant } from '../ports/directory.ts'
import { domainOf } from '../standards/address.ts'
import { foldAddress } from './directory/values.ts'

type Named = Pick<IntakeTenant, 'id' | 'domains' | 'senders'>

export class Identities {
  readonly #domains = new Map<string, { readonly tenant: string; readonly subdomains: boolean }>()
  /** Tenants by address: nearly always one. */
  readonly #senders = new Map<string, readonly string[]>()

  add({ id: tenant, domains, senders }: Named): void {
    for (const { domain, subdomains } of domains) this.#domains.set(domain, { tenant, subdomains })
    for (const address of senders) this.#senders.set(address, [...(this.#senders.get(address) ?? []), tenant])
  }

  remove({ id: tenant, domains, senders }: Named): void {
    for (const { domain } of domains) if (this.#domains.get(domain)?.tenant === tenant) this.#domains.delete(domain)
    for (const address of senders) {
      const others = (this.#senders.get(address) ?? []).filter((one) => one !== tenant)
      if (others.length > 0) this.#senders.set(address, others)
      else this.#senders.delete(address)
    }
  }

  /** Who may send as it. A single address counts only while nobody has verified its domain. */
  of(address: string): readonly string[] {
    const domain = domainOf(address)
    if (domain === '') return nobody
    const owner = this.#ownerOf(domain)
    return owner === null ? (this.#senders.get(foldAddress(address, domain)) ?? nobody) : [owner]
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

const nobody: readonly string[] = []
