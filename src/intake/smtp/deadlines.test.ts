import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Clock, VirtualClock } from '../../kernel/clock.ts'
import { Deadlines } from './deadlines.ts'

const waitMs = 300_000

/** A member that leaves when it is due. */
class Waiting {
  dueMs: number
  endedAtMs = -1
  readonly #clock: Clock
  readonly #deadlines: Deadlines

  constructor(clock: Clock, deadlines: Deadlines) {
    this.#clock = clock
    this.#deadlines = deadlines
    this.dueMs = clock.monotonicMs() + waitMs
    deadlines.add(this)
  }

  startAgain(): void {
    this.dueMs = this.#clock.monotonicMs() + waitMs
  }

  leave(): void {
    this.#deadlines.delete(this)
  }

  onDue(): void {
    this.endedAtMs = this.#clock.monotonicMs()
    this.leave()
  }
}

/** Counts the timers that are set. */
class CountingClock extends VirtualClock {
  timers = 0
  override after(delayMs: number, fire: () => void): ReturnType<VirtualClock['after']> {
    this.timers++
    return super.after(delayMs, fire)
  }
}

test('a member alone is due to the millisecond', () => {
  const clock = new VirtualClock()
  const member = new Waiting(clock, new Deadlines(clock))
  clock.advance(waitMs - 1)
  assert.equal(member.endedAtMs, -1)
  clock.advance(1)
  assert.equal(member.endedAtMs, waitMs)
})

test('limit smtp.deadline-sweep: whatever members do, nobody ends early, and nobody more than a second late', () => {
  const step = fc.record({
    passMs: fc.integer({ min: 0, max: 100_000 }),
    who: fc.nat(9),
    what: fc.constantFrom('again', 'again', 'leave', 'come' as const),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = new VirtualClock()
      const deadlines = new Deadlines(clock)
      const members: Waiting[] = [new Waiting(clock, deadlines)]
      const left = new Set<Waiting>()
      for (const { passMs, who, what } of steps) {
        clock.advance(passMs)
        const member = members[who % members.length] as Waiting
        if (what === 'come') members.push(new Waiting(clock, deadlines))
        else if (member.endedAtMs < 0 && what === 'again') member.startAgain()
        else if (member.endedAtMs < 0) {
          member.leave()
          left.add(member)
        }
      }
      clock.advance(waitMs + 1_000)
      for (const member of members) {
        if (left.has(member)) assert.equal(member.endedAtMs, -1)
        else assert.ok(member.endedAtMs >= member.dueMs && member.endedAtMs <= member.dueMs + 1_000)
      }
    }),
  )
})

test('ten thousand members that are busy for ten minutes cost two sweeps, and none is left when they are gone', () => {
  const clock = new CountingClock()
  const deadlines = new Deadlines(clock)
  const members = Array.from({ length: 10_000 }, () => new Waiting(clock, deadlines))
  for (let second = 0; second < 600; second += 100) {
    clock.advance(100_000)
    for (const member of members) member.startAgain()
  }
  assert.ok(clock.timers <= 3, `${clock.timers} timers`)
  for (const member of members) member.leave()
  const before = clock.timers
  clock.advance(10 * waitMs)
  assert.equal(clock.timers, before)
})
