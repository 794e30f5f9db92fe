/** A page of a tenant's messages, across the days: newest first, and bounded in what it looks at. */
import type { MessagePage, MessageQuery, MessageSummary } from '../ports/message-store.ts'
import { searchAddress } from '../standards/address.ts'
import type { Cursors, ListPlace } from './cursor.ts'
import type { DayFacts } from './day-file.ts'
import type { DayFiles } from './day-files.ts'
import type { Candidate, DayQueries, Search } from './day-queries.ts'
import { searchFilesMax, searchRowsMax } from './limits.ts'

/**
 * Looks through the days until the page is full and one more is known to follow, or until it has looked at enough. Then the cursor says where to go on:
 * behind the last message that it gave, or behind the last one that it looked at.
 *
 * @throws BadCursor
 */
export function listMessages(files: DayFiles, cursors: Cursors, tenant: string, query: MessageQuery): MessagePage {
  const { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER } = query
  const start = query.cursor === undefined ? null : cursors.read(query.cursor, tenant, query)
  const page = new Page(tenant, query)
  let opened = 0
  for (const day of files.days) {
    if (start !== null && day > start.day) continue
    const facts = files.factsOf(day)
    if (facts === undefined || !mayHave(facts, fromMs, toMs)) continue
    const from = start?.day === day ? start : { day, acceptedAtMs: toMs, number: 0 }
    const next = opened++ < searchFilesMax.value ? page.fill(files.get(day).queries, from) : from
    if (next !== null) return { messages: page.messages, next: cursors.write(next, tenant, query) }
  }
  return { messages: page.messages, next: null }
}

const mayHave = (day: DayFacts, fromMs: number, toMs: number): boolean =>
  day.messages > 0 && day.acceptedLastMs >= fromMs && day.acceptedFirstMs < toMs

class Page {
  readonly messages: MessageSummary[] = []
  readonly #search: Search
  readonly #query: MessageQuery
  readonly #sender: string | null
  #looked = 0

  constructor(tenant: string, query: MessageQuery) {
    const { recipient, sender, tag = null, fromMs = 0 } = query
    this.#query = query
    this.#sender = sender === undefined ? null : searchAddress(sender)
    this.#search = { tenant, recipient: recipient === undefined ? null : searchAddress(recipient), tag, fromMs }
  }

  /** Takes what it can of a day; returns where to go on, or null when the day has no more. */
  fill(queries: DayQueries, from: ListPlace): ListPlace | null {
    let reached = from
    let given = from
    let before = -1
    for (const candidate of queries.candidates(this.#search, from)) {
      const { number, acceptedAtMs } = candidate
      if (number === before) continue
      before = number
      if (this.#looked >= searchRowsMax.value) return reached
      this.#looked += this.#costOf(candidate)
      reached = { day: from.day, acceptedAtMs, number }
      if (!this.#matches(queries, candidate)) continue
      if (this.messages.length >= this.#query.limit) return given
      this.messages.push(queries.summary(number))
      given = reached
    }
    return null
  }

  /** For its status all of a message's recipients are read. */
  #costOf({ recipients }: Candidate): number {
    return this.#query.status === undefined ? 1 : 1 + Math.floor(recipients / 50)
  }

  #matches(queries: DayQueries, candidate: Candidate): boolean {
    const { recipient, status, tag } = this.#query
    const { returnPath, sender, number } = candidate
    if (this.#sender !== null && this.#sender !== searchAddress(returnPath) && this.#sender !== addressIn(sender))
      return false
    // A recipient leads the search when there are both.
    if (recipient !== undefined && tag !== undefined && !queries.hasTag(this.#search.tenant, tag, candidate))
      return false
    return status === undefined || queries.status(number) === status
  }
}

/** Of "Ann <ann@example.com>", or of the bare address; folded. */
function addressIn(from: string): string {
  const address = /<([^<>]*)>\s*$/.exec(from)?.[1] ?? from
  return searchAddress(address)
}
