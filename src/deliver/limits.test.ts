/** Bounds of delivery at their edge: one below, at it, one above. The times of the dialogue are in waits.test.ts. */
import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import test from 'node:test'
import { condition } from '../../test/support/condition.ts'
import { addressesAre, deliverRig } from '../../test/support/deliver-rig.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { createHostMemory } from './hosts.ts'
import * as limits from './limits.ts'
import { ContentFlow } from './transaction.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

const config = {
  ehloName: 'sender.example',
  connectionsPerSite: 20,
  connectionsMax: 100,
  recipientsPerTransaction: 100,
  messagesPerConnection: 3,
  idleConnectionMs: 15_000,
  tls: 'opportunistic',
  port: 25,
} as const

test('limit deliver.addresses: five are tried, the sixth is not', async (t) => {
  const rig = deliverRig(t)
  const gone = await rig.server()
  await gone.close()
  for (const count of around(limits.addressesPerAttemptMax.value)) {
    const addresses = Array.from({ length: count }, (_, i) => `192.0.2.${10 * count + i}`)
    rig.addresses.set(`mx${count}.test`, addressesAre(...addresses))
    for (const address of addresses) rig.reach.set(address, gone.port)
    rig.connectedTo.length = 0
    const site = rig.site(25, { hosts: [{ host: `mx${count}.test`, preference: 0 }], trusted: false })
    assert.equal((await rig.outcome(site)).kind, 'deferred')
    assert.equal(rig.connectedTo.length, Math.min(count, limits.addressesPerAttemptMax.value))
  }
})

test('limit deliver.setup: a server that fails a millisecond before it is followed by another, one that fails at it is not', async (t) => {
  for (const spentMs of [limits.setupMsMax.value - 1, limits.setupMsMax.value]) {
    const rig = deliverRig(t)
    const slow = await rig.server({ greeting: null, answer: () => null })
    rig.addresses.set('mx.test', addressesAre('192.0.2.1', '192.0.2.2'))
    for (const address of ['192.0.2.1', '192.0.2.2']) rig.reach.set(address, slow.port)
    const outcome = rig.outcome(rig.site(25, { hosts: [{ host: 'mx.test', preference: 0 }], trusted: false }))
    await condition(() => rig.counters.connectionsOpened === 1 && slow.conversations.length === 1)
    rig.clock.advance(200_000)
    const first = slow.conversations[0]
    first?.socket.write('220 at last\r\n')
    await condition(() => first?.received.startsWith('EHLO') === true)
    rig.clock.advance(spentMs - 200_000)
    first?.socket.destroy()
    if (spentMs < limits.setupMsMax.value) await condition(() => rig.connectedTo.length === 2)
    else assert.equal((await outcome).enhanced, '4.4.2')
    assert.equal(rig.connectedTo.length, spentMs < limits.setupMsMax.value ? 2 : 1)
  }
})

test('limit deliver.host-failure, limit deliver.host-downgrade: remembered a millisecond before the time is over, forgotten at it', () => {
  const clock = new VirtualClock()
  const hosts = createHostMemory(clock)
  const times = [
    [hosts.failing, limits.hostFailureMs],
    [hosts.tlsBroken, limits.hostDowngradeMs],
    [hosts.lying, limits.hostDowngradeMs],
    [hosts.dsnRefused, limits.hostDowngradeMs],
    [hosts.deafToAhead, limits.hostDowngradeMs],
  ] as const
  for (const [memory, { value: keepMs }] of times) {
    memory.set('mx.test:25', true)
    clock.advance(keepMs - 1)
    assert.equal(memory.has('mx.test:25'), true)
    clock.advance(1)
    assert.equal(memory.has('mx.test:25'), false)
  }
})

test('limit deliver.hosts: ten thousand are remembered, one more costs the oldest its place', () => {
  const { failing } = createHostMemory(new VirtualClock())
  for (let i = 0; i < limits.hostsRememberedMax.value - 1; i++) failing.set(`host${i}`, true)
  assert.equal(failing.has('host0'), true)
  failing.set('the last that fits', true)
  assert.equal(failing.has('host0'), true)
  failing.set('one more', true)
  assert.equal(failing.has('host0'), false)
  assert.equal(failing.has('host1'), true)
})

test('limit deliver.write: a block of 64 KiB is written whole, a larger one in two parts', () => {
  const max = limits.writeBytesMax.value
  for (const bytes of around(max)) {
    const flow = new ContentFlow()
    flow.add(Buffer.alloc(bytes))
    const parts: number[] = []
    while (!flow.exhausted) parts.push(flow.nextPart(max).length)
    assert.deepEqual(parts, bytes > max ? [max, bytes - max] : [bytes])
  }
})

test('limit deliver.sweep: whenever a wait begins, it ends within a second of its time, and never before', async (t) => {
  const waitMs = 30_000
  const sweepMs = limits.sweepMs.value
  for (const [begunMs, lateMs] of [
    [0, 0],
    [1, sweepMs - 1],
    [sweepMs - 1, 1],
  ] as const) {
    const sockets: Socket[] = []
    const net = { connect: () => (sockets.push(new Socket()), sockets.at(-1) as Socket), secure: () => assert.fail() }
    const rig = deliverRig(t, { net })
    void rig.send(rig.site(1)) // from here on it is swept once a second
    await condition(() => sockets.length === 1)
    rig.clock.advance(begunMs)
    void rig.send(rig.site(2))
    await condition(() => sockets.length === 2)
    rig.clock.advance(waitMs + lateMs - 1)
    assert.equal(sockets[1]?.destroyed, false)
    rig.clock.advance(1)
    assert.equal(sockets[1]?.destroyed, true)
  }
})

test('limit delivery.messages_per_connection: the last that it allows shares the connection, the next one has its own', async (t) => {
  const rig = deliverRig(t, { config })
  const server = await rig.server()
  const site = rig.site(server.port)
  for (let i = 0; i < 3; i++) await rig.send(site)
  assert.equal(server.conversations.length, 1)
  await rig.send(site)
  assert.equal(server.conversations.length, 2)
})

test('limit delivery.idle_connection: kept a millisecond before its time is over, left at it', async (t) => {
  const rig = deliverRig(t, { config: { ...config, messagesPerConnection: 100 } })
  const server = await rig.server()
  await rig.send(rig.site(server.port))
  rig.clock.advance(config.idleConnectionMs - 1)
  assert.equal(rig.deliverer.connections().idle, 1)
  rig.clock.advance(1)
  assert.equal(rig.deliverer.connections().idle, 0)
})
