/**
 * What to try the sandbox with: a tenant of the directory with a key for everything and a login. Their secrets are kept in a file beside the
 * captured mail, so that they can be shown again; outside the sandbox no secret is kept.
 *
 * Whatever is lost is made anew: the file, the tenant's key or login when somebody revoked it. What was made before under these names is
 * revoked then, so that nothing adds up.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { PosthasteError } from '../kernel/errors.ts'
import type { Directory, Tenant } from '../ports/directory.ts'

export interface SandboxSecrets {
  readonly tenant: string
  readonly key: string
  readonly user: string
  readonly password: string
}

interface Kept {
  readonly tenantId: string
  readonly keyId: string
  readonly key: string
  readonly loginId: string
  readonly user: string
  readonly password: string
}

type AskedDirectory = Pick<
  Directory,
  'createTenant' | 'findTenant' | 'createKey' | 'listKeys' | 'revokeKey' | 'createLogin' | 'listLogins' | 'revokeLogin'
>

/** Gives them, and makes what is not there. Calls wait for one another. Rejects with a PosthasteError when they cannot be kept. */
export function sandboxCredentials(directory: AskedDirectory, dataDirectory: string): () => Promise<SandboxSecrets> {
  const folder = join(dataDirectory, 'sandbox')
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const next = last.then(() => ensure(directory, folder))
    last = next.catch(() => undefined)
    return next
  }
}

const keyName = 'sandbox'

async function ensure(directory: AskedDirectory, folder: string): Promise<SandboxSecrets> {
  const kept = read(folder)
  const tenant = await tenantFor(directory, kept)
  const now = {
    tenantId: tenant.id,
    ...(await keyFor(directory, tenant, kept)),
    ...(await loginFor(directory, tenant, kept)),
  }
  if (kept === null || JSON.stringify(now) !== JSON.stringify(kept)) write(folder, now)
  const { key, user, password } = now
  return { tenant: tenant.name, key, user, password }
}

async function tenantFor(directory: AskedDirectory, kept: Kept | null): Promise<Tenant> {
  const known = kept === null ? null : await unlessCode('tenant_unknown', directory.findTenant(kept.tenantId))
  if (known !== null) return known
  const names = ['demo', 'demo-2', 'demo-3', 'demo-4', 'demo-5']
  for (const name of names) {
    const tenant = await unlessCode('tenant_unknown', directory.findTenant(name))
    // A tenant of the configuration file has the name, but is not in the directory.
    const own = tenant ?? (await unlessCode('tenant_name_taken', directory.createTenant(name)))
    if (own !== null) return own
  }
  const cure = 'Rename a tenant of the configuration file.'
  throw new PosthasteError('tenant_name_taken', `the names ${names.join(', ')} are taken`, cure, { exitCode: 78 })
}

async function keyFor(
  directory: AskedDirectory,
  { id }: Tenant,
  kept: Kept | null,
): Promise<Pick<Kept, 'keyId' | 'key'>> {
  const inUse = (await directory.listKeys(id)).filter(({ revokedMs }) => revokedMs === null)
  if (kept !== null && inUse.some((key) => key.id === kept.keyId)) return { keyId: kept.keyId, key: kept.key }
  for (const key of inUse) if (key.name === keyName) await directory.revokeKey(id, key.id)
  const { key, secret } = await directory.createKey(id, { name: keyName, scopes: ['send', 'read', 'manage'] })
  return { keyId: key.id, key: secret }
}

type KeptLogin = Pick<Kept, 'loginId' | 'user' | 'password'>

async function loginFor(directory: AskedDirectory, { id, name }: Tenant, kept: Kept | null): Promise<KeptLogin> {
  const inUse = (await directory.listLogins(id)).filter(({ revokedMs }) => revokedMs === null)
  if (kept !== null && inUse.some((login) => login.id === kept.loginId))
    return { loginId: kept.loginId, user: kept.user, password: kept.password }
  for (const login of inUse) if (login.user === name) await directory.revokeLogin(id, login.id)
  // Somebody else's login may be called so already: then one is made up.
  const { login, password } =
    (await unlessCode('login_taken', directory.createLogin(id, { user: name }))) ??
    (await directory.createLogin(id, {}))
  return { loginId: login.id, user: login.user, password }
}

async function unlessCode<T>(code: string, call: Promise<T>): Promise<T | null> {
  try {
    return await call
  } catch (error) {
    if (error instanceof PosthasteError && error.code === code) return null
    throw error
  }
}

const fileOf = (folder: string): string => join(folder, 'credentials.json')

/** Null: there is none, or it is not what we wrote. */
function read(folder: string): Kept | null {
  try {
    const file = JSON.parse(readFileSync(fileOf(folder), 'utf8')) as Partial<Kept> | null
    const { tenantId, keyId, key, loginId, user, password } = file ?? {}
    const kept = { tenantId, keyId, key, loginId, user, password }
    return Object.values(kept).every((value) => typeof value === 'string') ? (kept as Kept) : null
  } catch {
    return null
  }
}

/** Whole or not at all, and readable by us alone. */
function write(folder: string, kept: Kept): void {
  const path = fileOf(folder)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const file = openSync(`${path}.new`, 'w', 0o600)
    try {
      writeSync(file, `${JSON.stringify(kept)}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(`${path}.new`, path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const cure = `Let the engine’s user write to ${folder}.`
    throw new PosthasteError('sandbox_credentials', `${path} cannot be written: ${reason}`, cure, {
      exitCode: 73,
      cause: error,
    })
  }
}
