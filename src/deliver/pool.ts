/** Idle connections, by site: the one used last is used next, so that those in excess grow old and are closed. */
import type { Connection } from './connection.ts'

export class IdlePool {
  size = 0
  readonly #bySite = new Map<number, Connection[]>()

  add(connection: Connection): void {
    const { id } = connection.plan.site
    let idle = this.#bySite.get(id)
    if (idle === undefined) this.#bySite.set(id, (idle = []))
    idle.push(connection)
    this.size++
  }

  /** The youngest of the site that leaves from this source; null when there is none. */
  take(siteId: number, source: string | null): Connection | null {
    const idle = this.#bySite.get(siteId)
    if (idle === undefined) return null
    const at = idle.findLastIndex((connection) => connection.plan.source === source)
    return at === -1 ? null : this.#removeAt(siteId, idle, at)
  }

  /** Of one site, the oldest; null when it has none. */
  takeOldestOf(siteId: number): Connection | null {
    const idle = this.#bySite.get(siteId)
    return idle === undefined ? null : this.#removeAt(siteId, idle, 0)
  }

  /** Of any site: the one that has been idle longest. A scan, for the rare moment when all places are taken. */
  takeOldest(): Connection | null {
    let oldest: Connection | null = null
    for (const [first] of this.#bySite.values()) {
      if (first !== undefined && (oldest === null || first.restingSinceMs < oldest.restingSinceMs)) oldest = first
    }
    return oldest === null ? null : this.takeOldestOf(oldest.plan.site.id)
  }

  /** True when it was there. */
  remove(connection: Connection): boolean {
    const { id } = connection.plan.site
    const idle = this.#bySite.get(id)
    const at = idle?.indexOf(connection) ?? -1
    if (idle === undefined || at === -1) return false
    this.#removeAt(id, idle, at)
    return true
  }

  #removeAt(siteId: number, idle: Connection[], at: number): Connection {
    const [connection] = idle.splice(at, 1)
    if (idle.length === 0) this.#bySite.delete(siteId)
    this.size--
    return connection as Connection
  }
}
