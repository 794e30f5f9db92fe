import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { refusalsAtOnceMax } from './limits.ts'
import { Refusals } from './refusals.ts'

test('limit app.refusals: so many are told at once, one more is counted', () => {
  const clock = new VirtualClock(0)
  const told: (readonly Record<string, unknown>[])[] = []
  const refusals = new Refusals({ refused: (events) => void told.push([...events]) }, clock)
  for (const count of [refusalsAtOnceMax.value - 1, refusalsAtOnceMax.value, refusalsAtOnceMax.value + 1]) {
    for (let i = 0; i < count; i++) refusals.add({ code: 'relay_denied' })
    clock.advance(1_000)
  }
  assert.deepEqual(
    told.map((events) => events.length),
    [refusalsAtOnceMax.value - 1, refusalsAtOnceMax.value, refusalsAtOnceMax.value + 1],
  )
  assert.deepEqual(told[2]?.at(-1), { event: 'refused_omitted', count: 1 })
  assert.equal(told[0]?.[0]?.['time'], '1970-01-01T00:00:00.000Z')
})
