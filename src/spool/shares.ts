/**
 * How much of the disk one tenant's waiting mail may take: a share of what there is for mail, which is what it takes now and what is free above the
 * reserve. So one tenant's dead destination fills its share, and is told 452, while everybody else goes on.
 *
 *   disk   [ others' mail | this tenant's mail | free | reserve ]
 *          '------------- for mail -----------------'
 */
export interface TenantUse {
  /** Of recipients that wait. */
  bytes: number
}

export interface ShareFacts {
  readonly share: number
  readonly freeBytes: number
  readonly reserveBytes: number
}

/** Bytes that one tenant may hold. */
export function tenantBytesMax({ share, freeBytes, reserveBytes }: ShareFacts, usedBytes: number): number {
  return share * (usedBytes + Math.max(0, freeBytes - reserveBytes))
}

/** Tenants that hold their share or more. */
export function fullTenants(tenants: ReadonlyMap<string, TenantUse>, facts: ShareFacts): Set<string> {
  let usedBytes = 0
  for (const { bytes } of tenants.values()) usedBytes += bytes
  const bytesMax = tenantBytesMax(facts, usedBytes)
  const full = new Set<string>()
  for (const [tenant, { bytes }] of tenants) if (bytes >= bytesMax && bytes > 0) full.add(tenant)
  return full
}
