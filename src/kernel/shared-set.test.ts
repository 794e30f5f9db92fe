import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { anyCharacter } from '../../test/support/any-character.ts'
import { seededRandom } from './random.ts'
import { makeSetMemory, SharedSet } from './shared-set.ts'

const newSet = (entries = 0): SharedSet => new SharedSet(makeSetMemory(entries, seededRandom(1)))

test('whatever is added and removed, it says what a Set says, also after it has grown', () => {
  const text = fc.oneof(fc.nat(40).map(String), fc.string({ unit: anyCharacter, maxLength: 40 }))
  const step = fc.record({ verb: fc.constantFrom('add', 'add', 'remove', 'grow'), text })
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const model = new Set<string>()
    const seen = new Set<string>()
    let set = newSet()
    for (const { verb, text: one } of steps) {
      seen.add(one)
      if (set.full || verb === 'grow') set = set.grown()
      if (verb === 'add') {
        assert.equal(set.add(one), !model.has(one))
        model.add(one)
      } else if (verb === 'remove') assert.equal(set.remove(one), model.delete(one))
      assert.equal(set.size, model.size)
    }
    const reader = new SharedSet(set.memory)
    for (const one of seen) assert.equal(reader.has(one), model.has(one))
  })
  fc.assert(property, { numRuns: 50 })
})

test('it is full at 5/8, takes some more, and never lets a search go on for ever', () => {
  const set = newSet(1_000)
  let n = 0
  while (!set.full) set.add(String(n++))
  const slots = (set.memory.byteLength - 32) / 16
  assert.equal(n, (slots * 5) / 8)
  assert.throws(
    () => {
      for (; n < slots; n++) set.add(String(n))
    },
    { name: 'InvariantBroken', message: /larger one/ },
  )
  assert.equal(n, (slots * 7) / 8)
  assert.equal(set.has('nobody'), false)
  const larger = set.grown()
  assert.equal(larger.size, n)
  assert.equal(larger.full, false)
  for (let i = 0; i < n; i++) assert.ok(larger.has(String(i)))
  assert.equal(larger.has('nobody'), false)
})

test('the same text again and again takes one slot, and what was removed is gone when it grows', () => {
  const set = newSet()
  for (let i = 0; i < 10_000; i++) {
    set.add('ann')
    set.remove('ann')
  }
  assert.deepEqual([set.size, set.full, set.has('ann')], [0, false, false])
  for (let i = 0; !set.full; i++) {
    set.add(String(i))
    set.remove(String(i))
  }
  const { memory, size } = set.grown()
  assert.deepEqual([size, memory.byteLength], [0, newSet().memory.byteLength])
})

test('it doubles when it grows', () => {
  let set = newSet()
  for (let n = 0; n < 10_000; n++) {
    if (set.full) {
      const { byteLength } = set.memory
      set = set.grown()
      assert.equal(set.memory.byteLength - 32, (byteLength - 32) * 2)
    }
    set.add(String(n))
  }
})

test('a set of a million takes 26 to 51 bytes each', () => {
  for (const entries of [600_000, 1_000_000, 1_300_000]) {
    const each = makeSetMemory(entries, seededRandom(1)).byteLength / entries
    assert.ok(each > 25 && each < 52, `${entries}: ${each}`)
  }
})

/** Asks while the other thread writes: what was there before stays, what was confirmed is there, what was never added is not. */
const reader = `
const { workerData: { memory, progress, module, steps }, parentPort } = require('node:worker_threads')
import(module).then(({ SharedSet }) => {
  const set = new SharedSet(memory)
  const done = new Int32Array(progress)
  const wrong = []
  let asked = 0
  const expect = (text, found) => { if (set.has(text) !== found && wrong.length < 5) wrong.push(text) }
  parentPort.postMessage('ready')
  for (let n = 0; n < steps; ) {
    n = Atomics.load(done, 0)
    expect('always', true)
    for (let back = 1; back <= 8 && back <= n; back++) expect('kept ' + (n - back), true)
    for (let back = 1; back <= 8 && back <= n; back++) expect('gone ' + (n - back), false)
    expect('never ' + n, false)
    asked++
  }
  parentPort.postMessage({ wrong, asked })
})`

test('a thread that asks while another one writes sees what was before or what is after', async (t) => {
  const steps = 60_000
  const set = newSet(steps * 2)
  const progress = new SharedArrayBuffer(4)
  const done = new Int32Array(progress)
  set.add('always')
  const module = new URL('./shared-set.ts', import.meta.url).href
  const worker = new Worker(reader, { eval: true, workerData: { memory: set.memory, progress, module, steps } })
  t.after(() => worker.terminate())
  assert.deepEqual(await once(worker, 'message'), ['ready'])
  for (let n = 0; n < steps; n++) {
    set.add(`kept ${n}`)
    set.add(`gone ${n}`)
    set.remove(`gone ${n}`)
    set.remove('always toggled')
    set.add('always toggled')
    Atomics.store(done, 0, n + 1)
  }
  const [{ wrong, asked }] = (await once(worker, 'message')) as [{ wrong: string[]; asked: number }]
  assert.deepEqual(wrong, [])
  assert.ok(asked > 1)
})
