import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { PosthasteError } from '../kernel/errors.ts'
import { storeDiskMsMax } from './limits.ts'
import { StoreDiskThread } from './store-disk.ts'

const withCode = (code: string) => (error: unknown) =>
  error instanceof PosthasteError && error.code === code && error.cure !== ''

function folder(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-disk-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

/** A database with so much written ahead of it. */
function ahead(t: TestContext, rows: number): { readonly path: string; readonly database: DatabaseSync } {
  const path = join(folder(t), 'x.sqlite')
  const database = new DatabaseSync(path)
  t.after(() => database.close())
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0')
  database.exec('CREATE TABLE rows (row INTEGER PRIMARY KEY, text BLOB); BEGIN')
  for (let row = 0; row < rows; row++) database.prepare('INSERT INTO rows VALUES (?, zeroblob(1000))').run(row)
  database.exec('COMMIT')
  return { path, database }
}

function diskOf(t: TestContext, ...given: ConstructorParameters<typeof StoreDiskThread>): StoreDiskThread {
  const disk = new StoreDiskThread(...given)
  t.after(() => disk.close())
  return disk
}

test('what was written ahead comes into the file while whoever wrote it goes on', async (t) => {
  const { path, database } = ahead(t, 500)
  const disk = diskOf(t)
  const bytesBefore = statSync(path).size
  database.exec('BEGIN IMMEDIATE; DELETE FROM rows WHERE row < 10')
  await disk.sync(path)
  await disk.checkpoint(path)
  database.exec('COMMIT')
  assert.ok(statSync(path).size > bytesBefore + 400_000)
  const row = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
  assert.deepEqual({ ...row }, { busy: 0, log: 0, checkpointed: 0 }, 'nobody else has it open')
  assert.equal(database.prepare('SELECT count(*) AS count FROM rows').get()?.['count'], 490)
})

test('a file that is gone is not made again, and nothing ahead is nothing to do', async (t) => {
  const path = join(folder(t), 'gone.sqlite')
  const disk = diskOf(t)
  await disk.sync(path)
  await disk.checkpoint(path)
  assert.equal(existsSync(path), false)
})

test('whoever waits for the end of all that is under way knows what became of it, and nothing is done after a failure', async (t) => {
  const directory = folder(t)
  const path = join(directory, 'x.sqlite')
  const disk = diskOf(t)
  writeFileSync(path, 'this is no database')
  writeFileSync(`${path}-wal`, 'nor is this ahead of one')
  const failed = assert.rejects(disk.checkpoint(path), withCode('store_damaged'))
  assert.equal(disk.failure, null)
  disk.finish()
  assert.ok(withCode('store_damaged')(disk.failure))
  await failed
  mkdirSync(join(directory, 'y.sqlite-wal'))
  await assert.rejects(disk.sync(join(directory, 'y.sqlite')), withCode('store_damaged'))
})

const answersAfter = (ms: number): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { workerData } from 'node:worker_threads'
      const done = new Int32Array(workerData.done)
      workerData.port.on('message', ({ number }) => setTimeout(() => {
        workerData.port.postMessage({ number, failure: null })
        Atomics.store(done, 0, number)
        Atomics.notify(done, 0)
      }, ${ms}))`)}`,
  )

test('limit app.store-disk: a disk that answers within the time is waited for, one that does not is a failure', (t) => {
  assert.equal(storeDiskMsMax.value, 60_000)
  const slow = diskOf(t, answersAfter(100), 20_000)
  void slow.sync('x')
  slow.finish()
  const stuck = diskOf(t, answersAfter(20_000), 50)
  void stuck.sync('x')
  assert.throws(() => stuck.finish(), withCode('store_failed'))
})
