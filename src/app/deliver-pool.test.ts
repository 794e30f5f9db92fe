/** The scheduler's side of the deliver threads; the threads are played by the test. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { outcomeOf, siteOf } from '../../test/support/shape-rig.ts'
import { until } from '../../test/support/wait.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { RingReader, RingWriter } from '../kernel/shared-ring.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import { DeliverPool, makeDeliverRings } from './deliver-pool.ts'
import type { DeliverRings } from './exchange.ts'
import { readGrant, readSite, wireKinds, WireWriter } from './grant-wire.ts'

const attempt = {
  startedAtMs: 0,
  host: 'mx',
  address: '192.0.2.1',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: 1,
  envelopeMs: 2,
  finishedMs: 3,
}

/** What a deliver thread sees of its rings. */
class FakeThread {
  readonly grants: { readonly id: number; readonly site: string; readonly behind: number }[] = []
  readonly sites = new Map<number, Site>()
  readonly #reader: RingReader
  readonly #writer: RingWriter
  readonly #wire = new WireWriter()
  stopped = false

  constructor(rings: DeliverRings) {
    this.#reader = new RingReader(rings.grants)
    this.#writer = new RingWriter(rings.reports)
  }

  read(): this {
    this.#reader.drain((bytes, at, length) => {
      if (bytes[at] === wireKinds.site) {
        const site = readSite(bytes, at, length)
        this.sites.set(site.id, site)
      } else if (bytes[at] === wireKinds.stop) this.stopped = true
      else {
        const { grant, behind } = readGrant(bytes, at, (id) => this.sites.get(id) as Site)
        this.grants.push({ id: grant.id, site: grant.site.name, behind })
      }
    })
    return this
  }

  report(id: number, outcome: Outcome = outcomeOf('delivered')): void {
    assert.ok(this.#writer.push(this.#wire.bytes, this.#wire.report(id, [outcome], attempt)))
    this.#writer.wake()
  }

  over(): void {
    assert.ok(this.#writer.push(this.#wire.bytes, this.#wire.over()))
    this.#writer.wake()
  }
}

function poolOf(t: TestContext, count: number) {
  const rings = Array.from({ length: count }, makeDeliverRings)
  const threads = rings.map((pair) => new FakeThread(pair))
  const clock = new VirtualClock()
  const reports: DeliveryReport[] = []
  const lost: number[] = []
  /** What may follow, by the grant in front. */
  const follows = new Map<number, Grant>()
  const pool = new DeliverPool({
    rings,
    connectionsMax: 100 * count,
    idleMs: 10_000,
    clock,
    report: (report) => reports.push(report),
    ahead: ({ id }) => follows.get(id) ?? null,
    lost: ({ id }) => lost.push(id),
  })
  // Its readers wait for good, and nothing must wait for them.
  t.after(() => {
    for (const [thread] of rings.entries()) pool.died(thread, makeDeliverRings())
  })
  return { pool, threads, clock, reports, lost, follows }
}

const grantOf = (id: number, site = siteOf(0)): Grant => ({
  id,
  site,
  source: null,
  number: id * 64,
  place: id * 4096,
  recipients: [0],
  slots: [id],
})

const sentTo = (threads: readonly FakeThread[]): number[][] =>
  threads.map((thread) => thread.read().grants.map(({ id }) => id))

test('one giant site is spread over all threads; a site is told once to each, and again when it has changed', (t) => {
  const { pool, threads } = poolOf(t, 2)
  const site = siteOf(0)
  for (let id = 1; id <= 4; id++) pool.deliver(grantOf(id, site))
  assert.deepEqual(sentTo(threads), [
    [1, 3],
    [2, 4],
  ])
  const changed = { ...site, name: 'changed' }
  for (let id = 5; id <= 6; id++) pool.deliver(grantOf(id, changed))
  assert.deepEqual(
    threads.map((thread) => thread.read().grants.map((grant) => grant.site)),
    [
      [site.name, site.name, 'changed'],
      [site.name, site.name, 'changed'],
    ],
  )
})

test('a grant goes where a connection to its site is idle, for as long as that is kept', async (t) => {
  const { pool, threads, clock, reports } = poolOf(t, 2)
  pool.deliver(grantOf(1))
  threads[0]?.report(1)
  await until(2_000, 'there is no report', () => reports.length === 1)
  for (let id = 2; id <= 4; id++) pool.deliver(grantOf(id, siteOf(1)))
  assert.deepEqual(sentTo(threads), [[1, 2, 4], [3]])
  pool.deliver(grantOf(5))
  assert.deepEqual(sentTo(threads), [[1, 2, 4, 5], [3]], 'it has more to do, and the connection')
  pool.deliver(grantOf(6))
  assert.deepEqual(sentTo(threads)[1], [3, 6], 'the connection is busy now')
  threads[0]?.report(5)
  await until(2_000, 'there is no report', () => reports.length === 2)
  clock.advance(10_001)
  threads[1]?.report(3)
  await until(2_000, 'there is no report', () => reports.length === 3)
  pool.deliver(grantOf(7))
  assert.deepEqual(sentTo(threads)[1], [3, 6, 7], 'it is closed by now')
})

test('what may follow on a connection is sent behind it, and asked for again when its turn has come', async (t) => {
  const { pool, threads, reports, follows } = poolOf(t, 2)
  follows.set(1, grantOf(2))
  follows.set(2, grantOf(3))
  pool.deliver(grantOf(1))
  assert.deepEqual(
    threads[0]?.read().grants.map(({ id, behind }) => [id, behind]),
    [
      [1, 0],
      [2, 1],
    ],
  )
  threads[0]?.report(1)
  await until(2_000, 'there is no report', () => reports.length === 1)
  assert.deepEqual(threads[0]?.read().grants.at(-1), { id: 3, site: siteOf(0).name, behind: 2 })
})

test('a thread dies: what it had said counts, the rest is lost, and its successor gets nothing before it is there', async (t) => {
  const { pool, threads, reports, lost } = poolOf(t, 2)
  for (let id = 1; id <= 6; id++) pool.deliver(grantOf(id))
  sentTo(threads)
  threads[0]?.report(3)
  const rings = makeDeliverRings()
  const successor = new FakeThread(rings)
  pool.died(0, rings)
  assert.deepEqual(
    reports.map(({ grant }) => grant.id),
    [3],
  )
  assert.deepEqual(lost, [1, 5])
  for (let id = 7; id <= 9; id++) pool.deliver(grantOf(id, siteOf(1)))
  assert.deepEqual(sentTo([successor, threads[1] as FakeThread]), [[], [2, 4, 6, 7, 8, 9]])
  pool.attended(0)
  pool.deliver(grantOf(10, siteOf(1)))
  assert.deepEqual(sentTo([successor]), [[10]])
  await Promise.resolve()
})

test('it has stopped when every thread has said so, or is gone', async (t) => {
  const { pool, threads } = poolOf(t, 2)
  pool.deliver(grantOf(1))
  const stopped = pool.stop(1_000)
  assert.ok(threads.every((thread) => thread.read().stopped))
  threads[0]?.report(1)
  threads[0]?.over()
  pool.died(1, makeDeliverRings())
  assert.equal(await stopped, true)
})

test('a thread that does not stop in time is not waited for', async (t) => {
  const { pool, clock } = poolOf(t, 1)
  pool.deliver(grantOf(1))
  const stopped = pool.stop(1_000)
  clock.advance(2_000)
  assert.equal(await stopped, false)
})
