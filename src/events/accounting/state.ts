/**
 * acct.state: up to where acct.json was known to be on disk, and what the last records in it were. Written beside the old one, synced and renamed, so there is
 * always a whole one:
 *
 *   checksum in hex, a blank, {"v":1,"inode":"…","bytes":…,"check":…,"began_at_ms":…,"marks":{"intake-0":[position,index],…}}
 *
 * An index below zero, −1 − index, belongs to a record that may have more lines.
 */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type AccountingFiles, writeAll } from './files.ts'
import type { FileEnd } from './file-end.ts'

/** The last line of a log: of which record, and which place in it. */
export interface LineMark {
  readonly position: number
  readonly index: number
  /** False: the record may have more lines, which are not in the file. */
  readonly whole: boolean
}

/** By name of the log. */
export type LineMarks = ReadonlyMap<string, LineMark>

export interface AccountingState {
  readonly end: FileEnd
  readonly marks: LineMarks
}

const stateName = 'acct.state'
const bytesRead = 1 << 20

export async function saveState(
  files: AccountingFiles,
  directory: string,
  { end, marks }: AccountingState,
): Promise<void> {
  const { inode, bytes, check, beganAtMs } = end
  const entries = [...marks].map(([log, { position, index, whole }]) => [log, [position, whole ? index : -1 - index]])
  const text = JSON.stringify({
    v: 1,
    inode,
    bytes,
    check,
    began_at_ms: beganAtMs,
    marks: Object.fromEntries(entries) as unknown,
  })
  const path = join(directory, stateName)
  const next = `${path}.new`
  // Left by a process that ended.
  await files.remove(next)
  const file = await files.open(next, 'create')
  try {
    await writeAll(file, Buffer.from(`${crc32(text).toString(16)} ${text}\n`), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(next, path)
  await files.syncDirectory(directory)
}

/** Null: there is none. 'damaged': nothing can be made of it. */
export async function readState(
  files: AccountingFiles,
  directory: string,
): Promise<AccountingState | null | 'damaged'> {
  const path = join(directory, stateName)
  if ((await files.place(path)) === null) return null
  const file = await files.open(path, 'read')
  try {
    const bytes = Buffer.alloc(bytesRead)
    return parseState(bytes.toString('utf8', 0, await file.read(bytes, 0)))
  } finally {
    await file.close()
  }
}

function parseState(text: string): AccountingState | 'damaged' {
  const [, checksum = '', json = ''] = /^([0-9a-f]{1,8}) (\{.*\})\n$/.exec(text) ?? []
  if (json === '' || crc32(json).toString(16) !== checksum) return 'damaged'
  const written = JSON.parse(json) as {
    inode: string
    bytes: number
    check: number
    began_at_ms: number
    marks: Record<string, [position: number, index: number]>
  }
  const { inode, bytes, check, began_at_ms: beganAtMs, marks } = written
  const entries = Object.entries(marks).map(([log, [position, index]]) => {
    const whole = index >= 0
    return [log, { position, index: whole ? index : -1 - index, whole }] as const
  })
  return { end: { inode, bytes, check, beganAtMs }, marks: new Map(entries) }
}
