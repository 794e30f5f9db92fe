import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import { watchHealth } from './health-watch.ts'

test('that mail is refused is logged once, and that it is accepted again once it stays so', () => {
  const clock = new VirtualClock()
  const engine = {
    state: 'ready',
    full: false,
    health: () => ({ ready: !engine.full, reasons: engine.full ? ['full'] : [] }),
  }
  const said: unknown[] = []
  const log = { warn: (...line: unknown[]) => void said.push(line), info: (...line: unknown[]) => void said.push(line) }
  watchHealth(engine, log, clock)

  clock.advance(5 * secondMs)
  assert.deepEqual(said, [])
  for (let i = 0; i < 20; i++) {
    engine.full = i % 2 === 0
    clock.advance(secondMs)
  }
  assert.deepEqual(said, [[{ reasons: ['full'] }, 'mail is refused']])
  clock.advance(20 * secondMs)
  assert.deepEqual(said.slice(1), [[{}, 'mail is accepted again']])
  engine.full = true
  engine.state = 'draining'
  clock.advance(20 * secondMs)
  assert.equal(said.length, 2, 'what ends says so itself')
})
