/** Any order of events: what shape.ts promises always holds, and everything comes to an end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { suppressedOutcome } from '../model/outcome.ts'
import { hourMs, minuteMs } from '../kernel/units.ts'
import { outcomeOf, ShapeRig, siteOf, startMs } from '../../test/support/shape-rig.ts'
import { none } from '../kernel/timer-wheel.ts'
import { slotStates } from './slots.ts'

type Command =
  | { kind: 'submit'; domain: number; tenant: number; recipients: number; dueInMs: number; refused: boolean }
  | { kind: 'report'; pick: number; outcome: number; last: number }
  | { kind: 'ahead'; pick: number }
  | { kind: 'route'; pick: number; site: number; validForMs: number }
  | { kind: 'advance'; byMs: number }
  | { kind: 'hold'; hold: boolean }

const outcomes = [
  outcomeOf('delivered'),
  outcomeOf('bounced'),
  outcomeOf('deferred'),
  outcomeOf('uncertain'),
  outcomeOf('deferred', 'message'),
  outcomeOf('deferred', 'site'),
  { ...outcomeOf('delivered', 'message'), stage: 'final' },
  { ...outcomeOf('deferred'), code: 452, enhanced: '4.5.3' },
] as const
const small = fc.nat({ max: 7 })

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      domain: fc.nat({ max: 5 }),
      tenant: fc.nat({ max: 2 }),
      recipients: fc.integer({ min: 1, max: 12 }),
      dueInMs: fc.constantFrom(0, 0, 0, 1_500, minuteMs, 300 * hourMs),
      refused: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      pick: small,
      outcome: fc.nat({ max: outcomes.length - 1 }),
      last: fc.nat({ max: outcomes.length - 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ahead' as const), pick: small }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('route' as const),
      pick: small,
      site: fc.integer({ min: -1, max: 3 }),
      validForMs: fc.constantFrom(0, 1_000, hourMs),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      byMs: fc.constantFrom(250, 1_000, 20_000, 10 * minuteMs, hourMs),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), hold: fc.boolean() }) },
)

/** Late answers of routing, in the order of the test's choice. */
class World {
  readonly rig: ShapeRig
  readonly questions: string[] = []

  constructor(seed: number) {
    this.rig = new ShapeRig({
      seed,
      scheduler: { connectionsMax: 6, recipientsPerTransaction: 5 },
      route: (domain) => {
        assert.ok(!this.questions.includes(domain), 'a question is asked once at a time')
        this.questions.push(domain)
        return null
      },
    })
  }

  run(step: Command): void {
    const { rig } = this
    switch (step.kind) {
      case 'submit':
        rig.submit({
          domain: `${step.domain}.example`,
          tenant: `tenant-${step.tenant}`,
          recipients: step.recipients,
          nextAttemptAtMs: step.dueInMs === 0 ? 0 : rig.nowMs + step.dueInMs,
          ...(step.refused && { refusal: suppressedOutcome() }),
        })
        break
      case 'report': {
        const grant = rig.grants[step.pick % Math.max(1, rig.grants.length)]
        if (grant === undefined) break
        const all = outcomes[step.outcome] as (typeof outcomes)[number]
        const last = outcomes[step.last] as (typeof outcomes)[number]
        rig.report(
          grant,
          grant.recipients.map((_, i) => (i === grant.recipients.length - 1 ? last : all)),
        )
        break
      }
      case 'ahead': {
        const grant = rig.grants[step.pick % Math.max(1, rig.grants.length)]
        if (grant !== undefined) rig.step({ kind: 'ahead', grant })
        break
      }
      case 'route':
        this.answer(step.pick, step.site, step.validForMs)
        break
      case 'advance':
        rig.advance(step.byMs, Math.max(250, step.byMs / 20))
        break
      case 'hold':
        rig.step({ kind: 'hold', hold: step.hold })
    }
  }

  answer(pick: number, site: number, validForMs: number): void {
    const [domain] = this.questions.splice(pick % Math.max(1, this.questions.length), 1)
    if (domain === undefined) return
    if (site < 0) this.rig.routed(domain, { failure: outcomeOf(validForMs === 0 ? 'bounced' : 'deferred') })
    else this.rig.routed(domain, { site: siteOf(site, 1 + site), validForMs })
  }

  /** Every receiver well again: nothing may be left behind. */
  finish(): void {
    this.rig.step({ kind: 'hold', hold: false })
    for (let round = 0; round < 3_000 && this.rig.live > 0; round++) {
      while (this.questions.length > 0) this.answer(0, 0, hourMs)
      this.rig.reportAll(outcomeOf('delivered'))
      if (this.rig.grants.length === 0) this.rig.advance(minuteMs, minuteMs / 4)
    }
  }
}

test('random events: nothing is lost, nothing granted twice, no limit passed, and all of it ends', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120, size: 'max' }), fc.nat(), (steps, seed) => {
      const world = new World(seed)
      for (const step of steps) {
        world.run(step)
        world.rig.check()
        eachSlotStandsInOneList(world.rig)
      }
      world.finish()
      assert.equal(world.rig.live, 0, 'everything comes to an end')
      const ends = world.rig.settled.filter(({ nextAttemptAtMs }) => nextAttemptAtMs === 0)
      assert.equal(new Set(ends.map(({ number, recipient }) => `${number} ${recipient}`)).size, ends.length)
      world.rig.check()
    }),
    { numRuns: 200 },
  )
})

test('the same events with the same seed give the same actions', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60, size: 'max' }), fc.nat(), (steps, seed) => {
      const [one, other] = [new World(seed), new World(seed)]
      for (const step of steps) {
        one.run(step)
        other.run(step)
      }
      assert.deepEqual(one.rig.actions, other.rig.actions)
    }),
    { numRuns: 50 },
  )
})

/** `next` links a slot into at most one list: so no two slots have the same successor. */
function eachSlotStandsInOneList({ scheduler: { slots } }: ShapeRig): void {
  const successors = new Set<number>()
  for (let slot = 0; slot < slots.used; slot++) {
    const next = slots.next[slot] as number
    if (slots.state[slot] === slotStates.inFlight) assert.equal(next, none, 'what is in flight stands in no list')
    if (next === none) continue
    assert.ok(!successors.has(next), `slot ${next} stands in two lists`)
    successors.add(next)
  }
}

test('domains and sites that had no mail for hours are forgotten, and come back when there is some; others stay', () => {
  const rig = new ShapeRig({
    route: (domain) => ({ site: siteOf(Number(domain.slice(1, domain.indexOf('.')))), validForMs: minuteMs }),
  })
  for (let i = 1; i <= 50; i++) rig.submit({ domain: `d${i}.example` })
  const first = [...rig.grants]
  for (const grant of first) {
    rig.report(grant, outcomeOf(grant.site.id === 7 ? 'deferred' : 'delivered'))
  }
  assert.equal(rig.scheduler.sites.size, 50)
  while (rig.nowMs - startMs < 4 * hourMs) {
    rig.advance(10 * minuteMs, minuteMs)
    rig.reportAll(outcomeOf('deferred'))
  }
  assert.deepEqual([...rig.scheduler.sites.keys()], [7])
  rig.submit({ domain: 'd9.example' })
  assert.equal(rig.grants.at(-1)?.site.id, 9)
  rig.reportAll(outcomeOf('delivered'))
  assert.equal(rig.live, 1)
})
