import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NewsCount } from './directory-news.ts'

test('what the snapshot had changes nothing, what follows is taken once, and a gap ends the thread', () => {
  const count = new NewsCount(7)
  assert.deepEqual(
    [6, 7, 8, 8, 7, 9].map((version) => count.isNews({ version })),
    [false, false, true, false, false, true],
  )
  assert.throws(() => count.isNews({ version: 11 }), /hears of every change/)
})
