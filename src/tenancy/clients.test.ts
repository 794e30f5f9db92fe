import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { directoryRig } from '../../test/support/directory-rig.ts'
import type { TenantConfig } from '../config/compiled.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { dayMs } from '../kernel/units.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { seededRandom } from '../kernel/random.ts'
import type { Client, Clients } from '../ports/clients.ts'
import type { Directory, IntakeTenant } from '../ports/directory.ts'
import { clientsOf } from './tenancy.ts'

const clock = new VirtualClock()
const options = { anySender: false, clock }
const digest = (text: string): string => hash('sha256', text, 'hex')
const fileTenants: readonly TenantConfig[] = [
  { name: 'office', networks: ['192.0.2.0/24'], logins: [{ user: 'printer', passwordSha256: digest('paper') }] },
]
const nobody: IntakeTenant = {
  id: '',
  name: '',
  keys: [],
  logins: [],
  networks: [],
  domains: [],
  senders: [],
  streams: [],
}
const as = (tenant: string): Client => ({ tenant, how: 'test' })

async function verified(directory: Directory, tenant: string, domain: string, subdomains = false): Promise<void> {
  const { id, record } = await directory.addDomain(tenant, { domain, subdomains })
  await directory.verifyDomain(tenant, id, [record.value])
}

test('a key is its tenant’s client, with its scopes, and nobody’s once it is revoked', async (t) => {
  const { directory, clock: its } = await directoryRig(t, fileTenants)
  const tenant = await directory.createTenant('acme')
  const { key, secret } = await directory.createKey(tenant.id, { name: 'k', scopes: ['send'] })
  const { login, password } = await directory.createLogin(tenant.id, { user: 'app@acme' })
  const withIts = { anySender: false, clock: its }
  const before = clientsOf(fileTenants, structuredClone(directory.snapshot()), withIts)
  const client = before.byKey(secret, '203.0.113.1')
  assert.deepEqual(client, { tenant: tenant.id, how: `key ${key.id}`, credentialId: key.id, scopes: ['send'] })
  const byLogin = before.byLogin('app@acme', password)
  assert.deepEqual(byLogin, { tenant: tenant.id, how: 'login app@acme', credentialId: login.id })
  for (let index = 0; index < secret.length; index++) {
    const wrong = `${secret.slice(0, index)}${secret[index] === 'a' ? 'b' : 'a'}${secret.slice(index + 1)}`
    assert.equal(before.byKey(wrong, '203.0.113.1'), null)
    assert.equal(before.byLogin('app@acme', wrong), null)
  }
  assert.equal(before.byKey(password, '203.0.113.1'), null)

  const afterKey = clientsOf(fileTenants, (await directory.revokeKey(tenant.id, key.id)).snapshot, withIts)
  assert.equal(afterKey.byKey(secret, '203.0.113.1'), null)
  assert.deepEqual([afterKey.isCurrent(client), afterKey.isCurrent(byLogin as Client)], [false, true])
  const suspended = clientsOf(fileTenants, (await directory.suspendTenant(tenant.id)).snapshot, withIts)
  assert.equal(suspended.byLogin('app@acme', password), null)
  assert.equal(suspended.isCurrent(byLogin as Client), false)
  const printer = suspended.byLogin('printer', 'paper')
  assert.deepEqual(printer, { tenant: 'office', how: 'login printer' })
  assert.equal(suspended.isCurrent(printer), true)
})

test('a key expires at its minute, without anybody’s help', async (t) => {
  const { directory, clock: its } = await directoryRig(t)
  const tenant = await directory.createTenant('acme')
  const asked = { name: 'k', scopes: ['read'] as const, expiresMs: its.nowMs() + dayMs }
  const { secret } = await directory.createKey(tenant.id, asked)
  const clients = clientsOf([], directory.snapshot(), { anySender: false, clock: its })
  its.advance(dayMs - 1)
  assert.equal(clients.byKey(secret, '::1')?.tenant, tenant.id)
  its.advance(1)
  assert.equal(clients.byKey(secret, '::1'), null)
})

test('keys and logins that are bound to networks open nothing from elsewhere', async (t) => {
  const { directory } = await directoryRig(t)
  const tenant = await directory.createTenant('acme')
  const networks = ['10.0.0.0/8', '2001:db8::/32']
  const { secret } = await directory.createKey(tenant.id, { name: 'k', scopes: ['send'], networks })
  const { login, password } = await directory.createLogin(tenant.id, { networks })
  const clients = clientsOf([], directory.snapshot(), options)
  for (const [address, open] of [
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['2001:db8::1', true],
    ['11.0.0.1', false],
    ['2001:db9::1', false],
    ['', false],
    ['nonsense', false],
  ] as const) {
    assert.equal(clients.byKey(secret, address) !== null, open, address)
    assert.equal(clients.byLogin(login.user, password, address) !== null, open, address)
  }
  assert.equal(clients.byLogin(login.user, password), null)
})

test('networks and logins of the file stay what they were', () => {
  const intruder = {
    ...nobody,
    id: 'x',
    logins: [{ id: '1', user: 'printer', passwordSha256: digest('mine'), networks: [] }],
  }
  const clients = clientsOf(fileTenants, { intake: [intruder] }, options)
  assert.equal(clients.bySource('192.0.2.7', 'a@b')?.tenant, 'office')
  assert.equal(clients.bySource('203.0.113.1', 'a@b'), null)
  assert.equal(clients.byLogin('printer', 'paper')?.tenant, 'office')
  assert.equal(clients.byLogin('printer', 'mine'), null)
})

test('a stranger’s hash of zeros and keys of the prototype open nothing', () => {
  const clients = clientsOf([], { intake: [nobody] }, options)
  for (const user of ['', '__proto__', 'constructor']) assert.equal(clients.byLogin(user, ''), null)
  for (const secret of ['', '__proto__', 'ph_live_', 'x'.repeat(10_000)]) assert.equal(clients.byKey(secret, ''), null)
})

test('a tenant sends as its verified domains and addresses and the null sender, and as nothing else', async (t) => {
  const { directory } = await directoryRig(t, fileTenants)
  const one = await directory.createTenant('one')
  const two = await directory.createTenant('two')
  await verified(directory, one.id, 'example.com', true)
  await verified(directory, one.id, 'bücher.example')
  await verified(directory, two.id, 'mail.example.com')
  await directory.addDomain(two.id, { domain: 'claimed.example' })
  const { token } = await directory.addSender(two.id, 'Ann@Freemail.Example')
  await directory.confirmSender(token)
  await directory.addSender(two.id, 'unproven@freemail.example')
  const clients = clientsOf(fileTenants, directory.snapshot(), options)
  const may: readonly (readonly [address: string, one: boolean, two: boolean])[] = [
    ['', true, true],
    ['a@example.com', true, false],
    ['A@EXAMPLE.com', true, false],
    ['a@x.y.example.com', true, false],
    ['a@mail.example.com', false, true],
    // Below a name that is another's without its subdomains: still the nearest that covers it.
    ['a@x.mail.example.com', true, false],
    ['a@notexample.com', false, false],
    ['a@com', false, false],
    ['a@BÜCHER.example', true, false],
    ['a@xn--bcher-kva.example', true, false],
    ['a@x.xn--bcher-kva.example', false, false],
    ['a@claimed.example', false, false],
    ['ann@freemail.example', false, true],
    ['ANN@freemail.EXAMPLE', false, true],
    ['bob@freemail.example', false, false],
    ['unproven@freemail.example', false, false],
    ['"a@example.com x"@evil.test', false, false],
    ['"x@evil.test"@example.com', true, false],
    ['a@[192.0.2.1]', false, false],
    ['a@exa\u200bmple.com', false, false],
    ['example.com', false, false],
    ['@', false, false],
  ]
  for (const [address, asOne, asTwo] of may) {
    assert.equal(clients.maySendAs(as(one.id), address), asOne, `one as ${address}`)
    assert.equal(clients.maySendAs(as(two.id), address), asTwo, `two as ${address}`)
    assert.equal(clients.maySendAs(as('office'), address), true)
    const inSandbox = clientsOf(fileTenants, directory.snapshot(), { ...options, anySender: true })
    assert.equal(inSandbox.maySendAs(as(two.id), address), true)
  }
  assert.equal(clients.maySendAs(as('unheard-of'), 'ann@freemail.example'), false)
})

test('an address proven long ago gives way to whoever verifies its domain, even when that one is suspended', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  await directory.confirmSender((await directory.addSender(two.id, 'ann@corp.example')).token)
  assert.ok(clientsOf([], directory.snapshot(), options).maySendAs(as(two.id), 'ann@corp.example'))
  await verified(directory, one.id, 'corp.example')
  const { snapshot } = await directory.suspendTenant(one.id)
  assert.equal(clientsOf([], snapshot, options).maySendAs(as(two.id), 'ann@corp.example'), false)
})

test('a tenant that shares its network with others is told apart by the sender, and alone it is whoever comes', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two, three] = [
    await directory.createTenant('one'),
    await directory.createTenant('two'),
    await directory.createTenant('three'),
  ]
  await verified(directory, one.id, 'one.example', true)
  await verified(directory, two.id, 'two.example')
  await verified(directory, three.id, 'three.example')
  for (const { id } of [one, two]) {
    await directory.addNetwork(id, '198.51.100.0/24')
    await directory.confirmSender((await directory.addSender(id, 'both@freemail.example')).token)
  }
  await directory.confirmSender((await directory.addSender(two.id, 'ann@freemail.example')).token)
  await directory.addNetwork(one.id, '198.51.100.64/26')
  await directory.addNetwork(three.id, '2001:db8::/48')
  const clients = clientsOf(fileTenants, directory.snapshot(), options)
  const who = (address: string, sender: string) => {
    const client = clients.bySource(address, sender)
    assert.ok(client === null || (clients.isCurrent(client) && clients.knowsNetwork(address)))
    return [one, two, three].find(({ id }) => id === client?.tenant)?.name ?? client?.tenant ?? null
  }
  for (const [address, sender, tenant] of [
    ['198.51.100.1', 'a@one.example', 'one'],
    ['198.51.100.1', 'a@below.ONE.example', 'one'],
    ['198.51.100.1', 'a@two.example', 'two'],
    ['::ffff:198.51.100.1', 'a@two.example', 'two'],
    ['::ffff:c633:6401', 'a@two.example', 'two'],
    ['198.51.100.1', 'ann@freemail.example', 'two'],
    // Proven by both, by neither, by somebody who is not there, and nobody's.
    ['198.51.100.1', 'both@freemail.example', null],
    ['198.51.100.1', 'bob@freemail.example', null],
    ['198.51.100.1', 'a@three.example', null],
    ['198.51.100.1', '', null],
    // The smaller network is the first one's alone, whatever is sent.
    ['198.51.100.65', 'a@two.example', 'one'],
    ['198.51.100.65', '', 'one'],
    ['2001:db8::1', 'a@one.example', 'three'],
    ['2001:db8:1::1', 'a@three.example', null],
    ['192.0.2.1', 'a@one.example', 'office'],
    ['203.0.113.1', 'a@one.example', null],
    ['nonsense', 'a@one.example', null],
    ['', '', null],
  ] as const)
    assert.equal(who(address, sender), tenant, `${address} ${sender}`)
  assert.equal(clients.maySendAs(clients.bySource('198.51.100.65', 'a@two.example') as Client, 'a@two.example'), false)
  assert.equal(clients.knowsNetwork('198.51.100.1'), true)
  assert.equal(clients.knowsNetwork('203.0.113.1'), false)
})

test('on a network of the file a tenant of the directory is meant by its own senders, the file’s by all others', async (t) => {
  const { directory } = await directoryRig(t, fileTenants)
  const one = await directory.createTenant('one')
  await verified(directory, one.id, 'one.example')
  const network = await directory.addNetwork(one.id, '192.0.2.0/24')
  const clients = clientsOf(fileTenants, directory.snapshot(), options)
  const mine = clients.bySource('192.0.2.7', 'a@one.example')
  assert.deepEqual(mine, { tenant: one.id, how: 'network 192.0.2.0/24', credentialId: network.id })
  for (const sender of ['a@other.example', '', 'a@b'])
    assert.deepEqual(clients.bySource('192.0.2.7', sender), { tenant: 'office', how: 'network 192.0.2.0/24' })
  // In the sandbox, where all may send as anybody, too.
  const inSandbox = clientsOf(fileTenants, directory.snapshot(), { ...options, anySender: true })
  assert.deepEqual(inSandbox.bySource('192.0.2.7', 'a@one.example'), mine)
  assert.equal(inSandbox.bySource('192.0.2.7', 'a@other.example')?.tenant, 'office')
})

test('who was recognised by a network that is removed, or of a tenant that is suspended, is nobody’s client any more', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  const network = await directory.addNetwork(one.id, '10.0.0.0/8')
  await directory.addNetwork(two.id, '10.1.0.0/16')
  const clients = clientsOf([], directory.snapshot(), options)
  directory.onChange(({ intake }) => clients.put(intake))
  const [first, second] = [clients.bySource('10.9.0.1', ''), clients.bySource('10.1.0.1', '')]
  assert.ok(first !== null && second !== null)
  await directory.suspendTenant(two.id)
  assert.deepEqual([clients.isCurrent(first), clients.isCurrent(second)], [true, false])
  // What is left is the network around it.
  assert.equal(clients.bySource('10.1.0.1', '')?.tenant, one.id)
  await directory.resumeTenant(two.id)
  assert.deepEqual(clients.bySource('10.1.0.1', ''), second)
  await directory.removeNetwork(one.id, network.id)
  assert.deepEqual([clients.isCurrent(first), clients.isCurrent(second)], [false, true])
  assert.equal(clients.bySource('10.9.0.1', ''), null)
  assert.equal(clients.knowsNetwork('10.9.0.1'), false)
  await directory.addNetwork(one.id, '10.0.0.0/8')
  assert.equal(clients.isCurrent(first), false)
})

type Step = (directory: Directory, tenants: readonly string[], pick: number) => Promise<unknown>

/** What is asked in vain is as good: then nothing changes. */
const steps: readonly Step[] = [
  (directory, tenants, pick) => directory.createKey(tenants[pick % 3] as string, { name: 'k', scopes: ['send'] }),
  async (directory, tenants, pick) =>
    await directory.revokeKey(
      tenants[pick % 3] as string,
      (await directory.listKeys(tenants[pick % 3] as string))[0]?.id ?? '',
    ),
  (directory, tenants, pick) => directory.createLogin(tenants[pick % 3] as string, { user: `u${pick % 2}` }),
  async (directory, tenants, pick) =>
    await directory.revokeLogin(
      tenants[pick % 3] as string,
      (await directory.listLogins(tenants[pick % 3] as string)).at(-1)?.id ?? '',
    ),
  (directory, tenants, pick) => verified(directory, tenants[pick % 3] as string, `d${pick % 2}.example`, pick > 4),
  async (directory, tenants, pick) =>
    await directory.removeDomain(
      tenants[pick % 3] as string,
      (await directory.listDomains(tenants[pick % 3] as string))[0]?.id ?? '',
    ),
  async (directory, tenants, pick) =>
    await directory.confirmSender(
      (await directory.addSender(tenants[pick % 3] as string, `a@d${pick % 2}.example`)).token,
    ),
  async (directory, tenants, pick) =>
    await directory.removeSender(
      tenants[pick % 3] as string,
      (await directory.listSenders(tenants[pick % 3] as string))[0]?.id ?? '',
    ),
  (directory, tenants, pick) => directory.addNetwork(tenants[pick % 3] as string, `10.0.0.0/${8 + (pick % 2)}`),
  async (directory, tenants, pick) =>
    await directory.removeNetwork(
      tenants[pick % 3] as string,
      (await directory.listNetworks(tenants[pick % 3] as string))[0]?.id ?? '',
    ),
  (directory, tenants, pick) =>
    directory.createStream(tenants[pick % 3] as string, { name: `s${pick}`, mailClass: 'bulk' }),
  (directory, tenants, pick) => directory.suspendTenant(tenants[pick % 3] as string),
  (directory, tenants, pick) => directory.resumeTenant(tenants[pick % 3] as string),
]

test('told of one change after the other, it answers as when it is made anew', async (t) => {
  const { directory } = await directoryRig(t, fileTenants)
  const live = clientsOf(fileTenants, directory.snapshot(), options)
  directory.onChange(({ intake }) => live.put(structuredClone(intake)))
  const tenants = [
    (await directory.createTenant('a')).id,
    (await directory.createTenant('b')).id,
    (await directory.createTenant('c')).id,
  ]
  const known: Client[] = []
  const ask = (clients: Clients) => ({
    sources: ['10.0.0.1', '10.200.0.1', '192.0.2.1'].flatMap((address) =>
      ['', 'a@d0.example', 'b@d1.example', 'c@x.d0.example'].map((sender) => clients.bySource(address, sender)),
    ),
    may: [...tenants, 'office'].flatMap((tenant) =>
      ['a@d0.example', 'x@d1.example', 'x@y.d1.example'].map((address) => clients.maySendAs(as(tenant), address)),
    ),
    streams: tenants.flatMap((tenant) => ['s0', 's3', 's7'].map((name) => clients.stream(as(tenant), name))),
    current: known.map((client) => clients.isCurrent(client)),
  })
  const random = seededRandom(20_261_122)
  for (let n = 0; n < 150; n++) {
    const step = steps[random.uint32() % steps.length] as Step
    await step(directory, tenants, random.uint32() % 8).catch((error: unknown) =>
      assert.ok(error instanceof PosthasteError),
    )
    const snapshot = directory.snapshot()
    for (const { id: tenant, keys, logins, networks } of snapshot.intake)
      for (const { id } of [...keys, ...logins, ...networks])
        if (!known.some(({ credentialId }) => credentialId === id)) known.push({ tenant, how: '', credentialId: id })
    assert.deepEqual(ask(live), ask(clientsOf(fileTenants, snapshot, options)))
  }
  assert.ok(known.length > 10)
})

test('ten thousand networks of every length: one is found in microseconds', (t) => {
  const random = seededRandom(1)
  const group = (): string => (random.uint32() & 0xffff).toString(16)
  const address = (n: number): string =>
    n % 2 === 0
      ? `${1 + (random.uint32() % 223)}.${random.uint32() & 255}.${random.uint32() & 255}.${random.uint32() & 255}`
      : `2001:${Array.from({ length: 7 }, group).join(':')}`
  const intake = Array.from({ length: 10_000 }, (_, n): IntakeTenant => {
    const cidr = `${address(n)}/${n % 2 === 0 ? 8 + (n % 25) : 17 + (n % 112)}`
    return { ...nobody, id: `t${n}`, networks: [{ id: `n${n}`, cidr }] }
  })
  const clients = clientsOf([], { intake }, options)
  for (const family of [0, 1]) {
    const asked = Array.from({ length: 5_000 }, () => address(family))
    const startedMs = performance.now()
    for (const one of asked) clients.bySource(one, 'a@b.example')
    t.diagnostic(
      `IPv${family === 0 ? 4 : 6}: ${(((performance.now() - startedMs) * 1_000) / asked.length).toFixed(2)} µs each`,
    )
  }
  const [cidr = ''] = intake[4_321]?.networks.map((one) => one.cidr) ?? []
  assert.equal(clients.knowsNetwork(cidr.split('/')[0] as string), true)
})
