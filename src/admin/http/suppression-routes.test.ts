/** Suppression lists over HTTP: every verb as it should be, and every way to ask wrongly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AdminRig, adminRig, type Answered } from '../../../test/support/admin-rig.ts'
import { directoryRig } from '../../../test/support/directory-rig.ts'

const codeOf = ({ status, body }: Answered): [number, string, string?] =>
  body.pointer === undefined ? [status, body.code] : [status, body.code, body.pointer]
const addressesOf = ({ body }: Answered): string[] =>
  body.suppressions.map(({ address }: { address: string }) => address)

async function twoTenants(t: Parameters<typeof adminRig>[0]): Promise<AdminRig & { acme: string }> {
  const rig = await adminRig(t)
  const { id } = await rig.directory.createTenant('acme')
  await rig.directory.createTenant('beta')
  return { ...rig, acme: id }
}

test('added, listed by pages, and removed: in force when the answer comes', async (t) => {
  const { call, directory, acme } = await twoTenants(t)
  const news: string[] = []
  directory.suppressions.onNews((changes) => {
    for (const { tenant, address, suppressed } of changes) news.push(`${tenant} ${address} ${suppressed}`)
  })
  const addresses = ['Bob@example.com', 'ann@example.com', 'ann@EXAMPLE.com']
  const added = await call('POST', '/suppressions', { tenant: 'acme', addresses, detail: 'asked us to' })
  assert.deepEqual([added.status, added.body.tenant, added.body.added.length, added.body.known], [201, acme, 2, 0])
  assert.deepEqual(news, [`${acme} bob@example.com true`, `${acme} ann@example.com true`])
  assert.deepEqual(Object.keys(added.body.added[0]), [
    'tenant',
    'address',
    'address_seen',
    'reason',
    'detail',
    'message_id',
    'created_at',
    'created_by',
  ])
  const messageId = '01890000-0000-7000-8000-000000000001'
  await directory.suppressions.suppress([
    { tenant: acme, address: 'carl@example.com', detail: 'no such user', messageId },
  ])
  const first = await call('GET', `/suppressions?tenant=${acme}&limit=2`)
  assert.deepEqual(addressesOf(first), ['ann@example.com', 'bob@example.com'])
  assert.deepEqual([first.body.total, first.body.next, first.body.tenant], [3, 'bob@example.com', acme])
  const second = await call('GET', `/suppressions?tenant=acme&limit=2&after=${encodeURIComponent(first.body.next)}`)
  assert.deepEqual([addressesOf(second), second.body.next], [['carl@example.com'], null])
  assert.deepEqual(
    [second.body.suppressions[0].message_id, second.body.suppressions[0].created_by],
    [messageId, 'engine'],
  )
  assert.deepEqual(addressesOf(await call('GET', '/suppressions?tenant=acme&reason=hard_bounce')), ['carl@example.com'])
  assert.deepEqual(addressesOf(await call('GET', '/suppressions?tenant=acme&prefix=B')), ['bob@example.com'])
  assert.equal((await call('GET', '/suppressions?tenant=beta')).body.total, 0)

  const removed = await call('POST', '/suppressions/remove', {
    tenant: 'acme',
    addresses: ['ANN@example.com', 'x@y.example'],
  })
  assert.equal(removed.body.removed[0].address, 'ann@example.com')
  assert.deepEqual(removed.body.unknown, ['x@y.example'])
  assert.equal(news.at(-1), `${acme} ann@example.com false`)
})

test('asked wrongly it changes nothing, and says what is wrong', async (t) => {
  const { call } = await twoTenants(t)
  const ok = ['ann@example.com']
  for (const [body, expected] of [
    [{ tenant: 'acme', addresses: [...ok, 'bob'] }, [422, 'invalid_value', '/addresses/1']],
    [{ tenant: 'acme' }, [422, 'invalid_value', '/addresses']],
    [{ tenant: 'acme', addresses: 'ann@example.com' }, [422, 'invalid_value', '/addresses']],
    [{ tenant: 'acme', addresses: Array(1_001).fill('a@b.example') }, [422, 'invalid_value', '/addresses']],
    [{ tenant: 'acme', addresses: ok, detail: 'a\r\nb' }, [422, 'invalid_value', '/detail']],
    [{ tenant: 'acme', addresses: ok, reason: 'x' }, [422, 'invalid_value', '/reason']],
    [{ tenant: 'gamma', addresses: ok }, [404, 'tenant_unknown']],
    [{ addresses: ok }, [422, 'tenant_needed']],
    [[], [422, 'invalid_value', '']],
  ] as const)
    assert.deepEqual(codeOf(await call('POST', '/suppressions', body)), expected, JSON.stringify(body).slice(0, 99))
  for (const [query, expected] of [
    ['', [422, 'tenant_needed']],
    ['?tenant=gamma', [404, 'tenant_unknown']],
    ['?tenant=acme&reason=x', [422, 'invalid_value', '/reason']],
    ['?tenant=acme&limit=0', [400, 'bad_limit']],
    ['?tenant=acme&tenant=beta', [400, 'repeated_parameter']],
  ] as const)
    assert.deepEqual(codeOf(await call('GET', `/suppressions${query}`)), expected, query)
  assert.deepEqual(codeOf(await call('POST', '/suppressions/remove', { tenant: 'acme' })), [
    422,
    'invalid_value',
    '/addresses',
  ])
  assert.equal((await call('GET', '/suppressions?tenant=acme')).body.total, 0)
  assert.deepEqual(addressesOf(await call('GET', `/suppressions?tenant=acme&prefix=${'x'.repeat(3_000)}`)), [])
})

test('a list is found without a tenant when there is one only, also one of the configuration file', async (t) => {
  const { call, directory } = await adminRig(t)
  assert.deepEqual(codeOf(await call('GET', '/suppressions')), [422, 'tenant_needed'])
  const { id } = await directory.createTenant('acme')
  assert.equal((await call('POST', '/suppressions', { addresses: ['ann@example.com'] })).body.tenant, id)
  const file = (await directoryRig(t, [{ name: 'office', networks: [], logins: [] }])).directory.suppressions
  assert.equal(await file.tenantOf(''), 'office')
})
