/**
 * Who is next. A flow is a leaf queue of slots that share destination, class and tenant. A flow stands in its tenant's ring, and a tenant in its
 * site's ring, only while there is something to send and every gate above is open; so dispatch never looks at a message and puts it back.
 *
 *   site ── ring of tenants ── ring of flows ── slots
 *           each turn: a quantum of recipients
 */
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import { none } from '../kernel/timer-wheel.ts'
import type { Random } from '../kernel/random.ts'
import { secondMs } from '../kernel/units.ts'
import type { DeliveryReport } from '../model/grant.ts'
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import { recipientsLearnedMs, ringMax, sitePauseMsMax, sitePauseMsMin } from './limits.ts'
import type { Slots } from './slots.ts'

/** Recipients that a tenant sends before its neighbour's turn, at one site. */
export const tenantQuantum = 10
const decreaseEveryMs = 10 * secondMs
/** Waits shorter than this are not worth a connection. */
const patienceMs = 10
const silenceMs = 50

/** What a tenant's waiting recipients take on disk, and how many they are. */
export interface TenantUse {
  bytes: number
  recipients: number
}

export interface Flow {
  readonly id: number
  readonly tenant: string
  readonly use: TenantUse
  readonly destination: Destination
  /** Slots that name the flow, wherever they stand. */
  live: number
  head: number
  tail: number
  size: number
  /** The tenant's queue that the flow stands in; null while a gate is closed or there is nothing to send. */
  ring: TenantQueue | null
}

/** A recipient domain: where it leads is asked once for all its mail. */
export interface Destination {
  readonly domain: string
  readonly flows: Flow[]
  queue: SiteQueue | null
  routing: boolean
  validUntilMs: number
}

export interface TenantQueue {
  readonly tenant: string
  readonly flows: BoundedQueue<Flow>
  credit: number
  inRing: boolean
}

/** What outlives the process. */
export interface LearnedSite {
  readonly window: number
  readonly failures: number
  readonly closedUntilMs: number
  readonly serviceMs: number
}

export class SiteQueue {
  readonly site: Site
  readonly tenants = new Map<string, TenantQueue>()
  readonly ring: BoundedQueue<TenantQueue>
  readonly #ringMax: number
  inFlight = 0
  /** Of these, the ones that wait behind another on its connection. */
  ahead = 0
  queued = 0
  /** Concurrency that the site seems willing to take, between 1 and `site.connectionsMax`. */
  window: number
  /** Successes since the window last grew. */
  successes = 0
  /** Something got through since the window last shrank. */
  working = false
  /** Site-wide failures in a row; each doubles the pause. */
  failures = 0
  /** What one transaction takes on an open connection, averaged; generous until something is known. */
  serviceMs = 100
  /** When a transaction last came to its end here. */
  reportedMs = 0
  /** Gate: closed until then; 0 is open. */
  closedUntilMs = 0
  lastDecreaseMs = 0
  /** What the receiver took at once when it last said that there were too many. Not in `learned`: one transaction tells it anew. */
  #recipientsMax = Number.POSITIVE_INFINITY
  #recipientsMaxUntilMs = 0
  lastReply = ''
  /** Waits for a connection of the whole machine to come free. */
  hungry = false
  /** Was given something to send, and has not been looked at since. */
  filled = false

  constructor(site: Site, nowMs: number, learned?: LearnedSite, ringSize: number = ringMax.value) {
    this.site = site
    this.ring = new BoundedQueue(ringSize)
    this.#ringMax = ringSize
    this.window = site.connectionsMax
    this.reportedMs = nowMs
    if (learned === undefined) return
    this.window = Math.max(1, Math.min(site.connectionsMax, learned.window))
    this.failures = learned.failures
    this.serviceMs = learned.serviceMs
    // The clock may have been wrong when that was written.
    if (learned.closedUntilMs > nowMs)
      this.closedUntilMs = Math.min(learned.closedUntilMs, nowMs + sitePauseMsMax.value)
  }

  /** Null when it is what is assumed of any site. */
  get learned(): LearnedSite | null {
    const { window, failures, closedUntilMs, serviceMs } = this
    if (window === this.site.connectionsMax && failures === 0) return null
    return { window, failures, closedUntilMs, serviceMs }
  }

  get connections(): number {
    return this.inFlight - this.ahead
  }

  get open(): boolean {
    return this.closedUntilMs === 0
  }

  /**
   * Is another connection worth its handshake? Only when what waits would wait longer than `patienceMs` for those that are busy, or when these
   * have fallen silent. So a quick receiver sees few connections with many messages each, and a slow one as many as it may.
   */
  wantsConnection(nowMs: number): boolean {
    if (this.connections === 0) return true
    if (this.queued * this.serviceMs > patienceMs * this.connections) return true
    return nowMs - this.reportedMs > silenceMs
  }

  #noteService(attempt: Attempt, nowMs: number): void {
    this.reportedMs = nowMs
    const tookMs = attempt.finishedMs - Math.max(0, attempt.connectedMs)
    this.serviceMs += (tookMs - this.serviceMs) / 16
  }

  /**
   * A refused connection while others work asks for fewer, at most once in a while; one when nothing works asks for a pause. True when the gate
   * was closed.
   */
  learn(report: DeliveryReport, nowMs: number, random: Random): boolean {
    const last = report.outcomes.at(-1)
    if (last === undefined) return false
    if (last.kind !== 'delivered') this.#noteReply(last)
    if (last.scope !== 'site') {
      this.#noteSuccess(report.attempt, nowMs)
      return false
    }
    if (!this.open || (nowMs - this.lastDecreaseMs < decreaseEveryMs && this.window > 1)) return false
    const working = this.working && this.window > 1
    this.lastDecreaseMs = nowMs
    this.working = false
    this.successes = 0
    this.window = Math.max(1, Math.floor(this.window / 2))
    if (working) return false
    this.window = 1
    this.failures += 1
    const pauseMs = Math.min(sitePauseMsMax.value, sitePauseMsMin.value * 2 ** (this.failures - 1))
    this.closedUntilMs = nowMs + pauseMs * (0.75 + random.fraction() / 2)
    return true
  }

  #noteSuccess(attempt: Attempt, nowMs: number): void {
    this.#noteService(attempt, nowMs)
    this.failures = 0
    this.successes += 1
    this.working = true
    if (this.successes < this.window || this.window >= this.site.connectionsMax) return
    this.window += 1
    this.successes = 0
  }

  /** How many recipients one transaction may have, as far as the receiver has told. */
  recipientsMax(nowMs: number): number {
    return nowMs < this.#recipientsMaxUntilMs ? this.#recipientsMax : Number.POSITIVE_INFINITY
  }

  /** A transaction had too many recipients, of whom the receiver took so many, 1 or more. */
  learnRecipients(taken: number, nowMs: number): void {
    // Transactions that were under way together may each tell another number.
    this.#recipientsMax = Math.min(taken, this.recipientsMax(nowMs))
    this.#recipientsMaxUntilMs = nowMs + recipientsLearnedMs.value
  }

  #noteReply(outcome: Outcome): void {
    this.lastReply = outcome.code === 0 ? outcome.text : `${outcome.code} ${outcome.enhanced} ${outcome.text}`
  }

  /** A flow with something to send takes its place, if there is one. */
  join(flow: Flow): void {
    if (flow.ring !== null || flow.size === 0) return
    let tenant = this.tenants.get(flow.tenant)
    if (tenant === undefined) {
      tenant = { tenant: flow.tenant, flows: new BoundedQueue(this.#ringMax), credit: tenantQuantum, inRing: false }
      this.tenants.set(flow.tenant, tenant)
    }
    if (!tenant.inRing) {
      if (!this.ring.push(tenant)) return
      tenant.inRing = true
      tenant.credit = tenantQuantum
    }
    if (tenant.flows.push(flow)) flow.ring = tenant
  }

  /** The flow whose turn it is, or null when nothing waits. */
  next(): Flow | null {
    for (let tenant = this.ring.peek(); tenant !== undefined; tenant = this.ring.peek()) {
      const flow = tenant.flows.peek()
      if (flow === undefined) {
        this.ring.shift()
        tenant.inRing = false
        continue
      }
      if (tenant.credit <= 0) {
        this.ring.shift()
        tenant.credit += tenantQuantum
        this.ring.push(tenant)
        continue
      }
      // A flow that moved to another site, or was emptied by a delete, leaves when its turn comes.
      if (flow.ring === tenant && flow.size > 0) return flow
      tenant.flows.shift()
      if (flow.ring === tenant) flow.ring = null
    }
    return null
  }

  /** The flow at the front has been given `recipients`: it goes to the back, or out when it is empty. */
  served(flow: Flow, recipients: number): void {
    const tenant = flow.ring
    if (tenant === null) return
    tenant.credit -= recipients
    tenant.flows.shift()
    if (flow.size > 0) tenant.flows.push(flow)
    else flow.ring = null
  }
}

export function pushSlot(flow: Flow, slot: number, slots: Slots): void {
  slots.next[slot] = none
  if (flow.size === 0) flow.head = slot
  else slots.next[flow.tail] = slot
  flow.tail = slot
  flow.size += 1
}

/** The slot is the next one of its flow. */
export function unshiftSlot(flow: Flow, slot: number, slots: Slots): void {
  slots.next[slot] = flow.size === 0 ? none : flow.head
  if (flow.size === 0) flow.tail = slot
  flow.head = slot
  flow.size += 1
}

export function shiftSlot(flow: Flow, slots: Slots): number {
  const slot = flow.head
  flow.head = slots.next[slot] as number
  flow.size -= 1
  slots.next[slot] = none
  return slot
}
