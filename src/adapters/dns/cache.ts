/**
 * Answers, bounded, for as long as they are true, and a day longer for when nobody answers (RFC 8767). Times are monotonic
 * milliseconds. A Map keeps the order of insertion, so re-inserting on use makes its first key the least recently used.
 */
import { staleMsMax } from './limits.ts'
import type { Resolved } from './resolver.ts'

interface Entry {
  readonly resolved: Resolved
  /** Put forward when the servers failed and the entry serves on. */
  freshUntilMs: number
  readonly staleUntilMs: number
}

export interface Cached {
  readonly resolved: Resolved
  readonly ttlMs: number
}

export class AnswerCache {
  readonly #entries = new Map<string, Entry>()
  readonly #entriesMax: number

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get size(): number {
    return this.#entries.size
  }

  /** What is known and still true. */
  fresh(key: string, nowMs: number): Cached | null {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.freshUntilMs <= nowMs) return null
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return { resolved: entry.resolved, ttlMs: entry.freshUntilMs - nowMs }
  }

  put(key: string, resolved: Resolved, ttlMs: number, nowMs: number): void {
    this.#insert(key, { resolved, freshUntilMs: nowMs + ttlMs, staleUntilMs: nowMs + ttlMs + staleMsMax.value })
  }

  /**
   * Records past their time, kept as true for another `againMs`; null when there are none, or they are over a day late. Only records
   * outlive their time: an old "no such domain" would bounce mail.
   */
  stale(key: string, againMs: number, nowMs: number): Resolved | null {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.resolved.kind !== 'records' || entry.staleUntilMs <= nowMs) return null
    entry.freshUntilMs = nowMs + againMs
    return entry.resolved
  }

  #insert(key: string, entry: Entry): void {
    this.#entries.delete(key)
    if (this.#entries.size >= this.#entriesMax) {
      const oldest = this.#entries.keys().next()
      if (!oldest.done) this.#entries.delete(oldest.value)
    }
    this.#entries.set(key, entry)
  }
}
