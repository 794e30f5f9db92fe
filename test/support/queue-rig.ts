/** A queue without a scheduler: rows in memory, in slots as the scheduler has them, for spools that are driven by hand. */
import { type QueueFlow, type QueueRow, queueRowBytes, writeQueueRow } from '../../src/model/queue.ts'
import { logOf, valueOf } from '../../src/model/submission.ts'
import type { QueueSink, QueueSource, SlotPlace } from '../../src/ports/queue.ts'
import type { Arrival, SpoolPins } from '../../src/spool/spool.ts'
import { domainOf } from '../../src/standards/address.ts'

interface Flow {
  readonly domain: string
  readonly tenant: string
  live: number
}

export class QueueRig implements QueueSource, QueueSink {
  /** Null: free. */
  readonly slots: (QueueRow | null)[] = []
  /** Somebody reads their records, from that place on: they must stay there. */
  readonly inFlight = new Map<QueueRow, number>()
  readonly #free: number[] = []
  /** An idle one is given away at once, which the scheduler does only after a while. */
  readonly #flows: Flow[] = []
  readonly #pins: SpoolPins
  learnedBefore: readonly unknown[] = []

  constructor(pins: SpoolPins) {
    this.#pins = pins
  }

  get rows(): QueueRow[] {
    return this.slots.filter((row) => row !== null)
  }

  /** Numbers of submissions with a recipient that waits, each once. */
  get numbers(): number[] {
    return [...new Set(this.rows.map(({ number }) => number))].sort((a, b) => a - b)
  }

  mayMove(row: QueueRow): boolean {
    return !this.inFlight.has(row)
  }

  domainOf(row: QueueRow): string {
    return (this.#flows[row.flow] as Flow).domain
  }

  arrive({ number, place, span, bytes, lifeS, submission }: Arrival): void {
    for (const [recipient, address] of submission.recipients.entries()) {
      const { acceptedAtMs, tenant } = submission
      const row = { number, place, span, bytes, recipient, acceptedAtMs, nextAttemptAtMs: 0, attempts: 0 }
      this.restore({ ...row, lifeS, mayBeDuplicate: false, quarantined: false, flow: 0 }, domainOf(address), tenant)
    }
  }

  /** A recipient has come to its end. */
  settle(number: number, recipient: number): void {
    const at = this.slots.findIndex((row) => row?.number === number && row.recipient === recipient)
    const row = this.slots[at]
    if (row === undefined || row === null) return
    this.#pins.remove(row.place, row.span, row.bytes)
    ;(this.#flows[row.flow] as Flow).live -= 1
    this.inFlight.delete(row)
    this.slots[at] = null
    this.#free.push(at)
  }

  writeRows(from: number, into: Buffer): { next: number; bytes: number } {
    let bytes = 0
    for (let slot = from; slot < this.slots.length; slot++) {
      const row = this.slots[slot]
      if (row === null || row === undefined) continue
      // Few at a time, so that the queue changes between the parts.
      if (bytes + queueRowBytes > Math.min(into.length, 8 * queueRowBytes)) return { next: slot, bytes }
      writeQueueRow(into, bytes, row)
      bytes += queueRowBytes
    }
    return { next: -1, bytes }
  }

  *flows(): Generator<QueueFlow> {
    for (const [id, { domain, tenant, live }] of this.#flows.entries()) if (live > 0) yield { id, domain, tenant }
  }

  learned(): unknown[] {
    return []
  }

  get slotsUsed(): number {
    return this.slots.length
  }

  slotsIn(log: number, from: number, to: number): SlotPlace[] {
    return this.slots.flatMap((row, slot) => {
      if (row === null || !this.mayMove(row) || logOf(row.place) !== log) return []
      if (valueOf(row.place) < from || valueOf(row.place) >= to) return []
      return [{ slot, number: row.number, place: row.place }]
    })
  }

  relocate({ slot, number, place }: SlotPlace, to: number, span: number): boolean {
    const row = this.slots[slot]
    if (row === null || row?.number !== number || row.place !== place || !this.mayMove(row)) return false
    this.#move(row, to, span)
    return true
  }

  restore(row: QueueRow, domain: string, tenant: string): void {
    let flow = this.#flows.findIndex((known) => known.live > 0 && known.domain === domain && known.tenant === tenant)
    if (flow === -1) flow = this.#flows.findIndex(({ live }) => live === 0)
    if (flow === -1) flow = this.#flows.length
    this.#flows[flow] = { domain, tenant, live: (this.#flows[flow]?.live ?? 0) + 1 }
    this.slots[this.#free.pop() ?? this.slots.length] = { ...row, flow }
    this.#pins.add(row.place, row.span, row.bytes)
  }

  relocateAll(moved: ReadonlyMap<number, { readonly place: number; readonly span: number }>): void {
    for (const row of this.rows) {
      const to = moved.get(row.number)
      if (to !== undefined) this.#move(row, to.place, to.span)
    }
  }

  restoreLearned(learned: readonly unknown[]): void {
    this.learnedBefore = learned
  }

  #move(row: QueueRow, place: number, span: number): void {
    this.#pins.remove(row.place, row.span, row.bytes)
    row.place = place
    row.span = span
    this.#pins.add(place, span, row.bytes)
  }
}
