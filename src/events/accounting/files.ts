/** The calls to the file system that accounting makes: none of them blocks the thread. Tests put slow and failing ones here. */
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'

export interface PlacedFile {
  /** As text: some file systems number beyond 2⁵³. */
  readonly inode: string
  readonly bytes: number
  /** 0: its name is gone. */
  readonly links: number
  readonly modifiedMs: number
}

export interface AccountingFile {
  /** Returns how many bytes there were; 0 at the end. */
  read(into: Buffer, position: number): Promise<number>
  /** May write less; returns how much. */
  write(bytes: Buffer, position: number): Promise<number>
  truncate(bytes: number): Promise<void>
  /** fdatasync */
  sync(): Promise<void>
  place(): Promise<PlacedFile>
  close(): Promise<void>
}

export interface AccountingFiles {
  /** With its parents; no error when it is there. */
  makeDirectory(path: string): Promise<void>
  /** Names; none when there is no such directory. */
  list(directory: string): Promise<string[]>
  /** Null: there is no such file. */
  place(path: string): Promise<PlacedFile | null>
  /** For reading; or for reading and writing a file that is there ('write') or is not ('create'). */
  open(path: string, how: 'read' | 'write' | 'create'): Promise<AccountingFile>
  rename(from: string, to: string): Promise<void>
  /** No error when it is not there. */
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

/** Readable for the group, because shippers read them under a user of their own; less what umask takes away. */
const fileMode = 0o640
const directoryMode = 0o750

const flags = { read: 'r', write: 'r+', create: 'wx+' } as const

/**
 * One call at a time, whoever makes it: the threads of libuv are few and shared with all others of the process, and a disk that hangs must hold no
 * more than one of them.
 */
export function systemFiles(): AccountingFiles {
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(call: () => Promise<T>): Promise<T> => {
    const turn = last.then(call, call)
    last = turn
    // Whoever made the call hears of its failure; the one behind it goes on.
    turn.catch(() => undefined)
    return turn
  }
  return {
    makeDirectory: (path) => inTurn(async () => void (await fs.mkdir(path, { recursive: true, mode: directoryMode }))),
    list: (directory) => inTurn(() => orElse(fs.readdir(directory), [])),
    place: (path) => inTurn(async () => placeOf(await orElse(fs.stat(path, { bigint: true }), null))),
    open: (path, how) => inTurn(async () => openedFile(await fs.open(path, flags[how], fileMode), inTurn)),
    rename: (from, to) => inTurn(() => fs.rename(from, to)),
    remove: (path) => inTurn(() => fs.rm(path, { force: true })),
    syncDirectory: (path) => inTurn(() => syncDirectory(path)),
  }
}

function openedFile(handle: fs.FileHandle, inTurn: <T>(call: () => Promise<T>) => Promise<T>): AccountingFile {
  return {
    read: (into, position) => inTurn(async () => (await handle.read(into, 0, into.length, position)).bytesRead),
    write: (bytes, position) => inTurn(async () => (await handle.write(bytes, 0, bytes.length, position)).bytesWritten),
    truncate: (bytes) => inTurn(() => handle.truncate(bytes)),
    sync: () => inTurn(() => handle.datasync()),
    place: () => inTurn(async () => placeOf(await handle.stat({ bigint: true }))),
    close: () => inTurn(() => handle.close()),
  }
}

type Stats = Awaited<ReturnType<typeof bigStat>>
const bigStat = (path: string) => fs.stat(path, { bigint: true })

function placeOf(stats: Stats): PlacedFile
function placeOf(stats: Stats | null): PlacedFile | null
function placeOf(stats: Stats | null): PlacedFile | null {
  if (stats === null) return null
  const { ino, size, nlink, mtimeMs } = stats
  return { inode: String(ino), bytes: Number(size), links: Number(nlink), modifiedMs: Number(mtimeMs) }
}

/** A name is on disk when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await fs.open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function orElse<T>(found: Promise<T>, missing: T): Promise<T> {
  try {
    return await found
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return missing
  }
}

/** Short writes are gone on with. */
export async function writeAll(file: AccountingFile, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const wrote = await file.write(bytes.subarray(done), position + done)
    if (wrote === 0) throw new Error('nothing could be written')
    done += wrote
  }
}
