/** All sites that mail is or was for: one per exchanger set and way of speaking to it, found by name. */
import { invariant } from '../kernel/assert.ts'
import type { Site } from '../model/site.ts'

export class SiteTable {
  readonly #byName = new Map<string, Site>()
  readonly #max: number
  /** Ids of forgotten sites, to be used again so that arrays indexed by id stay dense. */
  readonly #freeIds: number[] = []
  #nextId = 0

  constructor(max: number) {
    this.#max = max
  }

  get(name: string): Site | null {
    return this.#byName.get(name) ?? null
  }

  all(): readonly Site[] {
    return [...this.#byName.values()]
  }

  /** Null when the table is full. The name must be new. */
  add(site: Omit<Site, 'id'>): Site | null {
    invariant(!this.#byName.has(site.name), `site ${site.name} exists`)
    if (this.#byName.size >= this.#max) return null
    const added = Object.freeze({ id: this.#freeIds.pop() ?? this.#nextId++, ...site })
    this.#byName.set(site.name, added)
    return added
  }

  /** Forgets the sites that nobody keeps; returns how many. */
  prune(kept: (site: Site) => boolean): number {
    const before = this.#byName.size
    for (const site of this.#byName.values()) {
      if (kept(site)) continue
      this.#byName.delete(site.name)
      this.#freeIds.push(site.id)
    }
    return before - this.#byName.size
  }
}
