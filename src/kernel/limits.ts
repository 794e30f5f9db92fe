/** A bound, its arithmetic, its owner, and what happens beyond it. `posthaste config limits` prints all of them. */
export interface Limit {
  /** Stable: the reference and the test at its edge call it so. A configured one is called as its option. */
  readonly name: string
  readonly value: number
  /** What is counted. What begins with "bytes" or "ms" is printed as sizes and durations are. */
  readonly unit: string
  /** The folder that enforces it. */
  readonly owner: string
  /** Where the number comes from, and what it costs. */
  readonly why: string
  /** What happens beyond it: a reply code, or a sentence. */
  readonly breach: string
}

export function limit<const L extends Limit>(definition: L): L {
  return Object.freeze(definition)
}
