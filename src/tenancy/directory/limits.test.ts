/** Bounds of the directory at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import { aPrivateKey, type DirectoryRig, directoryRig } from '../../../test/support/directory-rig.ts'
import { systemRandom } from '../../kernel/random.ts'
import { clientsOf } from '../tenancy.ts'
import * as limits from './limits.ts'
import type { DirectorySchema } from './schema.ts'
import { createSecret, sha256 } from './secrets.ts'
import * as values from './values.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]
const id = (n: number): string => `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`

/** One tenant that has `count` rows of a table, written behind the directory's back: the calls would take a commit for each. */
async function withRows<Table extends keyof DirectorySchema>(
  t: TestContext,
  table: Table,
  count: number,
  row: (n: number, tenantId: string) => DirectorySchema[Table],
): Promise<{ rig: DirectoryRig; tenantId: string }> {
  const rig = await directoryRig(t)
  const { id: tenantId } = await rig.directory.createTenant('one')
  await insert(rig, table, count, (n) => row(n, tenantId))
  return { rig, tenantId }
}

async function insert<Table extends keyof DirectorySchema>(
  { db }: DirectoryRig,
  table: Table,
  count: number,
  row: (n: number) => DirectorySchema[Table],
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (let from = 0; from < count; from += 1_000) {
      const rows = Array.from({ length: Math.min(1_000, count - from) }, (_, n) => row(from + n))
      // The query builder wants one table's type, not any table's.
      await trx
        .insertInto(table)
        .values(rows as never)
        .execute()
    }
  })
}

const keyRow = (n: number, tenantId: string, secret = `${n}`): DirectorySchema['api_keys'] => ({
  id: id(n),
  tenant_id: tenantId,
  name: `key ${n}`,
  sha256: sha256(secret),
  last_four: '0000',
  scopes: '["send"]',
  networks: '["10.0.0.0/8"]',
  created_ms: 1,
  expires_ms: null,
  revoked_ms: null,
})

test('limit directory.tenants: ten thousand, and no more; keys are found among as many others', async (t) => {
  const first = await directoryRig(t)
  const max = limits.tenantsMax.value
  const row = (n: number) => ({ id: id(n), name: `tenant-${n}`, created_ms: 1, suspended_ms: null })
  await insert(first, 'tenants', max - 1, row)
  const secret = createSecret('live', systemRandom)
  await insert(first, 'api_keys', max, (n) => keyRow(n, id(n % (max - 1)), n === 777 ? secret : `${n}`))

  const loadStartedMs = performance.now()
  const { directory, clock } = await first.reopen()
  const loadMs = performance.now() - loadStartedMs
  await directory.createTenant('the-last-one')
  await assert.rejects(directory.createTenant('one-too-many'), { code: 'tenants_too_many' })

  const startedMs = performance.now()
  const snapshot = directory.snapshot()
  const snapshotMs = performance.now() - startedMs
  const clients = clientsOf([], snapshot, { anySender: false, clock })
  const clientsMs = performance.now() - startedMs - snapshotMs
  assert.equal(snapshot.intake.length, max)
  assert.equal(clients.byKey(secret, '10.0.0.1')?.tenant, id(777))
  t.diagnostic(`load ${loadMs.toFixed(0)} ms, snapshot ${snapshotMs.toFixed(1)} ms, clients ${clientsMs.toFixed(0)} ms`)
})

test('limit directory.page: a page has no more tenants, and the next one goes on after it', async (t) => {
  const max = limits.pageTenantsMax.value
  const rig = await directoryRig(t)
  const row = (n: number) => ({ id: id(n), name: `tenant-${n}`, created_ms: 1, suspended_ms: null })
  await insert(rig, 'tenants', max + 1, row)
  for (const count of around(max))
    assert.equal((await rig.directory.listTenants({ count })).length, Math.min(count, max))
  assert.equal((await rig.directory.listTenants({ count: -1 })).length, 1)
  const page = await rig.directory.listTenants()
  const next = await rig.directory.listTenants({ after: page.at(-1)?.id ?? '' })
  assert.deepEqual(
    next.map(({ name }) => name),
    [`tenant-${max}`],
  )
})

test('limit directory.keys: one that is revoked makes room', async (t) => {
  const { rig, tenantId } = await withRows(t, 'api_keys', limits.keysMax.value - 1, keyRow)
  const asked = { name: 'k', scopes: ['send'] as const }
  const { key } = await rig.directory.createKey(tenantId, asked)
  await assert.rejects(rig.directory.createKey(tenantId, asked), { code: 'keys_too_many' })
  await rig.directory.revokeKey(tenantId, key.id)
  await rig.directory.createKey(tenantId, asked)
})

test('limit directory.logins: one that is revoked makes room', async (t) => {
  const { rig, tenantId } = await withRows(t, 'smtp_logins', limits.loginsMax.value - 1, loginRow)
  const { login } = await rig.directory.createLogin(tenantId, {})
  await assert.rejects(rig.directory.createLogin(tenantId, {}), { code: 'logins_too_many' })
  await rig.directory.revokeLogin(tenantId, login.id)
  await rig.directory.createLogin(tenantId, {})
})

function loginRow(n: number, tenantId: string): DirectorySchema['smtp_logins'] {
  const secret = { password_sha256: sha256(`${n}`), last_four: '0000' }
  return {
    id: id(n),
    tenant_id: tenantId,
    user_name: `u${n}`,
    ...secret,
    networks: '[]',
    created_ms: 1,
    revoked_ms: null,
  }
}

test('limit directory.revoked: the oldest is forgotten', async (t) => {
  const max = limits.revokedMax.value
  const revoked = (n: number) => ({ revoked_ms: n < max - 1 ? n + 1 : null })
  const { rig, tenantId } = await withRows(t, 'api_keys', max + 1, (n, of) => ({ ...keyRow(n, of), ...revoked(n) }))
  await insert(rig, 'smtp_logins', max + 1, (n) => ({ ...loginRow(n, tenantId), ...revoked(n) }))
  const { directory } = rig
  for (const [n, oldest] of [
    [max - 1, 0],
    [max, 1],
  ] as const) {
    await directory.revokeKey(tenantId, id(n))
    await directory.revokeLogin(tenantId, id(n))
    assert.equal((await directory.listKeys(tenantId))[0]?.id, id(oldest))
    assert.equal((await directory.listLogins(tenantId))[0]?.id, id(oldest))
  }
})

test('limit directory.domains: claimed and verified ones alike', async (t) => {
  const row = (n: number, tenantId: string): DirectorySchema['sending_domains'] => ({
    id: id(n),
    tenant_id: tenantId,
    domain: `d${n}.example`,
    subdomains: 0,
    created_ms: 1,
    verified_ms: n % 2 === 0 ? null : 1,
  })
  const { rig, tenantId } = await withRows(t, 'sending_domains', limits.domainsMax.value - 1, row)
  await rig.directory.addDomain(tenantId, { domain: 'last.example' })
  await assert.rejects(rig.directory.addDomain(tenantId, { domain: 'more.example' }), { code: 'domains_too_many' })
})

test('limit directory.senders: claimed and verified ones alike', async (t) => {
  const row = (n: number, tenantId: string): DirectorySchema['verified_senders'] => ({
    id: id(n),
    tenant_id: tenantId,
    address: `a${n}@b.example`,
    link_sha256: null,
    link_expires_ms: 1,
    created_ms: 1,
    verified_ms: n % 2 === 0 ? null : 1,
  })
  const { rig, tenantId } = await withRows(t, 'verified_senders', limits.sendersMax.value - 1, row)
  await rig.directory.addSender(tenantId, 'last@b.example')
  await assert.rejects(rig.directory.addSender(tenantId, 'more@b.example'), { code: 'senders_too_many' })
  // A new link for one that is there is not one more.
  rig.clock.advance(limits.linkPauseMs.value)
  await rig.directory.addSender(tenantId, 'last@b.example')
})

test('limit directory.streams: a hundred kinds of mail', async (t) => {
  const row = (n: number, tenantId: string): DirectorySchema['streams'] => ({
    id: id(n),
    tenant_id: tenantId,
    name: `s${n}`,
    mail_class: 'bulk',
    defaults: '{}',
    created_ms: 1,
  })
  const { rig, tenantId } = await withRows(t, 'streams', limits.streamsMax.value - 1, row)
  await rig.directory.createStream(tenantId, { name: 'last', mailClass: 'bulk' })
  const more = rig.directory.createStream(tenantId, { name: 'more', mailClass: 'bulk' })
  await assert.rejects(more, { code: 'streams_too_many' })
})

test('limit directory.source-networks: one that is removed makes room', async (t) => {
  const row = (n: number, tenantId: string): DirectorySchema['source_networks'] => ({
    id: id(n),
    tenant_id: tenantId,
    cidr: `10.0.0.${n}/32`,
    created_ms: 1,
  })
  const { rig, tenantId } = await withRows(t, 'source_networks', limits.sourceNetworksMax.value - 1, row)
  const { id: last } = await rig.directory.addNetwork(tenantId, '192.0.2.0/24')
  await assert.rejects(rig.directory.addNetwork(tenantId, '198.51.100.0/24'), { code: 'networks_too_many' })
  await rig.directory.removeNetwork(tenantId, last)
  await rig.directory.addNetwork(tenantId, '198.51.100.0/24')
})

test('limit directory.networks: fifty for one key', () => {
  const max = limits.networksMax.value
  for (const count of around(max)) {
    const written = Array.from({ length: count }, (_, n) => `10.0.0.${n}`)
    if (count <= max) assert.equal(values.networks('/networks', written).length, count)
    else assert.throws(() => values.networks('/networks', written), { code: 'invalid_value', pointer: '/networks' })
  }
})

test('limit directory.label: a hundred characters for people', () => {
  const max = limits.labelCharactersMax.value
  for (const length of around(max)) {
    if (length <= max) assert.equal(values.label('/name', 'x'.repeat(length)).length, length)
    else assert.throws(() => values.label('/name', 'x'.repeat(length)), { code: 'invalid_value', pointer: '/name' })
  }
})

test('limit directory.sender-link: good until the last millisecond', async (t) => {
  const { directory, clock } = await directoryRig(t)
  const tenant = await directory.createTenant('one')
  const { sender, token } = await directory.addSender(tenant.id, 'a@b.example')
  assert.equal(sender.linkExpiresMs, clock.nowMs() + limits.linkMsMax.value)
  const late = await directory.addSender(tenant.id, 'c@d.example')
  clock.advance(limits.linkMsMax.value - 1)
  await directory.confirmSender(token)
  clock.advance(1)
  await assert.rejects(directory.confirmSender(late.token), { code: 'sender_link_unknown' })
})

test('limit directory.changes-waiting: one more is refused at once, and the others are done in turn', async (t) => {
  const { directory } = await directoryRig(t)
  const max = limits.changesWaitingMax.value
  const tenant = await directory.createTenant('one')
  const first = directory.renameTenant(tenant.id, 'first')
  // Refused by what they ask for, so that they cost no commit; they wait all the same.
  const waiting = Array.from({ length: max - 1 }, () => directory.renameTenant(tenant.id, ''))
  await assert.rejects(directory.renameTenant(tenant.id, 'too-many'), { code: 'directory_busy' })
  assert.equal((await first).name, 'first')
  const outcomes = await Promise.allSettled(waiting)
  assert.ok(outcomes.every((outcome) => outcome.status === 'rejected'))
  assert.equal((await directory.renameTenant(tenant.id, 'last')).name, 'last')
})

test('limit directory.domain-keys-in-making: four at once, one more is refused and may come again', async (t) => {
  const waiting: ((pem: string) => void)[] = []
  const rig = await directoryRig(t, [], () => new Promise((resolve) => waiting.push(resolve)))
  const { id: tenantId } = await rig.directory.createTenant('one')
  const add = (n: number) => rig.directory.addDomain(tenantId, { domain: `d${n}.example` })
  const max = limits.domainKeysInMakingMax.value
  const asked = Array.from({ length: max }, (_, n) => add(n))
  await condition(() => waiting.length === max)
  await assert.rejects(add(max), { code: 'directory_busy' })
  for (const give of waiting.splice(0)) give(aPrivateKey)
  await Promise.all(asked)
  const late = add(max)
  await condition(() => waiting.length === 1)
  waiting[0]?.(aPrivateKey)
  await late
})

test('limit directory.sender-link-pause: an address is mailed again after a minute, not before', async (t) => {
  for (const afterMs of around(limits.linkPauseMs.value)) {
    const { directory, clock } = await directoryRig(t)
    const { id: tenantId } = await directory.createTenant('one')
    await directory.addSender(tenantId, 'ann@b.example')
    clock.advance(afterMs)
    const again = directory.addSender(tenantId, 'ann@b.example')
    if (afterMs < limits.linkPauseMs.value) await assert.rejects(again, { code: 'sender_link_too_soon' })
    else await again
    clock.jumpWall(-afterMs * 10)
    await directory.addSender(tenantId, 'ann@b.example')
  }
})

test('limit directory.quota-messages: up to a thousand million in a window, and no more; bytes a mebibyte for each', () => {
  for (const name of ['messagesPerSecond', 'messagesPerDay', 'messagesPerMonth', 'spoolRecipients'] as const) {
    const [below, at, above] = around(limits.quotaMessagesMax.value)
    for (const value of [below, at]) assert.equal(values.quotaLimits({ [name]: value })[name], value)
    assert.throws(() => values.quotaLimits({ [name]: above }), { code: 'invalid_value', cure: /to 1000000000\.$/ })
  }
  const [, bytes, tooMany] = around(limits.quotaMessagesMax.value * 1024 * 1024)
  assert.equal(values.quotaLimits({ spoolBytes: bytes }).spoolBytes, bytes)
  assert.throws(() => values.quotaLimits({ spoolBytes: tooMany }), { code: 'invalid_value', pointer: '/spool_bytes' })
  for (const odd of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => values.quotaLimits({ messagesPerDay: odd }), { pointer: '/messages_per_day' })
})

test('limit directory.suppressions: the last one fits; by hand none of what does not, after bounces those that do', async (t) => {
  const rig = await directoryRig(t)
  const { suppressions } = rig.directory
  const max = limits.suppressionsMax.value
  await rig.db
    .insertInto('suppression_counts')
    .values({ tenant: 'shop', entries: max - 2 })
    .execute()
  const byHand = { detail: '', createdBy: 'admin' }
  const three = ['a@b.example', 'c@d.example', 'e@f.example']
  await assert.rejects(suppressions.suppressByHand('shop', three, byHand), { code: 'suppressions_too_many' })
  assert.deepEqual(await suppressions.list('shop', {}), { entries: [], total: max - 2 })
  await suppressions.suppressByHand('shop', three.slice(0, 1), byHand)
  const dead = (address: string) => ({ tenant: 'shop', address, detail: '', messageId: '' })
  const { added, refused } = await suppressions.suppress(three.map(dead))
  assert.deepEqual([added.length, refused.length], [1, 1])
  assert.equal((await suppressions.list('shop', {})).total, max)
  // What is on the list already needs no room, and one that is removed makes some.
  assert.equal((await suppressions.suppressByHand('shop', three.slice(0, 1), byHand)).known, 1)
  assert.deepEqual((await suppressions.suppress(refused)).refused, refused)
  await suppressions.unsuppress('shop', three.slice(0, 1))
  assert.deepEqual((await suppressions.suppress(refused)).refused, [])
})

test('limit directory.suppressions-in-all: what one tenant has is no room for another', async (t) => {
  const rig = await directoryRig(t)
  const { suppressions } = rig.directory
  const each = limits.suppressionsMax.value
  const max = limits.suppressionsInAllMax.value
  const counts = Array.from({ length: max / each }, (_, n) => ({ tenant: `t${n}`, entries: each - (n === 0 ? 1 : 0) }))
  await rig.db.insertInto('suppression_counts').values(counts).execute()
  const dead = (address: string, tenant = 'shop') => ({ tenant, address, detail: '', messageId: '' })
  const { added, refused } = await suppressions.suppress([dead('a@b.example'), dead('c@d.example', 'other')])
  assert.deepEqual([added.length, refused.length], [1, 1])
  const more = suppressions.suppressByHand('shop', ['e@f.example'], { detail: '', createdBy: 'admin' })
  await assert.rejects(more, { code: 'suppressions_too_many', message: /of all tenants/ })
})

test('limit directory.suppression-batch: a thousand at once, and in a page; bounces have as many changes as they need', async (t) => {
  const { suppressions } = (await directoryRig(t)).directory
  const max = limits.suppressionBatchMax.value
  for (const count of around(max)) {
    const addresses = Array.from({ length: count }, (_, n) => `n${n}@b.example`)
    const asked = [
      suppressions.suppressByHand('shop', addresses, { detail: '', createdBy: 'admin' }),
      suppressions.unsuppress('other', addresses),
    ]
    for (const one of asked) {
      if (count <= max) await one
      else await assert.rejects(one, { code: 'invalid_value', pointer: '/addresses' })
    }
  }
  const dead = Array.from({ length: max + 1 }, (_, n) => ({
    tenant: 'shop',
    address: `m${n}@b.example`,
    detail: '',
    messageId: '',
  }))
  const heard: number[] = []
  suppressions.onNews((news) => void heard.push(news.length))
  assert.equal((await suppressions.suppress(dead)).added.length, max + 1)
  assert.deepEqual(heard, [max, 1])
  assert.equal((await suppressions.list('shop', { count: max + 1 })).entries.length, max)
})
