/** Where the admin API has a tenant and what belongs to it. */
export const tenantsPath = '/api/v1/admin/tenants'

/** `tenant` is an id or a name. */
export const pathOf = (tenant: string, ...parts: readonly string[]): string =>
  [tenantsPath, ...[tenant, ...parts].map(encodeURIComponent)].join('/')
