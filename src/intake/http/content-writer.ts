/** Writes a message's content into a transaction: at the spool's pace, in slices that let others have their turn, scanned on the way. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Transaction } from '../../ports/submissions.ts'
import { ContentScanner, type ContentSink } from '../smtp/content.ts'
import { sliceBytes } from './limits.ts'

/** As much as a read of a socket brings, by which the spool's stages are measured. */
const stepBytes = 65_536

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
      // A text is one piece of up to http.body_size_max, and the spool asks for a pause only between two calls.
      for (let start = 0; start < piece.length; start += stepBytes) {
        this.scanner.scan(piece, start, Math.min(start + stepBytes, piece.length))
        if (this.#full) await this.#drained()
        if (this.#sliceBytes < sliceBytes.value) continue
        this.#sliceBytes = 0
        await nextTurn()
      }
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
