/** What was learnt of recipient domains, for as long as it is true. Beyond its size the longest known is forgotten. */
import type { RouteResult } from './route.ts'

interface Known {
  readonly result: RouteResult
  /** Monotonic. */
  readonly untilMs: number
}

export class KnownDomains {
  readonly #max: number
  /** In order of learning. */
  readonly #domains = new Map<string, Known>()

  constructor(max: number) {
    this.#max = max
  }

  get(domain: string): Known | undefined {
    return this.#domains.get(domain)
  }

  set(domain: string, result: RouteResult, untilMs: number): void {
    this.#domains.delete(domain)
    if (this.#domains.size >= this.#max) {
      const oldest = this.#domains.keys().next()
      if (!oldest.done) this.#domains.delete(oldest.value)
    }
    this.#domains.set(domain, { result, untilMs })
  }

  /** Forgets what is over; the results of the others. */
  live(nowMs: number): RouteResult[] {
    const results: RouteResult[] = []
    for (const [domain, { result, untilMs }] of this.#domains) {
      if (untilMs <= nowMs) this.#domains.delete(domain)
      else results.push(result)
    }
    return results
  }
}
