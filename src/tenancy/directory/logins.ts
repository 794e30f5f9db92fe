/** SMTP logins. */
import type { NewLogin, SmtpLogin } from '../../ports/directory.ts'
import { type Change, refuseBeyond, taken } from './change.ts'
import { loginsMax } from './limits.ts'
import { revoke } from './revoke.ts'
import type { DirectoryDatabase, LoginRow } from './schema.ts'
import { createSecret, lastFourOf, randomText, sha256 } from './secrets.ts'
import { networks, userName } from './values.ts'

function loginOf(row: LoginRow): SmtpLogin {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    user: row.user_name,
    networks: JSON.parse(row.networks) as string[],
    lastFour: row.last_four,
    createdMs: row.created_ms,
    revokedMs: row.revoked_ms,
  }
}

/** `users` are those of the configuration file. User names are one namespace: a client says nothing else of who it is. */
export async function createLogin(
  change: Change,
  asked: NewLogin,
  users: ReadonlySet<string>,
): Promise<{ login: SmtpLogin; password: string }> {
  const { trx, tenantId } = change
  const password = createSecret('smtp', change.random)
  const row: LoginRow = {
    id: change.newId(),
    tenant_id: tenantId,
    user_name: asked.user === undefined ? `user-${randomText(change.random, 12)}` : userName('/user', asked.user),
    password_sha256: sha256(password),
    last_four: lastFourOf(password),
    networks: JSON.stringify(networks('/networks', asked.networks ?? [])),
    created_ms: change.nowMs,
    revoked_ms: null,
  }
  const { count } = await trx
    .selectFrom('smtp_logins')
    .select((of) => of.fn.countAll().as('count'))
    .where('tenant_id', '=', tenantId)
    .where('revoked_ms', 'is', null)
    .executeTakeFirstOrThrow()
  refuseBeyond(loginsMax, 'logins', Number(count), 'Revoke those that nobody uses.')
  const other = await trx
    .selectFrom('smtp_logins')
    .select('id')
    .where('user_name', '=', row.user_name)
    .where('revoked_ms', 'is', null)
    .executeTakeFirst()
  if (other !== undefined || users.has(row.user_name)) {
    const message = `the user name ${row.user_name} is taken`
    throw taken('login', message, 'Choose another one, or leave it out, and one is made.')
  }
  await trx.insertInto('smtp_logins').values(row).execute()
  return { login: loginOf(row), password }
}

export async function listLogins(db: DirectoryDatabase, tenantId: string): Promise<SmtpLogin[]> {
  const rows = await db.selectFrom('smtp_logins').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()
  return rows.map(loginOf)
}

export async function revokeLogin(change: Change, loginId: string): Promise<SmtpLogin> {
  return loginOf(await revoke(change, 'smtp_logins', 'login', loginId))
}
