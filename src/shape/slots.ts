/**
 * One slot per live recipient: columns of typed arrays, so that ten million cost 580 MB and a search is a scan of a column.
 *
 *   number f64 | place f64 | acceptedAt f64 | nextAt f64 | flow u32 | recipient u32 | next u32 | bytes u32 | life u32 | attempts u16 | span u16 | state u8
 *   | flags u8 = 58 bytes
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

export class Slots {
  readonly number: Float64Array
  readonly place: Float64Array
  readonly acceptedAtMs: Float64Array
  readonly nextAtMs: Float64Array
  readonly flow: Uint32Array
  readonly recipient: Uint32Array
  /** This recipient's share of what is stored. */
  readonly bytes: Uint32Array
  readonly next: Uint32Array
  /** Seconds from acceptance to expiry; 0: as the configuration says. */
  readonly lifeS: Uint32Array
  readonly attempts: Uint16Array
  /** How many segments before the record's hold chunks of it. */
  readonly span: Uint16Array
  readonly state: Uint8Array
  readonly flags: Uint8Array
  /** Slots by state, for the queue's figures. */
  readonly counts = new Float64Array(5)
  readonly #columns: { readonly buffer: ArrayBuffer; readonly BYTES_PER_ELEMENT: number }[] = []
  readonly #slotsMax: number
  #free = none
  #used = 0

  /** @param recipientsMax fewer in tests */
  constructor(recipientsMax: number = slotsMax.value) {
    this.#slotsMax = recipientsMax
    this.number = this.#column(Float64Array)
    this.place = this.#column(Float64Array)
    this.acceptedAtMs = this.#column(Float64Array)
    this.nextAtMs = this.#column(Float64Array)
    this.flow = this.#column(Uint32Array)
    this.recipient = this.#column(Uint32Array)
    this.bytes = this.#column(Uint32Array)
    this.next = this.#column(Uint32Array)
    this.lifeS = this.#column(Uint32Array)
    this.attempts = this.#column(Uint16Array)
    this.span = this.#column(Uint16Array)
    this.state = this.#column(Uint8Array)
    this.flags = this.#column(Uint8Array)
  }

  #column<C extends { readonly buffer: ArrayBuffer; readonly BYTES_PER_ELEMENT: number }>(Column: {
    new (buffer: ArrayBuffer): C
    readonly BYTES_PER_ELEMENT: number
  }): C {
    const column = new Column(new ArrayBuffer(0, { maxByteLength: this.#slotsMax * Column.BYTES_PER_ELEMENT }))
    this.#columns.push(column)
    return column
  }

  /** There is hardly room for what is on its way. */
  get full(): boolean {
    return this.live >= this.#slotsMax * slotsAcceptedShare.value
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
    invariant(this.state.length < this.#slotsMax, 'the queue is full')
    const size = Math.min(this.#slotsMax, this.state.length + growBy)
    for (const { buffer, BYTES_PER_ELEMENT } of this.#columns) buffer.resize(size * BYTES_PER_ELEMENT)
  }
}
