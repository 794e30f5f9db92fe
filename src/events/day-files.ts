/** The day files of a directory: which there are, what is known of each without opening it, and the few that are open. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { removeFile, setAside } from './damage.ts'
import { type DayFacts, DayFile } from './day-file.ts'
import { DayQueries } from './day-queries.ts'
import { filesOpenMax } from './limits.ts'
import { type Day, dayName, dayOf, Spans } from './spans.ts'
import { bytesAt, isDamage } from './sqlite.ts'
import type { StoreDisk } from './store-disk.ts'

interface OpenDay {
  readonly file: DayFile
  readonly queries: DayQueries
}

interface DamagedDay {
  readonly day: Day
  readonly error: Error
}

export class DayFiles {
  readonly spans = new Spans()
  readonly #directory: string
  readonly #disk: StoreDisk
  /** Newest first. */
  #days: Day[]
  readonly #facts = new Map<Day, DayFacts>()
  #lastUsed: Day = -1
  /** In order of their last use. */
  readonly #open = new Map<Day, OpenDay>()

  private constructor(directory: string, days: Day[], disk: StoreDisk) {
    this.#directory = directory
    this.#disk = disk
    this.#days = days
  }

  /** Looks into every file. What is damaged should be set aside. Throws `store_newer` and the like, and has changed nothing then. */
  static open(
    directory: string,
    disk: StoreDisk,
  ): { readonly files: DayFiles; readonly damaged: readonly DamagedDay[] } {
    const files = new DayFiles(directory, daysIn(directory), disk)
    const damaged: DamagedDay[] = []
    try {
      for (const day of [...files.#days].reverse()) {
        try {
          for (const span of files.#openDay(day).file.spans) files.spans.add(span)
        } catch (error) {
          if (!isDamage(error)) throw error
          damaged.push({ day, error: error as Error })
        }
      }
    } catch (error) {
      files.abandon()
      throw error
    }
    return { files, damaged }
  }

  /** Newest first. */
  get days(): readonly Day[] {
    return this.#days
  }

  factsOf(day: Day): DayFacts | undefined {
    return this.#facts.get(day)
  }

  /** Opened, or made, when it is not open. */
  get(day: Day): OpenDay {
    const known = this.#open.get(day)
    if (known === undefined) return this.#openDay(day)
    // Nearly always the same one again.
    if (this.#lastUsed !== day) {
      this.#open.delete(day)
      this.#open.set(day, known)
      this.#lastUsed = day
    }
    return known
  }

  #openDay(day: Day): OpenDay {
    this.#disk.finish()
    for (const [oldest, { file }] of this.#open) {
      if (this.#open.size < filesOpenMax.value) break
      this.#lastUsed = oldest
      this.#open.delete(oldest)
      file.close()
    }
    this.#lastUsed = day
    const file = new DayFile(this.#pathOf(day), day)
    const opened = { file, queries: new DayQueries(file.database) }
    this.#open.set(day, opened)
    this.#facts.set(day, file.facts)
    if (!this.#days.includes(day)) this.#days = [...this.#days, day].sort((a, b) => b - a)
    return opened
  }

  /** Where a failure comes from: the day that was asked for last. */
  get inUse(): { readonly day: Day; readonly path: string } {
    return { day: this.#lastUsed, path: this.#pathOf(this.#lastUsed) }
  }

  commit(): void {
    for (const [day, { file }] of this.#open) {
      this.#lastUsed = day
      file.commit()
    }
  }

  /** Those that are closed were made durable when they were. */
  sync(): void {
    for (const [day, { file }] of this.#open) {
      this.#lastUsed = day
      file.sync()
    }
  }

  /** Those that are open now; others may be when the list is gone through. */
  get opened(): readonly DayFile[] {
    return [...this.#open.values()].map(({ file }) => file)
  }

  /** Where the next failure comes from. */
  use({ day }: DayFile): void {
    this.#lastUsed = day
  }

  /** Closes what is open and saves nothing. */
  abandon(): void {
    this.#disk.finish()
    for (const { file } of this.#open.values()) file.abandon()
    this.#open.clear()
  }

  /** Closes what is open, whatever becomes of it: the first failure is thrown at the end. */
  close(): void {
    this.#disk.finish()
    const failures: unknown[] = []
    for (const { file } of this.#open.values()) {
      try {
        file.close()
      } catch (error) {
        failures.push(error)
      }
    }
    this.#open.clear()
    if (failures.length > 0) throw failures[0]
  }

  /** Without trying to save anything. Returns the new path. */
  setAside(day: Day): string {
    this.#disk.finish()
    const kept = setAside(this.#pathOf(day))
    this.#forget(day)
    return kept
  }

  remove(day: Day): void {
    this.#disk.finish()
    removeFile(this.#pathOf(day))
    this.#forget(day)
  }

  /** Its file is gone: SQLite sees that when it closes it, and writes nothing any more. */
  #forget(day: Day): void {
    this.#open.get(day)?.file.abandon()
    this.#open.delete(day)
    this.#facts.delete(day)
    this.#days = this.#days.filter((other) => other !== day)
    this.spans.remove(day)
  }

  bytesOf(day: Day): number {
    return bytesAt(this.#pathOf(day))
  }

  #pathOf(day: Day): string {
    return join(this.#directory, `${dayName(day)}.sqlite`)
  }
}

function daysIn(directory: string): Day[] {
  return readdirSync(directory)
    .flatMap((name) => {
      const date = /^(\d{4}-\d\d-\d\d)\.sqlite$/.exec(name)?.[1]
      const ms = date === undefined ? Number.NaN : Date.parse(date)
      return Number.isNaN(ms) ? [] : [dayOf(ms)]
    })
    .sort((a, b) => b - a)
}
