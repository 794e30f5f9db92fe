/** What the bodies of a thread's requests may hold together. One request may hold much, all of them may not. */
import { sharedBytesMin } from './limits.ts'

export class BodyMemory {
  readonly bytesMax: number
  #bytes = 0

  constructor(bodyBytesMax: number) {
    this.bytesMax = Math.max(sharedBytesMin.value, 2 * bodyBytesMax)
  }

  /** Reserved now. */
  get bytes(): number {
    return this.#bytes
  }

  /** False: there is no room now, and nothing was reserved. */
  reserve(bytes: number): boolean {
    if (this.#bytes + bytes > this.bytesMax) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }
}
