/**
 * What a start finds, and where it goes on. Everything that was found is on disk then.
 *
 *   the state's file is acct.json     read on from the state's end: what is there was written, and perhaps not synced
 *   it has another name by now        the same with that one (it was renamed, and the process ended before it said so), then all of acct.json
 *   it is gone                        what the state says, and all of acct.json
 *   no state, or a damaged one        all of acct.json, and the newest rotated files
 *
 * Reading stops at the first line that is not whole or not ours, or that goes back in its log: a power cut may leave zeros, or what was in those blocks before.
 * There the file is cut; what was cut is read again from the logs, because they are kept until a state has vouched for their lines.
 */
import { isUtf8 } from 'node:buffer'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { MiB } from '../../kernel/units.ts'
import type { AccountingFile, AccountingFiles, PlacedFile } from './files.ts'
import { filesSearchedMax, lineBytesMax } from './limits.ts'
import { checkedBytes, checkOf, type FileEnd, noFile } from './file-end.ts'
import { rotatedNames } from './names.ts'
import { type AccountingState, type LineMark, type LineMarks, readState } from './state.ts'

export interface Resumed {
  readonly end: FileEnd
  /** Those bytes before the end that its check covers. */
  readonly tail: Buffer
  readonly marks: LineMarks
  readonly bytesCut: number
  /** Sentences for the operator. */
  readonly findings: readonly string[]
}

/** Read in one go; then others of this thread have their turn. */
const sliceBytes = 1 * MiB

export async function resume(files: AccountingFiles, directory: string, base: string): Promise<Resumed> {
  await files.makeDirectory(directory)
  const path = join(directory, `${base}.json`)
  const read = await readState(files, directory)
  const state = read === 'damaged' ? null : read
  const marks = new Map(state?.marks)
  const findings: string[] = []
  if (read === 'damaged')
    findings.push('acct.state is damaged; what was accounted for is read from the files beside it')
  const there = await files.place(path)
  const isSame = state !== null && there !== null && (await isThatFile(files, path, there, state.end))
  let bytesCut = 0
  if (state !== null && !isSame) bytesCut += await readRenamed(files, directory, state, marks)
  if (state === null) await searchRotated(files, directory, base, marks)
  if (there === null) return { end: noFile, tail: Buffer.alloc(0), marks, bytesCut, findings }
  const from = isSame ? state.end.bytes : 0
  const cut = await readAndCut(files, path, from, marks)
  bytesCut += cut.bytesCut
  if (bytesCut > 0) findings.push(`${bytesCut} bytes of lines that were not whole were cut off, and are written again`)
  const beganAtMs = isSame ? state.end.beganAtMs : there.modifiedMs
  const end = { inode: there.inode, bytes: cut.bytes, check: checkOf(cut.tail), beganAtMs }
  return { end, tail: cut.tail, marks, bytesCut, findings }
}

async function isThatFile(
  files: AccountingFiles,
  path: string,
  { inode, bytes }: PlacedFile,
  end: FileEnd,
): Promise<boolean> {
  if (inode !== end.inode || bytes < end.bytes) return false
  const file = await files.open(path, 'read')
  try {
    return checkOf(await tailOf(file, end.bytes)) === end.check
  } finally {
    await file.close()
  }
}

async function tailOf(file: AccountingFile, end: number): Promise<Buffer> {
  const tail = Buffer.alloc(Math.min(end, checkedBytes))
  return tail.subarray(0, await readFully(file, tail, end - tail.length))
}

/** Returns how much was cut. */
async function readRenamed(
  files: AccountingFiles,
  directory: string,
  { end }: AccountingState,
  marks: Map<string, LineMark>,
): Promise<number> {
  for (const name of await files.list(directory)) {
    const path = join(directory, name)
    const there = await files.place(path)
    if (there === null || there.inode !== end.inode || !(await isThatFile(files, path, there, end))) continue
    return (await readAndCut(files, path, end.bytes, marks)).bytesCut
  }
  return 0
}

/** The last line of each log is nearly always in the newest of them. */
async function searchRotated(
  files: AccountingFiles,
  directory: string,
  base: string,
  marks: Map<string, LineMark>,
): Promise<void> {
  const newest = rotatedNames(base, await files.list(directory))
    .reverse()
    .slice(0, filesSearchedMax.value)
  for (const { name, packed } of newest) {
    const file = await files.open(join(directory, name), 'read')
    // Of one file only: an older one must not be taken to go back.
    const found = new Map<string, LineMark>()
    const scan = new Scan(found)
    try {
      const slices = slicesOf(file, 0)
      if (packed) await pipeline(slices, createGunzip(), (plain: AsyncIterable<Buffer>) => scan.all(plain))
      else await scan.all(slices)
    } catch (error) {
      // Damaged gzip: what was read of it counts.
      if (!packed) throw error
    } finally {
      await file.close()
    }
    for (const [log, mark] of found) if (isBehind(mark, marks.get(log))) marks.set(log, mark)
  }
}

async function readAndCut(
  files: AccountingFiles,
  path: string,
  from: number,
  marks: Map<string, LineMark>,
): Promise<{ readonly bytes: number; readonly bytesCut: number; readonly tail: Buffer }> {
  const file = await files.open(path, 'write')
  try {
    // Lines of another file may be older than what the state knows.
    const found = from === 0 ? new Map<string, LineMark>() : marks
    const scan = new Scan(found)
    await scan.all(slicesOf(file, from))
    for (const [log, mark] of found) if (isBehind(mark, marks.get(log))) marks.set(log, mark)
    const bytes = from + scan.wholeBytes
    const bytesCut = Math.max(0, (await file.place()).bytes - bytes)
    // On disk before anything follows: a second power cut could bring back what is cut, behind lines that are new.
    if (bytesCut > 0) await file.truncate(bytes)
    await file.sync()
    return { bytes, bytesCut, tail: await tailOf(file, bytes) }
  } finally {
    await file.close()
  }
}

async function* slicesOf(file: AccountingFile, from: number): AsyncGenerator<Buffer> {
  for (let position = from; ; ) {
    const slice = Buffer.allocUnsafe(sliceBytes)
    const bytes = await file.read(slice, position)
    if (bytes === 0) return
    position += bytes
    yield slice.subarray(0, bytes)
  }
}

async function readFully(file: AccountingFile, into: Buffer, position: number): Promise<number> {
  let done = 0
  while (done < into.length) {
    const bytes = await file.read(into.subarray(done), position + done)
    if (bytes === 0) break
    done += bytes
  }
  return done
}

/** Reads lines up to the first that is not right. */
class Scan {
  readonly #marks: Map<string, LineMark>
  /** Of lines that are right. */
  wholeBytes = 0
  /** Log of the last line. */
  #last = ''

  constructor(marks: Map<string, LineMark>) {
    this.#marks = marks
  }

  async all(slices: AsyncIterable<Buffer>): Promise<void> {
    let rest: Buffer = Buffer.alloc(0)
    for await (const slice of slices) {
      const bytes = rest.length === 0 ? slice : Buffer.concat([rest, slice])
      let from = 0
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
        if (!this.#take(bytes.subarray(from, end))) return
        this.wholeBytes += end + 1 - from
        from = end + 1
      }
      rest = bytes.subarray(from)
      if (rest.length > lineBytesMax.value) return
    }
  }

  #take(line: Buffer): boolean {
    const mark = line.length > lineBytesMax.value ? null : markOf(line)
    if (mark === null || !isBehind(mark, this.#marks.get(mark.log))) return false
    const last = this.#marks.get(this.#last)
    // Lines of a record stand together: whatever follows the last one shows that there are no more.
    if (last !== undefined) this.#marks.set(this.#last, { ...last, whole: true })
    this.#marks.set(mark.log, { position: mark.position, index: mark.index, whole: false })
    this.#last = mark.log
    return true
  }
}

type LinePlace = Omit<LineMark, 'whole'>

const isBehind = (mark: LinePlace, known: LinePlace | undefined): boolean =>
  known === undefined ||
  mark.position > known.position ||
  (mark.position === known.position && mark.index > known.index)

/** Null when it is not a line of ours. */
function markOf(line: Buffer): (LinePlace & { readonly log: string }) | null {
  if (!isUtf8(line)) return null
  let fields: unknown
  try {
    fields = JSON.parse(line.toString())
  } catch {
    return null
  }
  if (typeof fields !== 'object' || fields === null) return null
  const { v, log, position, index } = fields as Record<string, unknown>
  return typeof v === 'number' && typeof log === 'string' && isCount(position) && isCount(index)
    ? { log, position, index }
    : null
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
