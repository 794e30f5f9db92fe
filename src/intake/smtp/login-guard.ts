/** Slows down those who guess passwords: a token bucket of failures per address (IPv6: per /64, which is one customer). */
import type { Clock } from '../../kernel/clock.ts'
import { minuteMs } from '../../kernel/units.ts'
import { authBucketsMax, authFailuresMax } from './limits.ts'

interface Bucket {
  tokens: number
  atMs: number
}

export class LoginGuard {
  readonly #clock: Clock
  /** In order of the last failure. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether this address may try a password now. When it may not, the password must not even be looked at. */
  allows(network: string): boolean {
    const bucket = this.#buckets.get(network)
    return bucket === undefined || this.#filled(bucket) >= 1
  }

  failed(network: string): void {
    const bucket = this.#buckets.get(network)
    const tokens = bucket === undefined ? authFailuresMax.value : this.#filled(bucket)
    this.#buckets.delete(network)
    if (this.#buckets.size >= authBucketsMax.value) this.#buckets.delete(this.#buckets.keys().next().value as string)
    this.#buckets.set(network, { tokens: Math.max(0, tokens - 1), atMs: this.#clock.monotonicMs() })
  }

  #filled(bucket: Bucket): number {
    const passedMs = this.#clock.monotonicMs() - bucket.atMs
    return Math.min(authFailuresMax.value, bucket.tokens + (passedMs * authFailuresMax.value) / minuteMs)
  }
}
