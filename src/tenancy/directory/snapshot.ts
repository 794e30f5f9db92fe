/** From rows to what threads work by: a part for each tenant, made anew when something of that tenant changed. */
import type { MailClass } from '../../model/submission.ts'
import type {
  IntakeKey,
  IntakeQuota,
  IntakeLogin,
  IntakeTenant,
  OwnDomain,
  PreparingTenant,
  Scope,
  SigningDomain,
} from '../../ports/directory.ts'
import type {
  DirectoryDatabase,
  DirectoryTransaction,
  DomainKeyRow,
  DomainRow,
  KeyRow,
  LoginRow,
  NetworkRow,
  QuotaRow,
  StreamRow,
  TenantRow,
} from './schema.ts'
import type { QuotaRows } from '../quota-rows.ts'
import { limitsOf, whole } from './quotas.ts'
import { defaultsOf } from './stream-defaults.ts'

export interface TenantParts {
  readonly intake: IntakeTenant
  readonly preparing: PreparingTenant
}

/** By tenant's id, in order of creation; of one tenant, or of all. Throws `quotas_too_many`. */
export async function loadParts(
  db: DirectoryDatabase | DirectoryTransaction,
  tenantId: string | null,
  rows: QuotaRows,
): Promise<Map<string, TenantParts>> {
  const one = tenantId ?? ''
  const all = tenantId === null
  const tenants = await db
    .selectFrom('tenants')
    .selectAll()
    .$if(!all, (query) => query.where('id', '=', one))
    .orderBy('id')
    .execute()
  const keys = await db
    .selectFrom('api_keys')
    .select(['id', 'tenant_id', 'sha256', 'scopes', 'networks', 'expires_ms'])
    .where('revoked_ms', 'is', null)
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const logins = await db
    .selectFrom('smtp_logins')
    .select(['id', 'tenant_id', 'user_name', 'password_sha256', 'networks'])
    .where('revoked_ms', 'is', null)
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const networks = await db
    .selectFrom('source_networks')
    .select(['id', 'tenant_id', 'cidr'])
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const domains = await db
    .selectFrom('sending_domains')
    .select(['id', 'tenant_id', 'domain', 'subdomains'])
    .where('verified_ms', 'is not', null)
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const signing = await db
    .selectFrom('domain_keys')
    .select(['id', 'domain_id', 'selector', 'private_key_pem'])
    .where('proven_ms', 'is not', null)
    .where('retired_ms', 'is', null)
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const senders = await db
    .selectFrom('verified_senders')
    .select(['tenant_id', 'address'])
    .where('verified_ms', 'is not', null)
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const streams = await db
    .selectFrom('streams')
    .selectAll()
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .orderBy('id')
    .execute()
  const quotas = await db
    .selectFrom('quotas')
    .selectAll()
    .$if(!all, (query) => query.where('tenant_id', '=', one))
    .execute()
  const list = sharedLists()
  const keyOf = new Map(signing.map((key) => [key.domain_id, key]))
  const of = {
    keys: byTenant(keys, (row) => intakeKey(row, list)),
    logins: byTenant(logins, (row) => intakeLogin(row, list)),
    networks: byTenant(networks, ({ id, cidr }) => ({ id, cidr })),
    domains: byTenant(domains, (row): SigningDomain => signingDomain(row, keyOf.get(row.id))),
    senders: byTenant(senders, ({ address }) => address),
    streams: byTenant(streams, (row) => row),
    quotas: byTenant(quotas, (row) => row),
  }
  return new Map(tenants.map((tenant) => [tenant.id, partsOf(tenant, of, rows)]))
}

interface Grouped {
  readonly keys: ReadonlyMap<string, IntakeKey[]>
  readonly logins: ReadonlyMap<string, IntakeLogin[]>
  readonly networks: ReadonlyMap<string, Pick<NetworkRow, 'id' | 'cidr'>[]>
  readonly domains: ReadonlyMap<string, SigningDomain[]>
  readonly senders: ReadonlyMap<string, string[]>
  readonly streams: ReadonlyMap<string, StreamRow[]>
  readonly quotas: ReadonlyMap<string, QuotaRow[]>
}

function partsOf({ id, name, suspended_ms }: TenantRow, of: Grouped, rows: QuotaRows): TenantParts {
  const suspended = suspended_ms !== null
  const quotas = new Map((of.quotas.get(id) ?? []).map((row) => [row.credential_id, limitsOf(row)]))
  const withQuota = <T extends object>(thing: T, credentialId: string): T & { readonly quota?: IntakeQuota } => {
    const limits = quotas.get(credentialId)
    return limits === undefined ? thing : { ...thing, quota: { row: rows.give(id, credentialId, limits), limits } }
  }
  const domains = of.domains.get(id) ?? []
  const streams = (of.streams.get(id) ?? []).map((row) => ({
    name: row.name,
    mailClass: row.mail_class as MailClass,
    defaults: defaultsOf(row.defaults),
  }))
  return {
    intake: {
      ...withQuota({ id, name }, whole),
      keys: suspended ? [] : (of.keys.get(id) ?? []).map((key) => withQuota(key, key.id)),
      logins: suspended ? [] : (of.logins.get(id) ?? []).map((login) => withQuota(login, login.id)),
      networks: suspended ? [] : (of.networks.get(id) ?? []),
      // Whoever recognises clients has no use for a key.
      domains: domains.map(({ domain, subdomains }): OwnDomain => ({ domain, subdomains })),
      senders: of.senders.get(id) ?? [],
      streams,
    },
    preparing: { id, name, domains },
  }
}

function signingDomain(
  { domain, subdomains }: Pick<DomainRow, 'domain' | 'subdomains'>,
  key: Pick<DomainKeyRow, 'id' | 'selector' | 'private_key_pem'> | undefined,
): SigningDomain {
  const signs = key === undefined ? null : { id: key.id, selector: key.selector, privateKeyPem: key.private_key_pem }
  return { domain, subdomains: subdomains !== 0, key: signs }
}

type Lists = (json: string) => readonly string[]

/** Fifty thousand keys have a handful of different lists: read once and shared, also by a structured clone. */
function sharedLists(): Lists {
  const known = new Map<string, readonly string[]>()
  return (json) => {
    let list = known.get(json)
    if (list === undefined) known.set(json, (list = JSON.parse(json) as string[]))
    return list
  }
}

function intakeKey(row: Pick<KeyRow, 'id' | 'sha256' | 'scopes' | 'networks' | 'expires_ms'>, list: Lists): IntakeKey {
  return {
    id: row.id,
    sha256: row.sha256,
    scopes: list(row.scopes) as readonly Scope[],
    networks: list(row.networks),
    expiresMs: row.expires_ms,
  }
}

function intakeLogin(
  row: Pick<LoginRow, 'id' | 'user_name' | 'password_sha256' | 'networks'>,
  list: Lists,
): IntakeLogin {
  return { id: row.id, user: row.user_name, passwordSha256: row.password_sha256, networks: list(row.networks) }
}

function byTenant<Row extends { tenant_id: string }, T>(rows: readonly Row[], make: (row: Row) => T): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const group = groups.get(row.tenant_id)
    if (group === undefined) groups.set(row.tenant_id, [make(row)])
    else group.push(make(row))
  }
  return groups
}
