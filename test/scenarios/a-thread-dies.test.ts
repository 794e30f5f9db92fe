import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { runThreadKills } from '../crash/threads.ts'
import { folder } from '../support/scenario.ts'

test('threads that accept, deliver and keep the record die under load: service is back within a second, and no mail and no line is lost', async (t) => {
  const result = await runThreadKills({
    directory: join(folder(t), 'run'),
    layout: { intake: 2, deliver: 2 },
    kills: 4,
    ratePerSecond: 100,
    secondsBetween: { min: 0.1, max: 0.3 },
    seed: 1,
    untilEmpty: false,
    progress: () => {},
  })
  assert.deepEqual(result.violations, [])
  assert.ok(result.delivered > 0)
})
