/** A scheduler under virtual time, with routing and receivers played by the test, and its invariants checked after every step. */
import assert from 'node:assert/strict'
import type { RetryConfig } from '../../src/config/compiled.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { hourMs, minuteMs } from '../../src/kernel/units.ts'
import type { Grant } from '../../src/model/grant.ts'
import type { Attempt, Outcome } from '../../src/model/outcome.ts'
import type { Site } from '../../src/model/site.ts'
import {
  type Admission,
  type RouteAnswer,
  Scheduler,
  type SchedulerOptions,
  type SettledRecipient,
  type ShapeAction,
  type ShapeEvent,
  slotStates,
} from '../../src/shape/shape.ts'

export const startMs = 1_700_000_000_000

export const hourlyRetry: RetryConfig = {
  delaysMs: [minuteMs, 5 * minuteMs, 15 * minuteMs, hourMs],
  jitter: 0.15,
  expireAfterMs: 72 * hourMs,
}

export const siteOf = (id: number, connectionsMax = 20): Site => ({
  id,
  name: `mx${id}.example:25`,
  hosts: [{ host: `mx${id}.example`, preference: 10 }],
  port: 25,
  tls: 'opportunistic',
  credentials: null,
  trusted: false,
  connectionsMax,
})

export const outcomeOf = (kind: Outcome['kind'], scope: Outcome['scope'] = 'recipient'): Outcome => ({
  kind,
  scope,
  stage: scope === 'site' ? 'connect' : 'rcpt',
  code: kind === 'delivered' ? 250 : kind === 'bounced' ? 550 : scope === 'site' ? 0 : 450,
  enhanced: kind === 'delivered' ? '2.0.0' : kind === 'bounced' ? '5.1.1' : '4.2.0',
  text: kind,
})

/** Slow enough that every connection which is allowed is worth its handshake. */
const serviceMs = 1_000

const attempt: Attempt = {
  startedAtMs: startMs,
  host: 'mx.example',
  address: '192.0.2.1',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: 1,
  envelopeMs: 2,
  finishedMs: 1 + serviceMs,
}

export interface Settled extends SettledRecipient {
  readonly number: number
  readonly atMs: number
}

export interface ShapeRigOptions {
  readonly scheduler?: Partial<SchedulerOptions>
  readonly seed?: number
  /** Null: the answer comes later, by `routed`. */
  readonly route?: (domain: string) => RouteAnswer | null
}

export class ShapeRig {
  nowMs = startMs
  readonly scheduler: Scheduler
  /** Open grants, oldest first. */
  readonly grants: Grant[] = []
  readonly asked: string[] = []
  readonly settled: Settled[] = []
  readonly actions: ShapeAction[] = []
  readonly #route: (domain: string) => RouteAnswer | null
  readonly #connectionsMax: number
  readonly #recipientsPerTransaction: number
  readonly #grantIds = new Set<number>()
  #admitted = 0
  #ended = 0
  #nextNumber = 1

  constructor(options: ShapeRigOptions = {}) {
    this.#route = options.route ?? (() => ({ site: siteOf(0), validForMs: 1_000 * hourMs }))
    this.#connectionsMax = options.scheduler?.connectionsMax ?? 1_000
    this.#recipientsPerTransaction = options.scheduler?.recipientsPerTransaction ?? 100
    this.scheduler = new Scheduler({
      retry: hourlyRetry,
      connectionsMax: this.#connectionsMax,
      recipientsPerTransaction: this.#recipientsPerTransaction,
      random: seededRandom(options.seed ?? 1),
      nowMs: this.nowMs,
      ...options.scheduler,
    })
  }

  /** Recipients that have not come to an end. */
  get live(): number {
    return this.#admitted - this.#ended
  }

  /** A submission of `recipients` to one domain; returns its number. */
  submit(options: { domain?: string; tenant?: string; recipients?: number } & Partial<Admission> = {}): number {
    const { domain = 'example.net', tenant = 'acme', recipients = 1, ...rest } = options
    const number = this.#nextNumber++
    for (let recipient = 0; recipient < recipients; recipient++) {
      this.#admitted += 1
      this.step({
        kind: 'admit',
        admission: {
          number,
          place: number * 4096,
          span: 0,
          bytes: 1_000,
          recipient,
          domain,
          tenant,
          acceptedAtMs: this.nowMs,
          attempts: 0,
          nextAttemptAtMs: 0,
          lifeS: 0,
          mayBeDuplicate: false,
          ...rest,
        },
      })
    }
    return number
  }

  /** Ends a grant, with one outcome for all of it or one for each recipient. */
  report(grant: Grant, outcome: Outcome | readonly Outcome[], tookMs = serviceMs): void {
    const at = this.grants.indexOf(grant)
    assert.ok(at >= 0, 'the grant is open')
    this.grants.splice(at, 1)
    const outcomes = Array.isArray(outcome) ? (outcome as Outcome[]) : grant.recipients.map(() => outcome as Outcome)
    this.step({ kind: 'report', report: { grant, outcomes, attempt: { ...attempt, finishedMs: 1 + tookMs } } })
  }

  /** Whoever had the grant is gone. */
  lose(grant: Grant): void {
    const at = this.grants.indexOf(grant)
    assert.ok(at >= 0, 'the grant is open')
    this.grants.splice(at, 1)
    this.step({ kind: 'lost', grant })
  }

  /** Ends the oldest grants until `count` were ended or none is left. */
  reportAll(outcome: Outcome, count = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < count; i++) {
      const grant = this.grants[0]
      if (grant === undefined) return
      this.report(grant, outcome)
    }
  }

  routed(domain: string, answer: RouteAnswer): void {
    this.step({ kind: 'routed', domain, answer })
  }

  /** Time passes, with a tick every `tickMs`. */
  advance(byMs: number, tickMs = 250): void {
    const endMs = this.nowMs + byMs
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + tickMs)
      this.step({ kind: 'tick' })
    }
  }

  step(event: ShapeEvent): void {
    const queue = [event]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const action of this.scheduler.step(next, this.nowMs)) {
        this.actions.push(action)
        if (action.kind === 'grant') this.#granted(action.grant)
        else if (action.kind === 'settle') this.#settle(action.number, action.recipients)
        else {
          this.asked.push(action.domain)
          const answer = this.#route(action.domain)
          if (answer !== null) queue.push({ kind: 'routed', domain: action.domain, answer })
        }
      }
    }
  }

  #granted(grant: Grant): void {
    assert.ok(!this.#grantIds.has(grant.id), 'a grant has its own number')
    this.#grantIds.add(grant.id)
    assert.ok(grant.recipients.length > 0 && grant.recipients.length <= this.#recipientsPerTransaction)
    this.grants.push(grant)
  }

  #settle(number: number, recipients: readonly SettledRecipient[]): void {
    for (const settled of recipients) {
      this.settled.push({ ...settled, number, atMs: this.nowMs })
      if (settled.nextAttemptAtMs === 0) this.#ended += 1
    }
  }

  /** What shape.ts says is always true. Looks at everything: call it where it matters. */
  check(): void {
    const { slots, sites } = this.scheduler
    assert.equal(slots.live, this.live, 'what came in and has not ended is live, once')
    const waiting = [...this.scheduler.tenants.values()].reduce((sum, { recipients }) => sum + recipients, 0)
    assert.equal(waiting, this.live, 'and is counted for its tenant')
    const inFlight = this.grants.flatMap((grant) => [...grant.slots])
    assert.equal(new Set(inFlight).size, inFlight.length, 'nothing is granted twice')
    for (const slot of inFlight) assert.equal(slots.state[slot], slotStates.inFlight)
    assert.equal(slots.counts[slotStates.inFlight], inFlight.length)
    let connections = 0
    for (const queue of sites.values()) {
      connections += queue.connections
      assert.ok(queue.connections <= queue.site.connectionsMax, `${queue.site.name}: ${queue.connections} connections`)
      assert.ok(queue.window >= 1 && queue.window <= queue.site.connectionsMax)
      assert.ok(queue.queued >= 0)
      assert.equal(queue.inFlight, this.grants.filter((grant) => grant.site.id === queue.site.id).length)
    }
    assert.ok(connections <= this.#connectionsMax, `${connections} connections in all`)
  }
}
