/** What changes over time and is asked for now: rates over the last minute, shares of a core since the last look. */
import type { EngineStatus, ThreadStatus } from '../admin/admin.ts'
import type { Clock } from '../kernel/clock.ts'
import type { EngineTotals } from './exchange.ts'
import type { Supervisor } from './supervisor.ts'

const rateWindowSeconds = 60

/** Totals once a second for a minute; the rate is the difference over the window. */
export class Rates {
  readonly #samples: EngineTotals[] = []

  add(totals: EngineTotals): void {
    // An engine that was started again counts from nothing.
    if ((this.#samples.at(-1)?.accepted ?? 0) > totals.accepted) this.#samples.length = 0
    this.#samples.push({ ...totals })
    if (this.#samples.length > rateWindowSeconds + 1) this.#samples.shift()
  }

  perSecond(): EngineStatus['rates'] {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    const seconds = Math.max(1, this.#samples.length - 1)
    const rate = (field: keyof EngineTotals): number =>
      first === undefined || last === undefined ? 0 : (last[field] - first[field]) / seconds
    return {
      acceptedPerSecond1m: rate('accepted'),
      deliveredPerSecond1m: rate('delivered'),
      deferredPerSecond1m: rate('deferred'),
      bouncedPerSecond1m: rate('bounced'),
    }
  }
}

/** Share of a core since the last look. */
export class CpuShares {
  readonly #last = new Map<string, { atMs: number; microseconds: number }>()

  async read(supervisor: Supervisor, clock: Clock): Promise<readonly ThreadStatus[]> {
    const main = process.threadCpuUsage()
    const rows: ThreadStatus[] = [
      {
        name: 'main',
        state: 'running',
        cpuPercent: this.#share('main', main.user + main.system, clock),
        restarts: 0,
      },
    ]
    for (const { name, worker, state, restarts } of supervisor.workers()) {
      const usage = (await worker?.cpuUsage().catch(() => null)) ?? null
      rows.push({
        name,
        state,
        cpuPercent: usage === null ? 0 : this.#share(name, usage.user + usage.system, clock),
        restarts: supervisor.restarts + restarts,
      })
    }
    return rows
  }

  #share(name: string, microseconds: number, clock: Clock): number {
    const atMs = clock.monotonicMs()
    const last = this.#last.get(name)
    this.#last.set(name, { atMs, microseconds })
    const elapsedMs = last === undefined ? atMs : atMs - last.atMs
    return elapsedMs <= 0 ? 0 : Math.max(0, ((microseconds - (last?.microseconds ?? 0)) / 1_000 / elapsedMs) * 100)
  }
}
