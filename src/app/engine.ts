/**
 * The stages of one thread, joined: intake → spool → route → shape → compose and sign → deliver, and outcomes back. Everything here is wiring; each
 * arrow is one call.
 */
import { openDns, silentDns } from '../adapters/dns/dns.ts'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { openNet } from '../adapters/net/net.ts'
import { createDeliverCounters, createDeliverer, type Deliverer } from '../deliver/deliver.ts'
import { type IntakeLogEvent, newIntakeCounters, type SmtpIntake, startSmtpIntake } from '../intake/intake.ts'
import type { Grant } from '../model/grant.ts'
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { minuteMs } from '../kernel/units.ts'
import { createRouter, type Router } from '../route/route.ts'
import { queueImage, Scheduler, type ShapeAction, type ShapeEvent, type SiteQueue, slotStates } from '../shape/shape.ts'
import { createSigner } from '../sign/sign.ts'
import {
  type Arrival,
  Channel,
  fullTenants,
  openSpool,
  type Spool,
  SpoolPins,
  type SubmissionLog,
} from '../spool/spool.ts'
import { domainOf } from '../standards/address.ts'
import { createClients } from '../tenancy/tenancy.ts'
import type { EngineFigures, EngineThreadData, EngineTotals, LiveRecipient } from './exchange.ts'
import { createMessages } from './messages.ts'

const tickMs = 250
const tidyEveryMs = minuteMs
const sitesShown = 20

export interface EngineOptions extends EngineThreadData {
  readonly log: (level: 'error' | 'warn' | 'info' | 'debug', message: string, fields: Record<string, unknown>) => void
}

export class Engine {
  readonly #clock: Clock = systemClock
  readonly #options: EngineOptions
  readonly #spool: Spool
  readonly #scheduler: Scheduler
  readonly #router: Router
  readonly #deliverer: Deliverer
  readonly #intakeCounters = newIntakeCounters()
  readonly #deliverCounters = createDeliverCounters()
  readonly #events = new BoundedQueue<ShapeEvent>(Number.MAX_SAFE_INTEGER)
  readonly #steadyStartMs: number
  readonly #totals: EngineTotals = {
    accepted: 0,
    recipients: 0,
    delivered: 0,
    deferred: 0,
    bounced: 0,
    expired: 0,
    uncertain: 0,
  }
  #running = false
  #held = false
  #holding = false
  #tidyAtMs = 0
  #intake: SmtpIntake | null = null

  constructor(options: EngineOptions) {
    const { config } = options
    const clock = this.#clock
    const random = systemRandom
    this.#options = options
    this.#steadyStartMs = clock.nowMs() - clock.monotonicMs()
    const pins = new SpoolPins(options.memory.channels)
    this.#scheduler = new Scheduler({
      pins,
      retry: config.retry,
      connectionsMax: config.delivery.connectionsMax,
      recipientsPerTransaction: config.delivery.recipientsPerTransaction,
      random,
      nowMs: this.#nowMs(),
    })
    this.#spool = openSpool({
      disk: openDisk(config.dataDirectory),
      config: config.spool,
      memory: options.memory,
      clock,
      random,
      pins,
      queue: queueImage(this.#scheduler, () => this.#nowMs()),
      intakeHere: true,
      onArrival: (arrival) => this.#arrived(arrival),
    })
    const dns = config.sandbox ? silentDns : openDns({ config: config.dns, clock, random })
    this.#router = createRouter({
      routes: config.routes,
      delivery: config.delivery,
      hostname: config.hostname,
      dns,
      clock,
      sandboxSink: options.sandboxSink,
    })
    this.#deliverer = createDeliverer({
      config: config.delivery,
      hostname: config.hostname,
      messages: createMessages(this.#spool.records, createSigner(config.dkim)),
      dns,
      net: openNet({ loopbackOnly: config.sandbox }),
      clock,
      random,
      sandbox: config.sandbox,
      counters: this.#deliverCounters,
      report: (report) => this.#run({ kind: 'report', report }),
      ahead: (grant) => this.#ahead(grant),
    })
  }

  get recovery() {
    return this.#spool.recovery
  }

  /** Waits until what recovery wrote again is on disk, queues what was pending, then opens the doors. */
  async start(): Promise<readonly { readonly address: string; readonly port: number }[]> {
    const { config } = this.#options
    const { stoppedInOrder } = this.#spool.recovery
    const settled = new Promise<void>((resolve) => this.#watchLogs(resolve))
    this.#poll()
    await settled
    // On disk before the first delivery: a crash from here on leaves in doubt what was under way.
    this.#spool.outcomes.mark('started')
    await this.#outcomesOnDisk(Number.POSITIVE_INFINITY)
    for (const action of this.#scheduler.begin(!stoppedInOrder, this.#nowMs())) this.#do(action)
    this.#tick()
    this.#intake = await startSmtpIntake({
      config: config.smtp,
      hostname: config.hostname,
      tls: config.tls,
      submissions: this.#spool.submissions as SubmissionLog,
      clients: createClients(config.tenants),
      clock: this.#clock,
      counters: this.#intakeCounters,
      log: (event: IntakeLogEvent) => this.#options.log('info', 'refused', { ...event }),
    })
    return this.#intake.addresses
  }

  /** Stops taking mail, finishes what is under way, and has every outcome on disk when it settles. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#intake?.stop(deadlineMs / 3)
    this.#run({ kind: 'hold', hold: true })
    this.#held = true
    await this.#deliverer.stop(deadlineMs / 3)
    this.#spool.submissions?.close()
    this.#spool.outcomes.flush()
    if (!(await this.#outcomesOnDisk(deadlineMs / 3))) return
    this.#spool.outcomes.mark('stopped')
    await this.#outcomesOnDisk(deadlineMs / 6)
    this.#spool.reclaim.request()
    await this.#until(() => this.#spool.reclaim.idle, deadlineMs / 6)
  }

  #outcomesOnDisk(msMax: number): Promise<boolean> {
    const { outcomes, channels } = this.#spool
    return this.#until(
      () => outcomes.onDisk && channels.every(({ committedTo, closedTo }) => committedTo === closedTo),
      msMax,
    )
  }

  /** False when it took too long. */
  async #until(condition: () => boolean, msMax: number): Promise<boolean> {
    const endMs = this.#clock.monotonicMs() + msMax
    while (!condition()) {
      if (this.#clock.monotonicMs() > endMs) return false
      await new Promise<void>((resolve) => this.#clock.after(5, resolve))
      this.#poll()
    }
    return true
  }

  figures(): EngineFigures {
    const { slots, sites } = this.#scheduler
    let oldestAtMs = Number.POSITIVE_INFINITY
    for (let slot = 0; slot < slots.used; slot++) {
      const state = slots.state[slot] as number
      if (state === slotStates.free || state === slotStates.dead) continue
      oldestAtMs = Math.min(oldestAtMs, slots.acceptedAtMs[slot] as number)
    }
    const { active, idle } = this.#deliverer.connections()
    return {
      totals: this.#totals,
      queue: {
        ready: slots.counts[slotStates.ready] as number,
        deferred: slots.counts[slotStates.deferred] as number,
        inFlight: slots.counts[slotStates.inFlight] as number,
        oldestAtMs,
      },
      sites: [...sites.values()]
        .sort((a, b) => b.queued + b.inFlight - a.queued - a.inFlight)
        .slice(0, sitesShown)
        .map(describeSite),
      connections: { smtpIn: this.#intake?.connections ?? 0, deliverActive: active, deliverIdle: idle },
      logs: this.#spool.channels.map((channel) => ({
        name: channel.name,
        committedPosition: channel.committedTo,
        freeBytes: channel.freeBytes,
        state: channel.state,
      })),
      intake: { ...this.#intakeCounters },
      deliver: { ...this.#deliverCounters },
    }
  }

  /** The recipients of a submission that are not settled yet. */
  live(number: number): LiveRecipient[] {
    const { slots } = this.#scheduler
    const recipients: LiveRecipient[] = []
    for (let slot = 0; slot < slots.used; slot++) {
      if (slots.number[slot] !== number) continue
      const state = slots.state[slot] as number
      if (state === slotStates.free || state === slotStates.dead) continue
      recipients.push({
        recipient: slots.recipient[slot] as number,
        state: state === slotStates.inFlight ? 'in_flight' : state === slotStates.deferred ? 'deferred' : 'queued',
        attempts: slots.attempts[slot] as number,
        nextAttemptAtMs: slots.nextAtMs[slot] as number,
        mayBeDuplicate: slots.flags[slot] !== 0,
      })
    }
    return recipients
  }

  /** Wall time as it was at the start, carried on by the monotonic clock: a jump of the wall clock neither expires nor delays anything. */
  #nowMs(): number {
    return Math.floor(this.#steadyStartMs + this.#clock.monotonicMs())
  }

  /** Wakes with every commit of either log; calls `settled` once recovery is through. */
  #watchLogs(settled: () => void): void {
    let waiting: (() => void) | null = settled
    for (const channel of this.#spool.channels) {
      const wait = (): void => {
        const seen = Atomics.load(channel.flags, Channel.doneFlag)
        this.#poll()
        if (waiting !== null && this.#spool.settled()) {
          waiting()
          waiting = null
        }
        const next = Atomics.waitAsync(channel.flags, Channel.doneFlag, seen)
        if (next.async) void next.value.then(wait)
        else setImmediate(wait)
      }
      wait()
    }
  }

  #poll(): void {
    this.#spool.poll()
  }

  #arrived({ number, place, span, bytes, submission }: Arrival): void {
    const { tenant, acceptedAtMs, recipients } = submission
    this.#totals.accepted += 1
    this.#totals.recipients += recipients.length
    const last = recipients.length - 1
    for (let recipient = 0; recipient <= last; recipient++) {
      const domain = domainOf(recipients[recipient] as string)
      const admission = { number, place, span, bytes, recipient, domain, tenant, acceptedAtMs, ...fresh }
      const event: ShapeEvent = { kind: 'admit', admission, more: recipient < last }
      // All of them, before the answer to where the first one goes.
      if (event.more === true) this.#events.push(event)
      else this.#run(event)
    }
  }

  /** Feeds the scheduler one event at a time; what an action causes at once waits its turn. */
  #run(event: ShapeEvent): void {
    this.#events.push(event)
    if (this.#running) return
    this.#running = true
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const action of this.#scheduler.step(next, this.#nowMs())) this.#do(action)
    }
    this.#running = false
  }

  /** What the scheduler lets follow on the connection of `grant`. */
  #ahead(grant: Grant): Grant | null {
    if (this.#running) return null
    let next: Grant | null = null
    for (const action of this.#scheduler.step({ kind: 'ahead', grant }, this.#nowMs())) {
      if (action.kind === 'grant') next = action.grant
      else this.#do(action)
    }
    return next
  }

  #do(action: ShapeAction): void {
    switch (action.kind) {
      case 'grant':
        return this.#deliverer.deliver(action.grant)
      case 'settle':
        return this.#settle(action)
      case 'route': {
        const { domain } = action
        const answer = this.#router.route(domain)
        if (answer instanceof Promise) void answer.then((late) => this.#run({ kind: 'routed', domain, answer: late }))
        else this.#run({ kind: 'routed', domain, answer })
      }
    }
  }

  #settle({ number, attempt, recipients }: Extract<ShapeAction, { kind: 'settle' }>): void {
    for (const { outcome } of recipients) this.#totals[outcome.kind] += 1
    this.#spool.outcomes.append(number, { log: 0, atMs: this.#nowMs(), attempt, recipients })
  }

  #measureShares(): void {
    const { tenantShare: share, reserveBytes } = this.#options.config.spool
    const freeBytes = this.#spool.channels[0]?.freeBytes ?? 0
    const full = fullTenants(this.#scheduler.tenants, { share, freeBytes, reserveBytes })
    this.#spool.submissions?.setFull(full, this.#scheduler.slots.full)
  }

  #tick(): void {
    this.#clock.after(tickMs, () => this.#tick())
    this.#run({ kind: 'tick' })
    const hold = this.#held || !this.#spool.outcomes.hasRoom
    if (hold !== this.#holding) this.#run({ kind: 'hold', hold })
    this.#holding = hold
    this.#spool.reclaim.tick()
    this.#measureShares()
    if (this.#nowMs() < this.#tidyAtMs) return
    this.#tidyAtMs = this.#nowMs() + tidyEveryMs
    this.#router.prune((site) => this.#scheduler.sites.has(site.id))
  }
}

const fresh = { attempts: 0, nextAttemptAtMs: 0, mayBeDuplicate: false } as const

const describeSite = (queue: SiteQueue) => ({
  name: queue.site.name,
  queued: queue.queued,
  inFlight: queue.inFlight,
  connections: queue.connections,
  paused: !queue.open,
  lastReply: queue.lastReply === '' ? null : queue.lastReply,
})
