import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AnswerCache } from './cache.ts'
import { staleMsMax } from './limits.ts'
import type { Resolved } from './resolver.ts'

const records: Resolved = { kind: 'records', exchangers: [], addresses: ['192.0.2.1'], texts: [] }
const noDomain: Resolved = { kind: 'no-domain' }

test('an answer is fresh for its time to live, counted down', () => {
  const cache = new AnswerCache(10)
  cache.put('a', records, 1_000, 0)
  assert.deepEqual(cache.fresh('a', 400), { resolved: records, ttlMs: 600 })
  assert.equal(cache.fresh('a', 1_000), null)
})

test('limit dns.stale: records serve on for a day when nobody answers, refusals do not', () => {
  const cache = new AnswerCache(10)
  cache.put('a', records, 1_000, 0)
  cache.put('b', noDomain, 1_000, 0)
  assert.equal(cache.stale('b', 5_000, 2_000), null)
  assert.equal(cache.stale('a', 5_000, 2_000), records)
  assert.deepEqual(cache.fresh('a', 3_000), { resolved: records, ttlMs: 4_000 })
  assert.equal(cache.stale('a', 5_000, 999 + staleMsMax.value), records)
  assert.equal(cache.stale('a', 5_000, 1_000 + staleMsMax.value), null)
  assert.equal(cache.stale('unknown', 5_000, 0), null)
})

test('limit dns.cache: at it the least recently used goes: one below, at it, one above', () => {
  const cache = new AnswerCache(3)
  for (const key of ['a', 'b']) cache.put(key, noDomain, 1_000, 0)
  assert.equal(cache.size, 2)
  cache.put('c', noDomain, 1_000, 0)
  assert.equal(cache.size, 3)
  cache.put('c', records, 1_000, 0) // replaced, so nobody has to go
  assert.equal(cache.size, 3)
  cache.fresh('a', 1)
  cache.put('d', noDomain, 1_000, 0)
  assert.equal(cache.size, 3)
  assert.equal(cache.fresh('b', 1), null)
  assert.notEqual(cache.fresh('a', 1), null)
})
