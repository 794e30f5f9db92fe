/** Quotas by the admin API: what may be set, what is told, and whose. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminRig } from '../../../test/support/admin-rig.ts'

const nothing = {
  messages_per_second: null,
  messages_per_day: null,
  messages_per_month: null,
  spool_bytes: null,
  spool_recipients: null,
}

test('a quota is put as a whole, and told with what is used, once that is known', async (t) => {
  const { call, directory, quotaTable, quotaRows } = await adminRig(t)
  const { id } = await directory.createTenant('acme')
  const none = { tenant_id: id, of: 'tenant', credential_id: null, limits: nothing, used: null }
  assert.deepEqual((await call('GET', '/tenants/acme/quota')).body, none)
  const body = { messages_per_second: 10, messages_per_day: 1_000, spool_bytes: 1_048_576 }
  const put = await call('PUT', '/tenants/acme/quota', body)
  assert.deepEqual([put.status, put.body.limits], [200, { ...nothing, ...body }])
  assert.deepEqual(put.body.used, { ...nothing, messages_per_second: 0, spool_bytes: 0, spool_recipients: 0 })
  for (const place of quotaRows.toLoad())
    quotaTable.load(place, { day: 20_000, dayMessages: 7, month: 12 * 80, monthMessages: 9 })
  quotaTable.setWaiting(0, 2_000, 3)
  const { used } = (await call('GET', `/tenants/${id}/quota`)).body
  assert.deepEqual(
    [used.messages_per_day, used.messages_per_month, used.spool_bytes, used.spool_recipients],
    [7, 9, 2_000, 3],
  )
  const less = await call('PUT', '/tenants/acme/quota', { messages_per_day: 5, messages_per_second: null })
  assert.deepEqual(less.body.limits, { ...nothing, messages_per_day: 5 })
  assert.equal(less.body.used.messages_per_day, 7)
  assert.deepEqual((await call('PUT', '/tenants/acme/quota', {})).body, none)
})

test('a key and a login have their own, by id and by user; another tenant’s are unknown', async (t) => {
  const { call, directory } = await adminRig(t)
  const { id } = await directory.createTenant('acme')
  await directory.createTenant('rival')
  const { key } = await directory.createKey(id, { name: 'one', scopes: ['send'] })
  const { login } = await directory.createLogin(id, { user: 'shop' })
  const ofKey = await call('PUT', `/tenants/acme/keys/${key.id}/quota`, { messages_per_month: 3 })
  assert.deepEqual([ofKey.status, ofKey.body.of, ofKey.body.credential_id], [200, 'key', key.id])
  assert.deepEqual(ofKey.body.used, { ...nothing, messages_per_second: 0 })
  const ofLogin = await call('PUT', '/tenants/acme/logins/shop/quota', { messages_per_second: 3 })
  assert.deepEqual([ofLogin.status, ofLogin.body.of, ofLogin.body.credential_id], [200, 'login', login.id])
  assert.equal((await call('GET', `/tenants/acme/logins/${login.id}/quota`)).body.limits.messages_per_second, 3)
  assert.equal((await call('GET', '/tenants/acme/quota')).body.used, null)
  for (const path of [`/keys/${key.id}`, '/logins/shop', `/logins/${login.id}`]) {
    for (const method of ['GET', 'PUT']) {
      const answer = await call(method, `/tenants/rival${path}/quota`, method === 'PUT' ? {} : undefined)
      assert.equal(answer.status, 404, `${method} ${path}`)
      assert.doesNotMatch(JSON.stringify(answer.body), new RegExp(id))
    }
  }
})

test('what is no quota is refused, and points at what is wrong', async (t) => {
  const { call, directory } = await adminRig(t)
  const { id } = await directory.createTenant('acme')
  const { key } = await directory.createKey(id, { name: 'one', scopes: ['send'] })
  for (const [body, pointer] of [
    [{ messages_per_day: -1 }, '/messages_per_day'],
    [{ messages_per_day: 1.5 }, '/messages_per_day'],
    [{ messages_per_day: 1e12 }, '/messages_per_day'],
    [{ messages_per_day: '5' }, '/messages_per_day'],
    [{ messages_per_hour: 5 }, '/messages_per_hour'],
    [[], ''],
  ] as const) {
    const answer = await call('PUT', '/tenants/acme/quota', body)
    assert.deepEqual([answer.status, answer.body.pointer], [422, pointer], JSON.stringify(body))
  }
  assert.equal(
    (await call('PUT', `/tenants/acme/keys/${key.id}/quota`, { spool_bytes: 1 })).body.pointer,
    '/spool_bytes',
  )
  assert.equal((await call('GET', '/tenants/nobody/quota')).status, 404)
})
