/**
 * A ledger is what an instrument swears to: one JSON object per line, appended, and durable in groups. It survives the kill of
 * its writer and the power cut; a line that was cut short is not part of it.
 */
import { closeSync, fdatasync, fstatSync, ftruncateSync, openSync, readSync, write } from 'node:fs'
import { promisify } from 'node:util'
import { PosthasteError } from '../../kernel/errors.ts'

const writeLater = promisify(write)
const syncLater = promisify(fdatasync)
const readBytes = 1024 * 1024
const newline = 0x0a

export interface Ledger {
  /** Adds a line, which is on its way to the disk before the next turn of the event loop. It is durable once a later `durable()` settles. */
  append(record: object): void
  /** Settles when all lines appended so far are on disk; rejects when that cannot be said any more. Callers that wait together share one sync. */
  durable(): Promise<void>
  /** Makes the rest durable and closes the file. */
  close(): Promise<void>
}

/** Opens for appending, creating it when missing. A line cut short by a crash is removed first. */
export function openLedger(path: string): Ledger {
  let file: number
  try {
    file = openSync(path, 'a+', 0o600)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new PosthasteError(
      'ledger_unusable',
      `cannot open the ledger ${path}: ${reason}`,
      'Name a file in a directory that can be written.',
      {
        exitCode: 73,
        cause,
      },
    )
  }
  const end = wholeLinesEnd(file)
  if (end < fstatSync(file).size) ftruncateSync(file, end)
  return new GroupedLedger(file)
}

class GroupedLedger implements Ledger {
  readonly #file: number
  #lines: string[] = []
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #scheduled = false
  #failed = false

  constructor(file: number) {
    this.#file = file
  }

  append(record: object): void {
    if (this.#failed) return
    this.#lines.push(`${JSON.stringify(record)}\n`)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      // Whoever relies on the lines asks `durable`, which gives the same failure again.
      this.durable().catch(() => {})
    })
  }

  durable(): Promise<void> {
    if (this.#running === null) return this.#start()
    // The sync under way covers only the lines it took; everything since then shares the next one. After a failed sync nothing can
    // be known of the lines before it, so the next one fails with it.
    this.#next ??= this.#running.then(() => {
      this.#next = null
      return this.#start()
    })
    return this.#next
  }

  #start(): Promise<void> {
    if (this.#lines.length === 0) return Promise.resolve()
    const bytes = Buffer.from(this.#lines.join(''), 'utf8')
    this.#lines = []
    this.#running = this.#write(bytes).then(
      () => {
        this.#running = null
      },
      (error: unknown) => {
        this.#failed = true
        throw error
      },
    )
    return this.#running
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await writeLater(this.#file, bytes, at, bytes.length - at, null)
      at += bytesWritten
    }
    await syncLater(this.#file)
  }

  async close(): Promise<void> {
    try {
      await this.durable()
    } finally {
      closeSync(this.#file)
    }
  }
}

/** Position behind the last newline. */
function wholeLinesEnd(file: number): number {
  const block = Buffer.allocUnsafe(64 * 1024)
  let end = fstatSync(file).size
  while (end > 0) {
    const length = Math.min(block.length, end)
    const read = readSync(file, block, 0, length, end - length)
    const found = block.subarray(0, read).lastIndexOf(newline)
    if (found !== -1) return end - length + found + 1
    end -= length
  }
  return 0
}

export interface LedgerContents<T> {
  readonly records: T[]
  /** The last line was cut short and is not among the records. */
  readonly torn: boolean
}

/** Reads a ledger that may still be written to, or whose writer was killed. A bad line that is not the last is an error. */
export function readLedger<T = Record<string, unknown>>(path: string): LedgerContents<T> {
  const file = openSync(path, 'r')
  try {
    const records: T[] = []
    let rest = Buffer.alloc(0)
    const block = Buffer.allocUnsafe(readBytes)
    for (let read = readSync(file, block); read > 0; read = readSync(file, block)) {
      const bytes = Buffer.concat([rest, block.subarray(0, read)])
      const end = bytes.lastIndexOf(newline) + 1
      if (end > 0) readLines(bytes.toString('utf8', 0, end), path, records)
      rest = bytes.subarray(end)
    }
    return { records, torn: rest.length > 0 }
  } finally {
    closeSync(file)
  }
}

function readLines(text: string, path: string, records: unknown[]): void {
  for (const line of text.split('\n')) {
    if (line === '') continue
    try {
      records.push(JSON.parse(line))
    } catch (cause) {
      throw new PosthasteError(
        'ledger_damaged',
        `${path}: line ${records.length + 1} is not JSON`,
        'Something other than a ledger wrote to this file; keep it for inspection and start a new one.',
        { exitCode: 74, cause },
      )
    }
  }
}
