/** How much tenants, keys and logins may send. Only what has a limit has a row. */
import { InvalidValue, type QuotaOwner } from '../../ports/directory.ts'
import type { QuotaLimits } from '../../ports/quotas.ts'
import { type Change, unknown } from './change.ts'
import type { DirectoryDatabase, DirectoryTransaction, QuotaRow } from './schema.ts'
import { quotaLimits } from './values.ts'

type Limits = Omit<QuotaRow, 'tenant_id' | 'credential_id'>

/** In the place of a credential: the tenant as a whole. */
export const whole = ''

export const limitsOf = (row: Limits): QuotaLimits => ({
  messagesPerSecond: row.messages_per_second,
  messagesPerDay: row.messages_per_day,
  messagesPerMonth: row.messages_per_month,
  spoolBytes: row.spool_bytes,
  spoolRecipients: row.spool_recipients,
})

const noLimits = quotaLimits({})

export async function getQuota(db: DirectoryDatabase, tenantId: string, owner: QuotaOwner): Promise<QuotaLimits> {
  await checkOwner(db, tenantId, owner)
  const row = await db
    .selectFrom('quotas')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('credential_id', '=', owner.id ?? whole)
    .executeTakeFirst()
  return row === undefined ? noLimits : limitsOf(row)
}

/** In the place of what there was. */
export async function setQuota(
  { trx, tenantId }: Change,
  owner: QuotaOwner,
  written: Partial<QuotaLimits>,
): Promise<QuotaLimits> {
  const limits = quotaLimits(written)
  await checkOwner(trx, tenantId, owner)
  if (owner.kind !== 'tenant' && (limits.spoolBytes > 0 || limits.spoolRecipients > 0)) {
    const pointer = limits.spoolBytes > 0 ? '/spool_bytes' : '/spool_recipients'
    const what = 'what waits to be delivered is counted for the tenant as a whole'
    throw new InvalidValue(pointer, what, 'Set it for the tenant, or leave it out.')
  }
  const id = owner.id ?? whole
  await trx.deleteFrom('quotas').where('tenant_id', '=', tenantId).where('credential_id', '=', id).execute()
  if (Object.values(limits).every((limit) => limit === 0)) return limits
  const row: QuotaRow = {
    tenant_id: tenantId,
    credential_id: id,
    messages_per_second: limits.messagesPerSecond,
    messages_per_day: limits.messagesPerDay,
    messages_per_month: limits.messagesPerMonth,
    spool_bytes: limits.spoolBytes,
    spool_recipients: limits.spoolRecipients,
  }
  await trx.insertInto('quotas').values(row).execute()
  return limits
}

/** Throws `key_unknown` or `login_unknown` for what is not this tenant's, or opens nothing any more. */
async function checkOwner(
  db: DirectoryDatabase | DirectoryTransaction,
  tenantId: string,
  { kind, id }: QuotaOwner,
): Promise<void> {
  if (kind === 'tenant') return
  const found = await db
    .selectFrom(kind === 'key' ? 'api_keys' : 'smtp_logins')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('revoked_ms', 'is', null)
    .executeTakeFirst()
  if (found === undefined) throw unknown(kind, id)
}
