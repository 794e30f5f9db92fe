/** A grant behind another one on its connection: pairs share a place, whoever of the two is over first. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { outcomeOf, ShapeRig, siteOf } from '../../test/support/shape-rig.ts'
import { hourMs } from '../kernel/units.ts'
import type { Grant } from '../model/grant.ts'
import type { SiteQueue } from './shape.ts'

const delivered = outcomeOf('delivered')

const queueOf = (rig: ShapeRig, site = 0): SiteQueue => rig.scheduler.sites.get(site) as SiteQueue

/** Narrow sites: one connection each, so that what is submitted waits. */
const rigOf = (sites: number, connectionsMax = 1, seed = 1): ShapeRig =>
  new ShapeRig({
    seed,
    route: (domain) => ({
      site: siteOf(Number(/\d+/.exec(domain)?.[0] ?? 0) % sites, connectionsMax),
      validForMs: hourMs,
    }),
  })

/** Asks for one behind `grant`; null when there is none. */
function ahead(rig: ShapeRig, grant: Grant | undefined): Grant | null {
  assert.ok(grant !== undefined)
  const before = rig.grants.length
  rig.step({ kind: 'ahead', grant })
  assert.ok(rig.grants.length <= before + 1, 'at most one grant answers')
  return rig.grants[before] ?? null
}

test('a pair occupies one connection, and its second is what waits longest', () => {
  const rig = rigOf(1)
  for (let i = 0; i < 3; i++) rig.submit()
  assert.equal(rig.grants.length, 1)
  const second = ahead(rig, rig.grants[0])
  assert.equal(second?.number, 2)
  assert.equal(queueOf(rig).inFlight, 2)
  assert.equal(queueOf(rig).connections, 1)
  rig.check()
})

test('pairs, never rows of three', () => {
  const rig = rigOf(1)
  for (let i = 0; i < 5; i++) rig.submit()
  const first = rig.grants[0]
  const second = ahead(rig, first)
  assert.equal(ahead(rig, first), null)
  assert.equal(ahead(rig, second ?? undefined), null)
  rig.report(first as Grant, delivered)
  const third = ahead(rig, second ?? undefined)
  assert.notEqual(third, null)
  rig.check()
})

for (const order of ['first', 'second'] as const) {
  test(`the ${order} of a pair is over: the other has the connection for itself`, () => {
    const rig = rigOf(1)
    for (let i = 0; i < 2; i++) rig.submit()
    const first = rig.grants[0] as Grant
    const second = ahead(rig, first) as Grant
    rig.report(order === 'first' ? first : second, delivered)
    assert.equal(queueOf(rig).connections, 1)
    assert.equal(queueOf(rig).ahead, 0)
    rig.submit()
    assert.equal(rig.grants.length, 1, 'the window is one connection wide')
    rig.report(order === 'first' ? second : first, delivered)
    assert.equal(queueOf(rig).connections, 1)
    assert.equal(rig.grants[0]?.number, 3)
    rig.reportAll(delivered)
    assert.equal(queueOf(rig).connections, 0)
    rig.check()
  })
}

test('nothing stands ahead while grants are held, or the site is closed', () => {
  const rig = rigOf(1)
  for (let i = 0; i < 4; i++) rig.submit()
  const first = rig.grants[0]
  rig.step({ kind: 'hold', hold: true })
  assert.equal(ahead(rig, first), null)
  rig.step({ kind: 'hold', hold: false })
  const second = ahead(rig, first) as Grant
  rig.report(first as Grant, outcomeOf('deferred', 'site'))
  assert.equal(queueOf(rig).open, false)
  assert.equal(ahead(rig, second), null)
  rig.check()
})

test('nothing stands ahead at a site that has more connections than its window is wide now', () => {
  const rig = rigOf(1, 4)
  for (let i = 0; i < 12; i++) rig.submit()
  rig.advance(1_000)
  assert.equal(queueOf(rig).connections, 4)
  rig.report(rig.grants[0] as Grant, delivered)
  rig.report(rig.grants[0] as Grant, outcomeOf('deferred', 'site'))
  assert.ok(queueOf(rig).window < queueOf(rig).connections)
  assert.equal(ahead(rig, rig.grants[0]), null)
  rig.check()
})

test('nothing stands ahead while another site waits for a connection of the machine', () => {
  const rig = new ShapeRig({
    scheduler: { connectionsMax: 1 },
    route: (domain) => ({ site: siteOf(Number(/\d+/.exec(domain)?.[0])), validForMs: hourMs }),
  })
  rig.submit({ domain: 'd1.example' })
  rig.submit({ domain: 'd2.example' })
  rig.submit({ domain: 'd1.example' })
  assert.equal(ahead(rig, rig.grants[0]), null)
  rig.report(rig.grants[0] as Grant, delivered)
  assert.equal(rig.grants[0]?.site.id, 2)
  rig.check()
})

test('what has expired in the queue is passed over', () => {
  const rig = rigOf(1)
  rig.submit()
  const first = rig.grants[0]
  rig.submit()
  rig.advance(73 * hourMs, hourMs)
  rig.submit({ acceptedAtMs: rig.nowMs })
  assert.equal(ahead(rig, first)?.number, 3)
  rig.check()
})

test('connections stay within the window and every recipient ends, however grants pair and part', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('submit' as const),
      domain: fc.nat({ max: 5 }),
      recipients: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant('ahead' as const), at: fc.nat() }),
    fc.record({ kind: fc.constant('report' as const), at: fc.nat(), how: fc.nat({ max: 5 }) }),
    fc.record({ kind: fc.constant('hold' as const), hold: fc.boolean() }),
    fc.record({ kind: fc.constant('advance' as const), byMs: fc.nat({ max: 100_000 }) }),
  )
  const outcomes = [
    delivered,
    delivered,
    delivered,
    outcomeOf('bounced'),
    outcomeOf('deferred'),
    outcomeOf('deferred', 'site'),
  ]
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer(),
      (steps, width, seed) => {
        const rig = rigOf(2, width, seed)
        for (const one of steps) {
          if (one.kind === 'submit') rig.submit({ domain: `d${one.domain}.example`, recipients: one.recipients })
          else if (one.kind === 'hold') rig.step(one)
          else if (one.kind === 'advance') rig.advance(one.byMs, 1_000)
          else {
            const grant = rig.grants[one.at % Math.max(1, rig.grants.length)]
            if (grant === undefined) continue
            if (one.kind === 'ahead') ahead(rig, grant)
            else rig.report(grant, outcomes[one.how] ?? delivered)
          }
          rig.check()
          for (const queue of rig.scheduler.sites.values()) {
            assert.ok(queue.ahead >= 0 && queue.ahead * 2 <= queue.inFlight, 'pairs are disjoint')
          }
        }
        rig.step({ kind: 'hold', hold: false })
        for (let round = 0; rig.live > 0 && round < 200; round++) {
          rig.reportAll(delivered)
          rig.advance(hourMs, 60_000)
        }
        assert.equal(rig.live, 0)
        for (const queue of rig.scheduler.sites.values()) assert.deepEqual([queue.connections, queue.ahead], [0, 0])
        rig.check()
      },
    ),
    { numRuns: 60 },
  )
})

test('nothing rides ahead where answers are slow: another connection may be free sooner', () => {
  const rig = rigOf(1)
  for (let i = 0; i < 40; i++) rig.submit()
  assert.notEqual(ahead(rig, rig.grants[0]), null)
  for (let i = 0; i < 10; i++) rig.report(rig.grants[0] as Grant, delivered, 5_000)
  assert.equal(ahead(rig, rig.grants[0]), null)
  for (let i = 0; i < 20; i++) rig.report(rig.grants[0] as Grant, delivered, 1)
  rig.check()
})
