/** Reads the files of the accounting log, beside a running engine or without one: everything, the last lines, or what comes. */
import { createReadStream, type Stats, unwatchFile, watchFile } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { accountingLimits, type RotatedName, rotatedNames } from '../../events/events.ts'
import { systemClock } from '../../kernel/clock.ts'
import { KiB } from '../../kernel/units.ts'

const chunkBytes = 256 * KiB
const lookEveryMs = 250
const aliveEveryMs = 5_000
const nothing = Buffer.alloc(0)

/** Cuts bytes into lines; what is longer than a line can be is left out. */
class Lines {
  #rest: Buffer = nothing
  #skipping = false
  /** Left out. */
  tooLong = 0

  take(bytes: Buffer): string[] {
    const lines: string[] = []
    let from = 0
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      if (this.#skipping) this.#skipping = false
      else if (this.#rest.length === 0) lines.push(bytes.toString('utf8', from, end))
      else lines.push(Buffer.concat([this.#rest, bytes.subarray(from, end)]).toString())
      this.#rest = nothing
      from = end + 1
    }
    if (this.#skipping) return lines
    this.#rest = Buffer.concat([this.#rest, bytes.subarray(from)])
    if (this.#rest.length > accountingLimits.lineBytesMax.value) {
      this.tooLong += 1
      this.#rest = nothing
      this.#skipping = true
    }
    return lines
  }
}

export interface Reading {
  readonly directory: string
  /** Sentences for whoever asked. */
  readonly onTrouble: (text: string) => void
}

/** All whole lines, oldest first, many at a time. Files that were rotated before `fromMs` are not opened. */
export async function* allLines(reading: Reading, fromMs: number): AsyncGenerator<readonly string[]> {
  // Opened before anything is listed: should it be rotated meanwhile, it is still the last one.
  const current = await openIfThere(join(reading.directory, 'acct.json'))
  try {
    const inode = current === null ? null : (await current.stat()).ino
    for (const file of await rotatedIn(reading.directory))
      if (file.atMs >= fromMs) yield* rotatedLines(reading, file, inode)
    if (current === null) return
    const lines = new Lines()
    for await (const bytes of bytesOf(current, 0)) yield lines.take(bytes)
    if (lines.tooLong > 0) reading.onTrouble(`acct.json: ${lines.tooLong} lines are too long to be lines`)
  } finally {
    await current?.close()
  }
}

/** None of a file with this inode. */
async function* rotatedLines(
  { directory, onTrouble }: Reading,
  { name, packed }: RotatedName,
  but: number | null,
): AsyncGenerator<readonly string[]> {
  const path = join(directory, name)
  const there = await statIfThere(path)
  if (there === null) {
    // Compressed or removed since it was listed.
    const later = `${name}.gz`
    if (!packed && (await statIfThere(join(directory, later))) !== null)
      yield* rotatedLines({ directory, onTrouble }, { name: later, packed: true, atMs: 0, count: 0 }, but)
    return
  }
  if (there.ino === but) return
  const lines = new Lines()
  const file = createReadStream(path, { highWaterMark: chunkBytes })
  const plain = packed ? file.pipe(createGunzip({ chunkSize: chunkBytes })) : file
  // `pipe` leaves errors of its source to whoever asks for them.
  if (packed) file.on('error', (error) => plain.destroy(error))
  try {
    for await (const bytes of plain) yield lines.take(bytes as Buffer)
  } catch (error) {
    onTrouble(`${name} cannot be read to its end: ${(error as Error).message}`)
  } finally {
    file.destroy()
  }
}

/** The end of the log, and what comes behind it. */
export class Tail {
  readonly #reading: Reading
  readonly #path: string
  #file: FileHandle | null = null
  /** In that file, behind the last line that was read. */
  #position = 0
  #lines = new Lines()
  #wake: (() => void) | null = null

  constructor(reading: Reading) {
    this.#reading = reading
    this.#path = join(reading.directory, 'acct.json')
  }

  /** The last lines of all files, oldest first. */
  async last(count: number): Promise<string[]> {
    const last: string[] = []
    this.#file = await openIfThere(this.#path)
    if (this.#file !== null) {
      const { lines, end } = await lastOf(this.#file, count)
      last.push(...lines)
      this.#position = end
    }
    const inode = this.#file === null ? null : (await this.#file.stat()).ino
    for (const file of (await rotatedIn(this.#reading.directory)).reverse()) {
      if (last.length >= count) break
      const found: string[] = []
      for await (const lines of rotatedLines(this.#reading, file, inode)) {
        for (const line of lines) found.push(line)
        if (found.length > 2 * count + 1_000) found.splice(0, found.length - count)
      }
      last.unshift(...found.slice(-(count - last.length)))
    }
    return last
  }

  /** What comes, through every rotation, until `ended`. */
  async follow(take: (lines: readonly string[]) => void, ended: AbortSignal): Promise<void> {
    // It keeps the process alive, which the clock does not.
    const keepAlive = (): void => undefined
    watchFile(this.#path, { interval: aliveEveryMs }, keepAlive)
    ended.addEventListener('abort', () => this.#wake?.(), { once: true })
    try {
      while (!ended.aborted) await this.#lookOnce(take)
    } finally {
      unwatchFile(this.#path, keepAlive)
    }
  }

  async #lookOnce(take: (lines: readonly string[]) => void): Promise<void> {
    const there = await statIfThere(this.#path)
    await this.#readOn(take, there?.ino ?? null)
    if (this.#file === null && there !== null) {
      this.#file = await openIfThere(this.#path)
      return
    }
    await new Promise<void>((resolve) => {
      const timer = systemClock.after(lookEveryMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** @param inode of what is called acct.json since before now */
  async #readOn(take: (lines: readonly string[]) => void, inode: number | null): Promise<void> {
    const file = this.#file
    if (file === null) return
    const { ino, size } = await file.stat()
    // Somebody has emptied it.
    if (size < this.#position) this.#position = 0
    for await (const bytes of bytesOf(file, this.#position)) {
      this.#position += bytes.length
      take(this.#lines.take(bytes))
    }
    if (inode === null || inode === ino) return
    for (const between of await this.#rotatedAfter(ino))
      for await (const lines of rotatedLines(this.#reading, between, inode)) take(lines)
    await this.close()
  }

  /** Between that file and the one that is written now there may have been others. */
  async #rotatedAfter(inode: number): Promise<RotatedName[]> {
    const { directory } = this.#reading
    const files = await rotatedIn(directory)
    for (const [i, { name }] of files.entries())
      if ((await statIfThere(join(directory, name)))?.ino === inode) return files.slice(i + 1)
    return []
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = null
    this.#position = 0
    this.#lines = new Lines()
  }
}

/** Reads backwards until there are enough; `end` is behind the last whole one. */
async function lastOf(file: FileHandle, count: number): Promise<{ readonly lines: string[]; readonly end: number }> {
  const { size } = await file.stat()
  const pieces: Buffer[] = []
  let newlines = 0
  let from = size
  while (from > 0 && newlines <= count) {
    const piece = Buffer.alloc(Math.min(from, chunkBytes))
    from -= piece.length
    await file.read(piece, 0, piece.length, from)
    for (const byte of piece) if (byte === 10) newlines += 1
    pieces.unshift(piece)
  }
  const bytes = Buffer.concat(pieces)
  const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1)
  // What is before the first line ending may be half a line.
  const lines = whole
    .toString()
    .split('\n')
    .slice(from > 0 ? 1 : 0, -1)
  return { lines: count === 0 ? [] : lines.slice(-count), end: from + whole.length }
}

async function* bytesOf(file: FileHandle, from: number): AsyncGenerator<Buffer> {
  for (let position = from; ; ) {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

/** A file that has just been compressed is there twice for a moment. */
async function rotatedIn(directory: string): Promise<RotatedName[]> {
  const names = await readdir(directory)
  return rotatedNames('acct', names).filter(({ name }) => !names.includes(`${name}.gz`))
}

const openIfThere = (path: string): Promise<FileHandle | null> => ifThere(open(path, 'r'))
const statIfThere = (path: string): Promise<Stats | null> => ifThere(stat(path))

async function ifThere<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return null
  }
}
