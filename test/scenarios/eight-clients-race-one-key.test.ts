import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runIdempotency } from '../crash/idempotency.ts'
import { folder } from '../support/scenario.ts'

test('eight clients race for each of 200 keys, through a restart and kill -9: one message per key, and the same answer ever after', async (t) => {
  const result = await runIdempotency({
    directory: folder(t),
    intakeThreads: 2,
    keys: 200,
    kills: 1,
    seed: 1,
    progress: () => {},
  })
  assert.deepEqual(result.violations, [])
  assert.ok(result.accepted > 0 && result.conflicts > 0 && result.arrivals >= result.keys)
})
