/**
 * The message store's directory as a disk that loses what was not synced. SQLite wants real files, so a crash is the next directory, made of what the
 * files are now and what they were when `synced` was called last.
 *
 *   killed     everything that was written is there
 *   power cut  of each day what was synced, or all that was written since, or a torn part of its write-ahead log; the catalogue as it was synced
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from '../../src/kernel/random.ts'

/** By name. */
type Files = Map<string, Buffer>

const memory = '/dev/shm'
const sectorBytes = 512
const isCatalogue = (name: string): boolean => name.startsWith('catalogue.')

export class StoreDisk {
  readonly #parent = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'posthaste-status-'))
  #life = 0
  #durable: Files = new Map()
  #daysBefore: Files = new Map()

  get directory(): string {
    return join(this.#parent, String(this.#life))
  }

  /** The store says that everything is on disk. `daysLater`: it says so before it is true, and of days what it said the last time is there. */
  synced(daysLater: boolean): void {
    const files = this.#read()
    if (!daysLater) {
      this.#durable = files
      return
    }
    const days = this.#daysBefore
    this.#daysBefore = new Map([...files].filter(([name]) => !isCatalogue(name)))
    this.#durable = new Map([...days, ...[...files].filter(([name]) => isCatalogue(name))])
  }

  killed(): void {
    this.#begin(this.#read())
  }

  powerCut(random: Random): void {
    const now = this.#read()
    const after: Files = new Map()
    for (const [name, bytes] of this.#durable) if (isCatalogue(name)) after.set(name, bytes)
    // Before its first sync, nobody knows.
    if (after.size === 0 && random.fraction() < 0.5)
      for (const [name, bytes] of now) if (isCatalogue(name)) after.set(name, bytes)
    for (const day of now.keys()) if (/^\d.*\.sqlite$/.test(day)) this.#survive(day, now, after, random)
    this.#begin(after)
    this.#durable = after
  }

  /** A write-ahead log is worth something together with the file that it was begun with; what was synced of it does not tear. */
  #survive(day: string, now: Files, after: Files, random: Random): void {
    const log = `${day}-wal`
    const dice = random.fraction()
    const [whole, ahead] = [now.get(day), now.get(log)]
    if (dice < 0.4) {
      for (const name of [day, log]) {
        const bytes = this.#durable.get(name)
        if (bytes !== undefined) after.set(name, bytes)
      }
      return
    }
    if (whole !== undefined) after.set(day, whole)
    if (ahead !== undefined) after.set(log, dice < 0.7 ? ahead : torn(ahead, this.#syncedBytes(log, ahead), random))
  }

  /** What was not written over since. Of a log that was begun anew that is next to nothing; what was in it before is in the file. */
  #syncedBytes(log: string, ahead: Buffer): number {
    const synced = this.#durable.get(log) ?? Buffer.alloc(0)
    const bytes = Math.min(synced.length, ahead.length)
    if (synced.compare(ahead, 0, bytes, 0, bytes) === 0) return bytes
    return synced.findIndex((byte, at) => byte !== ahead[at])
  }

  remove(): void {
    rmSync(this.#parent, { recursive: true })
  }

  #read(): Files {
    if (!existsSync(this.directory)) return new Map()
    const names = readdirSync(this.directory)
    return new Map(names.map((name) => [name, readFileSync(join(this.directory, name))]))
  }

  #begin(files: Files): void {
    const before = this.directory
    this.#life += 1
    mkdirSync(this.directory)
    for (const [name, bytes] of files) writeFileSync(join(this.directory, name), bytes)
    rmSync(before, { recursive: true, force: true })
  }
}

/** Cut short, or with a sector that never arrived, behind what was synced. */
function torn(log: Buffer, syncedBytes: number, random: Random): Buffer {
  const sectors = Math.ceil((log.length - syncedBytes) / sectorBytes)
  const sector = syncedBytes + sectorBytes * (random.uint32() % Math.max(1, sectors))
  if (random.fraction() < 0.5) return log.subarray(0, sector)
  return Buffer.from(log).fill(0, sector, Math.min(log.length, sector + sectorBytes))
}
