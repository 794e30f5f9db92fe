/**
 * A database in one file, by the SQLite that is part of Node, under Kysely.
 *
 * Write-ahead log, every commit synced (SQLite syncs the directory too when it makes the log, so both names survive a power cut). The file is
 * ours alone: it is locked from opening to closing, a second opener is refused after a short wait, and others never see half a state. Copies are
 * made by asking the engine, not by copying the file.
 *
 * What is deleted leaves no bytes behind, because it may be a private key: pages are cleared, and each commit is moved out of the log at once and
 * the log cut, so that the log never holds more than the last one. Changes here are rare, and may cost two syncs more.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import { PosthasteError } from '../../kernel/errors.ts'
import { lockWaitMsMax } from './limits.ts'

/**
 * Opens or creates `directory/name`, mode 0600; `destroy()` closes it. Throws PosthasteError: `database_in_use`, `database_damaged`,
 * `database_unreadable`; afterwards queries throw them too, and `database_full`, `database_constraint`, `database_failed`.
 */
export async function openSqlite<Schema>(
  directory: string,
  name: string,
  { lockWaitMs = lockWaitMsMax.value }: { lockWaitMs?: number } = {},
): Promise<Kysely<Schema>> {
  // Only the thread that opens a database pays for loading these.
  const [{ DatabaseSync }, { Kysely, SqliteDialect, sql }] = await Promise.all([
    import('node:sqlite'),
    import('kysely'),
  ])
  const path = join(directory, name)
  makePrivateFile(directory, path)
  const database = run(path, () => new DatabaseSync(path, { timeout: Math.min(lockWaitMs, lockWaitMsMax.value) }))
  try {
    run(path, () => prepareFile(database))
  } catch (error) {
    database.close()
    throw error
  }
  const kysely = new Kysely<Schema>({ dialect: new SqliteDialect({ database: asKyselyAsks(path, database) }) })
  // Kysely closes only what it has used.
  await sql`select 1`.execute(kysely)
  return kysely
}

/** SQLite gives its other files the mode of this one. */
function makePrivateFile(directory: string, path: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
  } catch (cause) {
    throw new PosthasteError(
      'database_unreadable',
      `cannot open ${path}: ${(cause as Error).message}`,
      'Make the directory and the file belong to the user that runs posthaste.',
      { exitCode: 73, cause },
    )
  }
}

function prepareFile(database: DatabaseSync): void {
  // Before the journal mode: a write-ahead log that only one opener uses needs no shared memory.
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = FULL')
  database.exec('PRAGMA foreign_keys = ON')
  database.exec('PRAGMA secure_delete = ON')
  database.exec('PRAGMA wal_autocheckpoint = 1')
  database.exec('PRAGMA journal_size_limit = 0')
  // Takes the lock, and keeps it by the first pragma; and reads the file's first page.
  database.exec('BEGIN IMMEDIATE')
  database.exec('SELECT count(*) FROM sqlite_schema')
  database.exec('COMMIT')
}

/** The few calls that Kysely's dialect makes. */
function asKyselyAsks(path: string, database: DatabaseSync): KyselyDatabase {
  return {
    close: () => database.close(),
    prepare(text) {
      const statement: StatementSync = run(path, () => database.prepare(text))
      const values = (parameters: readonly unknown[]): SQLInputValue[] => parameters as SQLInputValue[]
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => run(path, () => statement.all(...values(parameters))),
        run: (parameters) =>
          // SQLite ends a transaction itself when the disk is full: taking back what is no more would hide the reason.
          text === 'rollback' && !database.isTransaction
            ? { changes: 0, lastInsertRowid: 0 }
            : run(path, () => statement.run(...values(parameters))),
        iterate: (parameters) => run(path, () => statement.iterate(...values(parameters))),
      }
    },
  }
}

interface KyselyDatabase {
  close(): void
  prepare(sql: string): {
    readonly reader: boolean
    all(parameters: readonly unknown[]): unknown[]
    run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint }
    iterate(parameters: readonly unknown[]): IterableIterator<unknown>
  }
}

function run<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explained(path, error)
  }
}

/** By SQLite's primary result codes (https://sqlite.org/rescode.html). */
const explanations: ReadonlyMap<number, readonly [code: string, what: string, cure: string, exitCode: number]> =
  new Map([
    [5, ['database_in_use', 'is in use', 'Stop the other posthaste that runs on this data directory.', 69]],
    [6, ['database_in_use', 'is in use', 'Stop the other posthaste that runs on this data directory.', 69]],
    [8, ['database_unreadable', 'may not be written', 'Make it writable for the user that runs posthaste.', 73]],
    [10, ['database_failed', 'cannot be read or written', 'Look for errors of the disk in the system log.', 74]],
    [11, ['database_damaged', 'is damaged', 'Move it away and put back a copy made before.', 74]],
    [13, ['database_full', 'has no room left on its disk', 'Free some space on the disk.', 74]],
    [14, ['database_unreadable', 'cannot be opened', 'Make it belong to the user that runs posthaste.', 73]],
    [19, ['database_constraint', 'refused a row', 'Look at what exists already, and try again.', 70]],
    [26, ['database_damaged', 'is not a database', 'Move it away and put back a copy made before.', 74]],
  ])

/** Anything else is our mistake, and stays what it is. */
function explained(path: string, error: unknown): unknown {
  const number = (error as { errcode?: number }).errcode
  const explanation = number === undefined ? undefined : explanations.get(number & 0xff)
  if (explanation === undefined) return error
  const [code, what, cure, exitCode] = explanation
  const message = `${path} ${what} (${(error as Error).message})`
  return new PosthasteError(code, message, cure, { exitCode, cause: error })
}
