/** Who delivers what the scheduler grants: this thread, or threads of their own over rings. The engine does not see which. */
import { createDeliverCounters } from '../deliver/deliver.ts'
import type { Clock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Dns } from '../ports/dns.ts'
import type { Suppressions } from '../ports/suppressions.ts'
import type { RecordReader } from '../spool/spool.ts'
import { DeliverPool } from './deliver-pool.ts'
import { startDelivery, type WrapMessages } from './delivery.ts'
import type { DirectoryNews } from './directory-news.ts'
import type { DeliverRings, SchedulerThreadData, ThreadFigures } from './exchange.ts'

export interface DeliverSide {
  deliver(grant: Grant): void
  /** False when something is still under way. */
  stop(deadlineMs: number): Promise<boolean>
  /** Undefined where each of its threads tells its own. */
  figures(): ThreadFigures['deliver']
  died(thread: number, rings: DeliverRings): void
  /** The successor of a thread that died is there. */
  attended(thread: number): void
  hearNews(news: DirectoryNews): void
}

export interface DeliverSideOptions {
  readonly data: SchedulerThreadData
  readonly suppressions: Suppressions
  readonly records: RecordReader
  readonly dns: Dns
  readonly clock: Clock
  readonly wrap: WrapMessages | undefined
  readonly report: (report: DeliveryReport) => void
  /** What may follow on the connection of a grant. */
  readonly ahead: (grant: Grant) => Grant | null
  /** The scheduler is in the middle of a step. */
  readonly stepping: () => boolean
  /** Whoever had it is gone. */
  readonly lost: (grant: Grant) => void
}

export function startDeliverSide(options: DeliverSideOptions): DeliverSide {
  return options.data.rings.length === 0 ? deliverHere(options) : deliverInThreads(options)
}

function deliverHere(options: DeliverSideOptions): DeliverSide {
  const { suppressions, records, dns, clock, wrap, report, ahead, stepping } = options
  const { config, hand, directory } = options.data
  const counters = createDeliverCounters()
  const delivery = startDelivery({
    config,
    directory,
    suppressions,
    records,
    dns,
    hand,
    clock,
    random: systemRandom,
    counters,
    report,
    ahead: (grant) => (stepping() ? null : ahead(grant)),
    ...(wrap !== undefined && { wrap }),
  })
  return {
    deliver: (grant) => delivery.deliverer.deliver(grant),
    stop: (deadlineMs) => delivery.deliverer.stop(deadlineMs).then(() => true),
    figures: () => ({ ...delivery.deliverer.connections(), counters: { ...counters } }),
    died: () => {},
    attended: () => {},
    hearNews: delivery.hearNews,
  }
}

function deliverInThreads({ data, clock, report, ahead, lost }: DeliverSideOptions): DeliverSide {
  const { connectionsMax, idleConnectionMs: idleMs } = data.config.delivery
  const pool = new DeliverPool({ rings: data.rings, connectionsMax, idleMs, clock, report, ahead, lost })
  return {
    deliver: (grant) => pool.deliver(grant),
    stop: (deadlineMs) => pool.stop(deadlineMs),
    figures: () => undefined,
    died: (thread, newRings) => pool.died(thread, newRings),
    attended: (thread) => pool.attended(thread),
    hearNews: () => {},
  }
}
