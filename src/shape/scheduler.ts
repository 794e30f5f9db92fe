/** See shape.ts. One object holds every queue, limit and gate; nothing here asks for the time, the network or the disk. */
import { invariant } from '../kernel/assert.ts'
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import type { Random } from '../kernel/random.ts'
import { TimerWheel } from '../kernel/timer-wheel.ts'
import { hourMs, minuteMs } from '../kernel/units.ts'
import type { RetryConfig } from '../config/compiled.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import type { QueueRow } from '../model/queue.ts'
import type { Pins } from '../ports/queue.ts'
import {
  type Destination,
  type Flow,
  type LearnedSite,
  pushSlot,
  shiftSlot,
  SiteQueue,
  type TenantUse,
} from './flows.ts'
import { inOrderOfAcceptance } from './image.ts'
import { aheadServiceMsMax, attemptsMax, hungrySitesMax, ringMax } from './limits.ts'
import { GrantPairs } from './pairs.ts'
import { RetrySchedule } from './retry.ts'
import { mayBeDuplicateFlag, Slots, type SlotState, slotStates } from './slots.ts'
import { judge, type SettledRecipient } from './verdict.ts'

/** One recipient that enters the queue. */
export interface Admission {
  readonly number: number
  readonly place: number
  readonly span: number
  readonly bytes: number
  readonly recipient: number
  readonly domain: string
  readonly tenant: string
  readonly acceptedAtMs: number
  readonly attempts: number
  /** 0: now. */
  readonly nextAttemptAtMs: number
  /** 0: as the configuration says. */
  readonly lifeS: number
  readonly mayBeDuplicate: boolean
  /** Why nothing may go there; absent for nearly all. */
  readonly refusal?: Outcome
}

export type RouteAnswer = { readonly site: Site; readonly validForMs: number } | { readonly failure: Outcome }

export type ShapeEvent =
  /** `more`: others of the same submission follow at once, and those of one site should share transactions. */
  | { readonly kind: 'admit'; readonly admission: Admission; readonly more?: boolean }
  | { readonly kind: 'routed'; readonly domain: string; readonly answer: RouteAnswer }
  | { readonly kind: 'report'; readonly report: DeliveryReport }
  /** Whoever had this grant is gone, and nobody knows how far it came. It counts as no attempt. */
  | { readonly kind: 'lost'; readonly grant: Grant }
  /** The connection that carries `grant` can take one more behind it, in the same write: at most one grant action answers. */
  | { readonly kind: 'ahead'; readonly grant: Grant }
  /** True: grant nothing more, because the outcome log is behind or the process is going down. */
  | { readonly kind: 'hold'; readonly hold: boolean }
  | { readonly kind: 'tick' }

export type ShapeAction =
  | { readonly kind: 'route'; readonly domain: string }
  | { readonly kind: 'grant'; readonly grant: Grant }
  | {
      readonly kind: 'settle'
      readonly number: number
      readonly place: number
      readonly attempt: Attempt
      readonly recipients: readonly SettledRecipient[]
    }

export interface SchedulerOptions {
  /** Told of every place that slots begin or cease to point to. */
  readonly pins?: Pins
  readonly retry: RetryConfig
  readonly connectionsMax: number
  readonly recipientsPerTransaction: number
  readonly random: Random
  readonly nowMs: number
  /** Smaller in tests. */
  readonly hungrySitesMax?: number
  readonly ringMax?: number
}

const sweepEveryMs = minuteMs
const forgottenAfterMs = hourMs

const noAttempt = (nowMs: number): Attempt => ({
  startedAtMs: nowMs,
  host: '',
  address: '',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: -1,
  envelopeMs: -1,
  finishedMs: 0,
})

const noPins: Pins = { add() {}, remove() {} }

export class Scheduler {
  readonly slots = new Slots()
  readonly sites = new Map<number, SiteQueue>()
  /** What was known of sites before the process began, by name, until there is mail for them. */
  readonly learned = new Map<string, LearnedSite>()
  readonly tenants = new Map<string, TenantUse>()
  readonly #retry: RetrySchedule
  readonly #pins: Pins
  readonly #connectionsMax: number
  readonly #recipientsPerTransaction: number
  readonly #random: Random
  readonly #wheel: TimerWheel
  readonly #destinations = new Map<string, Destination>()
  readonly #flows: Flow[] = []
  /** Numbers of flows that are forgotten. */
  readonly #freeFlows: number[] = []
  readonly #closed = new Set<SiteQueue>()
  readonly #hungry: BoundedQueue<SiteQueue>
  readonly #ringMax: number
  /** Sites that were given something to send in this step. */
  readonly #filled: SiteQueue[] = []
  #actions: ShapeAction[] = []
  #inFlight = 0
  readonly #pairs = new GrantPairs()
  #nextGrant = 1
  #hold = false
  #sweptAtMs: number

  constructor(options: SchedulerOptions) {
    this.#pins = options.pins ?? noPins
    this.#retry = new RetrySchedule(options.retry, options.random)
    this.#connectionsMax = options.connectionsMax
    this.#recipientsPerTransaction = options.recipientsPerTransaction
    this.#hungry = new BoundedQueue(options.hungrySitesMax ?? hungrySitesMax.value)
    this.#ringMax = options.ringMax ?? ringMax.value
    this.#random = options.random
    this.#wheel = new TimerWheel(options.nowMs)
    this.#sweptAtMs = options.nowMs
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** By id; an idle one may be given to another domain. */
  get flows(): readonly Flow[] {
    return this.#flows
  }

  /** A recipient from before the process began. It stands in no queue until `begin`. */
  restore(row: QueueRow, domain: string, tenant: string, nowMs: number): void {
    const due = row.nextAttemptAtMs <= nowMs
    const slot = this.#fill({ ...row, domain, tenant }, due ? slotStates.ready : slotStates.deferred, nowMs)
    if (!due) this.#wheel.add(slot, this.slots.nextAtMs[slot] as number, this.slots.next)
  }

  /**
   * Queues what was restored, in the order of acceptance, and returns what must be done.
   * @param inDoubt nobody knows what was on its way when the process ended
   */
  begin(inDoubt: boolean, nowMs: number): readonly ShapeAction[] {
    const { slots } = this
    for (const slot of inOrderOfAcceptance(slots)) {
      if (inDoubt) slots.flags[slot] = mayBeDuplicateFlag
      this.#enqueue(this.#flows[slots.flow[slot] as number] as Flow, slot, nowMs)
    }
    return this.step({ kind: 'tick' }, nowMs)
  }

  /** The slot's record was copied: from now on it is read there. */
  relocate(slot: number, place: number, span: number): void {
    const { slots } = this
    this.#unpin(slot)
    slots.place[slot] = place
    slots.span[slot] = span
    this.#pin(slot)
  }

  /** Takes one event at a time that never runs backwards; returns what must be done now, in order. */
  step(event: ShapeEvent, nowMs: number): readonly ShapeAction[] {
    switch (event.kind) {
      case 'admit':
        this.#admit(event.admission, nowMs)
        if (event.more !== true) this.#dispatchFilled(nowMs)
        break
      case 'routed':
        this.#routed(event.domain, event.answer, nowMs)
        break
      case 'report':
        this.#report(event.report, nowMs)
        break
      case 'lost':
        this.#lost(event.grant, nowMs)
        break
      case 'ahead':
        this.#grantAhead(event.grant, nowMs)
        break
      case 'hold':
        this.#hold = event.hold
        if (!event.hold) for (const queue of this.sites.values()) this.#dispatch(queue, nowMs)
        break
      case 'tick':
        this.#tick(nowMs)
        break
    }
    const actions = this.#actions
    if (actions.length > 0) this.#actions = []
    return actions
  }

  #admit(admission: Admission, nowMs: number): void {
    const { refusal } = admission
    if (refusal !== undefined) {
      const slot = this.#fill(admission, slotStates.ready, nowMs)
      return this.#settle(admission.number, noAttempt(nowMs), [slot], [refusal], nowMs)
    }
    const due = admission.nextAttemptAtMs <= nowMs
    const slot = this.#fill(admission, due ? slotStates.ready : slotStates.deferred, nowMs)
    if (due) this.#enqueue(this.#flows[this.slots.flow[slot] as number] as Flow, slot, nowMs)
    else this.#wheel.add(slot, this.slots.nextAtMs[slot] as number, this.slots.next)
  }

  #fill(admission: Admission, state: SlotState, nowMs: number): number {
    const flow = this.#flowFor(admission.domain, admission.tenant)
    const slots = this.slots
    const slot = slots.allocate(state)
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
    return slot
  }

  #pin(slot: number): void {
    const { slots } = this
    const bytes = slots.bytes[slot] as number
    const use = this.#useAt(slot)
    use.bytes += bytes
    use.recipients += 1
    this.#pins.add(slots.place[slot] as number, slots.span[slot] as number, bytes)
  }

  #useAt(slot: number): TenantUse {
    return (this.#flows[this.slots.flow[slot] as number] as Flow).use
  }

  #unpin(slot: number): void {
    const { slots } = this
    const bytes = slots.bytes[slot] as number
    const use = this.#useAt(slot)
    use.bytes -= bytes
    use.recipients -= 1
    this.#pins.remove(slots.place[slot] as number, slots.span[slot] as number, bytes)
  }

  #flowFor(domain: string, tenant: string): Flow {
    let destination = this.#destinations.get(domain)
    if (destination === undefined) {
      destination = { domain, flows: [], queue: null, routing: false, validUntilMs: 0 }
      this.#destinations.set(domain, destination)
    }
    for (const flow of destination.flows) if (flow.tenant === tenant) return flow
    const id = this.#freeFlows.pop() ?? this.#flows.length
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
    this.#flows[id] = flow
    destination.flows.push(flow)
    return flow
  }

  #useOf(tenant: string): TenantUse {
    let use = this.tenants.get(tenant)
    if (use === undefined) this.tenants.set(tenant, (use = { bytes: 0, recipients: 0 }))
    return use
  }

  /** Its site waits for `dispatchFilled`. */
  #enqueue(flow: Flow, slot: number, nowMs: number): void {
    pushSlot(flow, slot, this.slots)
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
    this.#askRoute(destination)
  }

  /** Once for all that came in, not for each: the first recipients of a message must not leave alone. */
  #dispatchFilled(nowMs: number): void {
    for (let queue = this.#filled.pop(); queue !== undefined; queue = this.#filled.pop()) {
      queue.filled = false
      this.#dispatch(queue, nowMs)
    }
  }

  #askRoute(destination: Destination): void {
    if (destination.routing) return
    destination.routing = true
    this.#actions.push({ kind: 'route', domain: destination.domain })
  }

  #routed(domain: string, answer: RouteAnswer, nowMs: number): void {
    const destination = this.#destinations.get(domain)
    if (destination === undefined) return
    destination.routing = false
    if ('failure' in answer) {
      destination.validUntilMs = 0
      for (const flow of destination.flows) this.#failFlow(flow, answer.failure, nowMs)
      return
    }
    const queue = this.#siteQueue(answer.site, nowMs)
    const before = destination.queue
    destination.validUntilMs = nowMs + answer.validForMs
    destination.queue = queue
    for (const flow of destination.flows) {
      if (before !== queue) {
        if (before !== null) before.queued -= flow.size
        queue.queued += flow.size
        flow.ring = null
      }
      queue.join(flow)
    }
    this.#dispatch(queue, nowMs)
  }

  /** Flows that once found their ring full. */
  #joinAgain(destination: Destination, nowMs: number): void {
    for (const flow of destination.flows) {
      if (flow.ring !== null || flow.size === 0) continue
      if (destination.validUntilMs > nowMs) destination.queue?.join(flow)
      else this.#askRoute(destination)
    }
  }

  #siteQueue(site: Site, nowMs: number): SiteQueue {
    let queue = this.sites.get(site.id)
    if (queue !== undefined) return queue
    queue = new SiteQueue(site, nowMs, this.learned.get(site.name), this.#ringMax)
    this.learned.delete(site.name)
    this.sites.set(site.id, queue)
    if (!queue.open) this.#closed.add(queue)
    return queue
  }

  /** Everything in a flow whose domain leads nowhere. */
  #failFlow(flow: Flow, outcome: Outcome, nowMs: number): void {
    const queue = flow.destination.queue
    if (queue !== null) queue.queued -= flow.size
    const slots: number[] = []
    while (flow.size > 0) {
      const slot = shiftSlot(flow, this.slots)
      if (this.#buryDead(slot)) continue
      slots.push(slot)
    }
    for (let from = 0; from < slots.length; ) {
      const number = this.slots.number[slots[from] as number] as number
      let to = from
      while (to < slots.length && this.slots.number[slots[to] as number] === number && to - from < 1_000) to += 1
      const group = slots.slice(from, to)
      this.#settle(
        number,
        noAttempt(nowMs),
        group,
        group.map(() => outcome),
        nowMs,
      )
      from = to
    }
  }

  #dispatch(queue: SiteQueue, nowMs: number): void {
    while (!this.#hold && queue.open && queue.connections < queue.window && queue.wantsConnection(nowMs)) {
      if (this.#connections >= this.#connectionsMax) {
        if (!queue.hungry && queue.next() !== null) queue.hungry = this.#hungry.push(queue)
        return
      }
      const flow = queue.next()
      if (flow === null) return
      const grant = this.#takeGrant(queue, flow)
      if (grant === null) continue
      if (flow.destination.validUntilMs <= nowMs) this.#askRoute(flow.destination)
      this.#actions.push({ kind: 'grant', grant })
    }
  }

  /** A grant for a connection that is busy with another one: it needs no connection of its own until that one is reported. */
  #grantAhead(before: Grant, nowMs: number): void {
    const queue = this.#siteQueue(before.site, nowMs)
    if (this.#hold || !queue.open || queue.connections > queue.window) return
    // Behind a slow answer a message would wait although another connection is free for it.
    if (queue.serviceMs > aheadServiceMsMax.value) return
    if (this.#pairs.has(before.id)) return
    // A connection that is always kept busy would never come free for another site.
    if (this.#hungry.size > 0) return
    for (let flow = queue.next(); flow !== null; flow = queue.next()) {
      const grant = this.#takeGrant(queue, flow)
      if (grant === null) continue
      queue.ahead += 1
      this.#pairs.join(before.id, grant.id)
      if (flow.destination.validUntilMs <= nowMs) this.#askRoute(flow.destination)
      this.#actions.push({ kind: 'grant', grant })
      return
    }
  }

  /** Connections that grants occupy: pairs share one. */
  get #connections(): number {
    return this.#inFlight - this.#pairs.count
  }

  /** Neighbours in the queue that belong to one submission share a transaction. Null when only dead slots were found. */
  #takeGrant(queue: SiteQueue, flow: Flow): Grant | null {
    const slots = this.slots
    const taken: number[] = []
    const recipients: number[] = []
    while (flow.size > 0 && taken.length < this.#recipientsPerTransaction) {
      const head = flow.head
      if (taken.length > 0 && slots.number[head] !== slots.number[taken[0] as number]) break
      shiftSlot(flow, slots)
      queue.queued -= 1
      if (this.#buryDead(head)) continue
      slots.setState(head, slotStates.inFlight)
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

  #release(slot: number): void {
    const flow = this.#flows[this.slots.flow[slot] as number] as Flow
    flow.live -= 1
    // A dead one needs its record no more.
    if (this.slots.state[slot] !== slotStates.dead) this.#unpin(slot)
    this.slots.release(slot)
  }

  #buryDead(slot: number): boolean {
    if (this.slots.state[slot] !== slotStates.dead) return false
    this.#release(slot)
    return true
  }

  #report(report: DeliveryReport, nowMs: number): void {
    const queue = this.#takeBack(report.grant, nowMs)
    if (queue.learn(report, nowMs, this.#random)) this.#closed.add(queue)
    this.#settle(report.grant.number, report.attempt, report.grant.slots, report.outcomes, nowMs)
    this.#placeFree(queue, nowMs)
  }

  #lost(grant: Grant, nowMs: number): void {
    const queue = this.#takeBack(grant, nowMs)
    for (const slot of grant.slots) {
      this.slots.flags[slot] = mayBeDuplicateFlag
      this.slots.setState(slot, slotStates.ready)
      this.#enqueue(this.#flows[this.slots.flow[slot] as number] as Flow, slot, nowMs)
    }
    this.#dispatchFilled(nowMs)
    this.#placeFree(queue, nowMs)
  }

  #takeBack(grant: Grant, nowMs: number): SiteQueue {
    const queue = this.#siteQueue(grant.site, nowMs)
    queue.inFlight -= 1
    this.#inFlight -= 1
    if (this.#pairs.part(grant.id)) queue.ahead -= 1
    invariant(queue.inFlight >= 0, 'every grant is reported once')
    for (const slot of grant.slots)
      invariant(this.slots.state[slot] === slotStates.inFlight, 'a reported recipient is in flight')
    return queue
  }

  #placeFree(queue: SiteQueue, nowMs: number): void {
    // Its place comes free for whoever has waited longest, which is not the site that just had it.
    if (this.#hungry.size === 0) this.#dispatch(queue, nowMs)
    else if (!queue.hungry && queue.next() !== null) queue.hungry = this.#hungry.push(queue)
    while (this.#connections < this.#connectionsMax) {
      const hungry = this.#hungry.shift()
      if (hungry === undefined) break
      hungry.hungry = false
      this.#dispatch(hungry, nowMs)
    }
  }

  /** Decides what each recipient's outcome means for it, tells the log, and files or frees its slot. */
  #settle(
    number: number,
    attempt: Attempt,
    slots: readonly number[],
    outcomes: readonly Outcome[],
    nowMs: number,
  ): void {
    const recipients: SettledRecipient[] = []
    const place = this.slots.place[slots[0] as number] as number
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as number
      const outcome = outcomes[i] as Outcome
      const tried = {
        recipient: this.slots.recipient[slot] as number,
        attempts: this.slots.attempts[slot] as number,
        acceptedAtMs: this.slots.acceptedAtMs[slot] as number,
        lifeS: this.slots.lifeS[slot] as number,
        mayBeDuplicate: this.slots.flags[slot] === mayBeDuplicateFlag,
      }
      const nextAtMs = judge(tried, outcome, this.#retry, nowMs, recipients)
      if (nextAtMs === 0) {
        this.#release(slot)
        continue
      }
      this.slots.attempts[slot] = Math.min(tried.attempts + 1, attemptsMax.value)
      this.slots.nextAtMs[slot] = nextAtMs
      if (outcome.kind === 'uncertain') this.slots.flags[slot] = mayBeDuplicateFlag
      this.slots.setState(slot, slotStates.deferred)
      this.#wheel.add(slot, nextAtMs, this.slots.next)
    }
    this.#actions.push({ kind: 'settle', number, place, attempt, recipients })
  }

  #tick(nowMs: number): void {
    const { slots } = this
    this.#wheel.advance(
      nowMs,
      slots.next,
      (slot) => slots.nextAtMs[slot] as number,
      (slot) => {
        if (this.#buryDead(slot)) return
        slots.setState(slot, slotStates.ready)
        this.#enqueue(this.#flows[slots.flow[slot] as number] as Flow, slot, nowMs)
      },
    )
    this.#dispatchFilled(nowMs)
    for (const queue of this.#closed) {
      if (queue.closedUntilMs > nowMs) continue
      queue.closedUntilMs = 0
      this.#closed.delete(queue)
      this.#dispatch(queue, nowMs)
    }
    for (const queue of this.sites.values()) if (queue.queued > 0) this.#dispatch(queue, nowMs)
    if (nowMs - this.#sweptAtMs < sweepEveryMs) return
    this.#sweptAtMs = nowMs
    this.#sweepExpired(nowMs)
    this.#forgetIdle(nowMs)
  }

  /** By column, so that it reaches paused and blocked mail too. What is in flight has its answer soon. */
  #sweepExpired(nowMs: number): void {
    const { slots } = this
    // One attempt is due exactly at expiry: a grace of a minute lets it happen.
    const graceFromMs = nowMs - minuteMs
    for (let slot = 0; slot < slots.used; slot++) {
      const state = slots.state[slot]
      if (state !== slotStates.ready && state !== slotStates.deferred) continue
      const lifeS = slots.lifeS[slot] as number
      if ((slots.acceptedAtMs[slot] as number) + this.#retry.lifeMs(lifeS) > graceFromMs) continue
      this.#unpin(slot)
      slots.setState(slot, slotStates.dead)
      const recipient = slots.recipient[slot] as number
      const attempts = slots.attempts[slot] as number
      const outcome = this.#retry.expired(attempts, lifeS, '')
      const mayBeDuplicate = slots.flags[slot] === mayBeDuplicateFlag
      const recipients = [
        { recipient, attempt: Math.min(attempts + 1, attemptsMax.value), outcome, nextAttemptAtMs: 0, mayBeDuplicate },
      ]
      this.#actions.push({
        kind: 'settle',
        number: slots.number[slot] as number,
        place: slots.place[slot] as number,
        attempt: noAttempt(nowMs),
        recipients,
      })
    }
  }

  /** Domains that nothing waits for, and sites that no domain leads to, are forgotten: a list of a million domains is mailed once. */
  #forgetIdle(nowMs: number): void {
    const before = nowMs - forgottenAfterMs
    const used = new Set<SiteQueue>()
    for (const [domain, destination] of this.#destinations) {
      const idle = !destination.routing && destination.flows.every((flow) => flow.live === 0)
      if (idle && destination.validUntilMs < before) {
        this.#destinations.delete(domain)
        for (const flow of destination.flows) this.#freeFlows.push(flow.id)
      } else if (destination.queue !== null) {
        used.add(destination.queue)
        this.#joinAgain(destination, nowMs)
      }
    }
    for (const [id, queue] of this.sites) {
      // Connections of a forgotten site must be closed before its number goes to another one, which an hour makes sure of.
      if (!used.has(queue) && queue.inFlight === 0 && queue.queued === 0 && queue.open && queue.reportedMs < before)
        this.sites.delete(id)
    }
  }
}
