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
    return at === -1 ? null : this.#takeAt(idle, at)
  }

  /** Of one site, the oldest; null when it has none. */
  takeOldestOf(siteId: number): Connection | null {
    const idle = this.#bySite.get(siteId)
    return idle === undefined || idle.length === 0 ? null : this.#takeAt(idle, 0)
  }

  /** Of any site: the one that has been idle longest. A scan, for the rare moment when all places are taken. */
  takeOldest(): Connection | null {
    let oldest: Connection | null = null
    for (const [first] of this.#bySite.values()) {
      if (first !== undefined && (oldest === null || first.restingSinceMs < oldest.restingSinceMs)) oldest = first
    }
    return oldest === null ? null : this.takeOldestOf(oldest.plan.site.id)
  }

  /** For a connection that leaves, whether it is idle or not. */
  remove(connection: Connection): void {
    const { id } = connection.plan.site
    const idle = this.#bySite.get(id)
    if (idle === undefined) return
    const at = idle.indexOf(connection)
    if (at !== -1) this.#takeAt(idle, at)
    if (idle.length === 0) this.#bySite.delete(id)
  }

  /** Nearly always the last one. An empty list stays for the site's next rest, which is soon. */
  #takeAt(idle: Connection[], at: number): Connection {
    const connection = at === idle.length - 1 ? idle.pop() : idle.splice(at, 1)[0]
    this.size--
    return connection as Connection
  }
}
