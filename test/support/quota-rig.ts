/** Quotas of one tenant over a table of its own, known from the beginning unless a test says otherwise. */
import type { Clock } from '../../src/kernel/clock.ts'
import { dayMs } from '../../src/kernel/units.ts'
import type { IntakeTenant } from '../../src/ports/directory.ts'
import type { QuotaLimits } from '../../src/ports/quotas.ts'
import { makeQuotaMemory, QuotaRows, QuotaTable, TenantQuotas } from '../../src/tenancy/tenancy.ts'

export const noLimits: QuotaLimits = {
  messagesPerSecond: 0,
  messagesPerDay: 0,
  messagesPerMonth: 0,
  spoolBytes: 0,
  spoolRecipients: 0,
}

export interface QuotaRig {
  readonly table: QuotaTable
  readonly rows: QuotaRows
  readonly quotas: TenantQuotas
  /** As the logs would, with nothing or so many sent today and this month. */
  readonly load: (dayMessages?: number, monthMessages?: number) => void
}

/** Row 0 is the tenant's, row 1 that of its key `k1`, if it has one. */
export function quotaRig(clock: Clock, own: Partial<QuotaLimits>, key?: Partial<QuotaLimits>): QuotaRig {
  const table = new QuotaTable(makeQuotaMemory(4), clock)
  const rows = new QuotaRows(table)
  const tenant = quotaTenant(rows, own, key)
  rows.settle(tenant, true)
  const load = (dayMessages = 0, monthMessages = dayMessages): void => {
    const date = new Date(clock.nowMs())
    const month = (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
    const usage = { day: Math.floor(clock.nowMs() / dayMs), dayMessages, month, monthMessages }
    for (const place of rows.toLoad()) table.load(place, usage)
  }
  return { table, rows, quotas: new TenantQuotas(table, { intake: [tenant] }), load }
}

export function quotaTenant(rows: QuotaRows, own: Partial<QuotaLimits>, key?: Partial<QuotaLimits>): IntakeTenant {
  const ownLimits = { ...noLimits, ...own }
  const keyLimits = { ...noLimits, ...key }
  const quota = { row: rows.give('acme', '', ownLimits), limits: ownLimits }
  const ofKey = key === undefined ? {} : { quota: { row: rows.give('acme', 'k1', keyLimits), limits: keyLimits } }
  return {
    id: 'acme',
    name: 'acme',
    quota,
    keys: [{ id: 'k1', sha256: '', scopes: ['send'], networks: [], expiresMs: null, ...ofKey }],
    logins: [],
    networks: [],
    domains: [],
    senders: [],
    streams: [],
  }
}
