/** Input that came while something else was waited for: kept in order, and bounded by pausing the connection. */
import { heldInputBytesMax } from './limits.ts'

export class HeldInput {
  readonly #source: { pause(): void; resume(): void }
  #chunks: Buffer[] = []
  #bytes = 0
  #paused = false

  constructor(source: { pause(): void; resume(): void }) {
    this.#source = source
  }

  get empty(): boolean {
    return this.#chunks.length === 0
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#grow(chunk.length)
  }

  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift()
    this.#bytes -= chunk?.length ?? 0
    return chunk
  }

  /** What is left of the chunk in hand, from `from` on. */
  putBack(chunk: Buffer, from: number): void {
    if (from >= chunk.length) return
    this.#chunks.unshift(chunk.subarray(from))
    this.#grow(chunk.length - from)
  }

  /** Nothing is waited for any more: let input flow again. */
  release(): void {
    if (!this.#paused || !this.empty) return
    this.#paused = false
    this.#source.resume()
  }

  clear(): void {
    this.#chunks = []
    this.#bytes = 0
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    if (this.#paused || this.#bytes < heldInputBytesMax.value) return
    this.#paused = true
    this.#source.pause()
  }
}
