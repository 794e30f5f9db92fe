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

const nothing = Buffer.alloc(0)

/** How far a file is written: a part is known to be on disk, what was written since is not. */
export class WrittenEnd {
  /** As far as is known. */
  known: FileEnd
  /** As far as was written. */
  bytes: number
  /** The last bytes before either end. */
  #knownTail: Buffer
  #tail: Buffer

  constructor(known: FileEnd, tail: Buffer) {
    this.known = known
    this.bytes = known.bytes
    this.#knownTail = tail
    this.#tail = tail
  }

  wrote(bytes: Buffer): void {
    this.bytes += bytes.length
    this.#tail = Buffer.concat([this.#tail, bytes.subarray(-checkedBytes)]).subarray(-checkedBytes)
  }

  /** All that was written is on disk, in this file. */
  synced(inode: string): void {
    this.known = { ...this.known, inode, bytes: this.bytes, check: checkOf(this.#tail) }
    this.#knownTail = this.#tail
  }

  /** Back to what is known; or to where the file ends, when somebody has cut it. */
  rewind(fileBytes: number): void {
    if (fileBytes < this.known.bytes) {
      this.known = { ...this.known, bytes: fileBytes }
      this.#knownTail = nothing
    }
    this.bytes = this.known.bytes
    this.#tail = this.#knownTail
  }

  /** Somebody has cut the file, also what was written just now: it goes on from there. */
  cutTo(bytes: number): void {
    this.bytes = bytes
    this.#tail = nothing
  }

  /** Another file is gone on with. `rewind` follows. */
  moveTo(other: FileEnd): void {
    this.known = other
    this.#knownTail = nothing
  }
}

const adoptBytes = 64 * KiB

/** Cuts what is behind the last whole line; returns the new end. */
export async function wholeLines(file: AccountingFile, bytes: number): Promise<number> {
  const tail = Buffer.alloc(Math.min(bytes, adoptBytes))
  await file.read(tail, bytes - tail.length)
  const kept = bytes - tail.length + tail.lastIndexOf(10) + 1
  if (kept < bytes) await file.truncate(kept)
  return kept
}
