/**
 * What each event means for the parts below, as a table of contents. Each part owns its variables; none of them asks for the time, the network or the disk.
 *
 *   admit ──> recipients ──> destinations ──> sites ──> grants ──> delivery ──> report ──> settlement ──> an end
 *             a slot each    domain → site    rings     what may go               │         what became of it
 *                 ^             ^                                                 │            │
 *                 │             └───────────────────── lost ──────────────────────┘            │
 *                 └──────────────────────────── when it is due again ──────────────────────────┘
 */
import type { RetryConfig } from '../config/compiled.ts'
import type { Random } from '../kernel/random.ts'
import { hourMs, minuteMs } from '../kernel/units.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { QueueRow } from '../model/queue.ts'
import type { Pins } from '../ports/queue.ts'
import { Destinations } from './destinations.ts'
import { Actions, type Admission, type RouteAnswer, type ShapeAction, type ShapeEvent } from './events.ts'
import type { Flow, LearnedSite, SiteQueue, TenantUse } from './flows.ts'
import { Grants } from './grants.ts'
import { inOrderOfAcceptance } from './image.ts'
import { leftOver } from './left-over.ts'
import { hungrySitesMax, ringMax } from './limits.ts'
import { Recipients } from './recipients.ts'
import { RetrySchedule } from './retry.ts'
import { Settlement } from './settlement.ts'
import { Sites } from './sites.ts'
import { Slots } from './slots.ts'

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

const noPins: Pins = { add() {}, remove() {} }

export class Scheduler {
  readonly slots = new Slots()
  readonly #random: Random
  readonly #actions = new Actions()
  readonly #sites: Sites
  readonly #destinations: Destinations
  readonly #recipients: Recipients
  readonly #grants: Grants
  readonly #settlement: Settlement
  #sweptAtMs: number

  constructor(options: SchedulerOptions) {
    const { pins = noPins, random, nowMs } = options
    const retry = new RetrySchedule(options.retry, random)
    this.#random = random
    this.#sites = new Sites(options.ringMax ?? ringMax.value)
    this.#destinations = new Destinations(this.slots, this.#actions)
    this.#recipients = new Recipients(this.slots, this.#destinations, pins, retry, nowMs)
    this.#settlement = new Settlement(this.#recipients, retry, this.#actions)
    this.#grants = new Grants(this.#recipients, this.#destinations, this.#actions, {
      connectionsMax: options.connectionsMax,
      recipientsPerTransaction: options.recipientsPerTransaction,
      hungrySitesMax: options.hungrySitesMax ?? hungrySitesMax.value,
    })
    this.#sweptAtMs = nowMs
  }

  /** By id. */
  get sites(): ReadonlyMap<number, SiteQueue> {
    return this.#sites.byId
  }

  /** See sites.ts. */
  get learned(): Map<string, LearnedSite> {
    return this.#sites.learned
  }

  get tenants(): ReadonlyMap<string, TenantUse> {
    return this.#destinations.tenants
  }

  /** By id; an idle one may be given to another domain. */
  get flows(): readonly Flow[] {
    return this.#destinations.flows
  }

  /** A recipient from before the process began. It stands in no queue until `begin`. */
  restore(row: QueueRow, domain: string, tenant: string, nowMs: number): void {
    this.#recipients.enter({ ...row, domain, tenant }, row.nextAttemptAtMs <= nowMs, nowMs)
  }

  /**
   * Queues what was restored, in the order of acceptance, and returns what must be done.
   * @param inDoubt nobody knows what was on its way when the process ended
   */
  begin(inDoubt: boolean, nowMs: number): readonly ShapeAction[] {
    for (const slot of inOrderOfAcceptance(this.slots)) {
      if (inDoubt) this.#recipients.mayBeDuplicate(slot)
      this.#destinations.enqueue(slot, nowMs)
    }
    return this.step({ kind: 'tick' }, nowMs)
  }

  /** The slot's record was copied: from now on it is read there. */
  relocate(slot: number, place: number, span: number): void {
    this.#recipients.relocate(slot, place, span)
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
        this.#grants.ahead(event.grant, this.#sites.queueOf(event.grant.site, nowMs), nowMs)
        break
      case 'hold':
        this.#grants.hold = event.hold
        if (!event.hold) for (const queue of this.#sites.byId.values()) this.#grants.dispatch(queue, nowMs)
        break
      case 'tick':
        this.#tick(nowMs)
        break
    }
    return this.#actions.take()
  }

  #admit(admission: Admission, nowMs: number): void {
    const { refusal } = admission
    const due = refusal !== undefined || admission.nextAttemptAtMs <= nowMs
    const slot = this.#recipients.enter(admission, due, nowMs)
    if (refusal !== undefined) this.#settlement.settleUntried([slot], refusal, nowMs)
    else if (due) this.#destinations.enqueue(slot, nowMs)
  }

  #routed(domain: string, answer: RouteAnswer, nowMs: number): void {
    const destination = this.#destinations.get(domain)
    if (destination === undefined) return
    if ('failure' in answer) {
      this.#destinations.leadsNowhere(destination)
      for (const flow of destination.flows) this.#settlement.failFlow(flow, answer.failure, nowMs)
      return
    }
    const queue = this.#sites.queueOf(answer.site, nowMs)
    this.#destinations.led(destination, queue, nowMs + answer.validForMs)
    this.#grants.dispatch(queue, nowMs)
  }

  #report(report: DeliveryReport, nowMs: number): void {
    const { grant, attempt, outcomes } = report
    const queue = this.#sites.queueOf(grant.site, nowMs)
    this.#grants.takeBack(grant, queue)
    if (queue.learn(report, nowMs, this.#random)) this.#sites.hasClosed(queue)
    const left = outcomes.length > 1 ? leftOver(outcomes) : null
    if (left !== null) queue.learnRecipients(left.taken, nowMs)
    if (left === null || left.again.length === 0) {
      this.#settlement.settle(grant.number, attempt, grant.slots, outcomes, nowMs)
      this.#grants.placeFree(queue, nowMs)
      return
    }
    const { again } = left
    const tried = (_: unknown, i: number): boolean => !again.includes(i)
    this.#settlement.settle(grant.number, attempt, grant.slots.filter(tried), outcomes.filter(tried), nowMs)
    // The last one first, so that they stand in their order again.
    for (let i = again.length - 1; i >= 0; i--) {
      const slot = grant.slots[again[i] as number] as number
      this.#recipients.leftOver(slot)
      this.#destinations.putBack(slot, nowMs)
    }
    this.#grants.placeFree(queue, nowMs)
    this.#dispatchFilled(nowMs)
  }

  #lost(grant: Grant, nowMs: number): void {
    const queue = this.#sites.queueOf(grant.site, nowMs)
    this.#grants.takeBack(grant, queue)
    for (const slot of grant.slots) {
      this.#recipients.lost(slot)
      this.#destinations.enqueue(slot, nowMs)
    }
    this.#dispatchFilled(nowMs)
    this.#grants.placeFree(queue, nowMs)
  }

  #tick(nowMs: number): void {
    this.#recipients.wake(nowMs)
    this.#dispatchFilled(nowMs)
    for (const queue of this.#sites.reopen(nowMs)) this.#grants.dispatch(queue, nowMs)
    for (const queue of this.#sites.byId.values()) if (queue.queued > 0) this.#grants.dispatch(queue, nowMs)
    if (nowMs - this.#sweptAtMs < sweepEveryMs) return
    this.#sweptAtMs = nowMs
    this.#settlement.sweepExpired(nowMs)
    this.#forgetIdle(nowMs)
  }

  /** Once for all that came in, not for each: the first recipients of a message must not leave alone. */
  #dispatchFilled(nowMs: number): void {
    for (let queue = this.#destinations.nextFilled(); queue !== undefined; queue = this.#destinations.nextFilled())
      this.#grants.dispatch(queue, nowMs)
  }

  #forgetIdle(nowMs: number): void {
    const beforeMs = nowMs - forgottenAfterMs
    const led = this.#destinations.tidy(beforeMs, nowMs)
    this.#sites.forgetIdle(led, beforeMs)
  }
}
