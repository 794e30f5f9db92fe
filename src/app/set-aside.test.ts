import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { storesSetAsideMax } from './limits.ts'
import { setAside } from './set-aside.ts'

function dataDirectory(t: TestContext, ...names: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-aside-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const name of names) {
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'day.sqlite'), name)
  }
  return directory
}

test('limit app.stores-set-aside: three are kept, with a fourth the oldest is removed', (t) => {
  const data = dataDirectory(t)
  for (let round = 1; round <= storesSetAsideMax.value + 1; round++) {
    mkdirSync(join(data, 'store'))
    const { to, removed } = setAside(join(data, 'store'))
    assert.equal(to, join(data, `store.other-${round}`))
    assert.deepEqual(removed, round <= storesSetAsideMax.value ? [] : [join(data, 'store.other-1')])
  }
  assert.deepEqual(readdirSync(data).sort(), ['store.other-2', 'store.other-3', 'store.other-4'])
})

test('the oldest is the one with the lowest number, not with the first name; of many that were left before, all but three go', (t) => {
  const old = [1, 2, 8, 9, 10, 11].map((number) => `store.other-${number}`)
  const data = dataDirectory(t, 'store', ...old)
  assert.deepEqual(setAside(join(data, 'store')), {
    to: join(data, 'store.other-12'),
    removed: ['store.other-1', 'store.other-2', 'store.other-8', 'store.other-9'].map((name) => join(data, name)),
  })
  assert.deepEqual(readdirSync(data).sort(), ['store.other-10', 'store.other-11', 'store.other-12'])
})

test('what an operator has put beside it is left alone', (t) => {
  const theirs = ['store.other-1.bak', 'store.other-', 'store.other-x', 'store.other-02', 'stores', 'my.store.other-1']
  const data = dataDirectory(t, 'store', 'store.other-3', 'store.other-4', 'store.other-5', ...theirs)
  assert.deepEqual(setAside(join(data, 'store')).removed, [join(data, 'store.other-3')])
  for (const name of theirs) assert.ok(existsSync(join(data, name)), name)
})
