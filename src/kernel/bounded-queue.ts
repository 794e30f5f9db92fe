/**
 * First in, first out, in a ring that doubles up to a bound:
 *
 *   [ . . a b c . . . ]      take at `head`, put behind the last; both wrap around
 *         ^head
 */
export class BoundedQueue<T> {
  #ring: (T | undefined)[] = Array.from({ length: 16 })
  #head = 0
  #size = 0
  readonly #sizeMax: number

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  get size(): number {
    return this.#size
  }

  /** False when the queue is full; the value was not taken. */
  push(value: T): boolean {
    if (this.#size === this.#sizeMax) return false
    if (this.#size === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#size) % this.#ring.length] = value
    this.#size += 1
    return true
  }

  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#ring[this.#head]
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined
    const value = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#ring.length
    this.#size -= 1
    return value
  }

  #grow(): void {
    const ring: (T | undefined)[] = Array.from({ length: this.#ring.length * 2 })
    for (let i = 0; i < this.#size; i++) ring[i] = this.#ring[(this.#head + i) % this.#ring.length]
    this.#ring = ring
    this.#head = 0
  }
}
