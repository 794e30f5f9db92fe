/**
 * When sessions time out: one timer for all of them. Each starts its time again with every command, so that a timer of its own
 * would be moved a thousand times for each time that it fires. Instead they note when they are due, and a sweep looks at all of them: some
 * 50 µs for 10,000, at most once a second.
 */
import type { Clock, Timer } from '../../kernel/clock.ts'
import { invariant } from '../../kernel/assert.ts'
import { deadlineSweepMsMin } from './limits.ts'

export interface Mortal {
  /** Monotonic time. May move at any moment, but only away. */
  readonly dueMs: number
  /** It is due: it must move its time, or leave. */
  onDue(): void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #members = new Set<Mortal>()
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** All members wait equally long, so that a new one is never due before those who are here. */
  add(member: Mortal): void {
    this.#members.add(member)
    if (this.#timer === null) this.#wait(member.dueMs)
  }

  delete(member: Mortal): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    this.#timer?.cancel()
    this.#timer = null
  }

  #wait(dueMs: number): void {
    const delayMs = Math.max(deadlineSweepMsMin.value, dueMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(delayMs, () => this.#sweep())
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      if (member.dueMs <= nowMs) {
        member.onDue()
        invariant(member.dueMs > nowMs || !this.#members.has(member), 'who is due moves its time or leaves')
      }
      if (member.dueMs > nowMs) nextMs = Math.min(nextMs, member.dueMs)
    }
    if (this.#members.size > 0) this.#wait(nextMs)
  }
}
