import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { VirtualClock } from '../kernel/clock.ts'
import {
  compareLedgers,
  openLedger,
  readLedger,
  type ReceivedRecord,
  type Receiver,
  type ReceiverOptions,
  type ReceiverScript,
  runSource,
  type SentRecord,
  startReceiver,
} from './sandbox.ts'
import { contentSha256, MessageMaker } from './source/message.ts'

const fixtures = new URL('../../test/fixtures/sandbox/', import.meta.url)
const certificatePem = readFileSync(new URL('receiver-certificate.pem', fixtures), 'utf8')
const keyPem = readFileSync(new URL('receiver-key.pem', fixtures), 'utf8')

async function receiver(t: TestContext, script: ReceiverScript, options: ReceiverOptions = {}): Promise<Receiver> {
  const started = await startReceiver(script, { keep: 'nothing', ...options })
  t.after(() => started.close())
  return started
}

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'posthaste-source-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('2,000 messages: the ledgers of source and receiver agree', async (t) => {
  const path = directory(t)
  const received = openLedger(join(path, 'received'))
  const sent = openLedger(join(path, 'sent'))
  const { port, counters } = await receiver(t, { hostname: 'mx.test' }, { keep: 'digest', ledger: received })
  const result = await runSource({
    host: '127.0.0.1',
    port,
    sessions: 20,
    messages: 2_000,
    to: (number) => `user${number % 50}@d${number % 7}.test`,
    ledger: sent,
  })
  await Promise.all([sent.close(), received.close()])
  assert.deepEqual([result.sent, result.acked, result.refused, result.unacked, result.unsent], [2_000, 2_000, 0, 0, 0])
  assert.deepEqual(result.codes, { 250: 2_000 })
  assert.equal(result.connections, 20)
  assert.equal(counters.contentBytes, 2_000 * 10_240)
  assert.equal(
    result.seconds.reduce((sum, second) => sum + second.acked, 0),
    2_000,
  )
  assert.ok(result.latencyMs.p50 > 0 && result.latencyMs.p50 <= result.latencyMs.p99)
  assert.ok(result.latencyMs.p99 <= result.latencyMs.max)

  const comparison = compareLedgers(
    readLedger<SentRecord>(join(path, 'sent')).records,
    readLedger<ReceivedRecord>(join(path, 'received')).records,
  )
  assert.deepEqual(comparison, { acked: 2_000, received: 2_000, lost: [], changed: [], duplicates: [], unknown: [] })
})

test('a message has the size asked for, CRLF lines of at most 80 bytes, and no two are alike', () => {
  const maker = new MessageMaker(1_024, 'run', new VirtualClock())
  assert.throws(() => new MessageMaker(1_023, 'run', new VirtualClock()), { code: 'message_too_small' })
  fc.assert(
    fc.property(fc.integer({ min: 1_024, max: 20_000 }), fc.nat(1e6), (bytes, number) => {
      const { wire } = new MessageMaker(bytes, 'run', new VirtualClock()).make(number, 'a@b', 'c@d')
      assert.equal(wire.length, bytes + 3)
      const text = wire.toString('latin1')
      assert.ok(text.endsWith('\r\n.\r\n'))
      assert.equal(text.indexOf('\r\n.'), text.length - 5)
      assert.doesNotMatch(text, /[^\r]\n|\r[^\n]/)
      for (const line of text.split('\r\n')) assert.ok(line.length <= 80, line)
    }),
  )
  const one = maker.make(1, 'a@b', 'c@d')
  assert.match(one.wire.toString(), /^X-Test-Ledger: run-1\r\nDate: Tue, 14 Nov 2023 22:13:20 \+0000\r\n/)
  assert.notEqual(contentSha256(one), contentSha256(maker.make(2, 'a@b', 'c@d')))
})

test('what a relay puts in front changes neither id nor digest', async (t) => {
  const maker = new MessageMaker(1_024, 'run', new VirtualClock())
  const one = maker.make(1, 'a@b', 'c@d')
  const world = await receiver(t, {}, { keep: 'digest' })
  const { RawClient } = await import('../../test/support/raw-client.ts')
  const client = await RawClient.connect(world.port)
  await client.hello()
  const relayed = `Received: from x\r\n by y\r\n${one.wire.toString('latin1', 0, one.wire.length - 3)}`
  assert.match(await client.mail('c@d', relayed), /^250/)
  assert.equal(world.received[0]?.testId, one.id)
  assert.equal(world.received[0]?.sha256, contentSha256(one))
})

test('refusals at each step are counted by their code, with and without pipelining', async (t) => {
  const { port, counters } = await receiver(t, {
    session: { mail: { reply: '451 4.3.0 mail', times: 2 } },
    rules: [
      { for: 'rcpt@x', rcpt: { reply: '550 5.1.1 no' } },
      { for: 'go@x', rcpt: { reply: '553 no' }, data: { reply: '354 go on' } },
      { for: 'data@x', data: { reply: '452 4.3.1 full' } },
      { for: 'final@x', final: { reply: '554 5.6.0 bad' } },
    ],
  })
  const to = ['rcpt@x', 'go@x', 'data@x', 'final@x', 'ok@x']
  for (const pipelining of [true, false]) {
    const result = await runSource({
      host: 'localhost',
      port,
      sessions: 1,
      messages: 11,
      pipelining,
      to: (number) => to[number % 5] as string,
    })
    assert.deepEqual(
      result.codes,
      pipelining ? { 250: 2, 451: 2, 452: 2, 550: 2, 553: 1, 554: 2 } : { 250: 2, 452: 2, 550: 3, 553: 2, 554: 2 },
    )
    assert.equal(result.acked + result.refused, 11)
    assert.equal(result.trouble, null)
  }
  assert.equal(counters.connections, 2)
})

test('TLS and login', async (t) => {
  const auth = { user: 'u', password: 'p' }
  const tls = { certificatePem, keyPem }
  const starttls = await receiver(t, { auth: { ...auth, required: true } }, { tls })
  const target = { host: '127.0.0.1', sessions: 2, messages: 6, auth }
  const verified = { ca: certificatePem, serverName: 'receiver.test' }
  assert.equal((await runSource({ ...target, port: starttls.port, tls: { mode: 'starttls', ...verified } })).acked, 6)
  assert.equal(starttls.counters.tls, 2)
  const implicit = await receiver(t, { auth }, { tls: { ...tls, implicit: true } })
  assert.equal((await runSource({ ...target, port: implicit.port, tls: { mode: 'implicit' } })).acked, 6)
  const mistaken = await runSource({
    ...target,
    port: starttls.port,
    tls: { mode: 'starttls', ...verified, serverName: 'other.test' },
  })
  assert.deepEqual([mistaken.acked, mistaken.unsent], [0, 6])
  assert.match(mistaken.trouble ?? '', /altnames|certificate/)
  const wrong = await runSource({
    ...target,
    port: implicit.port,
    tls: { mode: 'implicit' },
    auth: { user: 'u', password: 'x' },
  })
  assert.match(wrong.trouble ?? '', /535 5\.7\.8/)
})

test('a server that dies and returns: what had no answer is unacked, and the run goes on', async (t) => {
  const path = join(directory(t), 'sent')
  const ledger = openLedger(path)
  let world = await receiver(t, { rules: [{ for: '*', final: { ending: 'silence', times: 3 } }] })
  const { port } = world
  const run = runSource({ host: '127.0.0.1', port, sessions: 3, messages: 30, ledger, reconnectMsMax: 10_000 })
  await world.untilMessages(3)
  await world.close()
  world = await receiver(t, {}, { port })
  const result = await run
  await ledger.close()
  assert.deepEqual([result.acked, result.unacked, result.unsent, result.connections], [27, 3, 0, 6])
  const codes = readLedger<SentRecord>(path).records.map((record) => record.code)
  assert.deepEqual([codes.filter((code) => code === 0).length, codes.filter((code) => code === 250).length], [3, 27])
})

test('without reconnecting the run ends with its sessions, and says why', async (t) => {
  const { port } = await receiver(t, { session: { messagesPerConnectionMax: 2 } })
  const result = await runSource({ host: '127.0.0.1', port, sessions: 2, messages: 10 })
  assert.deepEqual([result.acked, result.refused, result.codes['421'], result.unsent], [4, 2, 2, 4])
  assert.match(result.trouble ?? '', /closed|421/)
})

test('at a fixed rate latency counts from when a message was due', async (t) => {
  // One session, 20 ms per message, 100 messages per second asked for: the last of 20 is due at 190 ms and done at 400 ms at the earliest.
  const { port } = await receiver(t, { rules: [{ for: '*', final: { latencyMs: 20 } }] })
  const result = await runSource({ host: '127.0.0.1', port, sessions: 1, messages: 20, ratePerSecond: 100 })
  assert.equal(result.acked, 20)
  assert.ok(result.latencyMs.max > 190, `${result.latencyMs.max}`)
})

test('a run ends by time, or when told to', async (t) => {
  const { port } = await receiver(t, {})
  const timed = await runSource({ host: '127.0.0.1', port, sessions: 2, durationMs: 400, ratePerSecond: 50 })
  assert.ok(timed.acked > 0 && timed.acked <= 20, `${timed.acked}`)
  assert.equal(timed.unsent, 0)

  const stuck = await receiver(t, { rules: [{ for: '*', final: { ending: 'silence' } }] })
  const controller = new AbortController()
  const run = runSource({ host: '127.0.0.1', port: stuck.port, sessions: 2, messages: 5, signal: controller.signal })
  await stuck.untilMessages(2)
  controller.abort()
  const { unacked, unsent } = await run
  assert.deepEqual([unacked, unsent], [2, 3])
  await assert.rejects(runSource({ host: '127.0.0.1', port, sessions: 1 }), { code: 'source_without_end' })
  await assert.rejects(runSource({ host: '192.0.2.1', port, sessions: 1, messages: 1 }), { code: 'not_loopback' })
})
