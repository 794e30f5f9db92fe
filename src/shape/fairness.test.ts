import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, minuteMs, secondMs } from '../kernel/units.ts'
import { outcomeOf, ShapeRig, siteOf } from '../../test/support/shape-rig.ts'
import type { Outcome } from '../model/outcome.ts'
import { tenantQuantum } from './flows.ts'

const delivered = outcomeOf('delivered')
const siteDown = outcomeOf('deferred', 'site')

/** Each domain "n.example" leads to site n. */
const perDomain =
  (connectionsMax = 20) =>
  (domain: string) => ({
    site: siteOf(Number(domain.split('.')[0]), connectionsMax),
    validForMs: 1_000 * hourMs,
  })

test('a site never sees more than its 20 connections, and always gets them while there is mail', () => {
  const rig = new ShapeRig()
  for (let i = 0; i < 500; i++) rig.submit()
  for (let i = 0; i < 480; i++) {
    assert.equal(rig.grants.length, 20)
    rig.reportAll(delivered, 1)
    rig.check()
  }
  rig.reportAll(delivered)
  assert.equal(rig.live, 0)
})

test('the machine-wide limit holds, and the sites that wait for it take turns', () => {
  const rig = new ShapeRig({ scheduler: { connectionsMax: 30 }, route: perDomain() })
  for (let site = 0; site < 5; site++) for (let i = 0; i < 200; i++) rig.submit({ domain: `${site}.example` })
  const served = [0, 0, 0, 0, 0]
  for (let i = 0; i < 500; i++) {
    assert.equal(rig.grants.length, 30)
    const { site } = rig.grants[0] as { site: { id: number } }
    served[site.id] = (served[site.id] as number) + 1
    rig.reportAll(delivered, 1)
    if (i % 50 === 0) rig.check()
  }
  // The first two held every place at the start; from then on all are served alike.
  for (const count of served) assert.ok(count >= 75 && count <= 130, `served ${served.join(' ')}`)
  rig.reportAll(delivered)
  assert.equal(rig.live, 0)
})

test('a connection that could take one more behind its message leaves the place to a site that waits', () => {
  const rig = new ShapeRig({ scheduler: { connectionsMax: 1 }, route: perDomain() })
  for (let i = 0; i < 10; i++) rig.submit({ domain: '0.example' })
  const [first] = rig.grants
  assert.ok(first)
  rig.step({ kind: 'ahead', grant: first })
  assert.equal(rig.grants.length, 1, 'its own site waits for the place as well')
  rig.submit({ domain: '1.example' })
  rig.report(first, delivered)
  rig.reportAll(delivered, 1)
  assert.ok(
    rig.actions.slice(-8).some((action) => action.kind === 'grant' && action.grant.site.id === 1),
    'the other site had its turn',
  )
})

test('a pair shares one place in every limit', () => {
  const rig = new ShapeRig({ route: perDomain(1) })
  for (let i = 0; i < 4; i++) rig.submit({ domain: '0.example' })
  const [first] = rig.grants
  assert.ok(first)
  rig.step({ kind: 'ahead', grant: first })
  rig.step({ kind: 'ahead', grant: first })
  const second = rig.grants[1]
  assert.ok(second)
  rig.step({ kind: 'ahead', grant: second })
  assert.equal(rig.grants.length, 2)
  rig.check()
  rig.report(first, delivered)
  assert.equal(rig.grants.length, 1)
  rig.step({ kind: 'ahead', grant: second })
  assert.equal(rig.grants.length, 2)
  rig.report(second, delivered)
  rig.check()
  rig.reportAll(delivered)
  assert.equal(rig.live, 0)
})

test('50,000 messages of one tenant delay the single one of another by no more than a quantum', () => {
  const rig = new ShapeRig()
  for (let i = 0; i < 50_000; i++) rig.submit({ tenant: 'loud' })
  const single = rig.submit({ tenant: 'quiet' })
  let before = 0
  while (!rig.grants.some(({ number }) => number === single)) {
    rig.reportAll(delivered, 1)
    before += 1
  }
  assert.ok(before <= tenantQuantum, `${before} of the other tenant went first`)
})

test('two tenants with a backlog each share a site evenly, whatever the sizes of their messages', () => {
  const rig = new ShapeRig({ route: perDomain(4) })
  for (let i = 0; i < 400; i++) rig.submit({ domain: '0.example', tenant: 'many', recipients: 1 })
  for (let i = 0; i < 40; i++) rig.submit({ domain: '0.example', tenant: 'wide', recipients: 10 })
  const recipients = { many: 0, wide: 0 }
  while (rig.live > 400) {
    const [grant] = rig.grants
    assert.ok(grant)
    recipients[grant.number <= 400 ? 'many' : 'wide'] += grant.recipients.length
    rig.report(grant, delivered)
  }
  assert.ok(Math.abs(recipients.many - recipients.wide) <= 3 * tenantQuantum, JSON.stringify(recipients))
})

test('recipients of one submission in one domain share a transaction, up to its limit', () => {
  const rig = new ShapeRig({ scheduler: { recipientsPerTransaction: 100 }, route: () => null })
  rig.submit({ recipients: 250 })
  rig.submit({ recipients: 3 })
  rig.routed('example.net', { site: siteOf(0), validForMs: hourMs })
  assert.deepEqual(
    rig.grants.map(({ number, recipients }) => [number, recipients.length]),
    [
      [1, 100],
      [1, 100],
      [1, 50],
      [2, 3],
    ],
  )
})

test('a site that refuses every connection is closed, each time for twice as long, and probed by one', () => {
  const rig = new ShapeRig()
  for (let i = 0; i < 100; i++) rig.submit()
  assert.equal(rig.grants.length, 20)
  rig.reportAll(siteDown, 20)
  assert.equal(rig.grants.length, 0)
  const pauses: number[] = []
  for (let i = 0; i < 8; i++) {
    const closedAtMs = rig.nowMs
    while (rig.grants.length === 0) rig.advance(secondMs)
    pauses.push((rig.nowMs - closedAtMs) / secondMs)
    assert.equal(rig.grants.length, 1, 'one connection probes')
    rig.check()
    rig.reportAll(siteDown, 1)
  }
  for (const [i, expected] of [30, 60, 120, 240, 480, 900, 900, 900].entries()) {
    const pause = pauses[i] as number
    assert.ok(pause >= 0.75 * expected && pause <= 1.25 * expected + 1, `pause ${i}: ${pause} s`)
  }
})

test('after a good probe the window grows by one per round, and the next trouble starts small again', () => {
  const rig = new ShapeRig()
  for (let i = 0; i < 400; i++) rig.submit()
  rig.reportAll(siteDown, 20)
  while (rig.grants.length === 0) rig.advance(secondMs)
  const queue = rig.scheduler.sites.get(0)
  assert.ok(queue)
  for (let window = 1; window < 20; window++) {
    assert.deepEqual([queue.window, rig.grants.length, queue.failures], [window, window, window === 1 ? 1 : 0])
    rig.reportAll(delivered, window)
  }
  assert.equal(rig.grants.length, 20)
  rig.check()
})

test('refusals while other connections work halve the window, at most once in ten seconds', () => {
  const rig = new ShapeRig()
  for (let i = 0; i < 400; i++) rig.submit()
  const queue = rig.scheduler.sites.get(0)
  assert.ok(queue)
  rig.reportAll(delivered, 5)
  rig.reportAll(siteDown, 3)
  assert.deepEqual([queue.window, queue.open], [10, true])
  rig.reportAll(delivered, 10)
  rig.advance(10 * secondMs)
  rig.reportAll(siteDown, 1)
  assert.deepEqual([queue.window, queue.open], [5, true])
  rig.check()
})

test('a domain that moves to another site takes its waiting mail along', () => {
  let site = siteOf(0, 1)
  const rig = new ShapeRig({ route: () => ({ site, validForMs: minuteMs }) })
  for (let i = 0; i < 10; i++) rig.submit()
  site = siteOf(1, 1)
  rig.advance(2 * minuteMs)
  rig.reportAll(delivered, 1)
  rig.reportAll(delivered, 1)
  assert.equal(rig.grants.at(-1)?.site.id, 1)
  assert.equal(rig.scheduler.sites.get(0)?.queued, 0)
  rig.check()
  rig.reportAll(delivered)
  assert.equal(rig.live, 0)
})

test('a domain that leads nowhere settles all its mail, grouped by submission', () => {
  const outcome: Outcome = { ...outcomeOf('bounced'), stage: 'route', enhanced: '5.1.2' }
  const rig = new ShapeRig({ route: () => null })
  rig.submit({ recipients: 3 })
  rig.submit({ recipients: 2 })
  rig.routed('example.net', { failure: outcome })
  assert.deepEqual(
    rig.actions.filter((action) => action.kind === 'settle').map((action) => action.recipients.length),
    [3, 2],
  )
  assert.equal(rig.live, 0)
  rig.check()
})

test('on hold nothing is granted, and everything goes on where it stood', () => {
  const rig = new ShapeRig({ route: perDomain() })
  rig.step({ kind: 'hold', hold: true })
  for (let site = 0; site < 3; site++) rig.submit({ domain: `${site}.example` })
  rig.advance(minuteMs)
  assert.equal(rig.grants.length, 0)
  rig.step({ kind: 'hold', hold: false })
  assert.equal(rig.grants.length, 3)
})

test('a quick receiver sees few connections with many messages each, a slow one as many as it may', () => {
  for (const [tookMs, least, most] of [
    [1, 1, 3],
    [500, 20, 20],
  ] as const) {
    const rig = new ShapeRig()
    let connections = 0
    for (let i = 0; i < 600; i++) {
      rig.submit()
      rig.nowMs += 1
      // Once the receiver's pace is known.
      if (i > 300) connections = Math.max(connections, rig.grants.length)
      const [grant] = rig.grants
      if (grant !== undefined && (tookMs === 1 || rig.grants.length === 20)) rig.report(grant, delivered, tookMs)
    }
    assert.ok(connections >= least && connections <= most, `${tookMs} ms each: ${connections} connections`)
    for (let i = 0; i < 1_000 && rig.live > 0; i++) {
      rig.reportAll(delivered, 1)
      rig.advance(250)
    }
    assert.equal(rig.live, 0, 'nothing waits for ever')
  }
})
