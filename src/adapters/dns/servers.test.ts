/** Servers that fail, lie or keep silent, and more questions than there is room for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { dnsWorld, exchangersOf } from '../../../test/support/dns-world.ts'
import { type FakeZone, startFakeDns } from '../../../test/support/fake-dns.ts'
import { until } from '../../../test/support/wait.ts'
import { systemClock, VirtualClock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { seededRandom, systemRandom } from '../../kernel/random.ts'
import { dayMs, minuteMs, secondMs } from '../../kernel/units.ts'
import { openDns } from './dns.ts'
import { questionsInFlightMax, questionsWaitingMax } from './limits.ts'
import { parseServer, systemServers } from './servers.ts'

test('what many ask at once is asked once', async (t) => {
  const { dns, server } = await dnsWorld(t, {
    'example.com': { MX: [[10, 'mx.test']], fault: { kind: 'delay', delayMs: 20 } },
  })
  const answers = await Promise.all(Array.from({ length: 50 }, () => dns.mx('example.com')))
  assert.ok(answers.every((answer) => answer.kind === 'mx'))
  assert.equal(server.questions.length, 1)
})

test('more questions than may be in flight wait, and all are answered', async (t) => {
  const { dns } = await dnsWorld(t, { '*.many.test': { MX: [[10, 'mx.test']] } })
  const answers = await Promise.all(Array.from({ length: 600 }, (_, i) => dns.mx(`n${i}.many.test`)))
  assert.ok(answers.every((answer) => answer.kind === 'mx'))
})

test('limit dns.ttl-stale: when all servers fail, records past their time serve for a day, called 30 s fresh, and the servers are asked again', async (t) => {
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(
    t,
    {
      'example.com': { MX: [[10, 'mx.test']], ttl: 60 },
      'gone.test': { SOA: { ttl: 1, minimum: 1 }, CNAME: 'nowhere.gone.test' },
    },
    { clock },
  )
  await dns.mx('example.com')
  assert.deepEqual(await dns.mx('gone.test'), { kind: 'no-domain' })
  const fault = { kind: 'servfail' } as const
  server.zone.set('example.com', { fault }).set('gone.test', { fault })

  clock.advance(61 * secondMs)
  assert.deepEqual(await dns.mx('example.com'), {
    kind: 'mx',
    records: [{ preference: 10, exchange: 'mx.test' }],
    ttlMs: 30 * secondMs,
  })
  assert.equal((await dns.mx('gone.test')).kind, 'temporary') // a bounce must not rest on old news
  const asked = server.questions.length
  await dns.mx('example.com')
  assert.equal(server.questions.length, asked) // a failure stands for five seconds
  clock.advance(dayMs - 2 * secondMs)
  assert.equal((await dns.mx('example.com')).kind, 'mx')
  clock.advance(6 * secondMs)
  assert.equal((await dns.mx('example.com')).kind, 'temporary')

  clock.advance(minuteMs)
  server.zone.set('example.com', { MX: [[10, 'new.test']] })
  assert.deepEqual(exchangersOf(await dns.mx('example.com')), ['new.test'])
})

test('the next server answers for one that is down, fails or refuses', async (t) => {
  const failing = await startFakeDns({
    'example.com': { fault: { kind: 'servfail' } },
    'refused.test': { fault: { kind: 'refused' } },
  })
  t.after(() => failing.close())
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const bound = free.address()
  const closedPort = bound !== null && typeof bound === 'object' ? bound.port : 0
  await new Promise((resolve) => free.close(resolve))

  const MX = [[10, 'mx.test']] as const
  const { dns } = await dnsWorld(
    t,
    { 'example.com': { MX }, 'refused.test': { MX } },
    { otherServers: [`127.0.0.1#${closedPort}`, failing.server] },
  )
  assert.deepEqual(exchangersOf(await dns.mx('example.com')), ['mx.test'])
  assert.deepEqual(exchangersOf(await dns.mx('refused.test')), ['mx.test'])
})

test('a server that kept silent is asked last for a while', async (t) => {
  const silent = await startFakeDns({ '*.example.com': { fault: { kind: 'drop' } } })
  t.after(() => silent.close())
  const { dns } = await dnsWorld(
    t,
    { '*.example.com': { MX: [[10, 'mx.test']] } },
    { otherServers: [silent.server], timeoutMs: 30 },
  )
  await dns.mx('one.example.com')
  await dns.mx('two.example.com')
  assert.equal(silent.questions.length, 1)
})

test('malformed replies are asked for again over TCP, and are temporary when they come there too', async (t) => {
  const MX = [[10, 'mx.test']] as const
  const hex = '81800001ffffffffffffc00c'
  const { dns } = await dnsWorld(t, {
    'udp.test': { MX, fault: { kind: 'malformed', hex } },
    'both.test': { MX, fault: { kind: 'malformed', hex, overTcp: true } },
  })
  assert.deepEqual(exchangersOf(await dns.mx('udp.test')), ['mx.test'])
  assert.equal((await dns.mx('both.test')).kind, 'temporary')
})

test('random bytes after the id never make it throw, and never an answer', async (t) => {
  const random = seededRandom(7)
  const zone: Record<string, FakeZone[string]> = {}
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.alloc(random.uint32() % 200)
    random.fill(bytes)
    if (bytes.length > 10) bytes.set([0x81, 0x80, 0, 1, 0, random.uint32() & 3, 0, 0, 0, 0], 0)
    zone[`n${i}.test`] = { fault: { kind: 'malformed', hex: bytes.toString('hex'), overTcp: true } }
  }
  const { dns } = await dnsWorld(t, zone, { timeoutMs: 100 })
  const answers = await Promise.all(Object.keys(zone).map((name) => dns.mx(name)))
  assert.ok(answers.every(({ kind }) => kind === 'temporary'))
})

test('limit dns.questions-waiting: questions beyond those that may wait fail at once', async (t) => {
  const { dns } = await dnsWorld(t, { '*.test': { fault: { kind: 'drop' } } }, { timeoutMs: 60_000 })
  const fit = questionsInFlightMax.value + questionsWaitingMax.value
  const asking = Array.from({ length: fit }, (_, i) => dns.mx(`n${i}.test`))
  assert.deepEqual(await dns.mx('one-more.test'), { kind: 'temporary', reason: 'too many DNS questions are waiting' })
  dns.close()
  for (const answer of await Promise.all(asking)) {
    assert.ok(answer.kind === 'temporary' && !answer.reason.startsWith('too many'))
  }
})

test('limit dns.question: one takes thirty seconds at most', async (t) => {
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(
    t,
    { 'silent.test': { fault: { kind: 'drop' } } },
    { clock, timeoutMs: 20_000 },
  )
  const asking = dns.mx('silent.test')
  await until(2_000, 'the first question comes', () => server.questions.length === 1)
  clock.advance(20 * secondMs)
  await until(2_000, 'the second question comes', () => server.questions.length === 2)
  let settled = false
  void asking.then(() => (settled = true))
  clock.advance(10 * secondMs - 1)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(settled, false)
  clock.advance(1)
  assert.deepEqual(await asking, { kind: 'temporary', reason: `${server.server} does not answer within 10000 ms` })
})

test('closing ends what is under way', async (t) => {
  const { dns } = await dnsWorld(t, { '*.test': { fault: { kind: 'drop' } } }, { timeoutMs: 60_000 })
  const asking = Promise.all(Array.from({ length: 300 }, (_, i) => dns.mx(`n${i}.test`)))
  dns.close()
  for (const answer of await asking) assert.equal(answer.kind, 'temporary')
  assert.equal((await dns.mx('late.test')).kind, 'temporary')
})

test('servers: read from the configuration, or a clear error', () => {
  assert.equal(parseServer('192.0.2.53').port, 53)
  assert.equal(parseServer('2001:db8::53#5353').port, 5353)
  for (const text of ['', 'ns.example.com', '192.0.2.53#0', '192.0.2.53#65536', '192.0.2.53#5x', '192.0.2.53#1#2']) {
    assert.throws(
      () => parseServer(text),
      (error) => error instanceof PosthasteError && error.cure.includes('127.0.0.1#5353'),
      text,
    )
  }
})

test('servers: read from resolv.conf, three at most, else this machine', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'dns-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'resolv.conf')
  writeFileSync(
    file,
    '# ours\nsearch example.com\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver bad\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n',
  )
  assert.deepEqual(
    systemServers(file).map(({ address }) => address),
    ['192.0.2.1', '2001:db8::1', '192.0.2.3'],
  )
  assert.deepEqual(
    systemServers(join(directory, 'missing')).map(({ address }) => address),
    ['127.0.0.1'],
  )
})

test('servers: resolv.conf is read again when they all fail', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'dns-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const resolvConf = join(directory, 'resolv.conf')
  writeFileSync(resolvConf, 'nameserver 127.0.0.9\n')
  let skippedMs = 0
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs }
  const dns = openDns({ config: { servers: [], timeoutMs: 50 }, clock, random: systemRandom, resolvConf })
  t.after(() => dns.close())
  const blamed = async (name: string): Promise<string> => {
    const answer = await dns.mx(name)
    return answer.kind === 'temporary' ? (answer.reason.split(' ')[0] ?? '') : answer.kind
  }
  assert.equal(await blamed('one.test'), '127.0.0.9')
  writeFileSync(resolvConf, 'nameserver 127.0.0.10\n')
  assert.equal(await blamed('two.test'), '127.0.0.9')
  skippedMs += 30 * secondMs
  assert.equal(await blamed('three.test'), '127.0.0.9') // this failure is what makes it look
  assert.equal(await blamed('four.test'), '127.0.0.10')
})
