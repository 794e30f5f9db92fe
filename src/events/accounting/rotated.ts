/**
 * What becomes of files that were rotated: compressed, and removed when they are too old or too many. In the background, one thing at a time.
 *
 *   x.json ─▶ x.json.gz.part ─ fdatasync ─▶ x.json.gz ─ directory on disk ─▶ x.json is removed
 *
 * A process that ends on the way leaves a .part, which is removed, or both files, of which the compressed one is whole.
 */
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import { rethrowBug } from '../../kernel/assert.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import { hourMs, KiB } from '../../kernel/units.ts'
import { BelievedTime, lastKnownMs } from '../believed-time.ts'
import { type AccountingFile, type AccountingFiles, writeAll } from './files.ts'
import { type RotatedName, rotatedNames, rotatedTimesMs } from './names.ts'

export interface RotatedFilesOptions {
  readonly directory: string
  readonly base: string
  readonly clock: Clock
  readonly files: AccountingFiles
  readonly rotateMs: number
  readonly keepMs: number
  readonly keepBytes: number
  readonly compress: boolean
  readonly onProblem: (text: string) => void
}

const tidyEveryMs = 1 * hourMs
const readBytes = 256 * KiB

export class RotatedFiles {
  readonly #options: RotatedFilesOptions
  #running = false
  #again = false
  #ended = false
  #troubled = false
  #timer: Timer | null = null
  /** By the names that were there at the start. */
  #believed: BelievedTime | null = null

  constructor(options: RotatedFilesOptions) {
    this.#options = options
  }

  /** In the background; once more, if it is under way. */
  tidy(): void {
    if (this.#ended) return
    this.#again = true
    if (this.#running) return
    this.#running = true
    this.#timer?.cancel()
    void this.#run()
  }

  /** Stops at the next opportunity. */
  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#ended) {
        this.#again = false
        await this.#tidyOnce()
      }
      this.#troubled = false
    } catch (error) {
      rethrowBug(error)
      this.#tell(error as Error)
    }
    this.#running = false
    if (!this.#ended) this.#timer = this.#options.clock.after(tidyEveryMs, () => this.tidy())
  }

  #tell({ message }: Error): void {
    if (this.#ended || this.#troubled) return
    this.#troubled = true
    const { directory, onProblem } = this.#options
    onProblem(
      `rotated files in ${directory} cannot be compressed or removed: ${message}. It is tried again every hour.`,
    )
  }

  async #tidyOnce(): Promise<void> {
    const { directory, base, files, compress } = this.#options
    const names = await files.list(directory)
    for (const name of names)
      if (name.startsWith(`${base}-`) && name.endsWith('.json.gz.part')) await files.remove(join(directory, name))
    const rotated = rotatedNames(base, names)
    const packed = new Set(rotated.filter((file) => file.packed).map(({ name }) => name))
    for (const { name } of rotated) if (packed.has(`${name}.gz`)) await files.remove(join(directory, name))
    // First: the disk may be full.
    await this.#prune()
    if (!compress) return
    for (const { name, packed: isPacked } of rotated) {
      if (isPacked || packed.has(`${name}.gz`)) continue
      if (this.#ended) return
      await this.#compress(join(directory, name))
    }
  }

  async #compress(path: string): Promise<void> {
    const { directory, files } = this.#options
    // Too old, and gone.
    if ((await files.place(path)) === null) return
    const part = `${path}.gz.part`
    const from = await files.open(path, 'read')
    try {
      const to = await files.open(part, 'create')
      try {
        // Level 1 takes a third of the time of the usual one, and lines become an eighth all the same.
        const gzip = createGzip({ level: constants.Z_BEST_SPEED })
        await pipeline(this.#read(from), gzip, (packed: AsyncIterable<Buffer>) => writeOut(packed, to))
        await to.sync()
      } finally {
        await to.close()
      }
    } catch (error) {
      await files.remove(part).catch(() => undefined)
      throw error
    } finally {
      await from.close()
    }
    await files.rename(part, `${path}.gz`)
    await files.syncDirectory(directory)
    await files.remove(path)
  }

  async *#read(file: AccountingFile): AsyncGenerator<Buffer> {
    for (let position = 0; ; ) {
      if (this.#ended) throw new Error('it is being closed')
      const chunk = Buffer.allocUnsafe(readBytes)
      const bytes = await file.read(chunk, position)
      if (bytes === 0) return
      position += bytes
      yield chunk.subarray(0, bytes)
    }
  }

  async #prune(): Promise<void> {
    const { directory, base, files, keepBytes } = this.#options
    let bytes = (await files.place(join(directory, `${base}.json`)))?.bytes ?? 0
    const kept: (RotatedName & { readonly bytes: number })[] = []
    const names = await files.list(directory)
    for (const file of rotatedNames(base, names)) {
      const there = await files.place(join(directory, file.name))
      if (there === null) continue
      kept.push({ ...file, bytes: there.bytes })
      bytes += there.bytes
    }
    const fromMs = this.#keptFromMs(names, kept)
    for (const file of kept) {
      if (bytes <= keepBytes && file.atMs >= fromMs) continue
      if (this.#ended) return
      await files.remove(join(directory, file.name))
      bytes -= file.bytes
    }
  }

  #keptFromMs(names: readonly string[], rotated: readonly RotatedName[]): number {
    const { base, clock, rotateMs, keepMs, onProblem } = this.#options
    this.#believed ??= new BelievedTime(clock, lastKnownMs(rotatedTimesMs(names), rotateMs), rotateMs)
    const fromMs = this.#believed.nowMs() - keepMs
    const isDoubted = rotated.some(({ atMs }) => atMs >= fromMs && atMs < clock.nowMs() - keepMs)
    const warning = this.#believed.warning(isDoubted, `files of ${base}.json`, 'accounting.retention')
    if (warning !== null && !this.#ended) onProblem(warning)
    return fromMs
  }
}

async function writeOut(chunks: AsyncIterable<Buffer>, to: AccountingFile): Promise<void> {
  let position = 0
  for await (const chunk of chunks) {
    await writeAll(to, chunk, position)
    position += chunk.length
  }
}
