/** Quotas in the directory: whose they are, which row they are counted in, and when the row is somebody else's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directoryRig } from '../../../test/support/directory-rig.ts'
import { noLimits } from '../../../test/support/quota-rig.ts'
import type { QuotaOwner } from '../../ports/directory.ts'

const ofTenant: QuotaOwner = { kind: 'tenant' }

test('a quota is there after a restart, for threads too, and what is 0 everywhere is none', async (t) => {
  const rig = await directoryRig(t)
  const { directory } = rig
  const { id } = await directory.createTenant('acme')
  const { key } = await directory.createKey(id, { name: 'one', scopes: ['send'] })
  const { login } = await directory.createLogin(id, {})
  assert.deepEqual(await directory.getQuota(id, ofTenant), noLimits)
  const limits = { ...noLimits, messagesPerDay: 10_000, spoolBytes: 5_000_000_000 }
  assert.deepEqual(await directory.setQuota(id, ofTenant, limits), limits)
  await directory.setQuota(id, { kind: 'key', id: key.id }, { messagesPerSecond: 5 })
  await directory.setQuota(id, { kind: 'login', id: login.id }, { messagesPerMonth: 7 })

  const again = (await rig.reopen()).directory
  assert.deepEqual(await again.getQuota(id, ofTenant), limits)
  const [part] = again.snapshot().intake
  assert.ok(part)
  assert.deepEqual(part.quota?.limits, limits)
  assert.deepEqual(part.keys[0]?.quota?.limits, { ...noLimits, messagesPerSecond: 5 })
  assert.deepEqual(part.logins[0]?.quota?.limits, { ...noLimits, messagesPerMonth: 7 })
  assert.equal(new Set([part, part.keys[0], part.logins[0]].map((one) => one?.quota?.row)).size, 3)
  await again.setQuota(id, ofTenant, { ...limits, messagesPerDay: 0, spoolBytes: 0 })
  assert.ok(!('quota' in (again.snapshot().intake[0] ?? {})))
  assert.deepEqual(await again.getQuota(id, ofTenant), noLimits)
})

test('a row stays while there is a quota, and is free for others when every thread works without it', async (t) => {
  const { directory, quotaRows } = await directoryRig(t)
  const { id } = await directory.createTenant('acme')
  const rowOf = () => directory.snapshot().intake[0]?.quota?.row
  await directory.setQuota(id, ofTenant, { messagesPerDay: 10 })
  const row = rowOf()
  await directory.setQuota(id, ofTenant, { messagesPerDay: 20 })
  await directory.renameTenant(id, 'acme-2')
  assert.equal(rowOf(), row)
  assert.deepEqual(
    quotaRows.toLoad().map(({ tenant, credentialId }) => [tenant, credentialId]),
    [[id, null]],
  )
  let usedWhileTold: unknown = 'not told'
  const stop = directory.onChange(() => void (usedWhileTold = quotaRows.use(id, null)))
  await directory.setQuota(id, ofTenant, {})
  assert.ok(usedWhileTold !== null, 'threads are still being told')
  assert.equal(quotaRows.use(id, null), null)
  stop()

  directory.onChange(() => {
    throw new Error('thread 3 is gone')
  })
  await assert.rejects(directory.setQuota(id, ofTenant, { messagesPerDay: 1 }), { code: 'directory_not_heard' })
  assert.equal(quotaRows.toLoad().length, 1, 'it counts all the same, where it was heard')
  await assert.rejects(directory.setQuota(id, ofTenant, {}), { code: 'directory_not_heard' })
  assert.ok(quotaRows.use(id, null), 'a thread may go on to count in it')
})

test('with the credential its quota ends, and a suspended tenant’s keys have none until it is resumed', async (t) => {
  const { directory, quotaRows } = await directoryRig(t)
  const { id } = await directory.createTenant('acme')
  const { key } = await directory.createKey(id, { name: 'one', scopes: ['send'] })
  const { login } = await directory.createLogin(id, {})
  const ofKey: QuotaOwner = { kind: 'key', id: key.id }
  const ofLogin: QuotaOwner = { kind: 'login', id: login.id }
  await directory.setQuota(id, ofKey, { messagesPerDay: 5 })
  await directory.setQuota(id, ofLogin, { messagesPerDay: 5 })
  await directory.suspendTenant(id)
  assert.deepEqual(quotaRows.toLoad(), [])
  await directory.resumeTenant(id)
  assert.equal(quotaRows.toLoad().length, 2)
  await directory.revokeKey(id, key.id)
  await directory.revokeLogin(id, login.id)
  assert.deepEqual(quotaRows.toLoad(), [])
  await assert.rejects(directory.getQuota(id, ofKey), { code: 'key_unknown' })
  await assert.rejects(directory.setQuota(id, ofLogin, { messagesPerDay: 5 }), { code: 'login_unknown' })
})

test('of a credential there is no spool quota, and another tenant’s is unknown', async (t) => {
  const { directory } = await directoryRig(t)
  const { id } = await directory.createTenant('acme')
  const rival = await directory.createTenant('rival')
  const { key } = await directory.createKey(id, { name: 'one', scopes: ['send'] })
  const ofKey: QuotaOwner = { kind: 'key', id: key.id }
  await assert.rejects(directory.setQuota(id, ofKey, { spoolBytes: 1 }), { pointer: '/spool_bytes' })
  await assert.rejects(directory.setQuota(id, ofKey, { spoolRecipients: 1 }), { pointer: '/spool_recipients' })
  await directory.setQuota(id, ofKey, { messagesPerDay: 5 })
  await assert.rejects(directory.getQuota(rival.id, ofKey), { code: 'key_unknown' })
  await assert.rejects(directory.setQuota(rival.id, ofKey, {}), { code: 'key_unknown' })
  await assert.rejects(directory.setQuota(id, { kind: 'login', id: key.id }, {}), { code: 'login_unknown' })
  for (const odd of ['', "' OR '1'='1", '__proto__'])
    await assert.rejects(directory.getQuota(odd, ofTenant), { code: 'tenant_unknown' })
  assert.equal((await directory.getQuota(id, ofKey)).messagesPerDay, 5)
})
