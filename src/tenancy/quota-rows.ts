/**
 * Which row of the quota table is whose: kept by main, beside the directory. A row is given when a snapshot first needs it, and to somebody else
 * only once every thread works without it.
 */
import { PosthasteError } from '../kernel/errors.ts'
import type { IntakeTenant } from '../ports/directory.ts'
import type { QuotaLimits } from '../ports/quotas.ts'
import { day, month, type QuotaTable, type RowPlace, second } from './quotas.ts'

/** A row whose days and months nobody knows. */
export interface RowToLoad extends RowPlace {
  readonly tenant: string
  /** Null: of the tenant as a whole. */
  readonly credentialId: string | null
}

/** What a tenant or credential has used; null: not known yet. */
export interface QuotaUse {
  readonly secondMessages: number
  readonly dayMessages: number | null
  readonly monthMessages: number | null
  readonly spoolBytes: number
  readonly spoolRecipients: number
}

interface Entry {
  readonly row: number
  limits: QuotaLimits
  /** Every thread was told of it. */
  settled: boolean
}

/** In the place of a credential: the tenant as a whole. */
const whole = ''

export class QuotaRows {
  readonly #table: QuotaTable
  /** By tenant, then by credential. */
  readonly #entries = new Map<string, Map<string, Entry>>()
  readonly #free: number[] = []
  #used = 0
  /** Called when rows have come to be loaded: `toLoad` has them. */
  onToLoad: (() => void) | null = null

  constructor(table: QuotaTable) {
    this.#table = table
  }

  /** The row that it has, or a new one; '' is the tenant as a whole. Throws `quotas_too_many`. */
  give(tenant: string, credentialId: string, limits: QuotaLimits): number {
    const own = this.#entries.get(tenant) ?? new Map<string, Entry>()
    const known = own.get(credentialId)
    if (known !== undefined) {
      known.limits = limits
      return known.row
    }
    const row = this.#free.shift() ?? this.#newRow()
    own.set(credentialId, { row, limits, settled: false })
    this.#entries.set(tenant, own)
    return row
  }

  /**
   * The tenant is as this says now, and threads know. `everywhere` false: one of them may not have heard, and might go on to count in rows that are
   * not in it any more, so these are kept back.
   */
  settle(tenant: IntakeTenant, everywhere: boolean): void {
    const own = this.#entries.get(tenant.id)
    if (own === undefined) return
    const inUse = rowsOf(tenant)
    for (const [credential, entry] of own) {
      entry.settled = inUse.has(entry.row)
      if (entry.settled || !everywhere) continue
      own.delete(credential)
      this.#table.forget(entry.row)
      this.#free.push(entry.row)
    }
    if (own.size === 0) this.#entries.delete(tenant.id)
    else if (this.#toLoadOf(tenant.id, own).length > 0) this.onToLoad?.()
  }

  /** Those that wait for what the logs tell, of which every thread knows. */
  toLoad(): RowToLoad[] {
    return [...this.#entries].flatMap(([tenant, own]) => this.#toLoadOf(tenant, own))
  }

  #toLoadOf(tenant: string, own: ReadonlyMap<string, Entry>): RowToLoad[] {
    const rows: RowToLoad[] = []
    for (const [credential, { row, limits, settled }] of own) {
      if (!settled || !isCounted(limits) || this.#table.isLoaded(row)) continue
      rows.push({ ...this.#table.place(row), tenant, credentialId: credential === whole ? null : credential })
    }
    return rows
  }

  /** Null: nothing of it is counted, because it has no quota. */
  use(tenant: string, credentialId: string | null): QuotaUse | null {
    const entry = this.#entries.get(tenant)?.get(credentialId ?? whole)
    if (entry === undefined) return null
    const { row } = entry
    return {
      secondMessages: this.#table.count(row, second) ?? 0,
      dayMessages: this.#table.count(row, day),
      monthMessages: this.#table.count(row, month),
      spoolBytes: this.#table.waitingBytes(row),
      spoolRecipients: this.#table.waitingRecipients(row),
    }
  }

  #newRow(): number {
    if (this.#used < this.#table.rows) return this.#used++
    const message = `${this.#used} tenants, keys and logins have quotas, and no more can`
    throw new PosthasteError('quotas_too_many', message, 'Take away those that nobody needs, or restart posthaste.')
  }
}

function rowsOf({ quota, keys, logins }: IntakeTenant): Set<number> {
  return new Set([{ quota }, ...keys, ...logins].flatMap((one) => (one.quota === undefined ? [] : [one.quota.row])))
}

/** A second needs nothing of what was before. */
const isCounted = ({ messagesPerDay, messagesPerMonth }: QuotaLimits): boolean =>
  messagesPerDay > 0 || messagesPerMonth > 0
