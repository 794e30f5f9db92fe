import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { directoryRig } from '../../test/support/directory-rig.ts'
import type { TenantConfig } from '../config/compiled.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { dayMs } from '../kernel/units.ts'
import type { Client } from '../ports/clients.ts'
import type { Directory, IntakeTenant } from '../ports/directory.ts'
import { clientsOf } from './tenancy.ts'

const clock = new VirtualClock()
const options = { anySender: false, clock }
const digest = (text: string): string => hash('sha256', text, 'hex')
const fileTenants: readonly TenantConfig[] = [
  { name: 'office', networks: ['192.0.2.0/24'], logins: [{ user: 'printer', passwordSha256: digest('paper') }] },
]
const nobody: IntakeTenant = { id: '', name: '', keys: [], logins: [], domains: [], senders: [], streams: [] }
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
  assert.equal(clients.byNetwork('192.0.2.7')?.tenant, 'office')
  assert.equal(clients.byNetwork('203.0.113.1'), null)
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
