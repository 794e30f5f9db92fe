import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { untilSignal } from './signals.ts'

function world() {
  const source = new EventEmitter()
  const clock = new VirtualClock()
  const said: string[] = []
  const stopped = untilSignal({
    source,
    clock,
    onDrain: (signal) => said.push(`drain for ${signal}`),
    onImpatience: () => said.push('end at once'),
  })
  return { source, clock, said, stopped }
}

test('the first signal asks to drain', async () => {
  const { source, said, stopped } = world()
  source.emit('SIGTERM', 'SIGTERM')
  assert.equal(await stopped, 'SIGTERM')
  assert.deepEqual(said, ['drain for SIGTERM'])
})

test('one Ctrl-C that npm passes on besides the terminal is one signal', () => {
  const { source, clock, said } = world()
  source.emit('SIGINT', 'SIGINT')
  clock.advance(999)
  source.emit('SIGINT', 'SIGINT')
  assert.deepEqual(said, ['drain for SIGINT'])
})

test('a second Ctrl-C ends the process at once', () => {
  const { source, clock, said } = world()
  source.emit('SIGINT', 'SIGINT')
  clock.advance(1_000)
  source.emit('SIGINT', 'SIGINT')
  assert.deepEqual(said, ['drain for SIGINT', 'end at once'])
})
