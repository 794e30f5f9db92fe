/**
 * Which day file a message is in, by its number alone: an outcome knows nothing else.
 *
 * In a log numbers rise, and so do the days on which they were accepted. So a day file has a span or more of each log's sequences, and says in itself
 * which; together they are this table. A number belongs to the last span that begins at it or before, whether its row is there or not.
 *
 *   log 0   [ 0 … 8,112  2026-07-01 ][ 8,113 … 9,950  2026-07-02 ][ 9,951 …  2026-07-03 ]
 */
import { dayMs } from '../kernel/units.ts'
import { logOf, valueOf } from '../model/submission.ts'

/** Days since 1970, UTC. */
export type Day = number

/** "2026-07-01" */
export const dayName = (day: Day): string => new Date(day * dayMs).toISOString().slice(0, 10)

/** What has a name of ten characters: until 9999-12-31. */
export const dayOf = (ms: number): Day => Math.max(0, Math.min(Math.floor(ms / dayMs), 2_932_896))

export interface Span {
  readonly log: number
  /** Sequences in the log. */
  readonly first: number
  /** The largest one that has a row; the next span may begin much later. */
  last: number
  readonly day: Day
}

export class Spans {
  /** By log, in order of `first`. */
  readonly #logs = new Map<number, Span[]>()

  /** What a day file says of itself. */
  add(span: Span): void {
    const spans = this.#spansOf(span.log)
    spans.splice(indexOf(spans, span.first) + 1, 0, span)
  }

  /** The day is dropped: outcomes of its messages have nowhere to go from now on. */
  remove(day: Day): void {
    for (const [log, spans] of this.#logs) {
      const rest = spans.filter((span) => span.day !== day)
      if (rest.length < spans.length) this.#logs.set(log, rest)
    }
  }

  /** The span of a message that may be in the store; null when it cannot be. */
  find(number: number): Span | null {
    const spans = this.#logs.get(logOf(number))
    if (spans === undefined) return null
    const span = spans[indexOf(spans, valueOf(number))]
    return span !== undefined && valueOf(number) <= span.last ? span : null
  }

  /**
   * The span that a message accepted on `day` goes into, which now reaches so far. A row that was there keeps its place. Otherwise a later day begins a
   * span of its own, and an earlier one stays where the log is, so that a clock set back for a while scatters nothing.
   */
  place(number: number, day: Day): Span {
    const log = logOf(number)
    const sequence = valueOf(number)
    const spans = this.#spansOf(log)
    const index = indexOf(spans, sequence)
    const span = spans[index]
    if (span !== undefined && sequence <= span.last) return span
    const goesTo = dayFor(day, spans, index)
    if (goesTo === span?.day) {
      span.last = sequence
      return span
    }
    const begun = { log, first: sequence, last: sequence, day: goesTo }
    spans.splice(index + 1, 0, begun)
    return begun
  }

  /**
   * The day, none beyond `dayMax`, by which all that is in `day` had been accepted, as what follows it in its logs tells. Null when in one of them nothing
   * follows.
   */
  followedBy(day: Day, dayMax: Day): Day | null {
    let latest: Day | null = null
    for (const spans of this.#logs.values()) {
      const index = spans.findLastIndex((span) => span.day === day)
      if (index === -1) continue
      const next = spans.find((span, i) => i > index && span.day <= dayMax)
      if (next === undefined) return null
      latest = Math.max(latest ?? 0, next.day)
    }
    return latest
  }

  #spansOf(log: number): Span[] {
    let spans = this.#logs.get(log)
    if (spans === undefined) this.#logs.set(log, (spans = []))
    return spans
  }
}

function dayFor(day: Day, spans: readonly Span[], index: number): Day {
  const span = spans[index]
  const after = spans[index + 1]
  if (span === undefined) return Math.min(day, after?.day ?? day)
  if (day > span.day) return Math.max(span.day, Math.min(day, after?.day ?? day))
  // A clock that had been days ahead is right again, as before: or everything from now on would be kept until those days are over.
  if (day < span.day - 1 && spans.some((before, i) => i < index && before.day <= day)) return day
  return span.day
}

/** Of the last span that begins at `sequence` or before: −1 when there is none. Nearly always the last one of all. */
function indexOf(spans: readonly Span[], sequence: number): number {
  let index = spans.length - 1
  while (index >= 0 && (spans[index] as Span).first > sequence) index--
  return index
}
