/** Writes a message's content into a transaction: at the spool's pace, in slices that let others have their turn, scanned on the way. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Transaction } from '../../ports/submissions.ts'
import { ContentScanner, type ContentSink } from '../smtp/content.ts'
import { sliceBytes } from './limits.ts'

export class ContentWriter implements ContentSink {
  /** What it has seen of the content. */
  readonly scanner = new ContentScanner(this, false)
  readonly #transaction: Transaction
  #full = false
  #sliceBytes = 0

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  async write(pieces: Iterable<Buffer>): Promise<void> {
    for (const piece of pieces) {
      this.scanner.scan(piece, 0, piece.length)
      if (this.#full) await this.#drained()
      if (this.#sliceBytes < sliceBytes.value) continue
      this.#sliceBytes = 0
      await nextTurn()
    }
    this.#transaction.onDrain = null
  }

  content(bytes: Buffer, start: number, end: number): void {
    this.#sliceBytes += end - start
    if (!this.#transaction.append(bytes, start, end)) this.#full = true
  }

  async #drained(): Promise<void> {
    await new Promise<void>((resolve) => (this.#transaction.onDrain = resolve))
    this.#full = false
  }
}

/** Pieces of at most this size, so that no single one keeps the thread for long. */
export function* slices(bytes: Buffer, start: number, end: number): Generator<Buffer, void> {
  for (let at = start; at < end; at += pieceBytes) yield bytes.subarray(at, Math.min(end, at + pieceBytes))
}

const pieceBytes = 65_536
