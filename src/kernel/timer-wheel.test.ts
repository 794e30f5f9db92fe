import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { none, TimerWheel } from './timer-wheel.ts'
import { dayMs, hourMs, secondMs } from './units.ts'

const slotsMax = 512

/** The wheel beside a plain list. Time moves in the steps given; in each, some slots are filed. */
class Pair {
  readonly next = new Uint32Array(slotsMax).fill(none)
  readonly dueMs = new Float64Array(slotsMax)
  /** Slot and the second in which it must fire. */
  readonly #filed = new Map<number, number>()
  readonly #wheel: TimerWheel
  nowMs: number
  #used = 0

  constructor(nowMs: number) {
    this.nowMs = nowMs
    this.#wheel = new TimerWheel(nowMs)
  }

  add(inMs: number): void {
    if (this.#used === slotsMax) return
    const slot = this.#used++
    const dueMs = this.nowMs + inMs
    this.dueMs[slot] = dueMs
    // What is due already fires with the next second.
    this.#filed.set(slot, Math.max(Math.ceil(dueMs / secondMs), Math.floor(this.nowMs / secondMs) + 1))
    this.#wheel.add(slot, dueMs, this.next)
  }

  advance(byMs: number): void {
    this.nowMs += byMs
    const second = Math.floor(this.nowMs / secondMs)
    const fired: number[] = []
    this.#wheel.advance(
      this.nowMs,
      this.next,
      (slot) => this.dueMs[slot] as number,
      (slot) => {
        const due = this.#filed.get(slot)
        assert.ok(due !== undefined && this.#filed.delete(slot), 'fires what was filed, once')
        fired.push(due)
      },
    )
    assert.deepEqual(
      fired,
      fired.toSorted((a, b) => a - b),
      'in order of seconds',
    )
    assert.ok((fired.at(-1) ?? 0) <= second, 'never early')
    for (const due of this.#filed.values()) assert.ok(due > second, 'never late')
    assert.equal(this.#wheel.size, this.#filed.size)
  }

  get waiting(): number {
    return this.#filed.size
  }
}

const wait = fc.oneof(
  fc.integer({ min: -dayMs, max: 300 * secondMs }),
  fc.integer({ min: 0, max: 20 * hourMs }),
  fc.integer({ min: 0, max: 700 * dayMs }),
  fc
    .constantFrom(255, 256, 257, 65_535, 65_536, 65_537, 2 ** 24 - 1, 2 ** 24, 2 ** 24 + 1)
    .map((seconds) => seconds * secondMs),
)
const pass = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 5 * secondMs }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 10 * hourMs }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 20 * dayMs }) },
)

test('fires what a plain list would, up to two years ahead, over short and long steps', () => {
  const step = fc.record({ waits: fc.array(wait, { maxLength: 8 }), pass })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), fc.array(step, { maxLength: 15 }), (nowMs, steps) => {
      const pair = new Pair(nowMs)
      for (const { waits, pass: byMs } of steps) {
        for (const inMs of waits) pair.add(inMs)
        pair.advance(byMs)
      }
    }),
    { numRuns: 60 },
  )
})

test('what is due beyond the 194 days of the wheel waits for its time', () => {
  const pair = new Pair(1_700_000_000_500)
  for (const days of [193, 194.2, 195, 220]) pair.add(days * dayMs)
  for (const [days, waiting] of [
    [192, 4],
    [1.5, 3],
    [1, 2],
    [1, 1],
    [20, 1],
    [5, 0],
  ] as const) {
    pair.advance(days * dayMs)
    assert.equal(pair.waiting, waiting)
  }
})

test('an empty wheel jumps over any time at once', () => {
  const pair = new Pair(0)
  pair.advance(4e15)
  pair.add(1_500)
  pair.advance(1_000)
  assert.equal(pair.waiting, 1)
  pair.advance(1_000)
  assert.equal(pair.waiting, 0)
})

test('a slot may be filed again while it fires', () => {
  const wheel = new TimerWheel(0)
  const next = new Uint32Array(1).fill(none)
  let [dueMs, fired] = [1_000, 0]
  wheel.add(0, dueMs, next)
  wheel.advance(
    600_000,
    next,
    () => dueMs,
    (slot) => {
      fired += 1
      dueMs += 60_000
      wheel.add(slot, dueMs, next)
    },
  )
  assert.deepEqual([fired, wheel.size], [10, 1])
})
