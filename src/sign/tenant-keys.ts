/** DKIM keys of the directory's tenants: as many as there are domains, of which a thread uses few. So a key is made ready when it first signs. */
import type { DkimKeyConfig } from '../config/compiled.ts'
import type { PreparingTenant, SigningDomain } from '../ports/directory.ts'
import { loadKey, type SigningKey } from './key.ts'
import { parsedKeysMax } from './limits.ts'

/** We made the key, so it is good; a row that is damaged all the same must not keep a tenant's mail from leaving. Then there is none. */
function madeReady(config: DkimKeyConfig): readonly SigningKey[] {
  try {
    return [loadKey(config)]
  } catch {
    return []
  }
}

export class TenantKeys {
  readonly #tenants = new Map<string, PreparingTenant>()
  /** By tenant, by domain; of tenants that have sent since they changed. */
  readonly #domains = new Map<string, ReadonlyMap<string, SigningDomain>>()
  /** By the key's id, which never stands for another key; the one used longest ago first. */
  readonly #ready = new Map<string, readonly SigningKey[]>()

  /** In place of what it had. */
  put(tenant: PreparingTenant): void {
    this.#tenants.set(tenant.id, tenant)
    this.#domains.delete(tenant.id)
  }

  /** Of exactly this domain; null when the tenant has none that signs for `fromDomain`, which is the domain itself or below it. */
  find(tenantId: string, domain: string, fromDomain: string): readonly SigningKey[] | null {
    const known = this.#domainsOf(tenantId)?.get(domain)
    if (known === undefined || known.key === null || (domain !== fromDomain && !known.subdomains)) return null
    const { id, selector, privateKeyPem } = known.key
    let keys = this.#ready.get(id)
    if (keys === undefined) {
      keys = madeReady({ domain, selector, privateKeyPem })
      if (this.#ready.size >= parsedKeysMax.value) this.#ready.delete(this.#ready.keys().next().value as string)
    } else {
      this.#ready.delete(id)
    }
    this.#ready.set(id, keys)
    return keys.length === 0 ? null : keys
  }

  #domainsOf(tenantId: string): ReadonlyMap<string, SigningDomain> | null {
    const indexed = this.#domains.get(tenantId)
    if (indexed !== undefined) return indexed
    const tenant = this.#tenants.get(tenantId)
    if (tenant === undefined) return null
    const domains = new Map(tenant.domains.map((domain) => [domain.domain, domain]))
    this.#domains.set(tenantId, domains)
    return domains
  }

  /** For tests of the bound. */
  get ready(): number {
    return this.#ready.size
  }
}
