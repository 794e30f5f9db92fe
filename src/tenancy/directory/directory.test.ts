import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import { directoryRig, temporaryFolder } from '../../../test/support/directory-rig.ts'
import { openSqlite } from '../../adapters/embedded/embedded.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { systemRandom } from '../../kernel/random.ts'
import { dayMs, minuteMs } from '../../kernel/units.ts'
import type { DirectoryChange } from '../../ports/directory.ts'
import { InvalidValue } from '../../ports/directory.ts'
import { makeQuotaMemory, QuotaRows, QuotaTable } from '../tenancy.ts'
import { type DirectorySchema, openDirectory } from './directory.ts'
import { makeRsaKey } from './domain-keys.ts'
import { linkPauseMs } from './limits.ts'
import { migrate, type Migration, migrations } from './migrations.ts'

const plain = {
  clock: new VirtualClock(),
  random: systemRandom,
  fileTenants: [],
  quotaRows: new QuotaRows(new QuotaTable(makeQuotaMemory(1), new VirtualClock())),
}

test('what was made is there after a restart, and no secret is on disk', async (t) => {
  const rig = await directoryRig(t)
  const { directory } = rig
  const tenant = await directory.createTenant('  acme ')
  assert.equal(tenant.name, 'acme')
  const { key, secret } = await directory.createKey(tenant.id, {
    name: 'shop',
    scopes: ['read', 'send', 'read'],
    networks: ['10.0.0.0/8', '::ffff:192.0.2.0/120', '2001:DB8::/32', '10.0.0.0/8'],
    expiresMs: rig.clock.nowMs() + dayMs,
  })
  assert.deepEqual(key.scopes, ['send', 'read'])
  assert.deepEqual(key.networks, ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'])
  assert.equal(key.lastFour, secret.slice(-4))
  const made = await directory.createLogin(tenant.id, {})
  assert.match(made.login.user, /^user-[a-z2-7]{12}$/)
  assert.match(made.password, /^ph_smtp_/)
  const { token } = await directory.addSender(tenant.id, 'ann@gmail.example')
  const stream = await directory.createStream(tenant.id, {
    name: 'receipts',
    mailClass: 'transactional',
    defaults: { tags: ['a'] },
  })
  const network = await directory.addNetwork(tenant.id, '10.1.2.3/8')
  const domain = await directory.addDomain(tenant.id, { domain: 'Example.COM.' })
  await directory.verifyDomain(tenant.id, domain.id, [domain.record.value])
  const before = directory.snapshot()

  const again = (await rig.reopen()).directory
  assert.deepEqual({ ...again.snapshot(), version: 0 }, { ...before, version: 0 })
  assert.deepEqual(structuredClone(before), before)
  assert.deepEqual(await again.listTenants(), [tenant])
  assert.deepEqual(await again.getTenant(tenant.id), tenant)
  assert.deepEqual(await again.listKeys(tenant.id), [key])
  assert.deepEqual(await again.listLogins(tenant.id), [made.login])
  assert.deepEqual(await again.listStreams(tenant.id), [stream])
  assert.deepEqual(await again.listNetworks(tenant.id), [network])
  assert.equal((await again.listDomains(tenant.id))[0]?.record.value, domain.record.value)
  await again.close()
  const rows = readFileSync(join(rig.folder, 'directory.db'), 'latin1')
  for (const told of [secret, made.password, token]) assert.ok(!rows.includes(told.slice(8, 40)))
  assert.ok(rows.includes(hash('sha256', secret, 'hex')))
})

test('a key or login that is revoked is not in the snapshot that the call returns, and every listener has taken it', async (t) => {
  const { directory } = await directoryRig(t)
  const tenant = await directory.createTenant('acme')
  const { key } = await directory.createKey(tenant.id, { name: 'one', scopes: ['send'] })
  const { login } = await directory.createLogin(tenant.id, { user: 'app@acme' })
  const taken: number[] = []
  const stop = directory.onChange(async ({ version }) => {
    await new Promise((resolve) => setImmediate(resolve))
    taken.push(version)
  })
  const before = directory.version
  const withoutKey = await directory.revokeKey(tenant.id, key.id)
  assert.deepEqual(taken, [before + 1])
  assert.equal(withoutKey.snapshot.version, before + 1)
  assert.deepEqual(withoutKey.snapshot.intake[0]?.keys, [])
  assert.equal(withoutKey.snapshot.intake[0].logins.length, 1)
  assert.deepEqual((await directory.revokeLogin(tenant.id, login.id)).snapshot.intake[0]?.logins, [])
  assert.deepEqual(taken, [before + 1, before + 2])
  stop()
  const again = await directory.revokeKey(tenant.id, key.id)
  assert.equal(again.withdrawn.revokedMs, withoutKey.withdrawn.revokedMs)
  assert.equal(taken.length, 2)
  // The name is free for a new password.
  assert.equal((await directory.createLogin(tenant.id, { user: 'app@acme' })).login.user, 'app@acme')
})

test('a listener that fails is told to the caller, after all the others have heard', async (t) => {
  const { directory } = await directoryRig(t)
  let heard = 0
  directory.onChange(() => {
    throw new Error('thread 3 is gone')
  })
  directory.onChange(() => void heard++)
  await assert.rejects(directory.createTenant('acme'), { code: 'directory_not_heard', message: /thread 3 is gone/ })
  assert.equal(heard, 1)
  assert.equal((await directory.listTenants()).length, 1)
})

test('a suspended tenant has no keys for intake, keeps its domains, and comes back whole', async (t) => {
  const { directory } = await directoryRig(t)
  const tenant = await directory.createTenant('acme')
  await directory.createKey(tenant.id, { name: 'one', scopes: ['send'] })
  await directory.createLogin(tenant.id, {})
  const domain = await directory.addDomain(tenant.id, { domain: 'example.com' })
  await directory.verifyDomain(tenant.id, domain.id, ['other', ` ${domain.record.value}`])
  const { withdrawn, snapshot } = await directory.suspendTenant(tenant.id)
  assert.equal(withdrawn.suspended, true)
  const [suspended] = snapshot.intake
  assert.deepEqual([suspended?.keys, suspended?.logins, suspended?.domains.length], [[], [], 1])
  assert.equal((await directory.resumeTenant(tenant.id)).suspended, false)
  assert.equal(directory.snapshot().intake[0]?.keys.length, 1)
  assert.equal((await directory.renameTenant(tenant.id, 'acme-2')).name, 'acme-2')
  assert.equal(directory.snapshot().preparing[0]?.name, 'acme-2')
})

test('names are taken once, in the file and here', async (t) => {
  const file = { name: 'from-file', networks: [], logins: [{ user: 'printer', passwordSha256: '0'.repeat(64) }] }
  const { directory } = await directoryRig(t, [file])
  const one = await directory.createTenant('one')
  const two = await directory.createTenant('two')
  for (const name of ['one', 'from-file']) {
    await assert.rejects(directory.createTenant(name), { code: 'tenant_name_taken' })
    await assert.rejects(directory.renameTenant(two.id, name), { code: 'tenant_name_taken' })
  }
  assert.equal((await directory.renameTenant(two.id, 'two')).name, 'two')
  await directory.createLogin(one.id, { user: 'app' })
  for (const user of ['app', 'printer'])
    await assert.rejects(directory.createLogin(two.id, { user }), { code: 'login_taken' })
  await directory.createStream(one.id, { name: 'news', mailClass: 'bulk' })
  await directory.createStream(two.id, { name: 'news', mailClass: 'bulk' })
  await assert.rejects(directory.createStream(one.id, { name: 'news', mailClass: 'bulk' }), { code: 'stream_taken' })
})

test('a domain is claimed by many and verified by one, with a record that proves it for that one alone', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  const ofOne = await directory.addDomain(one.id, { domain: 'example.com' })
  const ofTwo = await directory.addDomain(two.id, { domain: 'EXAMPLE.com', subdomains: true })
  assert.equal(ofOne.record.name, '_posthaste.example.com')
  assert.match(ofOne.record.value, /^posthaste-verification=[0-9a-f]{40}$/)
  assert.notEqual(ofOne.record.value, ofTwo.record.value)
  await assert.rejects(directory.addDomain(one.id, { domain: 'example.com' }), { code: 'domain_taken' })

  for (const records of [[], ['v=spf1 -all', ofTwo.record.value], [`${ofOne.record.value}x`], ['']])
    await assert.rejects(directory.verifyDomain(one.id, ofOne.id, records), { code: 'domain_unproven' })
  assert.deepEqual(directory.snapshot().intake[0]?.domains, [])
  assert.notEqual((await directory.verifyDomain(one.id, ofOne.id, [ofOne.record.value])).verifiedMs, null)
  assert.deepEqual(directory.snapshot().preparing[0]?.domains, [
    { domain: 'example.com', subdomains: false, key: null },
  ])
  await assert.rejects(directory.verifyDomain(two.id, ofTwo.id, [ofTwo.record.value]), { code: 'domain_taken' })

  const { snapshot } = await directory.removeDomain(one.id, ofOne.id)
  assert.deepEqual(snapshot.intake[0]?.domains, [])
  await directory.verifyDomain(two.id, ofTwo.id, [ofTwo.record.value])
  const again = await directory.addDomain(one.id, { domain: 'example.com' })
  assert.equal(again.record.value, ofOne.record.value)
})

test('an address is proven by the newest link, once, within its time', async (t) => {
  const { directory, clock } = await directoryRig(t)
  const tenant = await directory.createTenant('one')
  const first = await directory.addSender(tenant.id, ' Ann@Gmail.Example ')
  assert.equal(first.sender.address, 'ann@gmail.example')
  await assert.rejects(directory.addSender(tenant.id, 'ann@gmail.example'), { code: 'sender_link_too_soon' })
  clock.advance(linkPauseMs.value)
  const second = await directory.addSender(tenant.id, 'ann@gmail.example')
  assert.equal(second.sender.id, first.sender.id)
  for (const token of [first.token, '', 'x', `${second.token.slice(0, -1)}-`])
    await assert.rejects(directory.confirmSender(token), { code: 'sender_link_unknown' })
  assert.deepEqual(directory.snapshot().intake[0]?.senders, [])
  const proven = await directory.confirmSender(second.token)
  assert.equal(proven.verifiedMs, clock.nowMs())
  assert.deepEqual(directory.snapshot().intake[0]?.senders, ['ann@gmail.example'])
  await assert.rejects(directory.confirmSender(second.token), { code: 'sender_link_unknown' })
  await assert.rejects(directory.addSender(tenant.id, 'ann@gmail.example'), { code: 'sender_taken' })
  assert.deepEqual((await directory.removeSender(tenant.id, proven.id)).snapshot.intake[0]?.senders, [])
})

test('an address of a domain that another tenant has verified cannot be proven', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  const early = await directory.addSender(two.id, 'ann@mail.example.com')
  const domain = await directory.addDomain(one.id, { domain: 'example.com', subdomains: true })
  await directory.verifyDomain(one.id, domain.id, [domain.record.value])
  await assert.rejects(directory.confirmSender(early.token), { code: 'sender_taken' })
  await assert.rejects(directory.addSender(two.id, 'bob@example.com'), { code: 'sender_taken' })
  await directory.addSender(one.id, 'bob@mail.example.com')
  // Who verifies the name itself has it, whoever has what is above.
  const below = await directory.addDomain(two.id, { domain: 'mail.example.com' })
  await directory.verifyDomain(two.id, below.id, [below.record.value])
  await directory.confirmSender(early.token)
  await assert.rejects(directory.addSender(two.id, 'bob@other.example.com'), { code: 'sender_taken' })
})

test('streams change their class and defaults, never their name', async (t) => {
  const { directory } = await directoryRig(t)
  const tenant = await directory.createTenant('one')
  const stream = await directory.createStream(tenant.id, { name: 'news', mailClass: 'bulk' })
  const asked = { campaign: 'spring', tags: ['a', 'b', 'a'], expires_in: '90m' }
  const changed = await directory.changeStream(tenant.id, stream.id, { defaults: asked })
  const defaults = { expiresInMs: 90 * minuteMs, tags: ['a', 'b'], campaign: 'spring' }
  assert.deepEqual(changed, { ...stream, defaults })
  await directory.changeStream(tenant.id, stream.id, { mailClass: 'urgent' })
  assert.deepEqual(directory.snapshot().intake[0]?.streams, [{ name: 'news', mailClass: 'urgent', defaults }])
  const { snapshot } = await directory.removeStream(tenant.id, stream.id)
  assert.deepEqual(snapshot.intake[0]?.streams, [])
})

test('defaults that were stored before there was a rule count as far as they make sense', async (t) => {
  const rig = await directoryRig(t)
  const { id } = await rig.directory.createTenant('one')
  for (const [n, written] of [
    '{"track_opens":true,"tags":["a"],"expires_in":7200}',
    '{"tags":[1],"expires_in":"soon","campaign":""}',
    '{"tags":"a","expires_in":"1s","campaign":{"__proto__":1}}',
  ].entries()) {
    const row = { id: `${n}`, tenant_id: id, name: `s${n}`, mail_class: 'bulk', defaults: written, created_ms: 1 }
    await rig.db.insertInto('streams').values(row).execute()
  }
  const { directory } = await rig.reopen()
  const found = (await directory.listStreams(id)).map(({ defaults }) => defaults)
  const nothing = { expiresInMs: 0, tags: [], campaign: '' }
  assert.deepEqual(found, [{ ...nothing, expiresInMs: 120 * minuteMs, tags: ['a'] }, nothing, nothing])
  assert.deepEqual(
    directory.snapshot().intake[0]?.streams.map(({ defaults }) => defaults),
    found,
  )
})

test('networks of a tenant: in their one form, each once, shared with whoever else is there, gone while it is suspended', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  const network = await directory.addNetwork(one.id, '2001:DB8::7/32')
  assert.equal(network.cidr, '2001:db8::/32')
  for (const again of ['2001:db8::/32', '2001:db8:1::/32'])
    await assert.rejects(directory.addNetwork(one.id, again), { code: 'network_taken' })
  await directory.addNetwork(two.id, '2001:db8::/32')
  const mapped = await directory.addNetwork(one.id, '::ffff:192.0.2.0/120')
  assert.equal(mapped.cidr, '192.0.2.0/24')
  const ofOne = () =>
    directory
      .snapshot()
      .intake[0]?.networks.map(({ cidr }) => cidr)
      .sort()
  assert.deepEqual(ofOne(), ['192.0.2.0/24', '2001:db8::/32'])
  assert.deepEqual((await directory.suspendTenant(one.id)).snapshot.intake[0]?.networks, [])
  await directory.resumeTenant(one.id)
  const { withdrawn, snapshot } = await directory.removeNetwork(one.id, network.id)
  assert.deepEqual(withdrawn, network)
  assert.deepEqual(
    snapshot.intake.map(({ networks }) => networks.map(({ cidr }) => cidr)),
    [['192.0.2.0/24'], ['2001:db8::/32']],
  )
})

test('a listener hears of the one tenant that has changed, and of every version', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  const heard: DirectoryChange[] = []
  directory.onChange((change) => void heard.push(change))
  const before = directory.version
  await Promise.all([directory.addNetwork(two.id, '192.0.2.7'), directory.createLogin(one.id, { user: 'app' })])
  assert.deepEqual(
    heard.map(({ version, intake, preparing }) => [version, intake.id, preparing.id]),
    [
      [before + 1, two.id, two.id],
      [before + 2, one.id, one.id],
    ],
  )
  const { intake } = directory.snapshot()
  assert.deepEqual(
    heard.map((change) => change.intake),
    [intake[1], intake[0]],
  )
})

const ring: Record<string, unknown> = {}
ring['ring'] = ring
const wrongDefaults = [
  ['/defaults', []],
  ['/defaults', 'x'],
  ['/defaults/track_opens', { tags: ['a'], track_opens: true }],
  ['/defaults/__proto__', JSON.parse('{"__proto__":{"tags":["a"]}}')],
  ['/defaults/constructor', { constructor: 1 }],
  ['/defaults/a~1b~0', { 'a/b~': 1 }],
  ['/defaults/ring', ring],
  ['/defaults/tags', { tags: 'a' }],
  ['/defaults/tags', { tags: ['a', 7] }],
  ['/defaults/tags', { tags: null }],
  ['/defaults/tags', { tags: Array.from({ length: 11 }, (_, n) => `t${n}`) }],
  ['/defaults/tags/1', { tags: ['a', 'b,c'] }],
  ['/defaults/campaign', { campaign: 7 }],
  ['/defaults/campaign', { campaign: '' }],
  ['/defaults/campaign', { campaign: 'x'.repeat(129) }],
  ['/defaults/expires_in', { expires_in: 'soon' }],
  ['/defaults/expires_in', { expires_in: 59 }],
  ['/defaults/expires_in', { expires_in: '31d' }],
  ['/defaults/expires_in', { expires_in: 1n }],
  ['/defaults/expires_in', { expires_in: 7.5 }],
] as readonly (readonly [pointer: string, defaults: Record<string, unknown>])[]

test('a value that is wrong is pointed at', async (t) => {
  const { directory } = await directoryRig(t)
  const { id } = await directory.createTenant('one')
  const key = { name: 'k', scopes: ['send'] as const }
  const calls: readonly (readonly [pointer: string, call: () => Promise<unknown>])[] = [
    ['/name', () => directory.createTenant('Acme Inc.')],
    ['/name', () => directory.renameTenant(id, '')],
    ['/name', () => directory.createKey(id, { ...key, name: ' ' })],
    ['/scopes', () => directory.createKey(id, { ...key, scopes: [] })],
    ['/networks/0', () => directory.createKey(id, { ...key, networks: ['10.0.0.0/99'] })],
    ['/expires_at', () => directory.createKey(id, { ...key, expiresMs: 1 })],
    ['/user', () => directory.createLogin(id, { user: 'a b' })],
    ['/networks/0', () => directory.createLogin(id, { networks: ['x'] })],
    ['/domain', () => directory.addDomain(id, { domain: 'localhost' })],
    ['/address', () => directory.addSender(id, 'ann')],
    ['/name', () => directory.createStream(id, { name: 'News!', mailClass: 'bulk' })],
    ['/class', () => directory.createStream(id, { name: 'news', mailClass: 'fast' as 'bulk' })],
    ['/cidr', () => directory.addNetwork(id, '0.0.0.0/0')],
    ['/cidr', () => directory.addNetwork(id, '')],
    ...wrongDefaults.map(
      ([pointer, defaults]) =>
        [pointer, () => directory.createStream(id, { name: 'news', mailClass: 'bulk', defaults })] as const,
    ),
  ]
  const { version } = directory
  for (const [pointer, call] of calls)
    await assert.rejects(call(), (error) => error instanceof InvalidValue && error.pointer === pointer, pointer)
  assert.equal(directory.version, version)
})

test('a change that fails leaves rows, snapshot and version as they were', async (t) => {
  const { directory, db } = await directoryRig(t)
  const tenant = await directory.createTenant('one')
  const before = directory.snapshot()
  await sql`create trigger full before insert on api_keys begin select raise(abort, 'no'); end`.execute(db)
  await assert.rejects(directory.createKey(tenant.id, { name: 'x', scopes: ['send'] }), { code: 'database_constraint' })
  assert.equal(directory.snapshot(), before)
  assert.deepEqual(await directory.listKeys(tenant.id), [])
  assert.equal((await directory.createTenant('two')).name, 'two')
})

test('only one may open it', async (t) => {
  const folder = temporaryFolder(t)
  const directory = await openDirectory(await openSqlite<DirectorySchema>(folder, 'a.db'), plain)
  t.after(() => directory.close())
  await assert.rejects(openSqlite(folder, 'a.db', { lockWaitMs: 5 }), { code: 'database_in_use' })
  await directory.close()
  await directory.close()
  await assert.rejects(directory.createTenant('late'), { code: 'directory_closed' })
})

test('a database of a newer version is refused, and not a byte of it changes', async (t) => {
  const folder = temporaryFolder(t)
  const db = await openSqlite<DirectorySchema>(folder, 'a.db')
  const next = { name: 'of next year', up: async () => undefined }
  await migrate(db, plain.clock, [...migrations, next])
  await db.destroy()
  const bytes = readFileSync(join(folder, 'a.db'))
  const opened = openDirectory(await openSqlite<DirectorySchema>(folder, 'a.db'), plain)
  await assert.rejects(opened, {
    code: 'directory_newer',
    exitCode: 78,
    message: new RegExp(`version ${migrations.length + 1}.* up to ${migrations.length}`),
  })
  assert.deepEqual(readFileSync(join(folder, 'a.db')), bytes)
})

test('a step that fails leaves the version before it, and the next start goes on from there', async (t) => {
  const folder = temporaryFolder(t)
  const db = await openSqlite<DirectorySchema>(folder, 'a.db')
  t.after(() => db.destroy())
  let power = false
  const step: Migration = {
    name: 'step',
    up: async ({ schema }) => {
      await schema.createTable('new_one').addColumn('id', 'text').execute()
      if (!power) throw new Error('power cut')
    },
  }
  await assert.rejects(migrate(db, plain.clock, [...migrations, step]), /power cut/)
  const versions = db.selectFrom('schema_versions').select(['version', 'name'])
  assert.equal((await versions.execute()).length, migrations.length)
  power = true
  for (let start = 0; start < 2; start++) await migrate(db, plain.clock, [...migrations, step])
  assert.equal((await versions.execute()).length, migrations.length + 1)
})

test('a DKIM key waits for its record, signs, and is followed by another without a gap', async (t) => {
  const { directory, clock } = await directoryRig(t)
  const tenant = await directory.createTenant('one')
  const signing = () => directory.snapshot().preparing[0]?.domains[0]?.key ?? null
  const domain = await directory.addDomain(tenant.id, { domain: 'example.com' })
  const [first] = domain.keys
  assert.ok(first)
  assert.match(first.record.name, /^ph202311-[a-z2-7]{4}\._domainkey\.example\.com$/)
  assert.match(first.record.value, /^v=DKIM1; k=rsa; p=MIIB[\w+/]+=*$/)
  await directory.verifyDomain(tenant.id, domain.id, [domain.record.value])
  assert.equal(signing(), null)

  const prove = (keyId: string, ...records: readonly string[]) =>
    directory.proveKey(tenant.id, domain.id, keyId, records)
  const { value } = first.record
  for (const records of [[], ['v=DKIM1; k=rsa; p='], [value, value], [value.replace('DKIM1', 'DKIM2')], ['p=x']])
    await assert.rejects(prove(first.id, ...records), { code: 'domain_key_unproven' })
  await assert.rejects(prove('nothing', value), { code: 'domain_key_unknown' })
  // As some panels publish it: without v= and k=, the key in pieces.
  await prove(first.id, `p=${value.slice(value.indexOf('MIIB'), 60)} \t${value.slice(60)} ;`)
  assert.deepEqual(signing()?.selector, first.selector)
  assert.match(signing()?.privateKeyPem ?? '', /^-----BEGIN PRIVATE KEY-----/)
  assert.ok(!JSON.stringify(directory.snapshot().intake).includes('PRIVATE KEY'))
  assert.ok(!JSON.stringify(await directory.listDomains(tenant.id)).includes('PRIVATE KEY'))

  await assert.rejects(directory.rotateKey(tenant.id, 'nothing'), { code: 'domain_unknown' })
  const second = (await directory.rotateKey(tenant.id, domain.id)).keys.at(-1)
  assert.ok(second && second.selector !== first.selector)
  await assert.rejects(directory.rotateKey(tenant.id, domain.id), { code: 'domain_key_taken' })
  assert.equal(signing()?.id, first.id)
  clock.advance(dayMs)
  const { keys } = await prove(second.id, second.record.value)
  assert.deepEqual(
    keys.map(({ id, retiredMs }) => [id, retiredMs]),
    [
      [first.id, clock.nowMs()],
      [second.id, null],
    ],
  )
  assert.equal(signing()?.id, second.id)
  assert.deepEqual((await prove(second.id, second.record.value)).keys, keys)
  // A third one: the first is forgotten.
  clock.advance(1)
  const third = (await directory.rotateKey(tenant.id, domain.id)).keys.at(-1)
  assert.ok(third)
  const last = await prove(third.id, third.record.value)
  assert.deepEqual(
    last.keys.map(({ id }) => id),
    [second.id, third.id],
  )
  assert.deepEqual((await directory.removeDomain(tenant.id, domain.id)).withdrawn.keys, last.keys)
  assert.deepEqual(directory.snapshot().preparing[0]?.domains, [])
})

test('the private half of a retired key is in no row', async (t) => {
  const pems = [0, 1].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
  const texts = pems.map((key) => key.export({ type: 'pkcs8', format: 'pem' }))
  let made = 0
  const { directory, db } = await directoryRig(t, [], async () => texts[made++] as string)
  const { id } = await directory.createTenant('one')
  const domain = await directory.addDomain(id, { domain: 'example.com' })
  const proveLast = async (keys: typeof domain.keys) => {
    const key = keys.at(-1)
    await directory.proveKey(id, domain.id, key?.id ?? '', [key?.record.value ?? ''])
  }
  await proveLast(domain.keys)
  await proveLast((await directory.rotateKey(id, domain.id)).keys)
  const rows = await db
    .selectFrom('domain_keys')
    .select('private_key_pem')
    .orderBy('proven_ms')
    .orderBy('retired_ms', 'desc')
    .execute()
  assert.deepEqual(
    rows.map(({ private_key_pem }) => private_key_pem),
    ['', texts[1]],
  )
})

test('keys that we make are RSA of 2048 bits', async () => {
  const key = createPrivateKey(await makeRsaKey())
  assert.deepEqual([key.asymmetricKeyType, key.asymmetricKeyDetails?.modulusLength], ['rsa', 2048])
})
