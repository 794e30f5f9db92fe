import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { minuteMs } from '../kernel/units.ts'
import { Crew, sumFigures } from './crew.ts'
import { restartPauseMsMax } from './limits.ts'
import type { Thread } from './thread.ts'

/** Threads that are only counted. */
function crewOf(count: number): { crew: Crew; clock: VirtualClock; hired: number[] } {
  const clock = new VirtualClock()
  const hired: number[] = []
  const answer = { kind: 'figures', figures: { intake: { connections: 2, counters: { messages: 5 } } } }
  const thread = { ask: async () => answer, worker: { terminate: async () => 0 } } as unknown as Thread
  const crew = new Crew(
    count,
    (index) => {
      hired.push(index)
      return thread
    },
    clock,
  )
  crew.start()
  return { crew, clock, hired }
}

test('limit app.restart-pause: at once the first time, then later and later up to it; a quiet minute forgets', () => {
  const { crew, clock, hired } = crewOf(2)
  const pauses: number[] = []
  for (let death = 0; death < 12; death++) {
    const before = hired.length
    crew.died(1)
    let pauseMs = 0
    for (; hired.length === before; pauseMs += 50) clock.advance(50)
    pauses.push(pauseMs)
  }
  assert.deepEqual(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000])
  assert.equal(pauses.at(-1), restartPauseMsMax.value)
  clock.advance(minuteMs + 1)
  const before = hired.length
  crew.died(1)
  assert.equal(hired.length, before + 1)
  assert.deepEqual(
    crew.status.map(({ restarts }) => restarts),
    [0, 13],
  )
})

test('what a thread had counted is counted still when it is gone', async () => {
  const { crew } = crewOf(2)
  assert.deepEqual(sumFigures(await crew.figures()).intake, { connections: 4, counters: { messages: 10 } })
  crew.died(0)
  assert.deepEqual(sumFigures(await crew.figures()).intake, { connections: 4, counters: { messages: 15 } })
  crew.died(0)
  crew.stop()
  assert.deepEqual(sumFigures(await crew.figures()).intake, { connections: 2, counters: { messages: 15 } })
})

test('whoever dies after the crew was stopped is not replaced', () => {
  const { crew, clock, hired } = crewOf(1)
  crew.stop()
  crew.died(0)
  clock.advance(minuteMs)
  assert.deepEqual(hired, [0])
})
