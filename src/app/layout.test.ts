import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layoutOf } from './layout.ts'

test('by the number of cores: everything on one thread where there are two, and never more deliver threads than are of use', () => {
  const auto = { intake: 'auto', deliver: 'auto' } as const
  const rows = [1, 2, 3, 4, 8, 12, 64].map((cores) => [cores, ...Object.values(layoutOf(auto, cores, true))])
  assert.deepEqual(rows, [
    [1, 0, 0],
    [2, 0, 0],
    [3, 1, 1],
    [4, 1, 1],
    [8, 2, 4],
    [12, 3, 7],
    [64, 16, 8],
  ])
})

test('what is configured is what there is', () => {
  assert.deepEqual(layoutOf({ intake: 2, deliver: 3 }, 1, true), { intake: 2, deliver: 3 })
  assert.deepEqual(layoutOf({ intake: 0, deliver: 'auto' }, 8, true), { intake: 0, deliver: 6 })
  assert.deepEqual(layoutOf({ intake: 'auto', deliver: 0 }, 16, true), { intake: 4, deliver: 0 })
})

test('limit app.intake-threads, limit app.deliver-threads: so many by themselves, and no more on the largest machine', () => {
  const auto = { intake: 'auto', deliver: 'auto' } as const
  assert.deepEqual(
    [63, 64, 68].map((cores) => layoutOf(auto, cores, true).intake),
    [15, 16, 16],
  )
  assert.deepEqual(
    [12, 13, 14].map((cores) => layoutOf(auto, cores, true).deliver),
    [7, 8, 8],
  )
})

test('where threads cannot share a port, one accepts', () => {
  assert.deepEqual(layoutOf({ intake: 'auto', deliver: 'auto' }, 16, false), { intake: 1, deliver: 8 })
})
