/**
 * One process per data directory. The lock is SQLite's own lock on an empty database: taken and released by the operating system with the
 * process, so that no kill leaves it behind, and portable without an add-on.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PosthasteError } from '../kernel/errors.ts'

/**
 * Returns the release. @throws PosthasteError `data_in_use` when another process holds it, `data_unwritable` when the directory cannot be used.
 */
export function takeSpoolLock(dataDirectory: string): () => void {
  const pidFile = join(dataDirectory, 'lock.pid')
  let database: DatabaseSync
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
    database = new DatabaseSync(join(dataDirectory, 'lock'), { timeout: 0 })
    database.exec('PRAGMA journal_mode=MEMORY')
  } catch (cause) {
    if (isBusy(cause)) throw inUse(dataDirectory, pidFile)
    throw unwritable(dataDirectory, cause)
  }
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if (isBusy(cause)) throw inUse(dataDirectory, pidFile)
    throw unwritable(dataDirectory, cause)
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  chmodSync(join(dataDirectory, 'lock'), 0o600)
  return () => database.close()
}

const isBusy = (error: unknown): boolean => /locked|busy/i.test((error as Error).message)

function inUse(dataDirectory: string, pidFile: string): PosthasteError {
  let holder = 'another process'
  try {
    holder = `process ${readFileSync(pidFile, 'utf8').trim()}`
  } catch {
    // The holder has not written its number yet, or it belongs to another user.
  }
  return new PosthasteError(
    'data_in_use',
    `${dataDirectory} is in use by ${holder}`,
    'stop that Posthaste first, or start this one with its own directory: --data DIR',
    { exitCode: 69 },
  )
}

function unwritable(dataDirectory: string, cause: unknown): PosthasteError {
  return new PosthasteError(
    'data_unwritable',
    `cannot use the data directory ${dataDirectory}: ${(cause as Error).message}`,
    'create it and give it to the user that Posthaste runs as, or choose another one with --data DIR',
    { exitCode: 73, cause },
  )
}
