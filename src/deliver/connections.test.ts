/** Connections: reused, limited, left, and never in the way of exactly one report per grant. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import test from 'node:test'
import fc from 'fast-check'
import { condition } from '../../test/support/condition.ts'
import { deliverRig } from '../../test/support/deliver-rig.ts'
import type { Outcome } from '../model/outcome.ts'
import { noCapabilities, readCapabilities } from './capabilities.ts'

const brief = ({ kind, scope, stage, code, enhanced }: Outcome): string =>
  `${kind} ${scope} ${stage} ${code} ${enhanced}`

const config = {
  ehloName: 'sender.example',
  connectionsPerSite: 20,
  connectionsMax: 100,
  recipientsPerTransaction: 100,
  messagesPerConnection: 100,
  idleConnectionMs: 15_000,
  tls: 'opportunistic',
  port: 25,
} as const

test('a connection carries one message after another, up to its number of messages', async (t) => {
  const rig = deliverRig(t, { config: { ...config, messagesPerConnection: 3 } })
  const server = await rig.server()
  const site = rig.site(server.port)
  for (let i = 0; i < 7; i++) assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.deepEqual(
    server.conversations.map(({ contents }) => contents.length),
    [3, 3, 1],
  )
  assert.deepEqual(
    rig.reports.map(({ attempt }) => attempt.reusedConnection),
    [false, true, true, false, true, true, false],
  )
  assert.equal(rig.counters.connectionsReused, 4)
  assert.equal(server.conversations[0]?.commands.at(-1), 'QUIT')
})

test('the report may grant the next message, which takes the same connection', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  rig.onReport = () => {
    if (rig.reports.length < 20) void rig.send(site)
  }
  void rig.send(site)
  await condition(() => rig.reports.length === 20)
  assert.equal(server.conversations.length, 1)
})

test('grants at the same time are connections at the same time, and the last used is used first', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  await Promise.all([rig.send(site), rig.send(site), rig.send(site)])
  assert.equal(server.conversations.length, 3)
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 3 })
  for (let i = 0; i < 5; i++) await rig.send(site)
  const counts = server.conversations.map(({ contents }) => contents.length)
  assert.deepEqual(
    counts.toSorted((a, b) => a - b),
    [1, 1, 6],
  )
})

test('an idle connection is left politely after its time', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  await rig.send(rig.site(server.port))
  rig.clock.advance(14_000)
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 1 })
  rig.clock.advance(2_000)
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 0 })
  await condition(() => server.conversations[0]?.commands.at(-1) === 'QUIT')
})

test('an idle connection that the server closes is forgotten', async (t) => {
  for (const farewell of ['', '421 4.4.2 idle too long\r\n']) {
    const rig = deliverRig(t)
    const server = await rig.server()
    const site = rig.site(server.port)
    await rig.send(site)
    server.conversations[0]?.socket.end(farewell)
    await condition(() => rig.deliverer.connections().idle === 0)
    assert.equal((await rig.outcome(site)).kind, 'delivered')
    assert.equal(rig.counters.transactionsRetried, 0)
  }
})

test('a reply too many ends the connection, because the next envelope would take it for its own', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line === '.' ? '250 2.0.0 ok\r\n550 5.1.1 stray' : undefined) })
  const site = rig.site(server.port)
  rig.onReport = () => {
    if (rig.reports.length < 2) void rig.send(site)
  }
  void rig.send(site)
  await condition(() => rig.reports.length === 2)
  assert.deepEqual(
    rig.reports.map(({ outcomes }) => outcomes[0]?.kind),
    ['delivered', 'delivered'],
  )
  assert.equal(server.conversations.length, 2)
})

test('when all places are taken an idle connection of another site makes way, or the grant waits', async (t) => {
  const rig = deliverRig(t, { config: { ...config, connectionsMax: 2 } })
  const stuck = await rig.server({ answer: (line) => (line === '.' ? null : undefined) })
  const server = await rig.server()
  const [a, b, c] = [rig.site(server.port), rig.site(server.port), rig.site(stuck.port)]
  await rig.send(a)
  await rig.send(b)
  const stuckOnes = [rig.send(c), rig.send(c)]
  await condition(() => stuck.conversations.filter(({ contents }) => contents.length === 1).length === 2)
  assert.deepEqual(rig.deliverer.connections(), { active: 2, idle: 0 })

  const waiting = rig.send(a)
  await new Promise((resolve) => void setImmediate(resolve))
  assert.equal(server.conversations.length, 2)
  stuck.conversations[0]?.socket.write('250 2.0.0 at last\r\n')
  assert.equal((await waiting).outcomes[0]?.kind, 'delivered')
  stuck.conversations[1]?.socket.write('250 2.0.0 at last\r\n')
  await Promise.all(stuckOnes)
})

test('connections are kept apart by source', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  await rig.send(site, {}, '127.0.0.2')
  const other = await rig.send(site, {}, '127.0.0.3')
  assert.equal(other.attempt.reusedConnection, false)
  assert.equal(other.attempt.source, '127.0.0.3')
})

test('a forgotten site begins with new connections', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  await rig.send(site)
  rig.deliverer.forget(site.id)
  const busy = rig.send(site)
  await condition(() => server.conversations.length === 2)
  rig.deliverer.forget(site.id)
  assert.equal((await busy).outcomes[0]?.kind, 'delivered')
  assert.equal((await rig.send(site)).attempt.reusedConnection, false)
})

test('stop finishes what is under way, leaves the idle ones, and takes nothing new', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line === '.' ? null : undefined) })
  const idle = await rig.server()
  const unanswered = await rig.server({ greeting: null })
  await rig.send(rig.site(idle.port))
  const underWay = rig.outcome(rig.site(server.port))
  const settingUp = rig.outcome(rig.site(unanswered.port))
  await condition(() => server.conversations[0]?.contents.length === 1 && unanswered.conversations.length === 1)
  let over = false
  const stopped = rig.deliverer.stop(30_000).then(() => (over = true))
  assert.equal(brief(await settingUp), 'deferred message connect 0 4.3.2')
  assert.equal(brief(await rig.outcome(rig.site(server.port))), 'deferred message connect 0 4.3.2')
  await condition(() => idle.conversations[0]?.commands.at(-1) === 'QUIT')
  assert.equal(over, false)
  server.conversations[0]?.socket.write('250 2.0.0 ok\r\n')
  assert.equal((await underWay).kind, 'delivered')
  await stopped
})

test('stop cuts off at its deadline, and what was sent without a reply is uncertain', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line === '.' ? null : undefined) })
  const slow = await rig.server({ answer: (line) => (line === 'DATA' ? null : undefined) })
  const sent = rig.outcome(rig.site(server.port))
  const unsent = rig.outcome(rig.site(slow.port))
  await condition(
    () => server.conversations[0]?.contents.length === 1 && slow.conversations[0]?.commands.at(-1) === 'DATA',
  )
  const stopped = rig.deliverer.stop(5_000)
  rig.clock.advance(5_000)
  assert.equal(brief(await sent), 'uncertain message final 0 4.4.2')
  assert.match(brief(await unsent), /^deferred message (rcpt|data) 0 4\.3\.2$/)
  await stopped
})

test('no report comes from within deliver, however early its outcome is known', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  await rig.send(site)
  for (const message of [
    { eightBit: true },
    {
      open: () => {
        throw new Error('no')
      },
    },
  ]) {
    const before = rig.reports.length
    const reported = rig.send(site, message)
    assert.equal(rig.reports.length, before)
    await reported
  }
})

test('a thousand waiting grants that all fail at once do not nest', async (t) => {
  const rig = deliverRig(t, { config: { ...config, connectionsMax: 1 } })
  const server = await rig.server()
  const site = rig.site(server.port)
  const reports = await Promise.all(Array.from({ length: 1_000 }, () => rig.outcome(site, { smtpUtf8: true })))
  assert.equal(reports.length, 1_000)
  assert.ok(server.conversations.length <= 10)
})

/** A server made of its replies: one group of them for the connection and for each write, handed over in pieces. */
class PuppetSocket extends EventEmitter {
  readonly localAddress = '192.0.2.9'
  readonly #groups: string[]
  readonly #pieces: (bytes: Buffer) => Buffer[]

  constructor(groups: readonly string[], pieces: (bytes: Buffer) => Buffer[]) {
    super()
    this.#groups = [...groups]
    this.#pieces = pieces
    queueMicrotask(() => {
      this.emit('connect')
      this.write('')
    })
  }

  write(bytes: string | Buffer): boolean {
    if (Buffer.isBuffer(bytes) && bytes.toString('latin1') !== '.\r\n') return true
    const group = this.#groups.shift()
    if (group === undefined) return true
    queueMicrotask(() => {
      for (const piece of this.#pieces(Buffer.from(group))) this.emit('data', piece)
    })
    return true
  }

  cork(): void {}
  uncork(): void {}
  destroy(): void {}
}

test('replies split at any byte give the same outcomes', async (t) => {
  const groups = [
    '220 hi\r\n',
    '250-a\r\n250 PIPELINING\r\n',
    '250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n250 ok\r\n354 go\r\n',
    '250 2.0.0 taken\r\n',
  ]
  const outcomesOf = async (pieces: (bytes: Buffer) => Buffer[]): Promise<string[]> => {
    const rig = deliverRig(t, {
      net: {
        connect: () => new PuppetSocket(groups, pieces) as unknown as Socket,
        secure: () => assert.fail('no TLS here'),
      },
    })
    const { outcomes } = await rig.send(rig.site(25), { recipients: ['a@x', 'b@x'] })
    return outcomes.map((outcome) => `${brief(outcome)} ${outcome.text}`)
  }
  const expected = ['bounced recipient rcpt 550 5.1.1 no such', 'delivered message final 250 2.0.0 taken']
  assert.deepEqual(await outcomesOf((bytes) => [bytes]), expected)
  assert.deepEqual(await outcomesOf((bytes) => Array.from(bytes, (byte) => Buffer.of(byte))), expected)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(70), { maxLength: 8 }), async (cuts) => {
      const places = cuts.sort((a, b) => a - b)
      const pieces = (bytes: Buffer): Buffer[] =>
        [...places, bytes.length].map((end, i) => bytes.subarray(places[i - 1] ?? 0, Math.max(end, places[i - 1] ?? 0)))
      assert.deepEqual(await outcomesOf((bytes) => pieces(bytes).filter(({ length }) => length > 0)), expected)
    }),
    { numRuns: 100 },
  )
})

test('what a server offers is read in any case, order and age', () => {
  assert.deepEqual(
    readCapabilities(['host', 'pipelining', '8bitmime', 'SIZE 0', 'AUTH=LOGIN', 'auth CRAM-MD5  plain', 'X-ODD', '']),
    {
      ...noCapabilities,
      pipelining: true,
      eightBitMime: true,
      size: true,
      authPlain: true,
      authLogin: true,
    },
  )
  assert.equal(readCapabilities(['host', 'SIZE 35882577']).sizeMax, 35_882_577)
  assert.equal(readCapabilities(['host', 'SIZE abc']).sizeMax, Infinity)
  assert.deepEqual(readCapabilities(['PIPELINING']), noCapabilities)
  assert.deepEqual(readCapabilities(['host', '__proto__', 'constructor']), noCapabilities)
})
