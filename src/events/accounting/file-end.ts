/** Where a file of lines ends: in words that find it again, and for a file of which nothing was kept. */
import { crc32 } from 'node:zlib'
import { KiB } from '../../kernel/units.ts'
import type { AccountingFile } from './files.ts'

export interface FileEnd {
  /** '' when there was none. */
  readonly inode: string
  readonly bytes: number
  /** Of the last bytes before the end: an inode's number is given to another file when the first is removed. */
  readonly check: number
  readonly beganAtMs: number
}

export const noFile: FileEnd = { inode: '', bytes: 0, check: 0, beganAtMs: 0 }

/** So many bytes before the end are covered by its check. */
export const checkedBytes = 256
export const checkOf = (tail: Buffer): number => crc32(tail)

const adoptBytes = 64 * KiB

/** Cuts what is behind the last whole line; returns the new end. */
export async function wholeLines(file: AccountingFile, bytes: number): Promise<number> {
  const tail = Buffer.alloc(Math.min(bytes, adoptBytes))
  await file.read(tail, bytes - tail.length)
  const kept = bytes - tail.length + tail.lastIndexOf(10) + 1
  if (kept < bytes) await file.truncate(kept)
  return kept
}
