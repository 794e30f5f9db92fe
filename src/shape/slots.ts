/**
 * One slot per live recipient: columns of typed arrays, so that ten million cost half a gigabyte and a search is a scan of a column.
 *
 *   number f64 | place f64 | acceptedAt f64 | nextAt f64 | flow u32 | recipient u32 | next u32 | bytes u32 | attempts u16 | span u16 | state u8 | flags u8
 *   = 54 bytes
 *
 * `next` links a slot into exactly one list: its flow's queue, a bucket of the timer wheel, or the free list.
 */
import { invariant } from '../kernel/assert.ts'
import { slotsAcceptedShare, slotsMax } from './limits.ts'
import { none } from '../kernel/timer-wheel.ts'

export const slotStates = { free: 0, ready: 1, deferred: 2, inFlight: 3, dead: 4 } as const
export type SlotState = (typeof slotStates)[keyof typeof slotStates]
/** Bits of `flags`. */
export const mayBeDuplicateFlag = 1

const growBy = 65_536

const column = (bytesPerSlot: number): ArrayBuffer =>
  new ArrayBuffer(0, { maxByteLength: slotsMax.value * bytesPerSlot })

export class Slots {
  readonly number = new Float64Array(column(8))
  readonly place = new Float64Array(column(8))
  readonly acceptedAtMs = new Float64Array(column(8))
  readonly nextAtMs = new Float64Array(column(8))
  readonly flow = new Uint32Array(column(4))
  readonly recipient = new Uint32Array(column(4))
  /** This recipient's share of what is stored. */
  readonly bytes = new Uint32Array(column(4))
  readonly next = new Uint32Array(column(4))
  readonly attempts = new Uint16Array(column(2))
  /** How many segments before the record's hold chunks of it. */
  readonly span = new Uint16Array(column(2))
  readonly state = new Uint8Array(column(1))
  readonly flags = new Uint8Array(column(1))
  /** Slots by state, for the queue's figures. */
  readonly counts = new Float64Array(5)
  readonly #columns = [
    this.number,
    this.place,
    this.acceptedAtMs,
    this.nextAtMs,
    this.flow,
    this.recipient,
    this.bytes,
    this.next,
    this.attempts,
    this.span,
    this.state,
    this.flags,
  ]
  #free = none
  #used = 0

  /** There is hardly room for what is on its way. */
  get full(): boolean {
    return this.live >= slotsMax.value * slotsAcceptedShare
  }

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

  /** In place: nothing is copied, and what was not used yet is not resident. */
  #grow(): void {
    invariant(this.state.length < slotsMax.value, 'the queue is full')
    const size = this.state.length + growBy
    for (const { buffer, BYTES_PER_ELEMENT } of this.#columns) buffer.resize(size * BYTES_PER_ELEMENT)
  }
}
