import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, minuteMs, secondMs } from '../kernel/units.ts'
import { hourlyRetry, outcomeOf, ShapeRig, siteOf, startMs } from '../../test/support/shape-rig.ts'

const year2099Ms = Date.UTC(2099, 0)

test('retries come after 1, 5 and 15 minutes, then hourly, spread by 15 %, and the last one when time is up', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const rig = new ShapeRig({ seed })
    rig.submit()
    const attemptsAtMs: number[] = []
    while (rig.live > 0 && rig.nowMs < startMs + 80 * hourMs) {
      const grant = rig.grants[0]
      if (grant === undefined) {
        rig.advance(secondMs, secondMs)
        continue
      }
      attemptsAtMs.push(rig.nowMs)
      rig.report(grant, outcomeOf('deferred'))
    }
    const gaps = attemptsAtMs.slice(1).map((atMs, i) => atMs - (attemptsAtMs[i] as number))
    for (const [i, expectedMs] of [minuteMs, 5 * minuteMs, 15 * minuteMs].entries()) between(gaps[i], expectedMs)
    for (const gap of gaps.slice(3, -1)) between(gap, hourMs)
    assert.ok((gaps.at(-1) as number) <= 1.15 * hourMs + secondMs)
    // 74 hourly ones on average after the first 21 minutes; the jitter evens out.
    assert.ok(attemptsAtMs.length >= 70 && attemptsAtMs.length <= 82, `${attemptsAtMs.length} attempts`)
    assert.equal(attemptsAtMs.at(-1), startMs + 72 * hourMs)
    const ends = rig.settled.filter(({ nextAttemptAtMs }) => nextAttemptAtMs === 0)
    assert.deepEqual(
      ends.map(({ outcome }) => [outcome.kind, outcome.enhanced]),
      [['expired', '5.4.7']],
    )
    assert.match(
      ends[0]?.outcome.text ?? '',
      new RegExp(`^not delivered within 3d, after ${attemptsAtMs.length} attempts; the last one met: 450 deferred$`),
    )
    rig.check()
  }
})

function between(gapMs: number | undefined, expectedMs: number): void {
  assert.ok(gapMs !== undefined && gapMs >= 0.85 * expectedMs && gapMs <= 1.15 * expectedMs + secondMs, `${gapMs}`)
}

test('a message that wants to live for two hours is given up after two hours, whether it was tried or not', () => {
  const rig = new ShapeRig()
  rig.submit({ lifeS: 7_200 })
  rig.submit({ lifeS: 7_200, domain: 'blocked.example', nextAttemptAtMs: startMs + 3 * hourMs })
  rig.submit({ domain: 'other.example', nextAttemptAtMs: startMs + 3 * hourMs })
  while (rig.nowMs < startMs + 2 * hourMs + 3 * minuteMs) {
    rig.advance(secondMs, secondMs)
    rig.reportAll(outcomeOf('deferred'))
  }
  const ends = rig.settled.filter(({ nextAttemptAtMs }) => nextAttemptAtMs === 0)
  assert.deepEqual(
    ends.map(({ number, outcome }) => [number, outcome.kind, outcome.text.slice(0, 23)]),
    [
      [1, 'expired', 'not delivered within 2h'],
      [2, 'expired', 'not delivered within 2h'],
    ],
  )
  assert.equal(rig.live, 1)
})

test('a receiver is never asked again after the last attempt', () => {
  const rig = new ShapeRig()
  rig.submit({ acceptedAtMs: startMs - 72 * hourMs + minuteMs })
  let attempts = 0
  for (let second = 0; second < 300; second++) {
    rig.advance(secondMs)
    attempts += rig.grants.length
    rig.reportAll(outcomeOf('deferred'))
  }
  assert.deepEqual([attempts, rig.live], [2, 0])
})

test('every outcome of a recipient has a number of its own, the end too', () => {
  const rig = new ShapeRig()
  rig.submit({ acceptedAtMs: startMs - 72 * hourMs + minuteMs })
  rig.reportAll(outcomeOf('deferred'))
  rig.advance(5 * minuteMs)
  rig.reportAll(outcomeOf('deferred'))
  assert.deepEqual(
    rig.settled.map(({ attempt, outcome }) => [attempt, outcome.kind]),
    [
      [1, 'deferred'],
      [2, 'deferred'],
      [3, 'expired'],
    ],
  )
})

test('mail behind a closed gate, and mail whose domain was never found, expires once', () => {
  const rig = new ShapeRig({
    route: (domain) => (domain === 'lost.example' ? null : { site: siteOf(0), validForMs: 1e12 }),
  })
  rig.submit()
  rig.reportAll(outcomeOf('deferred', 'site'))
  for (let i = 0; i < 10; i++) rig.submit({ acceptedAtMs: startMs - 72 * hourMs + 90 * secondMs })
  rig.submit({ domain: 'lost.example', acceptedAtMs: startMs - 72 * hourMs + 90 * secondMs })
  assert.equal(rig.grants.length, 0)
  rig.step({ kind: 'hold', hold: true })
  rig.advance(5 * minuteMs)
  const expired = rig.settled.filter(({ outcome }) => outcome.kind === 'expired')
  assert.equal(expired.length, 11)
  assert.equal(new Set(expired.map(({ number }) => number)).size, 11)
  rig.check()
  rig.routed('lost.example', { site: siteOf(0), validForMs: 1e12 })
  rig.step({ kind: 'hold', hold: false })
  rig.advance(hourMs)
  rig.reportAll(outcomeOf('delivered'))
  assert.equal(rig.live, 0)
  rig.check()
})

test('row 115: a record dated 2099, or due in 2099, waits no longer than the longest back-off', () => {
  const rig = new ShapeRig()
  rig.submit({ nextAttemptAtMs: year2099Ms, attempts: 3 })
  rig.submit({ acceptedAtMs: year2099Ms })
  assert.equal(rig.grants.length, 1)
  rig.advance(1.15 * hourMs + secondMs, secondMs)
  assert.equal(rig.grants.length, 2)
  for (let i = 0; i < 80 && rig.live > 0; i++) {
    rig.reportAll(outcomeOf('deferred'))
    rig.advance(hourMs * 1.2, minuteMs)
  }
  assert.equal(rig.live, 0)
})

test('limit shape.attempts: up to 65,535 they are counted, and the next one is called so as well', () => {
  const rig = new ShapeRig({ scheduler: { retry: { ...hourlyRetry, delaysMs: [secondMs], jitter: 0 } } })
  rig.submit({ attempts: 65_533 })
  for (let i = 0; i < 3; i++) {
    rig.reportAll(outcomeOf('deferred'))
    rig.advance(2 * secondMs)
  }
  assert.deepEqual(
    rig.settled.map(({ attempt }) => attempt),
    [65_534, 65_535, 65_535],
  )
})
