/** The message store over its files. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { uuidBytes } from '../kernel/ids.ts'
import type { Random } from '../kernel/random.ts'
import { dayMs, formatBytes } from '../kernel/units.ts'
import type { SubmissionFacts } from '../model/submission.ts'
import { BadCursor, type MessagePage, type MessageQuery } from '../ports/message-store.ts'
import { BelievedTime, lastKnownMs } from './believed-time.ts'
import { Catalogue } from './catalogue.ts'
import { Cursors } from './cursor.ts'
import { forgetOldDamage, setAside } from './damage.ts'
import type { DayFile } from './day-file.ts'
import { DayFiles } from './day-files.ts'
import { clockAheadMsMax, keyMsMax, walBytesMax } from './limits.ts'
import type { AttemptOutcome, KeyedMessage, MessageHead, MessageTable, StoreFigures } from './message-table.ts'
import type { PackedMessage } from './packed-message.ts'
import { listMessages } from './search.ts'
import { type Day, dayName, dayOf } from './spans.ts'
import { explained, isDamage, syncAhead } from './sqlite.ts'
import { ownDisk, type StoreDisk } from './store-disk.ts'

export interface StoreOptions {
  readonly directory: string
  readonly clock: Clock
  readonly random: Random
  /** Whole days of UTC, besides today. */
  readonly retentionDays: number
  /** What all days may take together; today and yesterday stay whatever they take. */
  readonly bytesMax: number
  /** What an operator should know, as a sentence: a file was damaged, days were dropped to make room. */
  readonly onProblem: (text: string) => void
  /** Who waits for the disk in `syncElsewhere`. */
  readonly disk?: StoreDisk
}

/**
 * Opens or creates the store. What is damaged is set aside and told to `onProblem`; then the positions are those of the logs' beginnings, so that
 * what they still have is read again. Throws PosthasteError: `store_newer`, `store_in_use`, `store_full`, `store_failed`, `store_unreadable`.
 */
export function openMessageStore(options: StoreOptions): MessageTable {
  makeDirectory(options.directory)
  const catalogue = openCatalogue(options)
  let files: DayFiles | null = null
  try {
    const opened = DayFiles.open(options.directory, options.disk ?? ownDisk)
    files = opened.files
    const { damaged } = opened
    // First: whoever finds the file gone must find this done.
    if (damaged.length > 0) catalogue.forgetPositions()
    for (const { day, error } of damaged) tellDamage(options, error, files.setAside(day))
    forgetOldDamage(options.directory)
    return new MessageStoreTable(options, catalogue, files)
  } catch (error) {
    files?.abandon()
    catalogue.close()
    throw explained(options.directory, error)
  }
}

function tellDamage({ onProblem }: StoreOptions, { message }: Error, kept: string): void {
  onProblem(
    `${message}. It is kept as ${kept}; its messages are read again as far as the logs go back, and older ones cannot be asked for.`,
  )
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new PosthasteError(
      'store_unreadable',
      `cannot make ${directory}: ${(cause as Error).message}`,
      'Make its parent directory belong to the user that runs posthaste.',
      { exitCode: 73, cause },
    )
  }
}

/** It locks the whole store: a second opener is refused here, before it has touched a day. A new one has no positions. */
function openCatalogue({ directory, random, onProblem }: StoreOptions): Catalogue {
  const path = join(directory, 'catalogue.sqlite')
  try {
    return new Catalogue(path, random)
  } catch (error) {
    if (!isDamage(error)) throw error
    const kept = setAside(path)
    onProblem(`${(error as Error).message}. It is kept as ${kept}; the logs are read again from their beginning.`)
    return new Catalogue(path, random)
  }
}

/** Written ahead so far, a day file is emptied with the next sync: often enough to be short, and seldom, because pages are written twice. */
const emptyFromBytes = walBytesMax.value / 4

class MessageStoreTable implements MessageTable {
  readonly positions: ReadonlyMap<string, number>
  readonly #options: StoreOptions
  readonly #catalogue: Catalogue
  readonly #files: DayFiles
  readonly #cursors: Cursors
  readonly #believed: BelievedTime
  #outcomesIgnored = 0
  #failure: unknown = null
  /** Changes when what `syncElsewhere` has begun has nothing more to do: all was synced at once, or is closed. */
  #syncs = 0

  constructor(options: StoreOptions, catalogue: Catalogue, files: DayFiles) {
    this.#options = options
    this.#catalogue = catalogue
    this.#files = files
    this.positions = catalogue.positions
    this.#cursors = new Cursors(catalogue.cursorSecret)
    this.#believed = new BelievedTime(options.clock, acceptedKnownMs(files))
  }

  submission(number: number, head: MessageHead, facts: SubmissionFacts): void {
    this.#check()
    try {
      const span = this.#files.spans.place(number, dayOf(head.acceptedAtMs))
      this.#files.get(span.day).file.submission(number, span, head, facts)
    } catch (error) {
      throw this.#failed(error)
    }
  }

  outcome(number: number, outcome: AttemptOutcome): void {
    this.#check()
    try {
      const span = this.#files.spans.find(number)
      this.#outcomesIgnored +=
        span === null ? outcome.recipients.length : this.#files.get(span.day).file.outcome(number, outcome)
    } catch (error) {
      throw this.#failed(error)
    }
  }

  commit(): void {
    this.#guarded(() => this.#files.commit())
  }

  sync(positions: ReadonlyMap<string, number>): void {
    this.#syncs += 1
    this.#guarded(() => this.#files.sync())
    try {
      this.#catalogue.writePositions(positions)
      syncAhead(this.#catalogue.path)
    } catch (error) {
      throw this.#catalogueFailed(error)
    }
  }

  async syncElsewhere(positions: ReadonlyMap<string, number>): Promise<boolean> {
    const { disk = ownDisk } = this.#options
    const syncs = this.#syncs
    this.commit()
    for (const file of this.#files.opened) {
      if (!file.takeUnsynced()) continue
      await this.#waited(file, disk.sync(file.path))
      if (this.#syncs !== syncs) return false
    }
    try {
      this.#catalogue.writePositions(positions)
      await disk.sync(this.#catalogue.path)
    } catch (error) {
      throw this.#catalogueFailed(error)
    }
    for (const file of this.#files.opened) {
      if (file.aheadBytes <= emptyFromBytes) continue
      await this.#waited(file, disk.checkpoint(file.path))
      if (this.#syncs !== syncs) break
      this.#guarded(() => file.emptyAhead(emptyFromBytes))
    }
    return this.#syncs === syncs
  }

  async #waited(file: DayFile, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (this.#failure !== null) throw this.#failure
      this.#files.use(file)
      throw this.#failed(error)
    }
    this.#check()
  }

  #catalogueFailed(error: unknown): unknown {
    this.#failure = error
    if (isDamage(error)) tellDamage(this.#options, error as Error, setAside(this.#catalogue.path))
    return error
  }

  find(tenant: string | null, id: string, withTries: boolean): PackedMessage | null {
    const bytes = uuidBytes(id)
    if (bytes === null) return null
    const text = id.toLowerCase()
    return this.#guarded(() => {
      for (const day of this.#files.days) {
        const facts = this.#files.factsOf(day)
        if (facts === undefined || text < facts.idFirst || text > facts.idLast) continue
        const found = this.#files.get(day).queries.find(tenant, bytes, withTries)
        if (found !== null) return found
      }
      return null
    })
  }

  list(tenant: string, query: MessageQuery): MessagePage {
    return this.#guarded(() => listMessages(this.#files, this.#cursors, tenant, query))
  }

  key(tenant: string, key: string): KeyedMessage | null {
    const fromMs = this.#options.clock.nowMs() - keyMsMax.value
    return this.#guarded(() => {
      for (const day of this.#files.days) {
        if ((this.#files.factsOf(day)?.acceptedLastMs ?? 0) < fromMs) continue
        const found = this.#files.get(day).queries.key(tenant, key, fromMs)
        if (found !== null) return found
      }
      return null
    })
  }

  prune(): readonly string[] {
    const { clock, retentionDays, bytesMax, onProblem } = this.#options
    const saysMs = clock.nowMs()
    const believedMs = this.#believed.nowMs()
    const today = dayOf(saysMs)
    return this.#guarded(() => {
      const days = [...this.#files.days].reverse()
      const oldest = dayOf(believedMs) - retentionDays
      const old = days.filter((day) => this.#acceptedBy(day, believedMs) < oldest)
      const doubted = days.some((day) => day >= oldest && day < today - retentionDays)
      const warning = this.#believed.warning(doubted, 'messages', 'store.retention')
      if (warning !== null) onProblem(warning)
      for (const day of old) this.#files.remove(day)
      const tooMany: Day[] = []
      let bytes = this.#bytes()
      for (const day of days) {
        if (bytes <= bytesMax || day >= today - 1) break
        if (old.includes(day)) continue
        bytes -= this.#files.bytesOf(day)
        this.#files.remove(day)
        tooMany.push(day)
      }
      if (tooMany.length > 0) {
        onProblem(
          `Messages of ${tooMany.map(dayName).join(', ')} were dropped, because store.size_max is ${formatBytes(bytesMax)}.`,
        )
      }
      return [...old, ...tooMany].map(dayName)
    })
  }

  /** A day far ahead is from when the clock was wrong: it is as old as the day on which that was over. */
  #acceptedBy(day: Day, believedMs: number): Day {
    const dayMax = dayOf(believedMs + clockAheadMsMax.value)
    return day <= dayMax ? day : (this.#files.spans.followedBy(day, dayMax) ?? day)
  }

  figures(): StoreFigures {
    const { days } = this.#files
    return {
      messages: days.reduce((sum, day) => sum + (this.#files.factsOf(day)?.messages ?? 0), 0),
      days: days.length,
      bytes: this.#bytes() + this.#catalogue.bytes,
      outcomesIgnored: this.#outcomesIgnored,
    }
  }

  #bytes(): number {
    return this.#files.days.reduce((sum, day) => sum + this.#files.bytesOf(day), 0)
  }

  close(): void {
    this.#syncs += 1
    try {
      if (this.#failure === null) this.#files.close()
      else this.#files.abandon()
    } finally {
      this.#catalogue.close()
    }
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  #guarded<T>(work: () => T): T {
    this.#check()
    try {
      return work()
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /**
   * Nobody knows what of the open transactions is there: all of it comes again from the logs. A damaged day goes out of the way, and then the logs are
   * read from their beginning.
   */
  #failed(error: unknown): unknown {
    if (error instanceof BadCursor) return error
    const { day, path } = this.#files.inUse
    const failure = explained(path, error)
    this.#failure = failure
    if (isDamage(failure)) {
      this.#catalogue.forgetPositions()
      tellDamage(this.#options, failure as Error, this.#files.setAside(day))
    }
    return failure
  }
}

/** When the last message was accepted whose time is known. */
function acceptedKnownMs(files: DayFiles): number | null {
  const lastMs = lastKnownMs(files.days.map((day) => day * dayMs).reverse())
  if (lastMs === null) return null
  const acceptedMs = files.factsOf(dayOf(lastMs))?.acceptedLastMs ?? 0
  return Math.max(lastMs, Math.min(acceptedMs, lastMs + dayMs - 1))
}
