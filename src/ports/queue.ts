/** What the spool asks of the scheduler, whose queue it writes down, and of whose slots it must know where they point. */
import type { QueueFlow, QueueRow } from '../model/queue.ts'

export interface QueueSource {
  /**
   * Writes rows of what is live, beginning with slot `from`, into `into`, as many as fit. `next` is where to go on, or −1 at the end. Between two
   * calls the queue may change: a slot never holds another recipient without an end of the former, which stands in the outcome log.
   */
  writeRows(from: number, into: Buffer): { readonly next: number; readonly bytes: number }
  /** Every flow that a row may refer to. */
  flows(): Iterable<QueueFlow>
  /** What was learned about destinations: JSON, a few KB each. */
  learned(): Iterable<unknown>
  /** How many slots a search goes over. */
  readonly slotsUsed: number
  /** Slots whose record lies in [from, to) of a log, and that nobody is reading at the moment. */
  slotsIn(log: number, from: number, to: number): readonly SlotPlace[]
  /** The record of this slot's submission was copied; false when the slot has moved on meanwhile. */
  relocate(slot: SlotPlace, place: number, span: number): boolean
}

export interface SlotPlace {
  readonly slot: number
  readonly number: number
  readonly place: number
}

/** Where recovery puts what it finds. */
export interface QueueSink {
  /** `row.flow` means nothing. The row is valid during the call. */
  restore(row: QueueRow, domain: string, tenant: string): void
  /** Records that recovery wrote again, by number. */
  relocateAll(moved: ReadonlyMap<number, { readonly place: number; readonly span: number }>): void
  restoreLearned(learned: readonly unknown[]): void
}

/** Told of every place that a slot begins or ceases to point to, so that no segment is used again too early. */
export interface Pins {
  add(place: number, span: number, bytes: number): void
  remove(place: number, span: number, bytes: number): void
}
