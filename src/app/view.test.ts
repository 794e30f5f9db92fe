import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusedBy, stateOf, storeReasons } from './view.ts'

test('a message store whose thread cannot be started again is told of, and nothing is said of one that runs', () => {
  const said = (state: 'starting' | 'running' | 'stopped', restarts: number) =>
    storeReasons([{ name: 'events', state, restarts }])
  assert.deepEqual([storeReasons([]), said('starting', 0), said('running', 3)], [[], [], []])
  assert.match(said('starting', 3).join(), /has died 3 times/)
})

test('an engine that refuses mail is not called ready, and what HTTP refused counts too', () => {
  const reasons = ['the disk is below its reserve']
  assert.equal(stateOf({ state: 'ready', health: () => ({ ready: true, reasons: [] }) }), 'ready')
  assert.equal(stateOf({ state: 'ready', health: () => ({ ready: false, reasons }) }), 'degraded')
  assert.equal(stateOf({ state: 'draining', health: () => ({ ready: false, reasons }) }), 'draining')
  assert.equal(refusedBy(null), 0)
  assert.equal(refusedBy({ intake: { messagesRefused: 2, httpMessagesRefused: 3 } }), 5)
})
