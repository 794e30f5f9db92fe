/** Buffers kept for the next one who needs some: an allocation outside the heap per message costs more than the copy into it, and its collection again. */

export interface PoolClass {
  readonly bytes: number
  readonly keptMax: number
}

export class BufferPool {
  readonly #classes: readonly PoolClass[]
  readonly #free: Buffer[][]

  /** @param classes by rising size */
  constructor(classes: readonly PoolClass[]) {
    this.#classes = classes
    this.#free = classes.map(() => [])
  }

  /** At least `bytes` long; its content is undefined. Beyond the largest class it is made to measure and never kept. */
  take(bytes: number): Buffer {
    for (let i = 0; i < this.#classes.length; i++) {
      const size = (this.#classes[i] as PoolClass).bytes
      if (bytes <= size) return this.#free[i]?.pop() ?? Buffer.allocUnsafeSlow(size)
    }
    return Buffer.allocUnsafeSlow(bytes)
  }

  /** Takes back what `take` gave, when nobody looks at it any more. */
  give(buffer: Buffer): void {
    for (let i = 0; i < this.#classes.length; i++) {
      const { bytes, keptMax } = this.#classes[i] as PoolClass
      if (buffer.length !== bytes) continue
      const free = this.#free[i] as Buffer[]
      if (free.length < keptMax) free.push(buffer)
      return
    }
  }
}
