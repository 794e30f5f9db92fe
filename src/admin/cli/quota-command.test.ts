/** `posthaste tenant quota`: what people type, and what they read. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type AdminRig, adminRig } from '../../../test/support/admin-rig.ts'
import type { TenantConfig } from '../../config/compiled.ts'
import { runCli } from './cli.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function world(
  t: TestContext,
  fileTenants: readonly TenantConfig[] = [],
): Promise<AdminRig & { readonly quota: (...args: readonly string[]) => Promise<Ran> }> {
  const rig = await adminRig(t, { fileTenants })
  const quota = async (...args: readonly string[]): Promise<Ran> => {
    const written = { out: '', err: '' }
    const stream = (name: 'out' | 'err') => ({
      write: (chunk: string | Uint8Array) => void (written[name] += Buffer.from(chunk as string).toString()),
    })
    const code = await runCli(['tenant', 'quota', ...args, '--management-port', String(rig.server.address.port)], {
      version: '9.9.9',
      env: { POSTHASTE_CONFIG: '' },
      cwd: rig.folder,
      stdout: stream('out'),
      stderr: stream('err'),
      loadApp: () => Promise.reject(new Error('not started here')),
      loadLimits: () => Promise.reject(new Error('not asked for here')),
    })
    return { code, ...written }
  }
  return { ...rig, quota }
}

test('what is given is set, the rest stays, and what is used stands beside it', async (t) => {
  const { quota, directory, quotaRows, quotaTable } = await world(t)
  await directory.createTenant('acme')
  assert.equal((await quota('acme')).out, 'No quota: this tenant may send as much as it likes.\n')
  const set = await quota('acme', '--per-day', '10000', '--spool-size', '5GiB')
  assert.equal(set.code, 0)
  assert.match(
    set.out,
    /^QUOTA OF THE TENANT +LIMIT +USED\nmessages today \(UTC\) +10,000 +being counted\nwaiting in the spool +5 GiB +0 B\n$/,
  )
  for (const place of quotaRows.toLoad())
    quotaTable.load(place, { day: 20_000, dayMessages: 1_234, month: 12 * 80, monthMessages: 5_000 })
  assert.match(
    (await quota('acme', '--per-month', '200000', '--spool-size', '0')).out,
    /10,000 +1,234\n.*200,000 +5,000\n$/,
  )
  assert.match((await quota('acme', '--clear', '--per-second', '5')).out, /^QUOTA.*\nmessages this second +5 +0\n$/)
  assert.match((await quota('acme', '--clear')).out, /^No quota/)
  const json = JSON.parse((await quota('acme', '--per-day', '1', '--json')).out) as { limits: object; of: string }
  assert.equal(json.of, 'tenant')
})

test('of a key and of a login; what is wrong is said before anything is asked, or by the engine', async (t) => {
  const { quota, directory } = await world(t)
  const { id } = await directory.createTenant('acme')
  const { key } = await directory.createKey(id, { name: 'one', scopes: ['send'] })
  await directory.createLogin(id, { user: 'shop' })
  assert.match((await quota('acme', '--key', key.id, '--per-second', '2')).out, /^QUOTA OF THE KEY/)
  assert.match((await quota('acme', '--login', 'shop', '--per-second', '2')).out, /^QUOTA OF THE LOGIN/)
  assert.equal((await directory.getQuota(id, { kind: 'key', id: key.id })).messagesPerSecond, 2)
  assert.equal((await quota('acme', '--key', 'x', '--login', 'y')).code, 64)
  assert.equal((await quota('acme', '--per-day', 'many')).code, 64)
  assert.equal((await quota('acme', '--spool-size', '5')).code, 64)
  const spool = await quota('acme', '--login', 'shop', '--spool-recipients', '5')
  assert.deepEqual([spool.code, /for the tenant as a whole/.test(spool.err)], [65, true])
  assert.equal((await quota('acme', '--key', 'nothing')).code, 1)
  assert.equal((await quota('nobody')).code, 1)
})

test('a tenant of the configuration file has no quota: it is said where it stands, and what to do', async (t) => {
  const { quota, directory } = await world(t, [{ name: 'office', networks: [], logins: [] }])
  for (const limits of [[], ['--per-day', '5'], ['--login', 'printer']]) {
    const { code, err } = await quota('office', ...limits)
    assert.equal(code, 1)
    assert.match(err, /^posthaste: the tenant "office" stands in the configuration file/)
    assert.match(err, /posthaste tenant add/)
  }
  const { id } = await directory.createTenant('acme')
  assert.match((await quota(id)).out, /^No quota/)
  assert.match((await quota('nobody')).err, /^posthaste: there is no tenant "nobody"\n/)
})
