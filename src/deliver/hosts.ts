/** What a deliverer remembers of hosts for a while, so that one connection's bad luck is not every connection's. */
import type { Clock } from '../kernel/clock.ts'
import { hostDowngradeMs, hostFailureMs, hostsRememberedMax, tlsSessionMs, tlsSessionsMax } from './limits.ts'

/** Values that are forgotten after a time; beyond its size the oldest goes first. */
class Remembered<V> {
  readonly #clock: Clock
  readonly #keepMs: number
  readonly #sizeMax: number
  readonly #entries = new Map<string, { readonly value: V; readonly untilMs: number }>()

  constructor(clock: Clock, keepMs: number, sizeMax: number) {
    this.#clock = clock
    this.#keepMs = keepMs
    this.#sizeMax = sizeMax
  }

  set(key: string, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + this.#keepMs })
    if (this.#entries.size <= this.#sizeMax) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.untilMs > this.#clock.monotonicMs()) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  /** True when it was remembered. */
  delete(key: string): boolean {
    return this.#entries.delete(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }
}

export interface HostMemory {
  /** By "address:port": could not be connected to, or did not get to the envelope. Others of the site are tried first. */
  readonly failing: Remembered<true>
  /** By "host:port": STARTTLS is offered and fails. Sites with opportunistic TLS go on in plain text. */
  readonly tlsBroken: Remembered<true>
  /** By "host:port": refuses what it offers, so only STARTTLS and AUTH are believed. */
  readonly lying: Remembered<true>
  /** By "host:port": offers DSN and refuses its parameters. */
  readonly dsnRefused: Remembered<true>
  /** By "host:port": answers nothing that stands behind a content, though RFC 2920 §3.1 lets it stand there. */
  readonly deafToAhead: Remembered<true>
  /** By policy and "host:port": session tickets for resumption. */
  readonly tlsSessions: Remembered<Buffer>
}

export function createHostMemory(clock: Clock): HostMemory {
  const hostsMax = hostsRememberedMax.value
  return {
    failing: new Remembered(clock, hostFailureMs.value, hostsMax),
    tlsBroken: new Remembered(clock, hostDowngradeMs.value, hostsMax),
    lying: new Remembered(clock, hostDowngradeMs.value, hostsMax),
    dsnRefused: new Remembered(clock, hostDowngradeMs.value, hostsMax),
    deafToAhead: new Remembered(clock, hostDowngradeMs.value, hostsMax),
    tlsSessions: new Remembered(clock, tlsSessionMs.value, tlsSessionsMax.value),
  }
}
