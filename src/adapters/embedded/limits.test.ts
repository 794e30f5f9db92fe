import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readsMax } from './limits.ts'
import { ReadGate } from './read-gate.ts'

test('limit disk.reads: four run at once, the fifth waits for one of them', async () => {
  const gate = new ReadGate(readsMax.value)
  let entered = 0
  const enter = async (): Promise<void> => {
    await gate.enter()
    entered++
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  for (let i = 1; i <= readsMax.value; i++) {
    void enter()
    await turn()
    assert.equal(entered, i)
  }
  void enter()
  await turn()
  assert.equal(entered, readsMax.value)
  gate.leave()
  await turn()
  assert.equal(entered, readsMax.value + 1)
})
