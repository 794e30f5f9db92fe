/**
 * One process per data directory. The lock is SQLite's own lock on an empty database: taken and released by the operating system with the
 * process, so that no kill leaves it behind, and portable without an add-on.
 */
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PosthasteError } from '../kernel/errors.ts'

/**
 * Returns the release. @throws PosthasteError `data_in_use` when another process holds it, `data_unwritable` when the directory cannot be used.
 */
export function takeSpoolLock(dataDirectory: string): () => void {
  const pidFile = join(dataDirectory, 'lock.pid')
  let database: DatabaseSync
  try {
    makeDirectories(dataDirectory)
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

/** Level by level: below /proc, where nothing can be made, Node's own recursion tries for ever. */
function makeDirectories(path: string): void {
  const missing: string[] = []
  for (let at = path; !existsSync(at); at = dirname(at)) missing.push(at)
  for (const directory of missing.reverse()) {
    try {
      mkdirSync(directory, { mode: 0o700 })
    } catch (error) {
      // Another process may have been faster; which of the two goes on is the lock's to decide.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  if (!statSync(path).isDirectory()) throw new Error('it is not a directory')
  // SQLite would only say that it cannot open its file.
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
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
