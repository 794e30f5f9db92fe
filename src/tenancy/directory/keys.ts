/** API keys. */
import type { ApiKey, NewKey, Scope } from '../../ports/directory.ts'
import { type Change, refuseBeyond } from './change.ts'
import { keysMax } from './limits.ts'
import { revoke } from './revoke.ts'
import type { DirectoryDatabase, KeyRow } from './schema.ts'
import { createSecret, lastFourOf, sha256 } from './secrets.ts'
import { expiry, label, networks, scopes } from './values.ts'

function keyOf(row: KeyRow): ApiKey {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as Scope[],
    networks: JSON.parse(row.networks) as string[],
    lastFour: row.last_four,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    revokedMs: row.revoked_ms,
  }
}

export async function createKey(change: Change, asked: NewKey): Promise<{ key: ApiKey; secret: string }> {
  const { trx, tenantId, nowMs } = change
  const secret = createSecret('live', change.random)
  const row: KeyRow = {
    id: change.newId(),
    tenant_id: tenantId,
    name: label('/name', asked.name),
    sha256: sha256(secret),
    last_four: lastFourOf(secret),
    scopes: JSON.stringify(scopes('/scopes', asked.scopes)),
    networks: JSON.stringify(networks('/networks', asked.networks ?? [])),
    created_ms: nowMs,
    expires_ms: expiry('/expires_at', asked.expiresMs ?? null, nowMs),
    revoked_ms: null,
  }
  const { count } = await trx
    .selectFrom('api_keys')
    .select((of) => of.fn.countAll().as('count'))
    .where('tenant_id', '=', tenantId)
    .where('revoked_ms', 'is', null)
    .executeTakeFirstOrThrow()
  refuseBeyond(keysMax, 'keys', Number(count), 'Revoke those that nobody uses.')
  await trx.insertInto('api_keys').values(row).execute()
  return { key: keyOf(row), secret }
}

export async function listKeys(db: DirectoryDatabase, tenantId: string): Promise<ApiKey[]> {
  const rows = await db.selectFrom('api_keys').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()
  return rows.map(keyOf)
}

export async function revokeKey(change: Change, keyId: string): Promise<ApiKey> {
  return keyOf(await revoke(change, 'api_keys', 'key', keyId))
}
