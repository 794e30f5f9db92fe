/**
 * Messages over which the program has died. One may be chance; a message that was in hand twice is set aside, so that it does not take the mail of all
 * others down with it again and again. What is known stands in `strikes.json` in the data directory.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { strikesMax } from './limits.ts'

const strikesUntilQuarantine = 2

interface Strike {
  readonly submission: number
  readonly times: number
  /** Of the last one. */
  readonly at: string
  readonly error: string
}

export class Strikes {
  readonly #file: string
  readonly #onError: (error: Error) => void
  /** The one that was struck last comes last. */
  readonly #strikes = new Map<number, Strike>()

  /** @param onError the file cannot be written: what it should say is known until the process ends */
  constructor(dataDirectory: string, onError: (error: Error) => void) {
    this.#onError = onError
    this.#file = join(dataDirectory, 'strikes.json')
    for (const strike of readStrikes(this.#file)) this.#strikes.set(strike.submission, strike)
  }

  /** Numbers of the messages that are set aside. */
  get quarantined(): readonly number[] {
    const all = [...this.#strikes.values()]
    return all.filter(({ times }) => times >= strikesUntilQuarantine).map(({ submission }) => submission)
  }

  /** True when the message is set aside from now on. */
  add(submission: number, error: Error, nowMs: number): boolean {
    const times = (this.#strikes.get(submission)?.times ?? 0) + 1
    this.#strikes.delete(submission)
    this.#strikes.set(submission, { submission, times, at: new Date(nowMs).toISOString(), error: error.message })
    for (const oldest of this.#strikes.keys()) {
      if (this.#strikes.size <= strikesMax.value) break
      this.#strikes.delete(oldest)
    }
    this.#write()
    return times >= strikesUntilQuarantine
  }

  #write(): void {
    const next = `${this.#file}.new`
    try {
      writeFileSync(next, `${JSON.stringify([...this.#strikes.values()], null, 1)}\n`, { mode: 0o600 })
      renameSync(next, this.#file)
    } catch (error) {
      this.#onError(error as Error)
    }
  }
}

/** Nothing, when the file is not there or cannot be read: then every message has its chances again. */
function readStrikes(file: string): Strike[] {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as unknown
    return Array.isArray(read) ? read.filter(isStrike).slice(-strikesMax.value) : []
  } catch {
    return []
  }
}

function isStrike(entry: unknown): entry is Strike {
  const strike = entry as Partial<Strike> | null
  return typeof strike?.submission === 'number' && typeof strike.times === 'number'
}
