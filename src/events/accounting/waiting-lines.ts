/**
 * Lines that are not known to be on disk, in batches: the last one is still put together, the first ones are in the file already.
 *
 *   add ─> text ─> [ batch ][ batch ][ batch ] ─> settled
 *                            ^ written
 */
import { KiB } from '../../kernel/units.ts'

/** A batch is closed when it has so many characters. */
const batchCharacters = 256 * KiB

interface Batch<Token> {
  readonly bytes: Buffer
  readonly upTo: Token
}

export class WaitingLines<Token> {
  /** Stands for everything that is on disk. */
  settledTo: Token
  readonly #bytesMax: number
  readonly #token: () => Token
  #text = ''
  #batches: Batch<Token>[] = []
  #batchBytes = 0
  #written = 0
  #crowded = false

  /** @param token asked when a batch is closed: what stands for everything up to its end */
  constructor(bytesMax: number, settledTo: Token, token: () => Token) {
    this.#bytesMax = bytesMax
    this.settledTo = settledTo
    this.#token = token
  }

  /** True: a batch is full. It is closed at once, however long the disk takes: all of it together would hold up the thread. */
  add(lines: string): boolean {
    this.#text += lines
    const isFull = this.#text.length >= batchCharacters
    if (isFull) this.endBatch()
    if (this.bytes > this.#bytesMax) this.#crowded = true
    return isFull
  }

  /** A batch of nothing, for its token. */
  touch(): void {
    this.endBatch()
    this.#batches.push({ bytes: Buffer.alloc(0), upTo: this.#token() })
  }

  /** Ends the batch that lines are put into. */
  endBatch(): void {
    if (this.#text === '') return
    const bytes = Buffer.from(this.#text)
    this.#text = ''
    this.#batches.push({ bytes, upTo: this.#token() })
    this.#batchBytes += bytes.length
  }

  /** Characters of the newest lines count as bytes. */
  get bytes(): number {
    return this.#text.length + this.#batchBytes
  }

  /** Of closed batches, written or not. */
  get batchBytes(): number {
    return this.#batchBytes
  }

  get empty(): boolean {
    return this.#text === '' && this.#batches.length === 0
  }

  /** The next batch that goes to the file; undefined when all that are closed are there. */
  get next(): Buffer | undefined {
    return this.#batches[this.#written]?.bytes
  }

  /** So many batches are in the file. */
  get written(): number {
    return this.#written
  }

  get crowded(): boolean {
    return this.#crowded
  }

  wrote(): void {
    this.#written += 1
  }

  /** What was written may be lost: all of it is written again. */
  rewind(): void {
    this.#written = 0
  }

  /** What was written is on disk: returns how many bytes. */
  settle(): number {
    this.settledTo = this.#batches[this.#written - 1]?.upTo ?? this.settledTo
    let settledBytes = 0
    for (const { bytes } of this.#batches.splice(0, this.#written)) settledBytes += bytes.length
    this.#batchBytes -= settledBytes
    this.#written = 0
    return settledBytes
  }

  /** True when it was crowded, and is not any more. */
  roomAgain(): boolean {
    if (!this.#crowded || this.bytes > this.#bytesMax / 2) return false
    this.#crowded = false
    return true
  }
}
