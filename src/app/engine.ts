/**
 * The scheduler's thread: intake → spool → route → shape → compose and sign → deliver, and outcomes back. Everything here is wiring; each arrow is one
 * call. Intake and delivery are here too on a small machine; otherwise intake's logs are read as they grow, and grants go out over rings (deliver-pool.ts).
 */
import { openDisk } from '../adapters/embedded/embedded.ts'
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { SharedSet } from '../kernel/shared-set.ts'
import { minuteMs } from '../kernel/units.ts'
import type { Grant } from '../model/grant.ts'
import { suppressedOutcome } from '../model/outcome.ts'
import type { Confirmation } from '../ports/directory.ts'
import { SharedSuppressions } from '../ports/suppressions.ts'
import { createRouter, type Router } from '../route/route.ts'
import { queueImage, Scheduler, type ShapeAction, type ShapeEvent } from '../shape/shape.ts'
import { type Arrival, Channel, intakeLogName, openSpool, type Spool, SpoolPins } from '../spool/spool.ts'
import { domainOf } from '../standards/address.ts'
import { QuotaTable } from '../tenancy/tenancy.ts'
import { type DeliverSide, startDeliverSide } from './deliver-side.ts'
import { startDns, type WrapMessages } from './delivery.ts'
import type { DirectoryNews } from './directory-news.ts'
import { Doors } from './doors.ts'
import type {
  DeliverRings,
  FromThread,
  Fullness,
  Place,
  SchedulerThreadData,
  ThreadFigures,
  ThreadLog,
  ToThread,
} from './exchange.ts'
import { noTotals, queueFigures } from './figures.ts'
import { Quarantine } from './quarantine.ts'
import { WaitingMail } from './waiting-mail.ts'

const tickMs = 250
const tidyEveryMs = minuteMs
/** An intake thread may be waiting for room from here on. */
const crowdedShare = 1 / 8

export interface EngineOptions extends SchedulerThreadData {
  readonly log: ThreadLog
  /** To intake in threads of its own. */
  readonly tellIntake: (fullness: Fullness) => void
  readonly confirmSender: (token: string) => Promise<Confirmation>
  readonly wrap?: WrapMessages
}

export class Engine {
  readonly #clock: Clock = systemClock
  readonly #options: EngineOptions
  readonly #spool: Spool
  readonly #scheduler: Scheduler
  readonly #router: Router
  readonly #deliverSide: DeliverSide
  readonly #intakeChannels: readonly Channel[]
  readonly #quarantine: Quarantine
  readonly #waitingMail: WaitingMail
  readonly #events = new BoundedQueue<ShapeEvent>(Number.MAX_SAFE_INTEGER)
  readonly #steadyStartMs: number
  readonly #totals = noTotals()
  #running = false
  #held = false
  #holding = false
  #tidyAtMs = 0
  readonly #suppressions: SharedSuppressions
  readonly #doors: Doors | null

  constructor(options: EngineOptions) {
    const { config } = options
    const clock = this.#clock
    const random = systemRandom
    this.#options = options
    this.#suppressions = new SharedSuppressions(new SharedSet(options.suppressed))
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
      intakeHere: options.intakeHere,
      onArrival: (arrival) => this.#arrived(arrival),
    })
    const names = Array.from({ length: options.memory.intakeLogs }, (_, log) => intakeLogName(log))
    this.#intakeChannels = this.#spool.channels.filter(({ name }) => names.includes(name))
    this.#quarantine = new Quarantine(options.quarantined, options.log)
    this.#waitingMail = new WaitingMail({
      config,
      measured: options.measured,
      tellIntake: options.tellIntake,
      quotaTable: new QuotaTable(options.quotaMemory, clock),
      scheduler: this.#scheduler,
      spool: this.#spool,
    })
    const dns = startDns(config, clock, random)
    this.#router = createRouter({
      routes: config.routes,
      delivery: config.delivery,
      hostname: config.hostname,
      dns,
      clock,
      sandboxSink: options.sandboxSink,
    })
    this.#deliverSide = startDeliverSide({
      data: options,
      suppressions: this.#suppressions,
      records: this.#spool.records,
      dns,
      clock,
      wrap: options.wrap,
      report: (report) => this.#run({ kind: 'report', report }),
      ahead: (grant) => this.#ahead(grant),
      stepping: () => this.#running,
      lost: (grant) => this.#run({ kind: 'lost', grant }),
    })
    this.#doors = this.#doorsHere()
  }

  get recovery() {
    return this.#spool.recovery
  }

  /** Waits until what recovery wrote again is on disk, queues what was pending, then opens the doors if they are here. */
  async start(): Promise<void> {
    const { stoppedInOrder } = this.#spool.recovery
    const settled = new Promise<void>((resolve) => this.#watchLogs(resolve))
    this.#poll()
    await settled
    // On disk before the first delivery: a crash from here on leaves in doubt what was under way.
    this.#spool.outcomes.mark('started')
    await this.#outcomesOnDisk(Number.POSITIVE_INFINITY)
    for (const action of this.#scheduler.begin(!stoppedInOrder, this.#nowMs())) this.#do(action)
    this.#tick()
    await this.#doors?.open()
  }

  get addresses(): readonly Place[] {
    return this.#doors?.addresses ?? []
  }

  get httpAddresses(): readonly Place[] {
    return this.#doors?.httpAddresses ?? []
  }

  #doorsHere(): Doors | null {
    const { submissions } = this.#spool
    const [channel] = this.#intakeChannels
    if (submissions === null || channel === undefined) return null
    const { config, version, directory, quotaMemory, log, confirmSender } = this.#options
    const own = { config, version, directory, quotaMemory, log, confirmSender }
    return new Doors({ ...own, submissions, channel, reusePort: false })
  }

  /** Stops taking mail, finishes what is under way, and has every outcome on disk when it settles. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#doors?.stop(deadlineMs / 3)
    this.#run({ kind: 'hold', hold: true })
    this.#held = true
    const nothingUnderWay = await this.#deliverSide.stop(deadlineMs / 3)
    this.#spool.submissions?.close()
    this.#spool.outcomes.flush()
    if (!(await this.#outcomesOnDisk(deadlineMs / 3)) || !nothingUnderWay) return
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

  figures(): ThreadFigures {
    const intake = this.#doors?.figures
    const deliver = this.#deliverSide.figures()
    return {
      queue: queueFigures(this.#scheduler, this.#spool.channels, this.#totals),
      ...(intake !== undefined && { intake }),
      ...(deliver !== undefined && { deliver }),
    }
  }

  /** What only a thread with doors is told. */
  hear(message: ToThread): FromThread | Promise<FromThread> | null {
    return this.#doors?.hear(message) ?? null
  }

  /** For what is prepared here. */
  hearNews(news: DirectoryNews): void {
    this.#deliverSide.hearNews(news)
    if (news.measured !== undefined) this.#waitingMail.measure(news.measured)
  }

  /** From now on this set is asked. */
  suppressed(memory: SharedArrayBuffer): void {
    this.#suppressions.replace(new SharedSet(memory))
  }

  delivererDied(thread: number, rings: DeliverRings): void {
    this.#deliverSide.died(thread, rings)
  }

  delivererReady(thread: number): void {
    this.#deliverSide.attended(thread)
  }

  /** From now on the message is not touched any more. */
  quarantine(number: number): void {
    this.#quarantine.add(number)
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
    if (this.#spool.submissions !== null) return this.#spool.poll()
    const crowded = this.#intakeChannels.filter(
      ({ closedTo, readTo, windowBytes }) => closedTo - readTo > windowBytes * crowdedShare,
    )
    this.#spool.poll()
    // Their owners wait for room in the window, which there is only now.
    for (const channel of crowded) channel.wakeOwner()
  }

  #arrived({ number, place, span, bytes, lifeS, submission }: Arrival): void {
    const { tenant, acceptedAtMs, recipients } = submission
    this.#totals.accepted += 1
    this.#totals.recipients += recipients.length
    const last = recipients.length - 1
    for (let recipient = 0; recipient <= last; recipient++) {
      const address = recipients[recipient] as string
      const domain = domainOf(address)
      const row = { number, place, span, bytes, lifeS, recipient, domain, tenant, acceptedAtMs, ...fresh }
      const admission = this.#suppressions.has(tenant, address) ? { ...row, refusal: suppressedOutcome() } : row
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
    this.#doors?.poll()
  }

  /** What the scheduler lets follow on the connection of `grant`. */
  #ahead(grant: Grant): Grant | null {
    let next: Grant | null = null
    for (const action of this.#scheduler.step({ kind: 'ahead', grant }, this.#nowMs())) {
      if (action.kind === 'grant' && !this.#quarantine.holds(action.grant)) next = action.grant
      else this.#do(action)
    }
    return next
  }

  #deliver(grant: Grant): void {
    if (!this.#quarantine.holds(grant)) return this.#deliverSide.deliver(grant)
    this.#run({ kind: 'report', report: this.#quarantine.report(grant, this.#nowMs()) })
  }

  #do(action: ShapeAction): void {
    switch (action.kind) {
      case 'grant':
        return this.#deliver(action.grant)
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

  #settle({ number, place, attempt, recipients }: Extract<ShapeAction, { kind: 'settle' }>): void {
    for (const { outcome } of recipients) this.#totals[outcome.kind] += 1
    this.#spool.outcomes.append(number, { log: 0, place, atMs: this.#nowMs(), attempt, recipients })
  }

  #tick(): void {
    this.#clock.after(tickMs, () => this.#tick())
    this.#run({ kind: 'tick' })
    const hold = this.#held || !this.#spool.outcomes.hasRoom
    if (hold !== this.#holding) this.#run({ kind: 'hold', hold })
    this.#holding = hold
    this.#spool.reclaim.tick()
    this.#waitingMail.tell()
    if (this.#nowMs() < this.#tidyAtMs) return
    this.#tidyAtMs = this.#nowMs() + tidyEveryMs
    this.#router.prune((site) => this.#scheduler.sites.has(site.id))
  }
}

const fresh = { attempts: 0, nextAttemptAtMs: 0, mayBeDuplicate: false } as const
