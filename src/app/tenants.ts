/** The directory in main: opened before the mail threads, which get its snapshots, and closed after them. */
import { openSqlite } from '../adapters/embedded/embedded.ts'
import type { Config } from '../config/config.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import type { Directory } from '../ports/directory.ts'
import { type DirectorySchema, openDirectory } from '../tenancy/directory/directory.ts'
import { makeQuotaMemory, QuotaRows, QuotaTable } from '../tenancy/tenancy.ts'

export interface Tenants {
  readonly directory: Directory
  /** What all threads count in. */
  readonly quotaMemory: SharedArrayBuffer
  readonly quotaTable: QuotaTable
  readonly quotaRows: QuotaRows
}

export async function openTenants({ dataDirectory, tenants }: Config): Promise<Tenants> {
  const quotaMemory = makeQuotaMemory()
  const quotaTable = new QuotaTable(quotaMemory, systemClock)
  const quotaRows = new QuotaRows(quotaTable)
  const database = await openSqlite<DirectorySchema>(dataDirectory, 'directory.sqlite')
  const options = { clock: systemClock, random: systemRandom, fileTenants: tenants, quotaRows }
  return { directory: await openDirectory(database, options), quotaMemory, quotaTable, quotaRows }
}
