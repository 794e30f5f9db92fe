/** Bounds of the resolver at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { decode } from 'dns-packet'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import { dnsWorld, exchangersOf } from '../../../test/support/dns-world.ts'
import { type FakeZone, startFakeDns } from '../../../test/support/fake-dns.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { seededRandom } from '../../kernel/random.ts'
import * as limits from './limits.ts'
import { systemServers } from './servers.ts'
import { writeQuestion } from './wire.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

test('limit dns.exchangers: twenty are kept, of twenty-one the worst is left out', async (t) => {
  const max = limits.exchangersMax.value
  const zone: Record<string, FakeZone[string]> = {}
  for (const count of around(max))
    zone[`n${count}.test`] = { MX: Array.from({ length: count }, (_, i) => [i, `mx${i}.test`] as const) }
  const { dns } = await dnsWorld(t, zone)
  for (const count of around(max)) {
    const best = Array.from({ length: Math.min(count, max) }, (_, i) => `mx${i}.test`)
    assert.deepEqual(exchangersOf(await dns.mx(`n${count}.test`)), best)
  }
})

test('limit dns.addresses: 32 of a host are kept, the 33rd is not', async (t) => {
  const max = limits.addressesMax.value
  const zone: Record<string, FakeZone[string]> = {}
  for (const count of around(max))
    zone[`n${count}.test`] = { A: Array.from({ length: count }, (_, i) => `192.0.2.${i}`) }
  const { dns } = await dnsWorld(t, zone)
  for (const count of around(max)) {
    const answer = await dns.addresses(`n${count}.test`)
    assert.equal(answer.kind === 'addresses' && answer.addresses.length, Math.min(count, max))
  }
})

test('limit dns.questions: 256 are asked at once, the next one waits for an answer', async (t) => {
  const max = limits.questionsInFlightMax.value
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(t, { '*.test': { fault: { kind: 'drop' } } }, { clock, timeoutMs: 1_000 })
  for (let i = 0; i < max + 1; i++) void dns.mx(`n${i}.test`)
  await condition(() => server.questions.length === max)
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(server.questions.length, max)
  const asked = (): boolean => server.questions.some(({ name }) => name === `n${max}.test`)
  assert.equal(asked(), false)
  clock.advance(1_000) // round one is over for all of them
  await condition(() => server.questions.length === 2 * max)
  clock.advance(2_000) // and round two: their places are free
  await condition(asked)
})

test('limit dns.timeout: a server has that long, and twice as long when it is asked again', async (t) => {
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(t, { 'a.test': { fault: { kind: 'drop' } } }, { clock, timeoutMs: 1_000 })
  let answer = ''
  void dns.mx('a.test').then(({ kind }) => (answer = kind))
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  await condition(() => server.questions.length === 1)
  clock.advance(999)
  await turns()
  assert.equal(server.questions.length, 1)
  clock.advance(1)
  await condition(() => server.questions.length === 2)
  clock.advance(1_999)
  await turns()
  assert.equal(answer, '')
  clock.advance(1)
  await condition(() => answer === 'temporary')
})

test('limit dns.system-servers: three of resolv.conf are read, the fourth is not', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'dns-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const count of around(limits.serversMax.value)) {
    const file = join(directory, String(count))
    writeFileSync(file, Array.from({ length: count }, (_, i) => `nameserver 192.0.2.${i}\n`).join(''))
    assert.equal(systemServers(file).length, Math.min(count, limits.serversMax.value))
  }
})

test('limit dns.server-down: who kept silent is asked last for half a minute, and in its turn after it', async (t) => {
  const clock = new VirtualClock()
  const silent = await startFakeDns({ '*.test': { fault: { kind: 'drop' } } })
  t.after(() => silent.close())
  const options = { clock, otherServers: [silent.server], timeoutMs: 100 }
  const { dns } = await dnsWorld(t, { '*.test': { MX: [[10, 'mx.test']] } }, options)
  const first = dns.mx('one.test')
  await condition(() => silent.questions.length === 1)
  clock.advance(100)
  await first
  clock.advance(limits.downMs.value - 1)
  await dns.mx('two.test')
  assert.equal(silent.questions.length, 1)
  clock.advance(1)
  const third = dns.mx('three.test')
  await condition(() => silent.questions.length === 2)
  clock.advance(100)
  await third
})

/** Whether a name is asked for again when so much time has passed. */
async function askedAgain(
  t: import('node:test').TestContext,
  records: FakeZone[string],
  afterMs: number,
): Promise<boolean> {
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(t, { 'a.test': records }, { clock })
  await dns.mx('a.test')
  const before = server.questions.length
  clock.advance(afterMs)
  await dns.mx('a.test')
  return server.questions.length > before
}

test('limit dns.ttl-negative: "no such domain" is kept for an hour, however long it says', async (t) => {
  const maxMs = limits.negativeTtlMsMax.value
  for (const seconds of around(maxMs / 1_000)) {
    const negative: FakeZone[string] = { SOA: { ttl: seconds, minimum: seconds }, CNAME: 'nowhere.a.test' }
    const keptMs = Math.min(seconds * 1_000, maxMs)
    assert.equal(await askedAgain(t, negative, keptMs - 1), false)
    assert.equal(await askedAgain(t, negative, keptMs), true)
  }
})

test('limit dns.ttl-failure: a failure stands for five seconds', async (t) => {
  const fault = { fault: { kind: 'servfail' } } as const
  assert.equal(await askedAgain(t, fault, limits.failureTtlMs.value - 1), false)
  assert.equal(await askedAgain(t, fault, limits.failureTtlMs.value), true)
})

test('limit dns.udp-payload: every question says it, and a reply that does not fit comes over TCP', async (t) => {
  const question = writeQuestion({ name: 'a.test', type: 'MX' }, seededRandom(1), { edns: true, mixCase: false })
  const options = decode(question.bytes).additionals?.find((record) => record.type === 'OPT')
  assert.equal(options?.udpPayloadSize, limits.udpPayloadBytes.value)
  // 12 of header and 12 of question, 22 for each address: 54 of them make 1,212, 55 make 1,234.
  const addresses = (count: number): string[] => Array.from({ length: count }, (_, i) => `192.0.2.${i}`)
  for (const [count, over] of [
    [54, ['udp']],
    [55, ['udp', 'tcp']],
  ] as const) {
    const { dns, server } = await dnsWorld(t, { 'a.test': { A: addresses(count) } })
    await dns.addresses('a.test')
    assert.deepEqual(
      server.questions.map((asked) => asked.over),
      over,
    )
  }
})

test('limit dns.texts: a hundred TXT records of a name are kept, one more is not', async (t) => {
  const max = limits.textsMax.value
  const zone: Record<string, FakeZone[string]> = {}
  for (const count of around(max))
    zone[`n${count}.test`] = { TXT: Array.from({ length: count }, (_, i) => `text ${i}`) }
  const { dns } = await dnsWorld(t, zone)
  for (const count of around(max)) {
    const answer = await dns.txt(`n${count}.test`)
    assert.equal(answer.kind === 'txt' && answer.records.length, Math.min(count, max))
  }
})

test('limit dns.text: a record of 4 KiB is read whole, one octet more and it is left out', async (t) => {
  const max = limits.textBytesMax.value
  const texts = around(max).map((bytes) => 'x'.repeat(bytes))
  const { dns } = await dnsWorld(t, { 'a.test': { TXT: texts } })
  const answer = await dns.txt('a.test')
  assert.deepEqual(answer.kind === 'txt' && answer.records.map(({ length }) => length), [max - 1, max])
})
