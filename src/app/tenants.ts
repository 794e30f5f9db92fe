/** The directory in main, and what follows from it for the mail threads: opened before them, and closed after them. */
import { openSqlite } from '../adapters/embedded/embedded.ts'
import type { Config } from '../config/config.ts'
import type { HardBounce } from '../events/events.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import type { Directory } from '../ports/directory.ts'
import { type DirectorySchema, openDirectory } from '../tenancy/directory/directory.ts'
import { makeQuotaMemory, QuotaRows, QuotaTable, SuppressionSet } from '../tenancy/tenancy.ts'
import type { Log } from './log.ts'
import { QuotaLoader } from './quota-loader.ts'
import { StoreClient } from './store-client.ts'
import type { Supervisor } from './supervisor.ts'

export interface Tenants {
  readonly directory: Directory
  /** What all threads count in. */
  readonly quotaMemory: SharedArrayBuffer
  readonly quotaRows: QuotaRows
  /** The set of suppressed addresses, as it is now. */
  readonly suppressed: () => SharedArrayBuffer
  /** Main's own questions to the events thread. */
  readonly store: StoreClient
  /** Whatever changes reaches the mail threads from now on. */
  readonly follow: (supervisor: Supervisor) => void
}

export async function openTenants({ dataDirectory, tenants }: Config, log: Log): Promise<Tenants> {
  const quotaMemory = makeQuotaMemory()
  const quotaTable = new QuotaTable(quotaMemory, systemClock)
  const quotaRows = new QuotaRows(quotaTable)
  const database = await openSqlite<DirectorySchema>(dataDirectory, 'directory.sqlite')
  const options = { clock: systemClock, random: systemRandom, fileTenants: tenants, quotaRows }
  const directory = await openDirectory(database, options)
  const suppressions = await SuppressionSet.load(directory.suppressions, systemRandom)
  const store = new StoreClient({ clock: systemClock, takeBounces: (bounces) => suppress(directory, bounces, log) })
  const follow = (supervisor: Supervisor): void => {
    directory.onChange((change) => supervisor.takeChange(change))
    directory.suppressions.onNews(async (news) => {
      if (suppressions.hear(news)) await supervisor.takeSuppressed(suppressions.memory)
    })
    const loader = new QuotaLoader(quotaRows, quotaTable, store, systemClock)
    quotaRows.onToLoad = () => void loader.load()
    loader.begin()
  }
  return { directory, quotaMemory, quotaRows, suppressed: () => suppressions.memory, store, follow }
}

/** Addresses that do not exist, as the events thread found them. Rejects when they are to come again. */
async function suppress({ suppressions }: Directory, bounces: readonly HardBounce[], log: Log): Promise<void> {
  try {
    const dead = bounces.map(({ tenant, address, detail, message }) => ({
      tenant,
      address,
      detail,
      messageId: message,
    }))
    const { refused } = await suppressions.suppress(dead)
    if (refused[0] === undefined) return
    const { tenant } = refused[0]
    log.error(
      { tenant, addresses: refused.length },
      'a suppression list is full: mail to these addresses is tried again',
    )
  } catch (error) {
    log.error({ error: (error as Error).message }, 'bounced addresses cannot be suppressed now; it is tried again')
    throw error
  }
}
