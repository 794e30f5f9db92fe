/** The sites that there is mail for, or was lately: each with its queue, and whether its gate is closed. */
import type { Site } from '../model/site.ts'
import { type LearnedSite, SiteQueue } from './flows.ts'

export class Sites {
  readonly byId = new Map<number, SiteQueue>()
  /** What was known of sites before the process began, by name, until there is mail for them. */
  readonly learned = new Map<string, LearnedSite>()
  /** Their gates open when the time has come. */
  readonly #closed = new Set<SiteQueue>()
  readonly #ringMax: number

  constructor(ringMax: number) {
    this.#ringMax = ringMax
  }

  queueOf(site: Site, nowMs: number): SiteQueue {
    let queue = this.byId.get(site.id)
    if (queue !== undefined) return queue
    queue = new SiteQueue(site, nowMs, this.learned.get(site.name), this.#ringMax)
    this.learned.delete(site.name)
    this.byId.set(site.id, queue)
    if (!queue.open) this.#closed.add(queue)
    return queue
  }

  /** The site closed its gate because of what it heard (`SiteQueue.learn`). */
  hasClosed(queue: SiteQueue): void {
    this.#closed.add(queue)
  }

  /** Those whose pause is over now. */
  reopen(nowMs: number): SiteQueue[] {
    const reopened: SiteQueue[] = []
    for (const queue of this.#closed) {
      if (queue.closedUntilMs > nowMs) continue
      queue.closedUntilMs = 0
      this.#closed.delete(queue)
      reopened.push(queue)
    }
    return reopened
  }

  /** @param led some domain leads there */
  forgetIdle(led: ReadonlySet<SiteQueue>, beforeMs: number): void {
    for (const [id, queue] of this.byId) {
      // Connections of a forgotten site must be closed before its number goes to another one, which an hour makes sure of.
      if (!led.has(queue) && queue.inFlight === 0 && queue.queued === 0 && queue.open && queue.reportedMs < beforeMs)
        this.byId.delete(id)
    }
  }
}
