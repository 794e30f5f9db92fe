/** Bounds of scheduling at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourlyRetry, outcomeOf, ShapeRig, siteOf, startMs } from '../../test/support/shape-rig.ts'
import { openRig } from '../../test/support/spool-rig.ts'
import { seededRandom } from '../kernel/random.ts'
import { hourMs, minuteMs, secondMs } from '../kernel/units.ts'
import type { Grant } from '../model/grant.ts'
import { outcomeTextMax } from '../model/limits.ts'
import { isFailure } from '../ports/submissions.ts'
import { type LearnedSite, SiteQueue } from './flows.ts'
import {
  aheadServiceMsMax,
  learnedSitesMax,
  sitePauseMsMax,
  sitePauseMsMin,
  slotsAcceptedShare,
  slotsMax,
} from './limits.ts'
import { RetrySchedule } from './retry.ts'
import { queueImage, slotBytes, slotStates } from './shape.ts'
import { Slots } from './slots.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]
const delivered = outcomeOf('delivered')
/** Without its spread. */
const evenRandom = { ...seededRandom(1), fraction: () => 0.5 }

test('limit delivery.connections_max: to all sites together so many are open, the next message waits', () => {
  for (const domains of [2, 3, 4]) {
    const route = (domain: string) => ({ site: siteOf(Number(domain.split('.')[0])), validForMs: hourMs })
    const rig = new ShapeRig({ scheduler: { connectionsMax: 3 }, route })
    for (let i = 0; i < domains; i++) rig.submit({ domain: `${i}.example` })
    assert.equal(rig.grants.length, Math.min(domains, 3))
  }
})

test('limit delivery.connections_per_site: to one site so many are open, the next message waits', () => {
  for (const messages of [2, 3, 4]) {
    const rig = new ShapeRig({ route: () => ({ site: siteOf(0, 3), validForMs: hourMs }) })
    for (let i = 0; i < messages; i++) rig.submit()
    assert.equal(rig.grants.length, Math.min(messages, 3))
  }
})

test('limit delivery.recipients_per_transaction: so many share one, the next recipient has another', () => {
  for (const recipients of [2, 3, 4]) {
    const rig = new ShapeRig({ scheduler: { recipientsPerTransaction: 3 }, route: () => null })
    rig.submit({ recipients, domain: 'a.example' })
    rig.routed('a.example', { site: siteOf(0), validForMs: hourMs })
    assert.deepEqual(
      rig.grants.map((grant) => grant.recipients.length),
      recipients > 3 ? [3, 1] : [recipients],
    )
  }
})

test('limit retry.expire_after: a failure a millisecond before its age is tried again, at it the mail has expired', () => {
  for (const youngerMs of [1, 0, -1]) {
    const rig = new ShapeRig()
    rig.submit({ acceptedAtMs: startMs - hourlyRetry.expireAfterMs + youngerMs })
    rig.reportAll(outcomeOf('deferred'))
    const last = rig.settled.at(-1)
    assert.deepEqual([last?.outcome.kind, rig.live], youngerMs > 0 ? ['deferred', 1] : ['expired', 0])
  }
})

test('limit shape.slots: so many recipients have a slot, the next one is a broken invariant', () => {
  const slots = new Slots(3)
  for (let i = 0; i < 3; i++) assert.equal(slots.allocate(slotStates.ready), i)
  assert.throws(() => slots.allocate(slotStates.ready), { name: 'InvariantBroken' })
  slots.release(1)
  assert.equal(slots.allocate(slotStates.ready), 1)
  const columns = Object.values(slots).filter((column) => ArrayBuffer.isView(column) && column !== slots.counts)
  assert.equal(
    columns.reduce((sum, { byteLength }) => sum + byteLength, 0),
    3 * slotBytes,
  )
})

test('limit shape.slots-accepted: at nine tenths of the slots new mail hears 452, with one recipient less it does not', () => {
  const accepted = Math.ceil(slotsMax.value * slotsAcceptedShare.value)
  for (const live of around(accepted)) {
    const slots = new Slots()
    slots.counts[slotStates.ready] = 1_000
    slots.counts[slotStates.deferred] = live - 1_000
    assert.equal(slots.full, live >= accepted)
    const { submissions } = openRig()
    submissions.setFull(new Set(), slots.full)
    const answer = submissions.begin(0, 'acme')
    assert.equal(isFailure(answer) ? answer.smtp : 'taken', live >= accepted ? '452 4.3.1' : 'taken')
  }
})

test('limit shape.ring: so many domains of a tenant have a place at a site, the next one finds one within a minute', () => {
  for (const domains of [2, 3, 4]) {
    const rig = new ShapeRig({
      scheduler: { ringMax: 3 },
      route: () => ({ site: siteOf(0, 1), validForMs: hourMs }),
    })
    rig.submit({ domain: 'first.example' })
    for (let i = 0; i < domains; i++) rig.submit({ domain: `${i}.example` })
    rig.reportAll(delivered)
    assert.equal(rig.live, domains > 3 ? 1 : 0)
    rig.advance(minuteMs + secondMs)
    rig.reportAll(delivered)
    assert.equal(rig.live, 0)
    rig.check()
  }
})

test('limit shape.ring: whoever waited outside until its route was no longer true has it looked up again', () => {
  let moved = 0
  const rig = new ShapeRig({
    scheduler: { ringMax: 1 },
    route: () => ({ site: siteOf(moved, 1), validForMs: secondMs }),
  })
  for (const domain of ['a.example', 'b.example', 'c.example']) rig.submit({ domain })
  rig.reportAll(delivered)
  assert.equal(rig.live, 1)
  moved = 1
  rig.advance(minuteMs + secondMs)
  assert.deepEqual(rig.asked.slice(3), ['c.example'])
  assert.equal(rig.grants[0]?.site.id, 1)
  rig.reportAll(delivered)
  assert.equal(rig.live, 0)
})

test('limit shape.ring: as many tenants stand in a row at a site, the next one finds a place within a minute', () => {
  for (const tenants of [2, 3, 4]) {
    const rig = new ShapeRig({ scheduler: { ringMax: 3 }, route: () => ({ site: siteOf(0, 1), validForMs: hourMs }) })
    rig.submit({ tenant: 'tenant-0' })
    for (let i = 0; i < tenants; i++) rig.submit({ tenant: `tenant-${i}` })
    rig.reportAll(delivered)
    assert.equal(rig.live > 0, tenants > 3)
    rig.advance(minuteMs + secondMs)
    rig.reportAll(delivered)
    assert.equal(rig.live, 0)
  }
})

test('limit shape.hungry-sites: so many sites wait for the next connection, another one is looked at with the tick', () => {
  for (const sites of [2, 3, 4]) {
    const rig = new ShapeRig({
      scheduler: { connectionsMax: 1, hungrySitesMax: 3 },
      route: (domain) => ({ site: siteOf(Number(domain.split('.')[0])), validForMs: hourMs }),
    })
    for (let i = 0; i <= sites; i++) rig.submit({ domain: `${i}.example` })
    const hungry = [...rig.scheduler.sites.values()].filter((site) => site.hungry)
    assert.equal(hungry.length, Math.min(sites, 3))
    rig.reportAll(delivered)
    assert.equal(rig.live, sites > 3 ? 1 : 0)
    rig.advance(250)
    rig.reportAll(delivered)
    assert.equal(rig.live, 0)
  }
})

test('limit shape.site-pause-min: a site where nothing works is left alone for half a minute, and not a millisecond longer', () => {
  const rig = new ShapeRig({ scheduler: { random: evenRandom } })
  rig.submit()
  rig.reportAll(outcomeOf('deferred', 'site'))
  const site = rig.scheduler.sites.get(0) as SiteQueue
  rig.advance(sitePauseMsMin.value - 1, sitePauseMsMin.value - 1)
  assert.equal(site.open, false)
  rig.advance(1, 1)
  assert.equal(site.open, true)
})

test('limit shape.site-pause: each pause is twice the one before, up to a quarter of an hour', () => {
  const rig = new ShapeRig({ scheduler: { random: evenRandom } })
  rig.submit()
  const site = rig.scheduler.sites.get(0) as SiteQueue
  const pauses: number[] = []
  for (let i = 0; i < 7; i++) {
    rig.submit()
    rig.reportAll(outcomeOf('deferred', 'site'))
    pauses.push((site.closedUntilMs - rig.nowMs) / secondMs)
    rig.advance(site.closedUntilMs - rig.nowMs, secondMs)
  }
  assert.deepEqual(pauses, [30, 60, 120, 240, 480, 900, 900])
})

test('limit shape.site-pause: one that a checkpoint brings back is no longer than that either', () => {
  for (const leftMs of around(sitePauseMsMax.value)) {
    const learned: LearnedSite = { window: 1, failures: 9, closedUntilMs: startMs + leftMs, serviceMs: 100 }
    const site = new SiteQueue(siteOf(0), startMs, learned)
    assert.equal(site.closedUntilMs - startMs, Math.min(leftMs, sitePauseMsMax.value))
  }
})

test('limit shape.ahead-service: where a transaction takes 250 ms another stands behind it, where it takes longer not', () => {
  for (const serviceMs of around(aheadServiceMsMax.value)) {
    const rig = new ShapeRig({ route: () => ({ site: siteOf(0, 1), validForMs: hourMs }) })
    for (let i = 0; i < 2; i++) rig.submit()
    const site = rig.scheduler.sites.get(0) as SiteQueue
    site.serviceMs = serviceMs
    rig.step({ kind: 'ahead', grant: rig.grants[0] as Grant })
    assert.equal(rig.grants.length, serviceMs > aheadServiceMsMax.value ? 1 : 2)
  }
})

test('limit shape.learned-sites: of ten thousand sites a checkpoint keeps what was learned, of the next one not', () => {
  for (const sites of around(learnedSitesMax.value)) {
    const { scheduler } = new ShapeRig()
    const learned: LearnedSite = { window: 1, failures: 1, closedUntilMs: 0, serviceMs: 100 }
    for (let i = 0; i < sites; i++) scheduler.learned.set(`mx${i}.example:25`, learned)
    const kept = [...queueImage(scheduler, () => startMs).learned()]
    assert.equal(kept.length, Math.min(sites, learnedSitesMax.value))
  }
})

test('limit outcome.text: what an expired message met last is told in 512 characters together, and no more', () => {
  const schedule = new RetrySchedule(hourlyRetry, evenRandom)
  const beside = schedule.expired(1, 0, 'x').text.length - 1
  for (const length of around(outcomeTextMax.value)) {
    const { text } = schedule.expired(1, 0, 'x'.repeat(length - beside))
    assert.equal(text.length, Math.min(length, outcomeTextMax.value))
  }
})
