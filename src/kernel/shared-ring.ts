/**
 * Messages of bytes from one thread to one other through shared memory.
 *
 *   words   [ written | read | asleep ]     positions in bytes, modulo 2³²
 *   bytes   … | length | message | length | message | … | −1: the next one is at the start |
 *               ^ read                      ^ written
 *
 * A message is there once `written` has moved past it, so a writer that dies leaves no half of one behind. The reader says when it sleeps, and is
 * woken once for everything that was written meanwhile: a wake costs ten times as much as a message.
 */
import { invariant } from './assert.ts'
import { BoundedQueue } from './bounded-queue.ts'
import type { Clock } from './clock.ts'

const words = { written: 0, read: 1, asleep: 2, count: 4 } as const
const wordsBytes = words.count * 4
const goOnAtStart = -1
/** Then others have their turn: at 10 µs each this is 2.5 ms. */
const messagesPerTurn = 256
const retryMs = 1

/** @param bytes a power of two; the longest message is half of it, less four bytes */
export function makeRingMemory(bytes: number): SharedArrayBuffer {
  invariant(bytes >= 64 && (bytes & (bytes - 1)) === 0, 'a ring has a power of two of bytes')
  return new SharedArrayBuffer(wordsBytes + bytes)
}

/** Length and message, filled up so that the next length is aligned. */
const spaceFor = (bytes: number): number => 4 + ((bytes + 3) & ~3)

export class RingWriter {
  readonly #words: Int32Array
  readonly #lengths: Int32Array
  readonly #bytes: Buffer
  readonly #capacity: number
  #written: number

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, words.count)
    this.#lengths = new Int32Array(memory, wordsBytes)
    this.#bytes = Buffer.from(memory, wordsBytes)
    this.#capacity = this.#bytes.length
    this.#written = Atomics.load(this.#words, words.written)
  }

  /** False when there is no room now; nothing was written. The reader sees it at once if it is awake, otherwise after `wake`. */
  push(message: Buffer, bytes = message.length): boolean {
    const space = spaceFor(bytes)
    invariant(space <= this.#capacity / 2, `a message of ${bytes} bytes is too long for its ring`)
    const free = this.#capacity - ((this.#written - Atomics.load(this.#words, words.read)) >>> 0)
    let at = this.#written & (this.#capacity - 1)
    const rest = this.#capacity - at
    if (space > (rest < space ? free - rest : free)) return false
    if (rest < space) {
      this.#lengths[at >> 2] = goOnAtStart
      this.#written = (this.#written + rest) | 0
      at = 0
    }
    this.#lengths[at >> 2] = bytes
    message.copy(this.#bytes, at + 4, 0, bytes)
    this.#written = (this.#written + space) | 0
    Atomics.store(this.#words, words.written, this.#written)
    return true
  }

  wake(): void {
    if (Atomics.exchange(this.#words, words.asleep, 0) === 1) Atomics.notify(this.#words, words.asleep)
  }
}

/** `bytes[at … at + length)` is valid during the call. */
export type OnRingMessage = (bytes: Buffer, at: number, length: number) => void

export class RingReader {
  readonly #words: Int32Array
  readonly #lengths: Int32Array
  readonly #bytes: Buffer
  readonly #capacity: number
  #read: number
  #closed = false

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, words.count)
    this.#lengths = new Int32Array(memory, wordsBytes)
    this.#bytes = Buffer.from(memory, wordsBytes)
    this.#capacity = this.#bytes.length
    this.#read = Atomics.load(this.#words, words.read)
  }

  get empty(): boolean {
    return this.#read === Atomics.load(this.#words, words.written)
  }

  /** Reads at most `messagesMax`, each once and in order; returns how many there were. */
  drain(onMessage: OnRingMessage, messagesMax = Number.POSITIVE_INFINITY): number {
    let count = 0
    while (count < messagesMax && !this.empty) {
      const at = this.#read & (this.#capacity - 1)
      const length = this.#lengths[at >> 2] as number
      if (length !== goOnAtStart) {
        onMessage(this.#bytes, at + 4, length)
        count += 1
      }
      this.#read = (this.#read + (length === goOnAtStart ? this.#capacity - at : spaceFor(length))) | 0
      Atomics.store(this.#words, words.read, this.#read)
    }
    return count
  }

  /** Calls `onMessage` for everything that comes, until `close`. */
  watch(onMessage: OnRingMessage): void {
    const turn = (): void => {
      if (this.#closed) return
      this.drain(onMessage, messagesPerTurn)
      // Said before the last look, so that no message slips in between unnoticed.
      Atomics.store(this.#words, words.asleep, 1)
      if (!this.empty) Atomics.store(this.#words, words.asleep, 0)
      const sleep = Atomics.waitAsync(this.#words, words.asleep, 1)
      if (sleep.async) void sleep.value.then(turn)
      else setImmediate(turn)
    }
    turn()
  }

  close(): void {
    this.#closed = true
    Atomics.store(this.#words, words.asleep, 0)
    Atomics.notify(this.#words, words.asleep)
  }
}

/** A writer that never says no: what finds no room waits its turn here. Its user bounds how much is under way. One wake for all of a turn's messages. */
export class RingSender {
  readonly #writer: RingWriter
  readonly #clock: Clock
  readonly #waiting = new BoundedQueue<Buffer>(Number.MAX_SAFE_INTEGER)
  #woken = true

  constructor(memory: SharedArrayBuffer, clock: Clock) {
    this.#writer = new RingWriter(memory)
    this.#clock = clock
  }

  /** The bytes are copied. */
  send(message: Buffer, bytes: number): void {
    if (this.#waiting.size > 0 || !this.#writer.push(message, bytes)) {
      this.#waiting.push(Buffer.from(message.subarray(0, bytes)))
      if (this.#waiting.size === 1) this.#clock.after(retryMs, this.#again)
    }
    if (this.#woken) setImmediate(this.#wake)
    this.#woken = false
  }

  readonly #wake = (): void => {
    this.#woken = true
    this.#writer.wake()
  }

  readonly #again = (): void => {
    for (let next = this.#waiting.peek(); next !== undefined && this.#writer.push(next); next = this.#waiting.peek())
      this.#waiting.shift()
    this.#writer.wake()
    if (this.#waiting.size > 0) this.#clock.after(retryMs, this.#again)
  }
}
