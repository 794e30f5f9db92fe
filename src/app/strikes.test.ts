import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { strikesMax } from './limits.ts'
import { Strikes } from './strikes.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'posthaste-strikes-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const bug = new Error('boom')
const strikesIn = (directory: string, onError: (error: Error) => void = assert.ifError): Strikes =>
  new Strikes(directory, onError)

test('the second death over a message sets it aside, also when the process ended in between', (t) => {
  const directory = folder(t)
  const first = strikesIn(directory)
  assert.equal(first.add(64, bug, 0), false)
  assert.equal(first.add(128, bug, 0), false)
  assert.deepEqual(first.quarantined, [])
  assert.equal(strikesIn(directory).add(64, bug, 1), true)
  assert.deepEqual(strikesIn(directory).quarantined, [64])
  assert.equal(statSync(join(directory, 'strikes.json')).mode & 0o777, 0o600)
})

test('a file that is not what it should be costs nobody his mail', (t) => {
  const directory = folder(t)
  for (const text of ['', '{', '{}', '[null, 1, {"submission":"x"}]']) {
    writeFileSync(join(directory, 'strikes.json'), text)
    assert.deepEqual(strikesIn(directory).quarantined, [])
  }
})

test('where nothing can be written they count all the same, and it is said', (t) => {
  const errors: Error[] = []
  const strikes = strikesIn(join(folder(t), 'gone'), (error) => void errors.push(error))
  strikes.add(64, bug, 0)
  assert.equal(strikes.add(64, bug, 0), true)
  assert.equal(errors.length, 2)
})

test('limit app.strikes: the one that was struck longest ago is forgotten', (t) => {
  const directory = folder(t)
  const strikes = strikesIn(directory)
  for (let number = 1; number <= strikesMax.value; number++) strikes.add(number, bug, 0)
  assert.equal(strikes.add(1, bug, 0), true, 'one at the limit is known')
  strikes.add(strikesMax.value + 1, bug, 0)
  assert.equal(strikes.add(2, bug, 0), false, 'one above it is not')
  assert.deepEqual(strikes.quarantined, [1])
})
