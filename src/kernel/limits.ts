/** A bound, with its arithmetic beside it, its owner, and what a peer sees when it is met. Collected by `config/limits.ts`. */
export interface Limit {
  readonly value: number
  readonly unit: string
  /** The folder that enforces it. */
  readonly owner: string
  /** What happens beyond it: a reply code, or a sentence. */
  readonly breach: string
}

export function limit<const L extends Limit>(definition: L): L {
  return Object.freeze(definition)
}
