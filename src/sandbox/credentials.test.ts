/** What to try the sandbox with: there at once, the same again, and made anew when it is lost. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DirectoryRig, directoryRig } from '../../test/support/directory-rig.ts'
import { sandboxCredentials } from './credentials.ts'

const fileOf = ({ folder }: DirectoryRig): string => join(folder, 'sandbox', 'credentials.json')

test('a tenant, a key for everything and a login; asked again they are the same, after a restart too', async (t) => {
  const rig = await directoryRig(t)
  const ask = sandboxCredentials(rig.directory, rig.folder)
  const [first, same] = await Promise.all([ask(), ask()])
  assert.deepEqual([first.tenant, first.user], ['demo', 'demo'])
  assert.match(first.key, /^ph_live_/)
  assert.match(first.password, /^ph_smtp_/)
  assert.deepEqual(same, first)
  assert.equal(statSync(fileOf(rig)).mode & 0o777, 0o600)
  const [tenant] = rig.directory.snapshot().intake
  assert.deepEqual(tenant?.keys[0]?.scopes, ['send', 'read', 'manage'])
  const { version } = rig.directory
  await ask()
  assert.equal(rig.directory.version, version)

  const again = await rig.reopen()
  assert.deepEqual(await sandboxCredentials(again.directory, rig.folder)(), first)
})

test('what was revoked is made anew, and the rest stays', async (t) => {
  const rig = await directoryRig(t)
  const ask = sandboxCredentials(rig.directory, rig.folder)
  const first = await ask()
  const { id } = await rig.directory.findTenant('demo')
  const [key] = await rig.directory.listKeys(id)
  await rig.directory.revokeKey(id, key?.id ?? '')
  const second = await ask()
  assert.notEqual(second.key, first.key)
  assert.deepEqual({ ...second, key: '' }, { ...first, key: '' })
  await rig.directory.renameTenant(id, 'renamed')
  assert.deepEqual(await ask(), { ...second, tenant: 'renamed' })
})

test('a file that is lost or torn is made anew, and what it held is revoked', async (t) => {
  const rig = await directoryRig(t)
  const ask = sandboxCredentials(rig.directory, rig.folder)
  const seen = new Set<string>()
  const whole = (await ask(), readFileSync(fileOf(rig), 'utf8'))
  const breaks = [
    () => rmSync(fileOf(rig)),
    ...['', 'null', '[]', '{"key":1}', whole.slice(0, -3)].map((text) => () => writeFileSync(fileOf(rig), text)),
  ]
  for (const damage of breaks) {
    damage()
    seen.add((await ask()).key)
    const [tenant] = rig.directory.snapshot().intake
    assert.deepEqual([tenant?.keys.length, tenant?.logins.length], [1, 1])
  }
  assert.equal(seen.size, breaks.length)
  assert.equal((await rig.directory.listTenants()).length, 1)
})

test('names that the configuration file has are left to it', async (t) => {
  const taken = { name: 'demo', networks: [], logins: [{ user: 'demo-2', passwordSha256: '0'.repeat(64) }] }
  const rig = await directoryRig(t, [taken])
  const { tenant, user } = await sandboxCredentials(rig.directory, rig.folder)()
  assert.equal(tenant, 'demo-2')
  assert.match(user, /^user-/)
})

test('a directory that cannot be written to is an error that names it', async (t) => {
  const rig = await directoryRig(t)
  writeFileSync(join(rig.folder, 'sandbox'), 'a file, not a folder')
  await assert.rejects(sandboxCredentials(rig.directory, rig.folder)(), { code: 'sandbox_credentials', exitCode: 73 })
})
