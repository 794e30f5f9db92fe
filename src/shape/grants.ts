/**
 * What may go now. A grant occupies a connection until it is taken back, alone or as one of a pair. Connections have two bounds: the window of the
 * site, which is learned from its answers (flows.ts), and those of the whole machine. A hungry site is one that waits for the machine only; the longest
 * waiting is the next.
 */
import { invariant } from '../kernel/assert.ts'
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import type { Grant } from '../model/grant.ts'
import type { Destinations } from './destinations.ts'
import type { Actions } from './events.ts'
import { type Flow, shiftSlot, type SiteQueue } from './flows.ts'
import { aheadServiceMsMax } from './limits.ts'
import { GrantPairs } from './pairs.ts'
import type { Recipients } from './recipients.ts'
import { slotStates } from './slots.ts'

export interface GrantLimits {
  readonly connectionsMax: number
  readonly recipientsPerTransaction: number
  readonly hungrySitesMax: number
}

export class Grants {
  /** True: nothing more. */
  hold = false
  readonly #recipients: Recipients
  readonly #destinations: Destinations
  readonly #actions: Actions
  readonly #connectionsMax: number
  readonly #recipientsPerTransaction: number
  readonly #hungry: BoundedQueue<SiteQueue>
  readonly #pairs = new GrantPairs()
  #inFlight = 0
  #nextGrant = 1

  constructor(recipients: Recipients, destinations: Destinations, actions: Actions, limits: GrantLimits) {
    this.#recipients = recipients
    this.#destinations = destinations
    this.#actions = actions
    this.#connectionsMax = limits.connectionsMax
    this.#recipientsPerTransaction = limits.recipientsPerTransaction
    this.#hungry = new BoundedQueue(limits.hungrySitesMax)
  }

  /** Connections that grants occupy: pairs share one. */
  get #connections(): number {
    return this.#inFlight - this.#pairs.count
  }

  /** All that the site may have now. */
  dispatch(queue: SiteQueue, nowMs: number): void {
    while (!this.hold && queue.open && queue.connections < queue.window && queue.wantsConnection(nowMs)) {
      if (this.#connections >= this.#connectionsMax) {
        if (!queue.hungry && queue.next() !== null) queue.hungry = this.#hungry.push(queue)
        return
      }
      const flow = queue.next()
      if (flow === null) return
      const grant = this.#take(queue, flow, nowMs)
      if (grant !== null) this.#give(grant, flow, nowMs)
    }
  }

  /** One more for a connection that is busy with `before`: it needs no connection of its own until that one is reported. */
  ahead(before: Grant, queue: SiteQueue, nowMs: number): void {
    if (this.hold || !queue.open || queue.connections > queue.window) return
    // Behind a slow answer a message would wait although another connection is free for it.
    if (queue.serviceMs > aheadServiceMsMax.value) return
    if (this.#pairs.has(before.id)) return
    // A connection that is always kept busy would never come free for another site.
    if (this.#hungry.size > 0) return
    for (let flow = queue.next(); flow !== null; flow = queue.next()) {
      const grant = this.#take(queue, flow, nowMs)
      if (grant === null) continue
      queue.ahead += 1
      this.#pairs.join(before.id, grant.id)
      return this.#give(grant, flow, nowMs)
    }
  }

  /** Neighbours in the queue that belong to one submission share a transaction. Null when only dead slots were found. */
  #take(queue: SiteQueue, flow: Flow, nowMs: number): Grant | null {
    const { slots } = this.#recipients
    const taken: number[] = []
    const recipients: number[] = []
    const recipientsMax = Math.min(this.#recipientsPerTransaction, queue.recipientsMax(nowMs))
    while (flow.size > 0 && taken.length < recipientsMax) {
      const head = flow.head
      if (taken.length > 0 && slots.number[head] !== slots.number[taken[0] as number]) break
      shiftSlot(flow, slots)
      queue.queued -= 1
      if (this.#recipients.buryDead(head)) continue
      this.#recipients.granted(head)
      taken.push(head)
      recipients.push(slots.recipient[head] as number)
    }
    queue.served(flow, taken.length)
    const first = taken[0]
    if (first === undefined) return null
    queue.inFlight += 1
    this.#inFlight += 1
    return {
      id: this.#nextGrant++,
      site: queue.site,
      source: null,
      number: slots.number[first] as number,
      place: slots.place[first] as number,
      recipients,
      slots: taken,
    }
  }

  #give(grant: Grant, { destination }: Flow, nowMs: number): void {
    if (destination.validUntilMs <= nowMs) this.#destinations.ask(destination)
    this.#actions.push({ kind: 'grant', grant })
  }

  /** It is reported or lost. */
  takeBack(grant: Grant, queue: SiteQueue): void {
    queue.inFlight -= 1
    this.#inFlight -= 1
    if (this.#pairs.part(grant.id)) queue.ahead -= 1
    invariant(queue.inFlight >= 0, 'every grant is reported once')
    const { state } = this.#recipients.slots
    for (const slot of grant.slots) invariant(state[slot] === slotStates.inFlight, 'a reported recipient is in flight')
  }

  /** The place of a grant that was taken back goes to whoever has waited longest, which is not the site that just had it. */
  placeFree(queue: SiteQueue, nowMs: number): void {
    if (this.#hungry.size === 0) this.dispatch(queue, nowMs)
    else if (!queue.hungry && queue.next() !== null) queue.hungry = this.#hungry.push(queue)
    while (this.#connections < this.#connectionsMax) {
      const hungry = this.#hungry.shift()
      if (hungry === undefined) break
      hungry.hungry = false
      this.dispatch(hungry, nowMs)
    }
  }
}
