/**
 * SQLite as the day files, the catalogue and the tally use it: synchronous, written by the one thread that keeps the message store. A commit is in the
 * write-ahead log, and on disk after `syncAhead`; `checkpoint` moves it into the file itself. Other threads may do both for it.
 */
import { chmodSync, closeSync, fdatasyncSync, openSync, statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { PosthasteError } from '../kernel/errors.ts'
import { lockWaitMsMax } from './limits.ts'

export interface FileKind {
  /** For messages: "day file". */
  readonly what: string
  readonly version: number
  /** Creates what version 0 lacks. */
  readonly schema: string
  /** For all others; then nobody else can checkpoint it. */
  readonly locked: boolean
  readonly cacheBytes: number
}

/**
 * Opens or creates the file, mode 0600. Throws PosthasteError: `store_newer`, `store_in_use`, `store_full`, `store_failed`, `store_unreadable`; with
 * `store_damaged` it is not a database any more. Whatever it throws, the file's rows are as they were.
 */
export function openFile(path: string, kind: FileKind): DatabaseSync {
  makePrivateFile(path)
  const database = run(path, () => new DatabaseSync(path, { timeout: lockWaitMsMax.value }))
  try {
    run(path, () => prepare(path, database, kind))
  } catch (error) {
    closeQuietly(database)
    throw error
  }
  return database
}

/** SQLite gives its other files the mode of this one. */
function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
  } catch (cause) {
    throw new PosthasteError(
      'store_unreadable',
      `cannot open ${path}: ${(cause as Error).message}`,
      'Make the directory and the file belong to the user that runs posthaste, and see that its disk has room.',
      { exitCode: 73, cause },
    )
  }
}

function prepare(path: string, database: DatabaseSync, { what, version, schema, locked, cacheBytes }: FileKind) {
  // Before the journal mode: a write-ahead log that only one opener uses needs no shared memory.
  if (locked) database.exec('PRAGMA locking_mode = EXCLUSIVE')
  const found = numberOf(database, 'PRAGMA user_version')
  if (found > version) {
    throw new PosthasteError(
      'store_newer',
      `${path} is a ${what} of version ${found}, and this program knows up to ${version}`,
      'Run the newer posthaste again, or move the directory of the message store away to begin a new one.',
      { exitCode: 78 },
    )
  }
  database.exec('PRAGMA journal_mode = WAL')
  // Commits are synced by `syncAhead`; what is left to SQLite is the order of what it writes around a checkpoint.
  database.exec('PRAGMA synchronous = NORMAL')
  // SQLite forgets errors of the checkpoints that it makes by itself, and then the next one would seem to have succeeded.
  database.exec('PRAGMA wal_autocheckpoint = 0')
  database.exec(`PRAGMA cache_size = ${-Math.ceil(cacheBytes / 1024)}`)
  if (found === version) return
  database.exec(`BEGIN IMMEDIATE; ${schema}; PRAGMA user_version = ${version}; COMMIT`)
}

/**
 * What was committed before survives a power cut. The write-ahead log has no locks on it, so a descriptor of it may be closed; one of the file itself may
 * not, because that would let go what SQLite holds (https://sqlite.org/howtocorrupt.html, section 2.2).
 */
export function syncAhead(path: string): void {
  run(path, () => {
    if (aheadBytesAt(path) === 0) return
    const ahead = openSync(aheadPath(path), 'r')
    try {
      fdatasyncSync(ahead)
    } finally {
      closeSync(ahead)
    }
  })
}

/** Moves what was written ahead into the file itself, fsyncs both and empties the write-ahead log. False when somebody reads it: later, then. */
export function checkpoint(path: string, database: DatabaseSync): boolean {
  const row = run(path, () => database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get())
  return row?.['busy'] === 0
}

/** The same as far as the one who writes does not go on meanwhile, by a connection of its own. */
export function checkpointBeside(path: string): void {
  run(path, () => {
    // A file that is gone must not be made.
    if (aheadBytesAt(path) === 0) return
    const database = new DatabaseSync(path, { timeout: lockWaitMsMax.value })
    try {
      database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
    } finally {
      database.close()
    }
  })
}

/** Written ahead of the file. */
export const aheadBytesAt = (path: string): number => sizeOf(aheadPath(path))

const aheadPath = (path: string): string => `${path}-wal`

export const bytesAt = (path: string): number => sizeOf(path) + aheadBytesAt(path)

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** After a failure there is nothing that closing could add. */
export function closeQuietly(database: DatabaseSync): void {
  try {
    database.close()
  } catch {
    // The failure that led here is the one to tell of.
  }
}

export function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0] ?? 0)
}

/** Every statement of a list, by its name there. */
export function prepareAll<Name extends string>(
  database: DatabaseSync,
  sql: Readonly<Record<Name, string>>,
): Record<Name, StatementSync> {
  const prepared = Object.entries<string>(sql).map(([name, text]) => [name, database.prepare(text)])
  return Object.fromEntries(prepared) as Record<Name, StatementSync>
}

export function run<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explained(path, error)
  }
}

/** By SQLite's primary result codes (https://sqlite.org/rescode.html). */
const explanations: ReadonlyMap<number, readonly [code: string, what: string, cure: string, exitCode: number]> =
  new Map([
    [5, ['store_in_use', 'is in use', 'Stop the other posthaste that runs on this data directory.', 69]],
    [6, ['store_in_use', 'is in use', 'Stop the other posthaste that runs on this data directory.', 69]],
    [8, ['store_unreadable', 'may not be written', 'Make it writable for the user that runs posthaste.', 73]],
    [10, ['store_failed', 'cannot be read or written', 'Look for errors of the disk in the system log.', 74]],
    [11, ['store_damaged', 'is damaged', 'Start again: it is set aside, and read again from the logs.', 74]],
    [13, ['store_full', 'has no room left on its disk', 'Free some space, or lower store.size_max.', 74]],
    [14, ['store_unreadable', 'cannot be opened', 'Make it belong to the user that runs posthaste.', 73]],
    [26, ['store_damaged', 'is not a database', 'Start again: it is set aside, and read again from the logs.', 74]],
  ])

/** Of SQLite or of the file system; anything else is our mistake, and stays what it is. */
export function explained(path: string, error: unknown): unknown {
  const {
    errcode,
    syscall,
    message,
    code: name,
  } = error as Partial<Record<'syscall' | 'message' | 'code', string>> & { errcode?: number }
  if (error instanceof PosthasteError || (errcode === undefined && syscall === undefined)) return error
  const isFull = errcode === noRoomForSharedMemory || name === 'ENOSPC' || name === 'EDQUOT'
  const explanation = explanations.get(isFull ? full : (errcode ?? fileSystemError) & 0xff)
  if (explanation === undefined) return error
  const [code, what, cure, exitCode] = explanation
  return new PosthasteError(code, `${path} ${what} (${message})`, cure, { exitCode, cause: error })
}

const fileSystemError = 10
const full = 13
/** SQLITE_IOERR_SHMSIZE: the file of the memory that two connections share could not be made longer. */
const noRoomForSharedMemory = 10 | (19 << 8)

export const isDamage = (error: unknown): boolean => error instanceof PosthasteError && error.code === 'store_damaged'
