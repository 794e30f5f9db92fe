/**
 * All suppression lists in memory that every thread reads (ports/suppressions.ts), and that main alone writes: filled at the start, and kept as the
 * directory is by its news.
 */
import type { Random } from '../kernel/random.ts'
import { makeSetMemory, SharedSet } from '../kernel/shared-set.ts'
import type { SuppressionList, SuppressionNews } from '../ports/suppression-list.ts'
import { suppressionKey } from '../ports/suppressions.ts'

export class SuppressionSet {
  #set: SharedSet

  private constructor(set: SharedSet) {
    this.#set = set
  }

  /** Before any other thread is started: some 3 s for a million entries. */
  static async load(list: Pick<SuppressionList, 'each'>, random: Random): Promise<SuppressionSet> {
    const loaded = new SuppressionSet(new SharedSet(makeSetMemory(0, random)))
    await list.each((tenant, address) => loaded.#add(suppressionKey(tenant, address)))
    return loaded
  }

  /** For threads, which make a SharedSet of it. */
  get memory(): SharedArrayBuffer {
    return this.#set.memory
  }

  get size(): number {
    return this.#set.size
  }

  /**
   * In force when it returns false. True: the set was full, so `memory` is another one from now on, and what is new is in force when all threads have
   * taken it; what was known before is in both.
   */
  hear(news: readonly SuppressionNews[]): boolean {
    const earlier = this.#set
    for (const { tenant, address, suppressed } of news) {
      const key = suppressionKey(tenant, address)
      if (suppressed) this.#add(key)
      else {
        this.#set.remove(key)
        // Threads may look into it for some milliseconds more.
        if (earlier !== this.#set) earlier.remove(key)
      }
    }
    return this.#set !== earlier
  }

  #add(key: string): void {
    if (this.#set.full) this.#set = this.#set.grown()
    this.#set.add(key)
  }
}
