/** Buffers for open transactions, kept for the next one: an allocation outside the heap per message would cost more than the copy. */
import { KiB } from '../kernel/units.ts'

const sizes = [16 * KiB, 128 * KiB] as const
const keptMax = [512, 64] as const

export class StagePool {
  readonly #free: Buffer[][] = sizes.map(() => [])

  /** At least `bytes` long; its content is undefined. */
  take(bytes: number): Buffer {
    for (let i = 0; i < sizes.length; i++) {
      if (bytes <= (sizes[i] as number)) return this.#free[i]?.pop() ?? Buffer.allocUnsafeSlow(sizes[i] as number)
    }
    return Buffer.allocUnsafeSlow(Math.ceil(bytes / (128 * KiB)) * 128 * KiB)
  }

  give(buffer: Buffer): void {
    for (let i = 0; i < sizes.length; i++) {
      if (buffer.length !== sizes[i]) continue
      const free = this.#free[i] as Buffer[]
      if (free.length < (keptMax[i] as number)) free.push(buffer)
      return
    }
  }
}
