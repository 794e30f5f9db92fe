/** Which addresses are tried, in which order, and what it means when there are none: row 17 of the security table, rows 117–122. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { condition } from '../../test/support/condition.ts'
import { addressesAre, deliverRig, type Rig } from '../../test/support/deliver-rig.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import { createAddressRule } from './address-rule.ts'

const brief = ({ kind, scope, stage, code, enhanced }: Outcome): string =>
  `${kind} ${scope} ${stage} ${code} ${enhanced}`

/** A site as MX records make it. */
function exchangers(rig: Rig, ...hosts: (readonly [host: string, preference: number])[]): Site {
  const list = hosts.map(([host, preference]) => ({ host, preference }))
  return rig.site(25, { hosts: list, trusted: false })
}

test('row 17: private, loopback, link-local and reserved addresses are known in every spelling', () => {
  const rule = createAddressRule()
  const refused =
    '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255 192.168.0.1 224.0.0.1 255.255.255.255 ' +
    ':: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a00:1 fc00::1 fd12::1 fe80::1 fec0::1 ff02::1'
  for (const address of refused.split(' ')) assert.equal(rule.isPublic(address), false, address)
  for (const address of '8.8.8.8 172.32.0.1 192.0.2.1 100.128.0.1 223.255.255.255 2001:db8::1 ::ffff:8.8.8.8'.split(
    ' ',
  )) {
    assert.equal(rule.isPublic(address), true, address)
  }
})

test('row 17: a domain whose exchangers are on loopback or private bounces, without a connection', async (t) => {
  const rig = deliverRig(t)
  rig.addresses.set('mx.test', addressesAre('127.0.0.1', '10.0.0.1', '::1'))
  assert.equal(brief(await rig.outcome(exchangers(rig, ['mx.test', 10]))), 'bounced site resolve 0 5.4.4')
  assert.deepEqual(rig.connectedTo, [])
})

test('row 17: the sandbox, where nothing but loopback exists, may', async (t) => {
  const rig = deliverRig(t, { sandbox: true })
  const server = await rig.server()
  rig.addresses.set('mx.test', addressesAre('127.0.0.1'))
  assert.equal((await rig.outcome({ ...exchangers(rig, ['mx.test', 10]), port: server.port })).kind, 'delivered')
})

test('row 17: an exchanger that is ourselves ends the list, by name and by address', async (t) => {
  const rig = deliverRig(t, { ownAddresses: ['192.0.2.99'] })
  const server = await rig.server()
  rig.addresses
    .set('first.test', addressesAre('192.0.2.1'))
    .set('me.test', addressesAre('192.0.2.99'))
    .set('last.test', addressesAre('192.0.2.3'))
  rig.reach.set('192.0.2.1', server.port).set('192.0.2.3', server.port)
  assert.equal(
    (await rig.outcome(exchangers(rig, ['first.test', 1], ['me.test', 2], ['last.test', 3]))).kind,
    'delivered',
  )
  for (const me of ['me.test', 'Sender.Example']) {
    const outcome = await rig.outcome(exchangers(rig, [me, 2], ['last.test', 3]))
    assert.equal(brief(outcome), 'bounced site resolve 0 5.4.6')
  }
  assert.deepEqual(rig.connectedTo, ['192.0.2.1'])
})

test("the sandbox's net refuses what is not loopback, whatever routing says", async (t) => {
  const rig = deliverRig(t)
  const outcome = await rig.outcome(rig.site(25, { hosts: [{ host: '192.0.2.7', preference: 0 }] }))
  assert.equal(brief(outcome), 'bounced site connect 0 5.4.4')
  assert.match(outcome.text, /192\.0\.2\.7 is not loopback/)
})

test('exchangers without an address bounce; with a name server in trouble they wait', async (t) => {
  const rig = deliverRig(t)
  rig.addresses.set('empty.test', { kind: 'no-data' }).set('slow.test', { kind: 'temporary', reason: 'SERVFAIL' })
  assert.equal(
    brief(await rig.outcome(exchangers(rig, ['gone.test', 1], ['empty.test', 2]))),
    'bounced site resolve 0 5.4.4',
  )
  assert.equal(
    brief(await rig.outcome(exchangers(rig, ['gone.test', 1], ['slow.test', 2]))),
    'deferred site resolve 0 4.4.3',
  )
  assert.equal(brief(await rig.outcome(exchangers(rig))), 'bounced site resolve 0 5.4.4')
})

test('hosts go by preference, the addresses of a host in the order of the resolver', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ greeting: '421 busy' })
  rig.addresses.set('a.test', addressesAre('192.0.2.1', '192.0.2.2')).set('b.test', addressesAre('192.0.2.3'))
  for (const last of [1, 2, 3]) rig.reach.set(`192.0.2.${last}`, server.port)
  await rig.outcome(exchangers(rig, ['a.test', 1], ['b.test', 2]))
  assert.deepEqual(rig.connectedTo, ['192.0.2.1', '192.0.2.2', '192.0.2.3'])
})

test('hosts of equal preference share the load', async (t) => {
  const rig = deliverRig(t, { sandbox: true })
  const server = await rig.server()
  const hosts = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((host) => ({ host, preference: 5 }))
  for (const { host } of hosts) rig.reach.set(host, server.port)
  await Promise.all(Array.from({ length: 40 }, () => rig.outcome(rig.site(25, { hosts }))))
  assert.equal(new Set(rig.connectedTo).size, 3)
})

test('at most five addresses are tried, and a reply says more than silence', async (t) => {
  const rig = deliverRig(t)
  const busy = await rig.server({ greeting: '421 4.7.0 busy' })
  const deaf = await rig.server()
  await deaf.close()
  rig.addresses.set('many.test', addressesAre(...Array.from({ length: 9 }, (_, i) => `192.0.2.${i}`)))
  for (let i = 0; i < 9; i++) rig.reach.set(`192.0.2.${i}`, i === 1 ? busy.port : deaf.port)
  assert.equal(brief(await rig.outcome(exchangers(rig, ['many.test', 1]))), 'deferred site greeting 421 4.7.0')
  assert.equal(rig.connectedTo.length, 5)
})

test('an address that just failed is tried last, for half a minute', async (t) => {
  const rig = deliverRig(t)
  const busy = await rig.server({ greeting: '421 busy' })
  const good = await rig.server()
  rig.addresses.set('mx.test', addressesAre('192.0.2.1', '192.0.2.2'))
  rig.reach.set('192.0.2.1', busy.port).set('192.0.2.2', good.port)
  const send = async (): Promise<string[]> => {
    rig.connectedTo.length = 0
    assert.equal((await rig.outcome(exchangers(rig, ['mx.test', 1]))).kind, 'delivered')
    return [...rig.connectedTo]
  }
  assert.deepEqual(await send(), ['192.0.2.1', '192.0.2.2'])
  assert.deepEqual(await send(), ['192.0.2.2'])
  rig.clock.advance(31_000)
  assert.deepEqual(await send(), ['192.0.2.1', '192.0.2.2'])
})

test('nothing new is begun when the set-up has taken as long as one silent server may', async (t) => {
  const rig = deliverRig(t)
  const silent = await rig.server({ greeting: null })
  rig.addresses.set('mx.test', addressesAre('192.0.2.1', '192.0.2.2', '192.0.2.3'))
  for (const last of [1, 2, 3]) rig.reach.set(`192.0.2.${last}`, silent.port)
  const outcome = rig.outcome(exchangers(rig, ['mx.test', 1]))
  for (const connections of [1, 2]) {
    await condition(() => rig.counters.connectionsOpened === connections)
    rig.clock.advance(301_000)
  }
  assert.equal(brief(await outcome), 'deferred site greeting 0 4.4.2')
  assert.equal(rig.connectedTo.length, 2)
})

test('a connection refused, and a source of the wrong family', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  await server.close()
  assert.equal(brief(await rig.outcome(rig.site(server.port))), 'deferred site connect 0 4.4.1')
  const [outcome] = (await rig.send(rig.site(server.port), {}, '2001:db8::1')).outcomes
  assert.equal(brief(outcome as Outcome), 'deferred site connect 0 4.4.1')
  assert.match(outcome?.text ?? '', /127\.0\.0\.1 cannot be reached from source 2001:db8::1/)
})

test('the source of the grant is the address we come from', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const report = await rig.send(rig.site(server.port), {}, '127.0.0.3')
  assert.equal(report.attempt.source, '127.0.0.3')
  assert.equal(server.conversations[0]?.socket.remoteAddress, '127.0.0.3')
})
