import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeReasons } from './view.ts'

test('a message store whose thread cannot be started again is told of, and nothing is said of one that runs', () => {
  const said = (state: 'starting' | 'running' | 'stopped', restarts: number) =>
    storeReasons([{ name: 'events', state, restarts }])
  assert.deepEqual([storeReasons([]), said('starting', 0), said('running', 3)], [[], [], []])
  assert.match(said('starting', 3).join(), /has died 3 times/)
})
