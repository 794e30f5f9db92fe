/** Grants in, reports out: finds or opens a connection for each grant, and keeps the idle ones. */
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { DeliveryConfig } from '../config/compiled.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Dns } from '../ports/dns.ts'
import type { Messages } from '../ports/messages.ts'
import type { Net } from '../ports/net.ts'
import { createAddressRule } from './address-rule.ts'
import type { CandidateSources } from './candidates.ts'
import type { Connection, ConnectionSetting, IsSuppressed } from './connection.ts'
import { createDeliverCounters, type DeliverCounters } from './counters.ts'
import { createHostMemory } from './hosts.ts'
import { sweepMs } from './limits.ts'
import { Opening } from './opening.ts'
import { outcomeOfFault } from './outcome.ts'
import { IdlePool } from './pool.ts'
import { Transaction } from './transaction.ts'

export interface DelivererOptions {
  readonly config: DeliveryConfig
  /** Our own name: an exchanger of this name would be a loop. */
  readonly hostname: string
  readonly messages: Messages
  readonly dns: Dns
  readonly net: Net
  readonly clock: Clock
  readonly random: Random
  /** Called once per grant, possibly from within a socket's event, never from within `deliver`. It may call `deliver`. */
  readonly report: (report: DeliveryReport) => void
  /**
   * A further grant for the same site, whose envelope may go out behind the content of `grant` on its connection; null when there is none now.
   * Called from within a socket's event.
   */
  readonly ahead?: (grant: Grant) => Grant | null
  /** Every address is fine, because `net` opens none but loopback. */
  readonly sandbox: boolean
  readonly counters?: DeliverCounters
  /** IP addresses that reach this server: exchangers that have one would be a loop. */
  readonly ownAddresses?: readonly string[]
  /** Whom the tenant's list names by now: nothing is sent to it. Left out: nobody. */
  readonly isSuppressed?: IsSuppressed
}

export interface Deliverer {
  /** Takes a grant. The report follows, always. */
  deliver(grant: Grant): void
  connections(): { readonly active: number; readonly idle: number }
  /** The site's routes or policy changed: its connections serve no further grant. */
  forget(siteId: number): void
  /**
   * Takes no more, finishes the transactions under way, leaves the idle connections politely. What is not over by the deadline is
   * cut off. Settles when every grant was reported and every socket closed.
   */
  stop(deadlineMs: number): Promise<void>
}

export function createDeliverer(options: DelivererOptions): Deliverer {
  return new SmtpDeliverer(options)
}

class SmtpDeliverer implements Deliverer {
  readonly #options: DelivererOptions
  readonly #setting: ConnectionSetting
  readonly #sources: CandidateSources
  readonly #idle = new IdlePool()
  /** Every connection that has a socket, for the sweep. */
  readonly #connections = new Set<Connection>()
  readonly #openings = new Set<Opening>()
  /** Connections past their set-up. With the openings they count against the configured maximum. */
  readonly #opened = new Set<Connection>()
  /** Grants that wait for a place. Bounded by what the scheduler has granted. */
  readonly #waiting: Transaction[] = []
  /** Reports made while `deliver` was running. */
  #reportsLater: Transaction[] = []
  #delivering = false
  #serving = false
  #sweep: Timer | null = null
  #stopped: (() => void) | null = null
  #stopping: Promise<void> | null = null

  constructor(options: DelivererOptions) {
    const { config, clock, random, dns, net, messages, sandbox, hostname } = options
    const hosts = createHostMemory(clock)
    const ownAddresses = new Set(options.ownAddresses)
    this.#options = options
    this.#sources = { dns, random, clock, hosts, addressRule: createAddressRule(), sandbox, hostname, ownAddresses }
    this.#setting = {
      clock,
      net,
      messages,
      hosts,
      counters: options.counters ?? createDeliverCounters(),
      ehloName: config.ehloName,
      idleMs: config.idleConnectionMs,
      messagesMax: config.messagesPerConnection,
      isSuppressed: options.isSuppressed ?? null,
    }
  }

  deliver(grant: Grant): void {
    const { clock } = this.#setting
    const transaction = new Transaction(grant, clock.nowMs(), clock.monotonicMs())
    const outer = this.#delivering
    this.#delivering = true
    if (this.#stopping !== null) this.#settleUnsent(transaction, outcomeOfFault('stopping', 'connect'))
    else if (!this.#place(transaction)) this.#waiting.push(transaction)
    this.#delivering = outer
  }

  connections(): { readonly active: number; readonly idle: number } {
    return { active: this.#openings.size + this.#opened.size - this.#idle.size, idle: this.#idle.size }
  }

  forget(siteId: number): void {
    for (const connection of this.#connections) {
      if (connection.plan.site.id === siteId) connection.retire()
    }
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= new Promise((resolve) => (this.#stopped = resolve))
    for (const transaction of this.#waiting.splice(0)) {
      this.#settleUnsent(transaction, outcomeOfFault('stopping', 'connect'))
    }
    for (const opening of this.#openings) opening.abort()
    for (const connection of this.#opened) connection.retire()
    const cutOff = this.#setting.clock.after(deadlineMs, () => {
      for (const connection of this.#connections) connection.abort('stopping')
    })
    this.#endStop()
    return this.#stopping.finally(() => cutOff.cancel())
  }

  /** Finds the transaction a connection, or begins to open one; false when every place is taken. */
  #place(transaction: Transaction): boolean {
    const { site, source } = transaction.grant
    // When one idle connection had died, its neighbours probably did too.
    const idle = transaction.retried ? null : this.#idle.take(site.id, source)
    if (idle !== null) {
      this.#setting.counters.connectionsReused++
      idle.start(transaction)
      return true
    }
    if (!this.#makeRoom(transaction)) return false
    const opening = new Opening(transaction, this.#setting, this.#sources, this.#openingOwner)
    this.#openings.add(opening)
    void opening.tryNext()
    return true
  }

  /** An idle connection from another source, or to another site, makes way for one that is needed. */
  #makeRoom(transaction: Transaction): boolean {
    const { site } = transaction.grant
    const ofSite = this.#idle.takeOldestOf(site.id)
    if (ofSite !== null) ofSite.retire()
    else if (this.#openings.size + this.#opened.size >= this.#options.config.connectionsMax) {
      const oldest = this.#idle.takeOldest()
      if (oldest === null) return false
      oldest.retire()
    }
    return true
  }

  readonly #connectionOwner = {
    onAhead: (transaction: Transaction): Transaction | null => {
      if (this.#stopping !== null || this.#waiting.length > 0) return null
      const grant = this.#options.ahead?.(transaction.grant) ?? null
      if (grant === null) return null
      const { clock } = this.#setting
      return new Transaction(grant, clock.nowMs(), clock.monotonicMs())
    },
    onSettled: (connection: Connection, transaction: Transaction, busy: boolean): void => {
      if (!busy && connection.state === 'idle') this.#idle.add(connection)
      else if (!busy) this.#gone(connection)
      if (transaction.worthRetrying && !transaction.retried && this.#stopping === null) this.#retry(transaction)
      else this.#report(transaction)
      this.#serveWaiting()
    },
    onLeaving: (connection: Connection): void => this.#left(connection),
    onClosed: (connection: Connection): void => this.#left(connection),
  }

  readonly #openingOwner = {
    connectionOwner: this.#connectionOwner,
    onConnecting: (connection: Connection): void => {
      this.#connections.add(connection)
      this.#sweep ??= this.#setting.clock.after(sweepMs.value, this.#checkDeadlines)
    },
    onOpened: (opening: Opening, connection: Connection | null, failure: Outcome | null): void => {
      this.#openings.delete(opening)
      const { transaction } = opening
      if (connection !== null) {
        this.#opened.add(connection)
        connection.start(transaction)
        return
      }
      if (failure !== null) this.#settleUnsent(transaction, failure)
      this.#serveWaiting()
      this.#endStop()
    },
  }

  #left(connection: Connection): void {
    this.#gone(connection)
    this.#serveWaiting()
  }

  /** A connection that leaves frees its place at once, and is watched until its socket is closed. */
  #gone(connection: Connection): void {
    this.#opened.delete(connection)
    this.#idle.remove(connection)
    if (connection.state === 'closed') this.#connections.delete(connection)
    this.#endStop()
  }

  #retry(transaction: Transaction): void {
    this.#setting.counters.transactionsRetried++
    const again = transaction.again()
    if (!this.#place(again)) this.#waiting.push(again)
  }

  #serveWaiting(): void {
    if (this.#serving) return
    this.#serving = true
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#place(next)) break
      this.#waiting.shift()
    }
    this.#serving = false
  }

  #settleUnsent(transaction: Transaction, outcome: Outcome): void {
    transaction.settlePending(outcome)
    this.#report(transaction)
  }

  #report(transaction: Transaction): void {
    if (!this.#delivering) return this.#options.report(transaction.report(this.#setting.clock.monotonicMs()))
    if (this.#reportsLater.push(transaction) === 1) queueMicrotask(this.#reportNow)
  }

  readonly #reportNow = (): void => {
    const transactions = this.#reportsLater
    this.#reportsLater = []
    for (const transaction of transactions) this.#report(transaction)
    this.#endStop()
  }

  readonly #checkDeadlines = (): void => {
    this.#sweep = null
    const nowMs = this.#setting.clock.monotonicMs()
    for (const connection of this.#connections) connection.checkDeadline(nowMs)
    if (this.#connections.size > 0) this.#sweep = this.#setting.clock.after(sweepMs.value, this.#checkDeadlines)
  }

  #endStop(): void {
    const { size } = this.#connections
    if (this.#stopped === null || size > 0 || this.#openings.size > 0 || this.#reportsLater.length > 0) return
    this.#sweep?.cancel()
    this.#sweep = null
    this.#stopped()
    this.#stopped = null
  }
}
