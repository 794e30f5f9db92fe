/** 452 4.5.3 (RFC 5321 §4.5.3.1.10): who was too many for one transaction goes in the next one, at once, and no attempt counts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcomeOf, ShapeRig, siteOf, startMs } from '../../test/support/shape-rig.ts'
import { hourMs, minuteMs, secondMs } from '../kernel/units.ts'
import type { Grant } from '../model/grant.ts'
import type { Outcome } from '../model/outcome.ts'
import { recipientsLearnedMs } from './limits.ts'

const final = (kind: Outcome['kind']): Outcome => ({ ...outcomeOf(kind, 'message'), stage: 'final' })
const tooMany: Outcome = { ...outcomeOf('deferred'), code: 452, enhanced: '4.5.3', text: 'too many recipients' }
const unknown = outcomeOf('bounced')

/** One message for so many, which waits until its domain is found, so that its recipients share transactions. */
function oneMessage(recipients: number, connectionsMax = 1): ShapeRig {
  const rig = new ShapeRig({ route: () => null })
  rig.submit({ recipients })
  rig.routed('example.net', { site: siteOf(0, connectionsMax), validForMs: 10 * hourMs })
  return rig
}

/** As a receiver that takes `max` recipients at once; what becomes of those is `kind`. */
function take(rig: ShapeRig, grant: Grant, max: number, kind: Outcome['kind'] = 'delivered'): void {
  rig.report(
    grant,
    grant.recipients.map((_, i) => (i < max ? final(kind) : tooMany)),
  )
}

const sizes = (rig: ShapeRig): number[] => rig.grants.map(({ recipients }) => recipients.length)

test('a receiver that takes ten at once has 95 in ten transactions, in order and without waiting', () => {
  const rig = oneMessage(95)
  const transactions: number[] = []
  for (let grant = rig.grants[0]; grant !== undefined; grant = rig.grants[0]) {
    transactions.push(grant.recipients.length)
    take(rig, grant, 10)
    rig.check()
  }
  assert.deepEqual(transactions, [95, ...Array<number>(8).fill(10), 5])
  assert.equal(rig.live, 0)
  assert.equal(rig.nowMs, startMs)
  assert.deepEqual(
    rig.settled.map(({ recipient, attempt, outcome }) => [recipient, attempt, outcome.kind]),
    Array.from({ length: 95 }, (_, i) => [i, 1, 'delivered']),
  )
})

test('they go before what has waited behind them, and none of them is called a possible duplicate', () => {
  const rig = oneMessage(3)
  const later = rig.submit()
  take(rig, rig.grants[0] as Grant, 1)
  assert.deepEqual(rig.grants[0]?.recipients, [1])
  for (let grant = rig.grants[0]; grant !== undefined; grant = rig.grants[0]) take(rig, grant, 1)
  assert.deepEqual(
    rig.settled.map(({ number, recipient }) => [number, recipient]),
    [
      [1, 0],
      [1, 1],
      [1, 2],
      [later, 0],
    ],
  )
  assert.ok(rig.settled.every(({ mayBeDuplicate }) => !mayBeDuplicate))
})

test('too many beside a bounce: what the receiver took counts, and everybody else has the outcome that was said', () => {
  const rig = oneMessage(6)
  rig.report(rig.grants[0] as Grant, [final('delivered'), unknown, final('delivered'), tooMany, unknown, tooMany])
  assert.deepEqual(
    rig.settled.map(({ recipient, outcome }) => [recipient, outcome.kind]),
    [
      [0, 'delivered'],
      [1, 'bounced'],
      [2, 'delivered'],
      [4, 'bounced'],
    ],
  )
  assert.deepEqual(
    rig.grants.map(({ recipients }) => recipients),
    [[3, 5]],
  )
  rig.check()
})

test('too many at the very first recipient is a deferral like any other', () => {
  const rig = oneMessage(3, 3)
  rig.report(rig.grants[0] as Grant, [tooMany, tooMany, tooMany])
  assert.deepEqual(
    rig.settled.map(({ outcome, attempt, nextAttemptAtMs }) => [outcome.kind, attempt, nextAttemptAtMs > startMs]),
    Array.from({ length: 3 }, () => ['deferred', 1, true]),
  )
  assert.equal(rig.grants.length, 0)
  rig.advance(2 * minuteMs, secondMs)
  assert.deepEqual(
    rig.grants.reduce((sum, { recipients }) => sum + recipients.length, 0),
    3,
  )
})

for (const kind of ['deferred', 'bounced', 'uncertain'] as const) {
  test(`when the message is ${kind} for those who were taken, the rest waits for the retry: nobody loops`, () => {
    const rig = oneMessage(4)
    take(rig, rig.grants[0] as Grant, 2, kind)
    assert.equal(rig.grants.length, 0)
    assert.deepEqual(
      rig.settled.map(({ outcome }) => outcome.kind),
      [kind, kind, 'deferred', 'deferred'],
    )
    rig.check()
  })
}

test('the worst receiver has as many transactions as there are recipients, and never a grant for nobody', () => {
  const rig = oneMessage(40, 3)
  let transactions = 0
  for (let grant = rig.grants[0]; grant !== undefined; grant = rig.grants[0]) {
    transactions += 1
    take(rig, grant, 1)
    rig.check()
  }
  assert.deepEqual([transactions, rig.live], [40, 0])
})

test('transactions under way together that tell different numbers: the smallest is remembered', () => {
  const rig = new ShapeRig({ route: () => null, scheduler: { recipientsPerTransaction: 20 } })
  rig.submit({ recipients: 60 })
  rig.routed('example.net', { site: siteOf(0, 2), validForMs: hourMs })
  const [one, other] = rig.grants as [Grant, Grant]
  take(rig, one, 7)
  take(rig, other, 12)
  assert.deepEqual(sizes(rig), [7, 7])
})

test('one of them whose life is over goes with the next transaction or ends, and is not asked for ever', () => {
  const rig = oneMessage(5)
  rig.step({ kind: 'hold', hold: true })
  take(rig, rig.grants[0] as Grant, 2)
  assert.equal(rig.live, 3)
  rig.advance(73 * hourMs, minuteMs)
  assert.equal(rig.live, 0)
  rig.check()
  rig.step({ kind: 'hold', hold: false })
  assert.equal(rig.grants.length, 0)
})

test('limit shape.recipients-learned: for ten minutes no transaction is larger than what was taken, then one is', () => {
  for (const beside of [-1, 0, 1]) {
    const rig = oneMessage(3)
    take(rig, rig.grants[0] as Grant, 2)
    take(rig, rig.grants[0] as Grant, 2)
    rig.step({ kind: 'hold', hold: true })
    rig.submit({ recipients: 3 })
    rig.nowMs = startMs + recipientsLearnedMs.value + beside
    rig.step({ kind: 'hold', hold: false })
    assert.deepEqual(sizes(rig), [beside < 0 ? 2 : 3])
  }
})
