/**
 * Tells the quota table what was sent before the process began, or before a quota was set: the events thread has counted it. Until then whoever has a daily or
 * monthly quota is refused for a moment.
 */
import type { Clock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import { StoreUnavailable } from '../ports/message-store.ts'
import type { QuotaRows, QuotaTable } from '../tenancy/tenancy.ts'
import type { StoreClient } from './store-client.ts'

const againMs = secondMs
/** One answer takes a look at the disk of a millisecond, and all that are asked together are answered after the same one. */
const askedAtOnce = 64

export class QuotaLoader {
  readonly #rows: Pick<QuotaRows, 'toLoad'>
  readonly #table: Pick<QuotaTable, 'load'>
  readonly #store: Pick<StoreClient, 'usage'>
  readonly #clock: Clock
  #running = false

  constructor(
    rows: Pick<QuotaRows, 'toLoad'>,
    table: Pick<QuotaTable, 'load'>,
    store: Pick<StoreClient, 'usage'>,
    clock: Clock,
  ) {
    this.#rows = rows
    this.#table = table
    this.#store = store
    this.#clock = clock
  }

  /** Now, and from now on whenever something is to be loaded. */
  begin(): void {
    void this.load()
    this.#clock.after(againMs, () => this.begin())
  }

  async load(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try {
      const rows = this.#rows.toLoad()
      for (let from = 0; from < rows.length; from += askedAtOnce) {
        const together = rows.slice(from, from + askedAtOnce)
        await Promise.all(
          together.map(async (row) => this.#table.load(row, await this.#store.usage(row.tenant, row.credentialId))),
        )
      }
    } catch (error) {
      // The events thread is starting, or far behind: it is asked again.
      if (!(error instanceof StoreUnavailable)) throw error
    } finally {
      this.#running = false
    }
  }
}
