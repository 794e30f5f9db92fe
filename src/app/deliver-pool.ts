/**
 * The scheduler's side of the deliver threads: looks like one deliverer, and knows which thread has what.
 *
 *   grant ── a thread with an idle connection to the site, else the one with the least to do ── ring ──▶ thread
 *     └ what may follow it on its connection is asked for at once and sent behind it: there is no time to ask when the connection could take it
 *   report ◀── ring
 *
 * Every grant ends here, in one report; or it is lost with its thread.
 */
import { invariant } from '../kernel/assert.ts'
import type { Clock } from '../kernel/clock.ts'
import { makeRingMemory, RingReader, RingSender } from '../kernel/shared-ring.ts'
import { MiB, secondMs } from '../kernel/units.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Site } from '../model/site.ts'
import type { DeliverRings } from './exchange.ts'
import { readReport, wireKinds, WireWriter } from './grant-wire.ts'

export interface DeliverPoolOptions {
  readonly rings: readonly DeliverRings[]
  readonly connectionsMax: number
  /** For so long a thread keeps a connection that has nothing to do. */
  readonly idleMs: number
  readonly clock: Clock
  readonly report: (report: DeliveryReport) => void
  readonly ahead: (grant: Grant) => Grant | null
  readonly lost: (grant: Grant) => void
}

export const makeDeliverRings = (): DeliverRings => ({ grants: makeRingMemory(MiB), reports: makeRingMemory(MiB) })

/** What we believe of a thread's idle connections to a site. */
interface Idle {
  count: number
  atMs: number
}

class Lane {
  readonly sender: RingSender
  readonly reader: RingReader
  readonly open = new Map<number, Grant>()
  /** As the thread knows them. */
  readonly sites = new Map<number, Site>()
  readonly idle = new Map<number, Idle>()
  /** By the grant that is in front. */
  readonly behind = new Map<number, Grant>()
  /** False between the death of a thread and the first breath of its successor. */
  attended = true
  stopped = false

  constructor({ grants, reports }: DeliverRings, clock: Clock) {
    this.sender = new RingSender(grants, clock)
    this.reader = new RingReader(reports)
  }
}

export class DeliverPool {
  readonly #options: DeliverPoolOptions
  readonly #lanes: Lane[]
  readonly #wire = new WireWriter()
  readonly #openMax: number
  #stopping = false
  #onStopped: () => void = () => {}

  constructor(options: DeliverPoolOptions) {
    this.#options = options
    this.#openMax = connectionsEach(options.connectionsMax, options.rings.length)
    this.#lanes = options.rings.map((rings) => this.#newLane(rings))
  }

  deliver(grant: Grant): void {
    const lane = this.#laneFor(grant.site.id)
    this.#send(lane, grant, 0)
    this.#lookAhead(lane, grant)
  }

  /** The thread is gone for good, and a new one will read these rings. What it had said counts; what it had not is lost. */
  died(thread: number, rings: DeliverRings): void {
    const dead = this.#lanes[thread] as Lane
    // First, because what is lost is granted again at once.
    const successor = this.#newLane(rings)
    successor.attended = false
    this.#lanes[thread] = successor
    dead.attended = false
    dead.reader.close()
    dead.reader.drain((bytes, at) => this.#hear(dead, bytes, at))
    for (const grant of dead.open.values()) this.#options.lost(grant)
    if (!this.#stopping) return
    // Nobody starts it now.
    successor.stopped = true
    this.#endStop()
  }

  /** The thread reads its rings again. */
  attended(thread: number): void {
    const lane = this.#lanes[thread]
    if (lane !== undefined) lane.attended = true
  }

  /** Settles when every thread has reported all it had; false when one has not by then. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopping = true
    const stopped = new Promise<void>((resolve) => (this.#onStopped = resolve))
    for (const { sender } of this.#lanes) sender.send(this.#wire.bytes, this.#wire.stop(deadlineMs))
    const tooLate = new Promise<void>((resolve) => this.#options.clock.after(deadlineMs + secondMs, resolve))
    this.#endStop()
    await Promise.race([stopped, tooLate])
    return this.#lanes.every((lane) => lane.stopped && lane.open.size === 0)
  }

  #newLane(rings: DeliverRings): Lane {
    const lane = new Lane(rings, this.#options.clock)
    lane.reader.watch((bytes, at) => this.#hear(lane, bytes, at))
    return lane
  }

  #laneFor(siteId: number): Lane {
    const nowMs = this.#options.clock.monotonicMs()
    let best: Lane | null = null
    for (const lane of this.#lanes) {
      if (!lane.attended) continue
      const idle = lane.idle.get(siteId)
      if (idle !== undefined && idle.count > 0 && lane.open.size < this.#openMax) {
        if (nowMs - idle.atMs < this.#options.idleMs) {
          idle.count -= 1
          return lane
        }
        lane.idle.delete(siteId)
      }
      if (best === null || lane.open.size < best.open.size) best = lane
    }
    // Nobody is there: it waits in the ring for whoever comes.
    return best ?? (this.#lanes[0] as Lane)
  }

  #send(lane: Lane, grant: Grant, behind: number): void {
    const { site } = grant
    if (lane.sites.get(site.id) !== site) {
      lane.sites.set(site.id, site)
      lane.sender.send(this.#wire.bytes, this.#wire.site(site))
    }
    lane.open.set(grant.id, grant)
    lane.sender.send(this.#wire.bytes, this.#wire.grant(grant, behind))
  }

  #lookAhead(lane: Lane, grant: Grant): void {
    const next = this.#options.ahead(grant)
    if (next === null) return
    lane.behind.set(grant.id, next)
    this.#send(lane, next, grant.id)
  }

  #hear(lane: Lane, bytes: Buffer, at: number): void {
    if (bytes[at] === wireKinds.report) return this.#report(lane, bytes, at)
    invariant(bytes[at] === wireKinds.over, 'a deliver thread sends reports, and that it has no more')
    lane.stopped = true
    this.#endStop()
  }

  #report(lane: Lane, bytes: Buffer, at: number): void {
    const { grantId, outcomes, attempt } = readReport(bytes, at)
    const grant = lane.open.get(grantId)
    if (grant === undefined) return
    const next = lane.behind.get(grantId)
    lane.open.delete(grantId)
    lane.behind.delete(grantId)
    // The one behind it has the connection now.
    const follows = next !== undefined && lane.open.has(next.id)
    if (!follows && outcomes.at(-1)?.scope !== 'site') this.#noteIdle(lane, grant.site.id)
    this.#options.report({ grant, outcomes, attempt })
    if (follows && lane.attended) this.#lookAhead(lane, next)
  }

  #noteIdle(lane: Lane, siteId: number): void {
    const idle = lane.idle.get(siteId)
    const atMs = this.#options.clock.monotonicMs()
    if (idle === undefined) lane.idle.set(siteId, { count: 1, atMs })
    else {
      idle.count += 1
      idle.atMs = atMs
    }
  }

  #endStop(): void {
    if (this.#stopping && this.#lanes.every(({ stopped }) => stopped)) this.#onStopped()
  }
}

/** Each thread's share of a limit on all of them. */
export const connectionsEach = (max: number, threads: number): number => Math.ceil(max / Math.max(1, threads))
