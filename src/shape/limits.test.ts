/** Bounds of scheduling at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourlyRetry, outcomeOf, ShapeRig, siteOf, startMs } from '../../test/support/shape-rig.ts'
import { hourMs } from '../kernel/units.ts'

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
