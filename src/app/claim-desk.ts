/**
 * Keys of idempotency over threads: who holds one is decided here, when everything was read that was on disk after the word came that it was given back.
 *
 *   release, hello, or the end of a thread ─▶ due with the next aim ─▶ reached ─▶ the key's next request is answered from what was read
 */
import type { Claims } from '../events/events.ts'
import { Channel, intakeLogName, type LogThreadMemory } from '../spool/spool.ts'
import type { HeldClaim, StoreAnswer, StoreQuestion } from './store-wire.ts'

interface Gone {
  readonly owner: string
  readonly channel: Channel
  /** What it had closed may still reach the disk. */
  readonly until: number
}

export class ClaimDesk {
  readonly #claims: Claims
  readonly #memory: LogThreadMemory
  readonly #numbers: OwnerNumbers
  /** What is to be done once the next aim is reached, and once the present one is. */
  #next: (() => void)[] = []
  #due: (() => void)[] = []
  #gone: Gone[] = []

  constructor(claims: Claims, memory: LogThreadMemory, numbers: OwnerNumbers) {
    this.#claims = claims
    this.#memory = memory
    this.#numbers = numbers
  }

  /** Not at once: what the thread gave back before it said this is not in its list, and its message may not have been read yet. */
  hello(owner: string, claims: readonly HeldClaim[]): void {
    this.#next.push(() => this.#claims.adopt(this.#numbers.of(owner), claims))
  }

  /** When everything was read that was on disk after the question came. */
  take(
    owner: string,
    { tenant, key, requestSha256 }: Extract<StoreQuestion, { kind: 'claim' }>,
    answer: (answer: StoreAnswer) => void,
  ): void {
    this.#claims.take(this.#numbers.of(owner), tenant, key, requestSha256, answer)
  }

  release(owner: string, claim: number): void {
    this.#next.push(() => this.#claims.release(this.#numbers.of(owner), claim))
  }

  /** The thread that filled this log has died: what it was committing is on disk, or never will be, when its last batch is. */
  gone(owner: string, log: number): void {
    const memory = this.#memory.channels.find(({ name }) => name === intakeLogName(log))
    if (memory === undefined) return
    const channel = new Channel(memory)
    this.#gone.push({ owner, channel, until: channel.closedTo })
  }

  get waits(): boolean {
    return this.#next.length > 0
  }

  aim(): void {
    this.#gone = this.#gone.filter(({ owner, channel, until }) => {
      if (channel.committedTo < until) return true
      this.#next.push(() => this.#claims.dropOwner(this.#numbers.of(owner)))
      return false
    })
    this.#due.push(...this.#next)
    this.#next = []
  }

  reached(): void {
    const due = this.#due
    this.#due = []
    for (const act of due) act()
  }
}

/**
 * Whoever filled a log before this events thread began is gone, as far as it knows, and nobody will tell it so. One owner for each log, for `gone`: no
 * key is given before what they had handed over is on disk.
 */
export const ownerBefore = (log: number): string => `log ${log}, before`

/** Threads as claims know them. */
export class OwnerNumbers {
  readonly #numbers = new Map<string, number>()

  of(owner: string): number {
    let number = this.#numbers.get(owner)
    if (number === undefined) this.#numbers.set(owner, (number = this.#numbers.size))
    return number
  }
}
