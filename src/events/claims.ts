/**
 * Who holds which key of idempotency now. A key is held from the first request's arrival until its record can be found in the store, or until it failed;
 * requests with the same key wait meanwhile. Pure: what the store knows comes by `find`, which must know everything that is committed.
 */
import type { Clock, Timer } from '../kernel/clock.ts'
import { claimsMax, claimWaitersMax, claimWaitMsMax } from './limits.ts'
import type { Claim } from '../ports/message-store.ts'
import type { KeyedMessage } from './message-table.ts'

export interface ClaimsOptions {
  readonly clock: Clock
  readonly find: (tenant: string, key: string) => KeyedMessage | null
  /** Threads that may hold claims from a life before: until each has called `adopt`, or was dropped, every request waits. */
  readonly owners?: Iterable<number>
}

export interface HeldClaim {
  readonly claim: number
  readonly tenant: string
  readonly key: string
}

/** Null: too many, or it has waited too long; `StoreUnavailable` to the client. */
type Answer = (claim: Claim | null) => void

/** Exists while it is held or waited for. */
interface Key {
  readonly tenant: string
  readonly key: string
  /** The claim that holds it; null: nobody does, and whoever waits is about to be answered. */
  claim: number | null
  /** In order of arrival. */
  readonly waiting: Set<Waiting>
}

interface Waiting {
  readonly owner: number
  readonly key: Key
  readonly requestSha256: string
  readonly answer: Answer
  readonly timer: Timer
}

export class Claims {
  readonly #options: ClaimsOptions
  /** Those who must say first what they hold. */
  readonly #expected: Set<number>
  readonly #keys = new Map<string, Key>()
  readonly #held = new Map<number, { readonly owner: number; readonly key: Key }>()
  #claimLast = 0
  #waiters = 0

  constructor(options: ClaimsOptions) {
    this.#options = options
    this.#expected = new Set(options.owners)
  }

  /** `answer` is called once: now, or when the key's holder has released it, or after `claimWaitMsMax`. */
  take(owner: number, tenant: string, key: string, requestSha256: string, answer: Answer): void {
    const wanted = this.#keyOf(tenant, key)
    if (this.#expected.size === 0 && wanted.claim === null && wanted.waiting.size === 0) {
      const claim = this.#decide(owner, wanted, requestSha256)
      this.#tidy(wanted)
      answer(claim)
      return
    }
    if (this.#waiters >= claimWaitersMax.value) {
      this.#tidy(wanted)
      answer(null)
      return
    }
    const timer = this.#options.clock.after(claimWaitMsMax.value, () => {
      this.#leave(waiter)
      answer(null)
    })
    const waiter: Waiting = { owner, key: wanted, requestSha256, answer, timer }
    wanted.waiting.add(waiter)
    this.#waiters += 1
  }

  /** Its message is there to be found, or the key is free. A claim that the owner does not hold any more is let pass. */
  release(owner: number, claim: number): void {
    const held = this.#held.get(claim)
    if (held?.owner === owner) this.#free(claim, held.key)
  }

  /** The thread is gone, and what it was committing is there to be found, or will never come. */
  dropOwner(owner: number): void {
    for (const { waiting } of this.#keys.values()) {
      for (const waiter of waiting) if (waiter.owner === owner) this.#leave(waiter)
    }
    for (const [claim, held] of this.#held) if (held.owner === owner) this.#free(claim, held.key)
    this.#heardOf(owner)
  }

  /** What a thread holds by its own account, after this end of it was lost. */
  adopt(owner: number, claims: Iterable<HeldClaim>): void {
    for (const { claim, tenant, key } of claims) {
      this.#claimLast = Math.max(this.#claimLast, claim)
      this.#hold(owner, this.#keyOf(tenant, key), claim)
    }
    this.#heardOf(owner)
  }

  get figures(): { readonly held: number; readonly waiting: number } {
    return { held: this.#held.size, waiting: this.#waiters }
  }

  #heardOf(owner: number): void {
    this.#expected.delete(owner)
    if (this.#expected.size === 0) for (const key of this.#keys.values()) this.#serve(key)
  }

  #keyOf(tenant: string, key: string): Key {
    const name = nameOf(tenant, key)
    let found = this.#keys.get(name)
    if (found === undefined) this.#keys.set(name, (found = { tenant, key, claim: null, waiting: new Set() }))
    return found
  }

  #hold(owner: number, key: Key, claim: number): void {
    key.claim = claim
    this.#held.set(claim, { owner, key })
  }

  #free(claim: number, key: Key): void {
    this.#held.delete(claim)
    key.claim = null
    this.#serve(key)
  }

  /** Answers in order of arrival, until one of them holds the key. An answer may come back to us before it returns. */
  #serve(key: Key): void {
    while (this.#expected.size === 0 && key.claim === null) {
      const [next] = key.waiting
      if (next === undefined) break
      const claim = this.#decide(next.owner, key, next.requestSha256)
      this.#leave(next)
      next.answer(claim)
    }
    this.#tidy(key)
  }

  #decide(owner: number, key: Key, requestSha256: string): Claim | null {
    const known = this.#options.find(key.tenant, key.key)
    if (known !== null) return { kind: known.requestSha256 === requestSha256 ? 'same' : 'conflict', id: known.id }
    if (this.#held.size >= claimsMax.value) return null
    this.#hold(owner, key, ++this.#claimLast)
    return { kind: 'new', claim: this.#claimLast }
  }

  #leave(waiter: Waiting): void {
    waiter.timer.cancel()
    waiter.key.waiting.delete(waiter)
    this.#waiters -= 1
    this.#tidy(waiter.key)
  }

  #tidy(key: Key): void {
    const name = nameOf(key.tenant, key.key)
    if (key.claim === null && key.waiting.size === 0 && this.#keys.get(name) === key) this.#keys.delete(name)
  }
}

/** Neither part is ours to choose. */
const nameOf = (tenant: string, key: string): string => `${tenant.length}:${tenant}${key}`
