/**
 * From a recipient's domain to a site. The mail of a domain stands in flows, one for each tenant; where they lead is asked once for all of them. While the
 * answer is true they take their places in that site's rings (flows.ts), and whatever enters a flow after it is no longer true has it asked again.
 */
import type { Actions } from './events.ts'
import { type Destination, type Flow, pushSlot, type SiteQueue, type TenantUse, unshiftSlot } from './flows.ts'
import type { Slots } from './slots.ts'

export class Destinations {
  readonly tenants = new Map<string, TenantUse>()
  /** By id; an idle one may be given to another domain. */
  readonly flows: Flow[] = []
  /** Numbers of flows that are forgotten. */
  readonly #freeFlows: number[] = []
  readonly #byDomain = new Map<string, Destination>()
  readonly #slots: Slots
  readonly #actions: Actions
  /** Sites that were given something to send in this step. */
  readonly #filled: SiteQueue[] = []

  constructor(slots: Slots, actions: Actions) {
    this.#slots = slots
    this.#actions = actions
  }

  get(domain: string): Destination | undefined {
    return this.#byDomain.get(domain)
  }

  flowFor(domain: string, tenant: string): Flow {
    let destination = this.#byDomain.get(domain)
    if (destination === undefined) {
      destination = { domain, flows: [], queue: null, routing: false, validUntilMs: 0 }
      this.#byDomain.set(domain, destination)
    }
    for (const flow of destination.flows) if (flow.tenant === tenant) return flow
    const id = this.#freeFlows.pop() ?? this.flows.length
    const flow: Flow = {
      id,
      tenant,
      use: this.#useOf(tenant),
      destination,
      live: 0,
      head: 0,
      tail: 0,
      size: 0,
      ring: null,
    }
    this.flows[id] = flow
    destination.flows.push(flow)
    return flow
  }

  #useOf(tenant: string): TenantUse {
    let use = this.tenants.get(tenant)
    if (use === undefined) this.tenants.set(tenant, (use = { bytes: 0, recipients: 0 }))
    return use
  }

  flowOf(slot: number): Flow {
    return this.flows[this.#slots.flow[slot] as number] as Flow
  }

  /** The slot goes to the end of its flow. A site that this gives something to send is one of the next `nextFilled`. */
  enqueue(slot: number, nowMs: number): void {
    const flow = this.flowOf(slot)
    pushSlot(flow, slot, this.#slots)
    this.#offer(flow, nowMs)
  }

  /** The slot goes to the front of its flow, from which it was taken. */
  putBack(slot: number, nowMs: number): void {
    const flow = this.flowOf(slot)
    unshiftSlot(flow, slot, this.#slots)
    this.#offer(flow, nowMs)
  }

  #offer(flow: Flow, nowMs: number): void {
    const { destination } = flow
    const { queue } = destination
    if (queue !== null) {
      queue.queued += 1
      if (destination.validUntilMs > nowMs) {
        queue.join(flow)
        if (!queue.filled) this.#filled.push(queue)
        queue.filled = true
        return
      }
    }
    this.ask(destination)
  }

  nextFilled(): SiteQueue | undefined {
    const queue = this.#filled.pop()
    if (queue !== undefined) queue.filled = false
    return queue
  }

  /** Where does it lead? `led` or `leadsNowhere` follows. */
  ask(destination: Destination): void {
    if (destination.routing) return
    destination.routing = true
    this.#actions.push({ kind: 'route', domain: destination.domain })
  }

  /** All that waits goes along, also from another site that the domain led to before. */
  led(destination: Destination, queue: SiteQueue, validUntilMs: number): void {
    const before = destination.queue
    destination.routing = false
    destination.validUntilMs = validUntilMs
    destination.queue = queue
    for (const flow of destination.flows) {
      if (before !== queue) {
        if (before !== null) before.queued -= flow.size
        queue.queued += flow.size
        flow.ring = null
      }
      queue.join(flow)
    }
  }

  /** The mail in its flows is the caller's to settle. */
  leadsNowhere(destination: Destination): void {
    destination.routing = false
    destination.validUntilMs = 0
  }

  /**
   * Domains that nothing waits for are forgotten: a list of a million domains is mailed once. Flows of the others that once found their ring full look
   * for a place again. Returns the sites that some domain leads to.
   */
  tidy(beforeMs: number, nowMs: number): Set<SiteQueue> {
    const led = new Set<SiteQueue>()
    for (const [domain, destination] of this.#byDomain) {
      const idle = !destination.routing && destination.flows.every((flow) => flow.live === 0)
      if (idle && destination.validUntilMs < beforeMs) {
        this.#byDomain.delete(domain)
        for (const flow of destination.flows) this.#freeFlows.push(flow.id)
      } else if (destination.queue !== null) {
        led.add(destination.queue)
        this.#joinAgain(destination, nowMs)
      }
    }
    return led
  }

  #joinAgain(destination: Destination, nowMs: number): void {
    for (const flow of destination.flows) {
      if (flow.ring !== null || flow.size === 0) continue
      if (destination.validUntilMs > nowMs) destination.queue?.join(flow)
      else this.ask(destination)
    }
  }
}
