import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { PosthasteError } from '../kernel/errors.ts'
import { takeSpoolLock } from './lock.ts'

test('row 113: a second taker of the same directory is refused, and told whom to stop', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-lock-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const release = takeSpoolLock(directory)
  assert.throws(
    () => takeSpoolLock(directory),
    (error) =>
      error instanceof PosthasteError &&
      error.code === 'data_in_use' &&
      error.message.includes(String(process.pid)) &&
      error.exitCode === 69,
  )
  release()
  takeSpoolLock(directory)()
  assert.equal(readFileSync(join(directory, 'lock.pid'), 'utf8'), `${process.pid}\n`)
})

test('row 114: a place that cannot be used is refused before anything listens, with the cure', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-lock-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'a-file')
  writeFileSync(file, '')
  // Below /proc nothing can be made, and a recursive mkdir would try for ever.
  for (const place of [file, join(file, 'below'), '/proc/posthaste/data']) {
    assert.throws(
      () => takeSpoolLock(place),
      (error) =>
        error instanceof PosthasteError &&
        error.code === 'data_unwritable' &&
        error.exitCode === 73 &&
        error.cure.includes('--data'),
    )
  }
})
