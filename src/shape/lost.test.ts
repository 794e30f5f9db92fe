/** Whoever held a grant is gone: its recipients are ready again, and nothing else has changed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { outcomeOf, ShapeRig, siteOf } from '../../test/support/shape-rig.ts'
import { hourMs } from '../kernel/units.ts'
import type { Grant } from '../model/grant.ts'
import type { SiteQueue } from './shape.ts'

const delivered = outcomeOf('delivered')
const narrow = (): ShapeRig => new ShapeRig({ route: () => ({ site: siteOf(0, 1), validForMs: hourMs }) })
const queueOf = (rig: ShapeRig): SiteQueue => rig.scheduler.sites.get(0) as SiteQueue

test('a lost grant is granted again at once: a possible duplicate, and no attempt', () => {
  const rig = narrow()
  rig.submit()
  rig.submit()
  const [lost] = rig.grants as [Grant]

  rig.lose(lost)

  rig.check()
  assert.equal(rig.settled.length, 0, 'nothing is written down')
  rig.reportAll(delivered)
  assert.deepEqual(
    rig.settled.map(({ number, attempt, mayBeDuplicate }) => [number, attempt, mayBeDuplicate]),
    [
      [2, 1, false],
      [1, 1, true],
    ],
  )
  assert.equal(rig.live, 0)
  rig.check()
})

for (const order of ['first', 'second'] as const) {
  test(`the ${order} of a pair is lost: the other has the connection for itself`, () => {
    const rig = narrow()
    for (let i = 0; i < 2; i++) rig.submit()
    const [first] = rig.grants as [Grant]
    rig.step({ kind: 'ahead', grant: first })
    const second = rig.grants[1] as Grant
    assert.equal(queueOf(rig).connections, 1)

    rig.lose(order === 'first' ? first : second)

    assert.equal(queueOf(rig).connections, 1, 'the site takes one, and the other of the pair has it')
    rig.check()
    rig.reportAll(delivered)
    assert.equal(rig.live, 0)
    rig.check()
  })
}

test('while nothing may be granted, what was lost waits', () => {
  const rig = narrow()
  rig.submit()
  const [lost] = rig.grants as [Grant]
  rig.step({ kind: 'hold', hold: true })
  rig.lose(lost)
  assert.equal(rig.grants.length, 0)
  assert.equal(queueOf(rig).queued, 1)
  rig.step({ kind: 'hold', hold: false })
  assert.equal(rig.grants.length, 1)
  rig.check()
})

test('whatever is granted, paired, reported and lost: everybody is in one place, and everybody comes to an end', () => {
  const step = fc.record({ what: fc.constantFrom('submit', 'ahead', 'report', 'lose'), which: fc.nat({ max: 50 }) })
  fc.assert(
    fc.property(fc.nat(), fc.array(step, { maxLength: 120 }), (seed, steps) => {
      const rig = new ShapeRig({
        seed,
        scheduler: { connectionsMax: 5 },
        route: (domain) => ({ site: siteOf(Number(domain.at(-1)), 2), validForMs: hourMs }),
      })
      for (const { what, which } of steps) {
        const grant = rig.grants[which % Math.max(1, rig.grants.length)]
        if (what === 'submit') rig.submit({ domain: `site${which % 3}`, recipients: 1 + (which % 2) })
        else if (grant === undefined) continue
        else if (what === 'ahead') rig.step({ kind: 'ahead', grant })
        else if (what === 'lose') rig.lose(grant)
        else rig.report(grant, delivered)
        rig.check()
      }
      for (let turn = 0; turn < 1_000 && rig.live > 0; turn++) rig.reportAll(delivered, 1)
      assert.equal(rig.live, 0)
    }),
    { numRuns: 50 },
  )
})
