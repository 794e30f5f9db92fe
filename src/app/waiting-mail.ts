/** How much mail of each tenant waits, told to those who decide whether more is taken: the table of quotas, and intake here or in its threads. */
import type { Scheduler } from '../shape/shape.ts'
import { fullTenants, type Spool } from '../spool/spool.ts'
import type { QuotaTable } from '../tenancy/tenancy.ts'
import type { Measured } from './directory-news.ts'
import type { Fullness, SchedulerThreadData } from './exchange.ts'

type Options = Pick<SchedulerThreadData, 'config' | 'measured'> & {
  readonly quotaTable: QuotaTable
  readonly scheduler: Scheduler
  readonly spool: Spool
  /** To intake in threads of its own. */
  readonly tellIntake: (fullness: Fullness) => void
}

export class WaitingMail {
  readonly #options: Options
  /** Tenants whose waiting mail has a quota, or may get one: rows of the table. */
  readonly #measured = new Map<string, number>()
  /** As the intake threads know it. */
  #fullness: Fullness = { tenants: new Set(), queueFull: false }

  constructor(options: Options) {
    this.#options = options
    for (const measured of options.measured) this.measure(measured)
  }

  measure({ tenant, row }: Measured): void {
    if (row === null) this.#measured.delete(tenant)
    else this.#measured.set(tenant, row)
  }

  tell(): void {
    const { scheduler, spool, config, quotaTable } = this.#options
    for (const [tenant, row] of this.#measured) {
      const use = scheduler.tenants.get(tenant)
      quotaTable.setWaiting(row, use?.bytes ?? 0, use?.recipients ?? 0)
    }
    const { tenantShare: share, reserveBytes } = config.spool
    const freeBytes = spool.channels[0]?.freeBytes ?? 0
    const tenants = fullTenants(scheduler.tenants, { share, freeBytes, reserveBytes })
    const queueFull = scheduler.slots.full
    if (spool.submissions !== null) return spool.submissions.setFull(tenants, queueFull)
    const { tenants: before, queueFull: wasFull } = this.#fullness
    if (queueFull === wasFull && tenants.size === before.size && tenants.isSubsetOf(before)) return
    this.#fullness = { tenants, queueFull }
    this.#options.tellIntake(this.#fullness)
  }
}
