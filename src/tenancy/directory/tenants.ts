/** Tenants: the only rows that belong to nobody else. */
import { PosthasteError } from '../../kernel/errors.ts'
import type { Tenant } from '../../ports/directory.ts'
import { type Change, refuseBeyond, taken } from './change.ts'
import { pageTenantsMax, tenantsMax } from './limits.ts'
import type { DirectoryDatabase, DirectoryTransaction, TenantRow } from './schema.ts'
import { slug } from './values.ts'

export function tenantOf(row: TenantRow): Tenant {
  return { id: row.id, name: row.name, suspended: row.suspended_ms !== null, createdMs: row.created_ms }
}

/** `names` are those of the configuration file. */
export async function createTenant(change: Change, written: string, names: ReadonlySet<string>): Promise<Tenant> {
  const name = slug('/name', written)
  const { trx, tenantId, nowMs } = change
  const { count } = await trx
    .selectFrom('tenants')
    .select((of) => of.fn.countAll().as('count'))
    .executeTakeFirstOrThrow()
  refuseBeyond(tenantsMax, 'tenants', Number(count), 'Run a second engine for more tenants.')
  await refuseTakenName(trx, name, names)
  const row: TenantRow = { id: tenantId, name, created_ms: nowMs, suspended_ms: null }
  await trx.insertInto('tenants').values(row).execute()
  return tenantOf(row)
}

export async function renameTenant(change: Change, written: string, names: ReadonlySet<string>): Promise<Tenant> {
  const name = slug('/name', written)
  const row = await tenantRow(change.trx, change.tenantId)
  if (row.name === name) return tenantOf(row)
  await refuseTakenName(change.trx, name, names)
  await change.trx.updateTable('tenants').set({ name }).where('id', '=', row.id).execute()
  return tenantOf({ ...row, name })
}

/** Null resumes it. Suspended twice, the first time counts. */
export async function suspendTenant(change: Change, suspended: boolean): Promise<Tenant> {
  const row = await tenantRow(change.trx, change.tenantId)
  const suspendedMs = suspended ? (row.suspended_ms ?? change.nowMs) : null
  await change.trx.updateTable('tenants').set({ suspended_ms: suspendedMs }).where('id', '=', row.id).execute()
  return tenantOf({ ...row, suspended_ms: suspendedMs })
}

export async function listTenants(db: DirectoryDatabase, after: string, count: number): Promise<Tenant[]> {
  const rows = await db
    .selectFrom('tenants')
    .selectAll()
    .where('id', '>', after)
    .orderBy('id')
    .limit(Math.max(1, Math.min(count, pageTenantsMax.value)))
    .execute()
  return rows.map(tenantOf)
}

/** Throws `tenant_unknown`. */
export async function tenantRow(db: DirectoryDatabase | DirectoryTransaction, tenantId: string): Promise<TenantRow> {
  const row = await db.selectFrom('tenants').selectAll().where('id', '=', tenantId).executeTakeFirst()
  if (row === undefined) throw tenantUnknown(tenantId)
  return row
}

/** A name may look like an id: whose id it is comes first. `names` are those of the configuration file. Throws `tenant_unknown`. */
export async function findTenant(
  db: DirectoryDatabase,
  idOrName: string,
  names: ReadonlySet<string>,
): Promise<TenantRow> {
  const rows = await db
    .selectFrom('tenants')
    .selectAll()
    .where((is) => is.or([is('id', '=', idOrName), is('name', '=', idOrName)]))
    .execute()
  const row = rows.find(({ id }) => id === idOrName) ?? rows[0]
  if (row === undefined) throw names.has(idOrName) ? tenantOfFile(idOrName) : tenantUnknown(idOrName)
  return row
}

function tenantUnknown(asked: string): PosthasteError {
  const shown = JSON.stringify(asked.slice(0, 60))
  return new PosthasteError(
    'tenant_unknown',
    `there is no tenant ${shown}`,
    'List the tenants for their names and ids.',
  )
}

function tenantOfFile(name: string): PosthasteError {
  return new PosthasteError(
    'tenant_unknown',
    `the tenant ${JSON.stringify(name)} stands in the configuration file, and is not in the directory: it has no quotas, keys, domains, senders or streams`,
    'Change its networks and logins in the file. For all the rest make another tenant: posthaste tenant add NAME.',
  )
}

async function refuseTakenName(trx: DirectoryTransaction, name: string, names: ReadonlySet<string>): Promise<void> {
  if (names.has(name)) throw taken('tenant_name', `the configuration file has a tenant ${name}`, 'Choose another name.')
  const other = await trx.selectFrom('tenants').select('id').where('name', '=', name).executeTakeFirst()
  if (other !== undefined) throw taken('tenant_name', `there is a tenant ${name} already`, 'Choose another name.')
}
