/** Suppression lists in the directory: once, the tenant's own, in force when the call returns, and many. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directoryRig } from '../../../test/support/directory-rig.ts'
import { seededRandom } from '../../kernel/random.ts'
import { SharedSet } from '../../kernel/shared-set.ts'
import type { DeadAddress, SuppressionNews } from '../../ports/suppression-list.ts'
import { SharedSuppressions } from '../../ports/suppressions.ts'
import { SuppressionSet } from '../tenancy.ts'
import { migrate, migrations } from './migrations.ts'

const dead = (address: string, tenant = 'shop'): DeadAddress => ({
  tenant,
  address,
  detail: 'No such user here',
  messageId: '01890000-0000-7000-8000-000000000001',
})
const byHand = { detail: 'asked us to', createdBy: 'admin' }

test('a bounce adds an entry with its evidence, once, and it is there after a restart', async (t) => {
  const rig = await directoryRig(t)
  const { suppressions } = rig.directory
  const long = { ...dead('long@example.com'), detail: 'x'.repeat(600) }
  const { added, refused } = await suppressions.suppress([dead('Ann@Example.COM'), dead('"ann"@example.com'), long])
  assert.deepEqual(refused, [])
  assert.deepEqual(
    added.map(({ address }) => address),
    ['long@example.com', 'ann@example.com'],
  )
  assert.deepEqual(added[1], {
    tenant: 'shop',
    address: 'ann@example.com',
    addressSeen: 'Ann@Example.COM',
    reason: 'hard_bounce',
    detail: 'No such user here',
    messageId: '01890000-0000-7000-8000-000000000001',
    createdMs: rig.clock.nowMs(),
    createdBy: 'engine',
  })
  assert.equal(added[0]?.detail.length, 512)
  rig.clock.advance(1_000)
  assert.deepEqual((await suppressions.suppress([dead('ANN@example.com')])).added, [])
  assert.deepEqual((await suppressions.suppress([])).added, [])
  const again = (await rig.reopen()).directory.suppressions
  assert.deepEqual(await again.list('shop', {}), { entries: [added[1], added[0]], total: 2 })
})

test('what a person added stays a person’s; what had bounced becomes one, with what the receiver said', async (t) => {
  const { directory } = await directoryRig(t)
  const { suppressions } = directory
  await suppressions.suppressByHand('shop', ['ann@example.com'], byHand)
  assert.deepEqual((await suppressions.suppress([dead('ann@example.com'), dead('bob@example.com')])).added.length, 1)
  const { added, known } = await suppressions.suppressByHand('shop', ['Bob@example.com', 'eve@example.com'], {
    ...byHand,
    detail: '',
  })
  assert.deepEqual([added.map(({ address }) => address), known], [['eve@example.com'], 1])
  const { entries, total } = await suppressions.list('shop', {})
  assert.equal(total, 3)
  assert.deepEqual(
    entries.map(({ address, reason, detail, createdBy }) => [address, reason, detail, createdBy]),
    [
      ['ann@example.com', 'manual', 'asked us to', 'admin'],
      ['bob@example.com', 'manual', 'No such user here', 'admin'],
      ['eve@example.com', 'manual', '', 'admin'],
    ],
  )
})

test('lists are the tenant’s own: seen, changed and removed by nobody else', async (t) => {
  const { suppressions } = (await directoryRig(t)).directory
  await suppressions.suppress([dead('ann@example.com', 'one'), dead('ann@example.com', 'two')])
  assert.deepEqual(await suppressions.unsuppress('three', ['ann@example.com']), {
    removed: [],
    unknown: ['ann@example.com'],
  })
  const { removed, unknown } = await suppressions.unsuppress('one', ['ANN@example.com', 'bob@example.com'])
  assert.deepEqual([removed.length, removed[0]?.address, unknown], [1, 'ann@example.com', ['bob@example.com']])
  assert.equal((await suppressions.list('one', {})).total, 0)
  assert.equal((await suppressions.list('two', {})).total, 1)
  for (const tenant of ["' OR '1'='1", '', '__proto__']) assert.equal((await suppressions.list(tenant, {})).total, 0)
})

test('by hand it is all of them or none', async (t) => {
  const { suppressions } = (await directoryRig(t)).directory
  for (const bad of [
    'ann',
    '@example.com',
    'ann@',
    'ann@example',
    'a b@example.com',
    'ann@[192.0.2.1]',
    '',
    'a@b.example,c@d.example',
  ]) {
    const asked = suppressions.suppressByHand('shop', ['ok@example.com', bad], byHand)
    await assert.rejects(asked, { code: 'invalid_value', pointer: '/addresses/1' }, bad)
  }
  for (const detail of ['a\nb', 'x'.repeat(513), '\u202eabc'])
    await assert.rejects(suppressions.suppressByHand('shop', ['ok@example.com'], { ...byHand, detail }), {
      pointer: '/detail',
    })
  assert.equal((await suppressions.list('shop', {})).total, 0)
})

test('a page has what was asked for: by cursor, beginning and reason', async (t) => {
  const { suppressions } = (await directoryRig(t)).directory
  const names = Array.from({ length: 25 }, (_, n) => `n${String(n).padStart(2, '0')}@example.com`)
  await suppressions.suppress(names.map((name) => dead(name)))
  await suppressions.suppressByHand('shop', ['n05@example.com', 'm@example.com', 'Jürgen@bücher.example'], byHand)
  const seen: string[] = []
  for (let after = ''; ; ) {
    const { entries, total } = await suppressions.list('shop', { count: 10, after })
    assert.equal(total, 27)
    seen.push(...entries.map(({ address }) => address))
    if (entries.length < 10) break
    after = entries.at(-1)?.address as string
  }
  assert.deepEqual(seen, ['jürgen@xn--bcher-kva.example', 'm@example.com', ...names])
  const addresses = async (query: Parameters<typeof suppressions.list>[1]) =>
    (await suppressions.list('shop', query)).entries.map(({ address }) => address)
  assert.deepEqual(await addresses({ prefix: 'N0', count: 3 }), names.slice(0, 3))
  assert.deepEqual(await addresses({ prefix: 'jÜ' }), ['jürgen@xn--bcher-kva.example'])
  assert.deepEqual(await addresses({ reason: 'manual', after: 'k' }), ['m@example.com', 'n05@example.com'])
  assert.deepEqual(await addresses({ reason: 'manual', prefix: 'n' }), ['n05@example.com'])
  assert.deepEqual(await addresses({ prefix: '%' }), [])
})

test('the tenant of a list: by id, by name, of the file, gone, or the only one there is', async (t) => {
  const file = { name: 'from-file', networks: [], logins: [] }
  const { directory } = await directoryRig(t, [file])
  const { suppressions } = directory
  assert.equal(await suppressions.tenantOf(''), 'from-file')
  const { id } = await directory.createTenant('acme')
  for (const called of ['acme', id]) assert.equal(await suppressions.tenantOf(called), id)
  await assert.rejects(suppressions.tenantOf(''), { code: 'tenant_needed' })
  await assert.rejects(suppressions.tenantOf('gone'), { code: 'tenant_unknown' })
  await suppressions.suppress([dead('ann@example.com', 'gone')])
  assert.equal(await suppressions.tenantOf('gone'), 'gone')
  const other = (await directoryRig(t)).directory.suppressions
  await assert.rejects(other.tenantOf(''), { code: 'tenant_needed', message: /no tenant yet/ })
})

test('a call returns when every listener has taken the news, and the next change waits for that', async (t) => {
  const { directory } = await directoryRig(t)
  const { suppressions } = directory
  const heard: SuppressionNews[] = []
  const stop = suppressions.onNews(async (news) => {
    await new Promise((resolve) => setImmediate(resolve))
    heard.push(...news)
  })
  const calls = [
    suppressions.suppress([dead('Ann@example.com')]).then(() => heard.length),
    suppressions.unsuppress('shop', ['ann@example.com']).then(() => heard.length),
    suppressions.unsuppress('shop', ['ann@example.com']).then(() => heard.length),
  ]
  assert.deepEqual(await Promise.all(calls), [1, 2, 2])
  assert.deepEqual(heard, [
    { tenant: 'shop', address: 'ann@example.com', suppressed: true },
    { tenant: 'shop', address: 'ann@example.com', suppressed: false },
  ])
  stop()
  suppressions.onNews(() => {
    throw new Error('thread 3 is gone')
  })
  await assert.rejects(suppressions.suppressByHand('shop', ['bob@example.com'], byHand), {
    code: 'directory_not_heard',
    message: /thread 3 is gone/,
  })
  assert.equal((await suppressions.list('shop', {})).total, 1)
})

test('the set in memory follows the lists from the start on, through growth, as threads see it', async (t) => {
  const rig = await directoryRig(t)
  const { suppressions } = rig.directory
  const address = (n: number): string => `n${n}@example.com`
  await suppressions.suppress(Array.from({ length: 2_500 }, (_, n) => dead(address(n))))
  const set = await SuppressionSet.load(suppressions, seededRandom(1))
  assert.equal(set.size, 2_500)
  const threads = new SharedSuppressions(new SharedSet(set.memory))
  let replaced = 0
  suppressions.onNews((news) => {
    if (!set.hear(news)) return
    replaced += 1
    threads.replace(new SharedSet(set.memory))
  })
  for (let from = 2_500; from < 9_000; from += 500) {
    await suppressions.suppress(Array.from({ length: 500 }, (_, n) => dead(address(from + n))))
    assert.ok(threads.has('shop', address(from)) && threads.has('shop', address(from + 499)))
    assert.equal(threads.has('shop', address(from + 500)), false)
    assert.equal(threads.has('other', address(from)), false)
  }
  assert.ok(replaced >= 1)
  await suppressions.unsuppress('shop', [address(0)])
  assert.equal(threads.has('shop', address(0)), false)
  await suppressions.suppressByHand('shop', [address(0)], byHand)
  assert.equal(threads.has('shop', address(0)), true)
  const after = await SuppressionSet.load((await rig.reopen()).directory.suppressions, seededRandom(2))
  assert.equal(after.size, set.size)
})

test('a directory from before the lists has empty ones', async (t) => {
  const rig = await directoryRig(t)
  const { db } = rig
  for (const table of ['suppressions', 'suppression_counts']) await db.schema.dropTable(table).execute()
  const step = migrations.findIndex(({ name }) => name === 'addresses that nothing is sent to')
  await db.deleteFrom('schema_versions').where('version', '>', step).execute()
  await migrate(db, rig.clock, migrations.slice(0, step + 1))
  const { suppressions } = rig.directory
  assert.equal((await suppressions.list('shop', {})).total, 0)
  assert.equal((await suppressions.suppress([dead('ann@example.com')])).added.length, 1)
})
