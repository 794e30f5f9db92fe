import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runKeyedThreads } from '../crash/keyed-threads.ts'
import { folder } from '../support/scenario.ts'

test('the thread that hands out keys, one that accepts, and both at once die under load: one message per key', async (t) => {
  const result = await runKeyedThreads({ directory: folder(t), intakeThreads: 2, kills: 3, seed: 1 })
  assert.deepEqual(result.violations, [])
  assert.ok(result.accepted > 0 && result.conflicts > 0)
})
