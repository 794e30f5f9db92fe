/**
 * What the sessions of a server may hold together beyond the few KB that each of them is: envelopes, headers that come in pieces, and
 * what waits for peers that do not fetch their replies. One session may hold much, all of them may not.
 */
import { BufferPool } from '../../kernel/buffer-pool.ts'
import { headerBytesMax, sharedBytesMin, sharedBytesPerConnection } from './limits.ts'

/** 256 × 4 KiB + 32 × 16 KiB + 8 × 100 KiB = 2.3 MiB are kept for the next ones. */
const headerBuffers = [
  { bytes: 4_096, keptMax: 256 },
  { bytes: 16_384, keptMax: 32 },
  { bytes: headerBytesMax.value, keptMax: 8 },
]

export class SessionMemory {
  readonly #bytesMax: number
  readonly #headers = new BufferPool(headerBuffers)
  #bytes = 0

  constructor(connectionsMax: number) {
    this.#bytesMax = Math.max(sharedBytesMin.value, connectionsMax * sharedBytesPerConnection.value)
  }

  /** Reserved now. */
  get bytes(): number {
    return this.#bytes
  }

  /** False: there is no room now, and nothing was reserved. */
  reserve(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }

  /** A buffer of at least `bytes`, at most a whole header; null when there is no room now. */
  takeHeader(bytes: number): Buffer | null {
    const buffer = this.#headers.take(bytes)
    if (this.reserve(buffer.length)) return buffer
    this.#headers.give(buffer)
    return null
  }

  giveHeader(buffer: Buffer): void {
    this.#headers.give(buffer)
    this.release(buffer.length)
  }
}
