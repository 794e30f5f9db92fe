/** Takes back a key or a login: from then on it opens nothing, and is remembered for a while so that people see what became of it. */
import { type Change, unknown } from './change.ts'
import { revokedMax } from './limits.ts'
import type { KeyRow, LoginRow } from './schema.ts'

type Revocable = 'api_keys' | 'smtp_logins'

/** Revoked twice, the first time counts. */
export async function revoke(change: Change, table: 'api_keys', what: string, id: string): Promise<KeyRow>
export async function revoke(change: Change, table: 'smtp_logins', what: string, id: string): Promise<LoginRow>
export async function revoke(change: Change, table: Revocable, what: string, id: string): Promise<KeyRow | LoginRow> {
  const { trx, tenantId, nowMs } = change
  const mine = trx.selectFrom(table).selectAll().where('tenant_id', '=', tenantId)
  const row = await mine.where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw unknown(what, id)
  if (row.revoked_ms !== null) return row
  await trx
    .updateTable(table)
    .set({ revoked_ms: nowMs })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .execute()
  await trx.deleteFrom('quotas').where('tenant_id', '=', tenantId).where('credential_id', '=', id).execute()
  const old = await mine
    .where('revoked_ms', 'is not', null)
    .orderBy('revoked_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(revokedMax.value)
    .offset(revokedMax.value)
    .execute()
  for (const gone of old)
    await trx.deleteFrom(table).where('tenant_id', '=', tenantId).where('id', '=', gone.id).execute()
  return { ...row, revoked_ms: nowMs }
}
