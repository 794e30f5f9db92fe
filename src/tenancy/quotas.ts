/**
 * What has been sent, in memory that all threads share: a row for each tenant and credential that has quotas. A window and its count are one word
 * of 64 bits and change together by compare-and-exchange: no thread waits for another, and none takes what another has taken.
 *
 *   row   [ second | day | month | bytes waiting | recipients waiting | generation | · | · ]
 *   word  [ number of the window + 1 | messages in it ]        0: not known yet, which only days and months can be
 *
 * Whoever finds a word of an earlier window begins the new one.
 */
import type { Clock } from '../kernel/clock.ts'
import { dayMs, minuteMs, secondMs } from '../kernel/units.ts'
import type { TakenPart, Usage } from '../ports/quotas.ts'
import { quotaMessagesMax, quotasMax } from './directory/limits.ts'

/** A line of the cache, so that threads which count for different tenants do not disturb each other. */
const wordsPerRow = 8
const spoolBytesColumn = 3
const spoolRecipientsColumn = 4
const generationColumn = 5

export interface Window {
  readonly name: string
  readonly column: number
  /** Bits of the count. */
  readonly bits: bigint
  /** What was sent before this process began counts too. */
  readonly fromLogs: boolean
  /** How far the clock may step back over the window's beginning, and have it stay begun. */
  readonly stepBackMsMax: number
  numberAt(ms: number): number
  startMs(number: number): number
}

export const second: Window = {
  name: 'second',
  column: 0,
  bits: 32n,
  fromLogs: false,
  stepBackMsMax: secondMs,
  numberAt: (ms) => Math.floor(ms / secondMs),
  startMs: (number) => number * secondMs,
}

export const day: Window = {
  name: 'day',
  column: 1,
  bits: 40n,
  fromLogs: true,
  stepBackMsMax: minuteMs,
  numberAt: (ms) => Math.floor(ms / dayMs),
  startMs: (number) => number * dayMs,
}

export const month: Window = {
  name: 'month',
  column: 2,
  bits: 40n,
  fromLogs: true,
  stepBackMsMax: minuteMs,
  numberAt(ms) {
    const date = new Date(ms)
    return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
  },
  startMs: (number) => Date.UTC(1970, number),
}

/** In the order in which they are taken from: who is refused by a later one gives the shortest back first. */
export const windows: readonly Window[] = [second, day, month]

/** A place in the table, as long as it belongs to the same owner. */
export interface RowPlace {
  readonly row: number
  readonly generation: number
}

/** Made once, by main. `rows` is smaller in tests. */
export function makeQuotaMemory(rows: number = quotasMax.value): SharedArrayBuffer {
  return new SharedArrayBuffer(rows * wordsPerRow * BigUint64Array.BYTES_PER_ELEMENT)
}

export class QuotaTable {
  readonly #words: BigUint64Array
  readonly #clock: Clock

  constructor(memory: SharedArrayBuffer, clock: Clock) {
    this.#words = new BigUint64Array(memory)
    this.#clock = clock
  }

  get rows(): number {
    return this.#words.length / wordsPerRow
  }

  /**
   * Takes from one window, and answers with the part that was taken; null when there is not so much left. `limit` 0 counts only, and not even
   * that, undefined, while the window is not known. Whether it must be known is asked before.
   */
  take(row: number, window: Window, messages: number, limit: number): TakenPart | null | undefined {
    const at = row * wordsPerRow + window.column
    const nowMs = this.#clock.nowMs()
    for (;;) {
      const word = Atomics.load(this.#words, at)
      if (word === 0n && window.fromLogs) return undefined
      const { number, count } = carriedOn(word, window, nowMs)
      if (limit > 0 && count + messages > limit) return null
      if (this.#exchange(at, word, window, number, count + messages))
        return { row, generation: this.#generation(row), column: window.column, window: number }
    }
  }

  giveBack({ row, generation, column, window: number }: TakenPart, messages: number): void {
    const window = windows[column] as Window
    const at = row * wordsPerRow + column
    for (;;) {
      // Read first: a row is given to others by changing this before its words.
      if (this.#generation(row) !== generation) return
      const word = Atomics.load(this.#words, at)
      if (word === 0n || Number(word >> window.bits) - 1 !== number) return
      if (this.#exchange(at, word, window, number, Math.max(0, countOf(word, window) - messages))) return
    }
  }

  /** Messages of the window that is now; null while it is not known. */
  count(row: number, window: Window): number | null {
    const word = Atomics.load(this.#words, row * wordsPerRow + window.column)
    if (word === 0n && window.fromLogs) return null
    return carriedOn(word, window, this.#clock.nowMs()).count
  }

  /** When the window that is counted now ends, in milliseconds since 1970. */
  endMs(row: number, window: Window): number {
    const word = Atomics.load(this.#words, row * wordsPerRow + window.column)
    const { number } = carriedOn(word, window, this.#clock.nowMs())
    return window.startMs(number + 1)
  }

  get nowMs(): number {
    return this.#clock.nowMs()
  }

  /** What the scheduler has measured. */
  setWaiting(row: number, bytes: number, recipients: number): void {
    Atomics.store(this.#words, row * wordsPerRow + spoolBytesColumn, BigInt(bytes))
    Atomics.store(this.#words, row * wordsPerRow + spoolRecipientsColumn, BigInt(recipients))
  }

  waitingBytes(row: number): number {
    return Number(Atomics.load(this.#words, row * wordsPerRow + spoolBytesColumn))
  }

  waitingRecipients(row: number): number {
    return Number(Atomics.load(this.#words, row * wordsPerRow + spoolRecipientsColumn))
  }

  /**
   * What the logs tell, where nothing is known; a row that was loaded already, or has another owner now, is left as it is. Called by the thread that
   * forgets rows, or one might come to be another's in between.
   */
  load({ row, generation }: RowPlace, usage: Usage): void {
    if (this.#generation(row) !== generation) return
    for (const [window, number, messages] of [
      [day, usage.day, usage.dayMessages],
      [month, usage.month, usage.monthMessages],
    ] as const) {
      const count = Math.min(messages, quotaMessagesMax.value)
      this.#exchange(row * wordsPerRow + window.column, 0n, window, number, count)
    }
  }

  isLoaded(row: number): boolean {
    return [day, month].every(({ column }) => Atomics.load(this.#words, row * wordsPerRow + column) !== 0n)
  }

  place(row: number): RowPlace {
    return { row, generation: this.#generation(row) }
  }

  /** Nothing is known of it any more. What threads still hold of it changes nothing from now on. */
  forget(row: number): void {
    const at = row * wordsPerRow
    Atomics.add(this.#words, at + generationColumn, 1n)
    for (let column = 0; column < generationColumn; column++) Atomics.store(this.#words, at + column, 0n)
  }

  /** Before threads are started: what those before them took may never have been written. */
  forgetAll(): void {
    for (let row = 0; row < this.rows; row++) this.forget(row)
  }

  #generation(row: number): number {
    return Number(Atomics.load(this.#words, row * wordsPerRow + generationColumn))
  }

  #exchange(at: number, before: bigint, { bits }: Window, number: number, count: number): boolean {
    const word = (BigInt(number + 1) << bits) | BigInt(count)
    return Atomics.compareExchange(this.#words, at, before, word) === before
  }
}

const countOf = (word: bigint, { bits }: Window): number => Number(BigInt.asUintN(Number(bits), word))

/**
 * The window to count in now, and what it has. A clock that was a little fast does not open a window twice. One that was far ahead is not waited
 * for: the count comes along into the window that is.
 */
function carriedOn(word: bigint, window: Window, nowMs: number): { number: number; count: number } {
  const number = Number(word >> window.bits) - 1
  const now = window.numberAt(nowMs)
  if (number < now) return { number: now, count: 0 }
  const begun = number === now || window.startMs(number) - nowMs <= window.stepBackMsMax
  return { number: begun ? number : now, count: countOf(word, window) }
}
