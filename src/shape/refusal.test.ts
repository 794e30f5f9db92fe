/** Whom nothing may be sent has an end as soon as the mail is accepted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcomeOf, ShapeRig } from '../../test/support/shape-rig.ts'
import { suppressedOutcome } from '../model/outcome.ts'
import type { Pins } from '../ports/queue.ts'

class CountedPins implements Pins {
  pinned = 0
  add(): void {
    this.pinned += 1
  }
  remove(): void {
    this.pinned -= 1
  }
}

test('a thousand suppressed recipients of one message end at once, each with an outcome of its own, and leave nothing behind', () => {
  const pins = new CountedPins()
  const rig = new ShapeRig({ scheduler: { pins }, route: () => null })
  const number = rig.submit({ recipients: 1_000, refusal: suppressedOutcome() })
  rig.check()
  assert.deepEqual([rig.live, pins.pinned, rig.asked.length, rig.grants.length], [0, 0, 0, 0])
  assert.equal(rig.scheduler.tenants.get('acme')?.bytes, 0)
  assert.deepEqual(
    rig.settled.map(({ recipient }) => recipient),
    Array.from({ length: 1_000 }, (_, i) => i),
  )
  for (const { number: of, outcome, attempt, nextAttemptAtMs } of rig.settled)
    assert.deepEqual([of, outcome.kind, attempt, nextAttemptAtMs], [number, 'suppressed', 1, 0])
  for (const action of rig.actions) assert.equal(action.kind === 'settle' && action.place, number * 4096)
  assert.ok(rig.scheduler.flows.every(({ live, size }) => live === 0 && size === 0))
})

test('the others of the message go on, also while everything is held', () => {
  const rig = new ShapeRig()
  rig.step({ kind: 'hold', hold: true })
  rig.submit({ recipients: 2 })
  rig.submit({ refusal: suppressedOutcome() })
  rig.check()
  assert.deepEqual([rig.settled.length, rig.live], [1, 2])
  rig.step({ kind: 'hold', hold: false })
  rig.reportAll(outcomeOf('delivered'))
  rig.check()
  assert.equal(rig.live, 0)
})
