/**
 * One slot per live recipient: columns of typed arrays, so that ten million cost half a gigabyte and a search is a scan of a column.
 *
 *   number f64 | place f64 | acceptedAt f64 | nextAt f64 | flow u32 | recipient u32 | next u32 | bytes u32 | attempts u16 | span u16 | state u8 | flags u8
 *   = 54 bytes
 *
 * `next` links a slot into exactly one list: its flow's queue, a bucket of the timer wheel, or the free list.
 */
import { invariant } from '../kernel/assert.ts'
import { none } from '../kernel/timer-wheel.ts'

export const slotStates = { free: 0, ready: 1, deferred: 2, inFlight: 3, dead: 4 } as const
export type SlotState = (typeof slotStates)[keyof typeof slotStates]
/** Bits of `flags`. */
export const mayBeDuplicateFlag = 1

export class Slots {
  number = new Float64Array(0)
  place = new Float64Array(0)
  acceptedAtMs = new Float64Array(0)
  nextAtMs = new Float64Array(0)
  flow = new Uint32Array(0)
  recipient = new Uint32Array(0)
  /** This recipient's share of what is stored. */
  bytes = new Uint32Array(0)
  next = new Uint32Array(0)
  attempts = new Uint16Array(0)
  /** How many segments before the record's hold chunks of it. */
  span = new Uint16Array(0)
  state = new Uint8Array(0)
  flags = new Uint8Array(0)
  /** Slots by state, for the queue's figures. */
  readonly counts = new Float64Array(5)
  #free = none
  #used = 0

  /** Slots ever handed out: scans go up to here. */
  get used(): number {
    return this.#used
  }

  get live(): number {
    return (
      (this.counts[slotStates.ready] as number) +
      (this.counts[slotStates.deferred] as number) +
      (this.counts[slotStates.inFlight] as number)
    )
  }

  allocate(state: SlotState): number {
    let slot = this.#free
    if (slot !== none) this.#free = this.next[slot] as number
    else {
      if (this.#used === this.state.length) this.#grow()
      slot = this.#used++
    }
    this.next[slot] = none
    this.state[slot] = state
    this.counts[state] = (this.counts[state] as number) + 1
    return slot
  }

  setState(slot: number, state: SlotState): void {
    const before = this.state[slot] as number
    this.counts[before] = (this.counts[before] as number) - 1
    this.counts[state] = (this.counts[state] as number) + 1
    this.state[slot] = state
  }

  /** Only for a slot that stands in no list. */
  release(slot: number): void {
    invariant(this.state[slot] !== slotStates.free, 'slot is released once')
    this.setState(slot, slotStates.free)
    this.next[slot] = this.#free
    this.#free = slot
  }

  #grow(): void {
    const size = Math.max(1024, this.state.length * 2)
    const copy = <A extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    this.number = copy(this.number, new Float64Array(size))
    this.place = copy(this.place, new Float64Array(size))
    this.acceptedAtMs = copy(this.acceptedAtMs, new Float64Array(size))
    this.nextAtMs = copy(this.nextAtMs, new Float64Array(size))
    this.flow = copy(this.flow, new Uint32Array(size))
    this.recipient = copy(this.recipient, new Uint32Array(size))
    this.bytes = copy(this.bytes, new Uint32Array(size))
    this.next = copy(this.next, new Uint32Array(size))
    this.attempts = copy(this.attempts, new Uint16Array(size))
    this.span = copy(this.span, new Uint16Array(size))
    this.state = copy(this.state, new Uint8Array(size))
    this.flags = copy(this.flags, new Uint8Array(size))
  }
}
