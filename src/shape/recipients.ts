/**
 * The life of a recipient in the queue, from the slot that it is given to the end of it. Whatever changes a slot's state is here, and so is what must go
 * with it: its record in the spool, pinned for as long as it may be read, and what its tenant uses.
 *
 *   enter ──┬──> ready ───── granted ────> in flight ── release ──> free
 *           │    ^   ^                       │   │
 *           │  wake  └─── lost, left over ───┘   │
 *           │    │                               │
 *           └──> deferred <──────── defer ───────┘
 *
 *   ready where the domain leads nowhere ── release or defer
 *   ready or deferred, and expired ── die ──> dead ── buryDead, when its list comes to it ──> free
 */
import { TimerWheel } from '../kernel/timer-wheel.ts'
import type { Pins } from '../ports/queue.ts'
import type { Destinations } from './destinations.ts'
import type { Admission } from './events.ts'
import { attemptsMax } from './limits.ts'
import type { RetrySchedule } from './retry.ts'
import { mayBeDuplicateFlag, type Slots, slotStates } from './slots.ts'

export class Recipients {
  readonly slots: Slots
  readonly #destinations: Destinations
  readonly #pins: Pins
  readonly #retry: RetrySchedule
  /** What is deferred, until its time has come. */
  readonly #wheel: TimerWheel
  readonly #nextAtMsOf = (slot: number): number => this.slots.nextAtMs[slot] as number

  constructor(slots: Slots, destinations: Destinations, pins: Pins, retry: RetrySchedule, nowMs: number) {
    this.slots = slots
    this.#destinations = destinations
    this.#pins = pins
    this.#retry = retry
    this.#wheel = new TimerWheel(nowMs)
  }

  /** Returns its slot, which stands in no list yet when it is `due`, and otherwise waits until it is. */
  enter(admission: Admission, due: boolean, nowMs: number): number {
    const flow = this.#destinations.flowFor(admission.domain, admission.tenant)
    const { slots } = this
    const slot = slots.allocate(due ? slotStates.ready : slotStates.deferred)
    slots.number[slot] = admission.number
    slots.place[slot] = admission.place
    slots.span[slot] = admission.span
    slots.bytes[slot] = admission.bytes
    slots.recipient[slot] = admission.recipient
    slots.flow[slot] = flow.id
    flow.live += 1
    slots.attempts[slot] = admission.attempts
    slots.acceptedAtMs[slot] = Math.min(admission.acceptedAtMs, nowMs)
    slots.nextAtMs[slot] = Math.min(admission.nextAttemptAtMs, nowMs + this.#retry.waitMsMax)
    slots.lifeS[slot] = admission.lifeS
    slots.flags[slot] = admission.mayBeDuplicate ? mayBeDuplicateFlag : 0
    this.#pin(slot)
    if (!due) this.#wheel.add(slot, slots.nextAtMs[slot], slots.next)
    return slot
  }

  granted(slot: number): void {
    this.slots.setState(slot, slotStates.inFlight)
  }

  /** Nobody knows how far its attempt came. */
  lost(slot: number): void {
    this.mayBeDuplicate(slot)
    this.slots.setState(slot, slotStates.ready)
  }

  /** Its receiver did not look at it. */
  leftOver(slot: number): void {
    this.slots.setState(slot, slotStates.ready)
  }

  mayBeDuplicate(slot: number): void {
    this.slots.flags[slot] = mayBeDuplicateFlag
  }

  /** It is to be tried again then. This attempt counts, also one that could not be made. */
  defer(slot: number, nextAtMs: number): void {
    const { slots } = this
    slots.attempts[slot] = Math.min((slots.attempts[slot] as number) + 1, attemptsMax.value)
    slots.nextAtMs[slot] = nextAtMs
    slots.setState(slot, slotStates.deferred)
    this.#wheel.add(slot, nextAtMs, slots.next)
  }

  /** Those that waited until now are ready, and go to the end of their flows. */
  wake(nowMs: number): void {
    const { slots } = this
    this.#wheel.advance(nowMs, slots.next, this.#nextAtMsOf, (slot) => {
      if (this.buryDead(slot)) return
      slots.setState(slot, slotStates.ready)
      this.#destinations.enqueue(slot, nowMs)
    })
  }

  /** It has expired in a list, which it leaves when its turn comes. It needs its record no more. */
  die(slot: number): void {
    this.#unpin(slot)
    this.slots.setState(slot, slotStates.dead)
  }

  /** Only for one that has just left its list. True: it had expired there, and its slot is free now. */
  buryDead(slot: number): boolean {
    if (this.slots.state[slot] !== slotStates.dead) return false
    this.#free(slot)
    return true
  }

  /** It has its end. */
  release(slot: number): void {
    this.#unpin(slot)
    this.#free(slot)
  }

  #free(slot: number): void {
    this.#destinations.flowOf(slot).live -= 1
    this.slots.release(slot)
  }

  /** Its record was copied: from now on it is read there. */
  relocate(slot: number, place: number, span: number): void {
    const { slots } = this
    this.#unpin(slot)
    slots.place[slot] = place
    slots.span[slot] = span
    this.#pin(slot)
  }

  #pin(slot: number): void {
    const { slots } = this
    const bytes = slots.bytes[slot] as number
    const { use } = this.#destinations.flowOf(slot)
    use.bytes += bytes
    use.recipients += 1
    this.#pins.add(slots.place[slot] as number, slots.span[slot] as number, bytes)
  }

  #unpin(slot: number): void {
    const { slots } = this
    const bytes = slots.bytes[slot] as number
    const { use } = this.#destinations.flowOf(slot)
    use.bytes -= bytes
    use.recipients -= 1
    this.#pins.remove(slots.place[slot] as number, slots.span[slot] as number, bytes)
  }
}
