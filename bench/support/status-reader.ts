/** Asks for the status of messages that were just accepted, and holds every answer against the ones before. */
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { getRequest } from './email-request.ts'
import type { HttpReply } from './http-connection.ts'
import type { Asker } from './http-load.ts'

export interface StatusFindings {
  /** 404 after a 202: must be none. */
  readonly unknown: number
  /** A status after a later one: must be none. */
  readonly backwards: number
  /** Answers by the status in them. */
  readonly seen: Readonly<Record<string, number>>
  /** The first few of both kinds. */
  readonly examples: readonly string[]
}

/** A final one is never followed by another. */
const ranks: ReadonlyMap<string, number> = new Map([
  ['queued', 1],
  ['deferred', 2],
  ['bounced', 3],
  ['expired', 3],
  ['delivered', 3],
  ['suppressed', 3],
])
const finalRank = 3
const examplesMax = 5
/** Share of the questions that is about the message whose 202 came last. */
const newestShare = 0.5
/** The others follow one message of so many, so that each of those is asked about again and again. */
const followedEvery = 50

interface Asked {
  readonly id: string
  /** Known when the question left: an answer may not fall behind it. What other questions under way find out meanwhile does not count. */
  readonly status: string
}

export class StatusReader implements Asker {
  readonly #key: string
  readonly #random: Random = seededRandom(1)
  #newest: string | undefined
  #accepted = 0
  readonly #followed: string[] = []
  /** The furthest status that was seen, by id. */
  readonly #status = new Map<string, string>()
  readonly #asked = new Map<number, Asked>()
  readonly #seen = new Map<string, number>()
  readonly #examples: string[] = []
  #unknown = 0
  #backwards = 0

  constructor(key: string) {
    this.#key = key
  }

  accepted(id: string): void {
    this.#newest = id
    if (this.#accepted++ % followedEvery === 0) this.#followed.push(id)
  }

  findings(): StatusFindings {
    const seen = Object.fromEntries(this.#seen)
    return { unknown: this.#unknown, backwards: this.#backwards, seen, examples: this.#examples }
  }

  request(number: number): string | null {
    const id = this.#choose()
    if (id === undefined) return null
    this.#asked.set(number, { id, status: this.#status.get(id) ?? '' })
    return getRequest(`/api/v1/emails/${id}/status`, this.#key)
  }

  /** The newest, or one that is followed: as many questions for those 1 to 10 back as for those 10 to 100 back, and so on. */
  #choose(): string | undefined {
    if (this.#random.fraction() < newestShare) return this.#newest
    const count = this.#followed.length
    const back = Math.floor(count ** this.#random.fraction())
    return this.#followed[Math.max(0, count - back)]
  }

  answered(number: number, { status: httpStatus, body }: HttpReply): void {
    const { id, status: before } = this.#asked.get(number) as Asked
    this.#asked.delete(number)
    if (httpStatus === 404) {
      this.#unknown++
      this.#example(`${id}: 404 after its 202`)
    }
    if (httpStatus !== 200) return
    const { status } = JSON.parse(body) as { status: string }
    this.#seen.set(status, (this.#seen.get(status) ?? 0) + 1)
    const [rank, rankBefore] = [rankOf(status), rankOf(before)]
    if (rank < rankBefore || (rankBefore === finalRank && status !== before)) {
      this.#backwards++
      this.#example(`${id}: ${status} after ${before}`)
    }
    if (rank > rankOf(this.#status.get(id) ?? '')) this.#status.set(id, status)
  }

  #example(text: string): void {
    if (this.#examples.length < examplesMax) this.#examples.push(text)
  }
}

function rankOf(status: string): number {
  if (status === '') return 0
  const rank = ranks.get(status)
  if (rank === undefined) throw new Error(`a status that nobody knows: ${status}`)
  return rank
}
