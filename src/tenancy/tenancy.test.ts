import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import type { TenantConfig } from '../config/compiled.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { clientsOf } from './tenancy.ts'

/** Of the file alone. */
const ofFile = (tenants: readonly TenantConfig[]) =>
  clientsOf(tenants, { intake: [] }, { anySender: false, clock: new VirtualClock() })

function tenant(name: string, networks: string[], logins: Record<string, string> = {}): TenantConfig {
  return {
    name,
    networks,
    logins: Object.entries(logins).map(([user, password]) => ({
      user,
      passwordSha256: hash('sha256', password, 'hex'),
    })),
  }
}

test('an address belongs to the most specific network that holds it', () => {
  const clients = ofFile([
    tenant('everyone', ['10.0.0.0/8', '128.0.0.0/1']),
    tenant('office', ['10.1.0.0/16', '2001:db8::/32']),
    tenant('printer', ['10.1.2.3', '2001:db8::7']),
    tenant('mapped', ['::ffff:192.0.2.0/120']),
  ])
  const expected: [string, string | undefined][] = [
    ['10.9.9.9', 'everyone'],
    ['203.0.113.1', 'everyone'],
    ['10.1.9.9', 'office'],
    ['10.1.2.3', 'printer'],
    ['::ffff:10.1.2.3', 'printer'],
    ['2001:db8::1', 'office'],
    ['2001:db8::7', 'printer'],
    ['192.0.2.9', 'mapped'],
    ['2001:db9::1', undefined],
    ['nonsense', undefined],
    ['', undefined],
  ]
  for (const [address, name] of expected) assert.equal(clients.bySource(address, '')?.tenant, name, address)
  assert.equal(clients.bySource('10.1.9.9', 'a@b')?.how, 'network 10.1.0.0/16')
})

test('a login needs its own password', () => {
  const clients = ofFile([tenant('one', [], { 'app@one': 'secret', __proto__x: 'y' }), tenant('two', [], { app: '' })])
  assert.deepEqual(clients.byLogin('app@one', 'secret'), { tenant: 'one', how: 'login app@one' })
  for (const [user, password] of [
    ['app@one', 'Secret'],
    ['app@one', ''],
    ['nobody', 'secret'],
    ['__proto__', ''],
    ['app', 'x'],
  ]) {
    assert.equal(clients.byLogin(user as string, password as string), null)
  }
  assert.equal(clients.byLogin('app', '')?.tenant, 'two')
})

test('a stranger’s hash of zeros opens nothing', () => {
  assert.equal(ofFile([]).byLogin('', ''), null)
})

test('what cannot be meant is refused with its cure', () => {
  for (const cidr of [
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0/8',
    'x',
    '',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '::ffff:10.0.0.0/8',
    '0.0.0.0/0',
    '::/0',
    '::ffff:0.0.0.0/96',
    '::ffff:0:0/96',
  ]) {
    assert.throws(() => ofFile([tenant('a', [cidr])]), { code: 'bad_network', exitCode: 78 }, cidr)
  }
  assert.throws(() => ofFile([tenant('a', [], { u: '1' }), tenant('b', [], { u: '2' })]), {
    code: 'login_repeated',
  })
  const short = { name: 'a', networks: [], logins: [{ user: 'u', passwordSha256: 'abc' }] }
  assert.throws(() => ofFile([short]), { code: 'bad_password_hash' })
})
