/**
 * Port `quotas`: how much a tenant, and each key or login of it, may hand over, and how much it has. A message is a submission for one recipient.
 * Windows are those of the calendar, in UTC: a second, a day, a month.
 *
 * Contract:
 *   1. What is taken and not given back in one window never comes to more than its limit, whatever the number of threads that take.
 *   2. `take` takes for the tenant and for the credential, or nothing at all.
 *   3. As long as what was sent in a window before this process began is not known, nothing is taken where that window has a limit: the
 *      refusal is temporary and says so.
 */
import type { Failure } from '../model/failures.ts'
import type { Client } from './clients.ts'

/** 0: no limit. */
export interface QuotaLimits {
  readonly messagesPerSecond: number
  readonly messagesPerDay: number
  readonly messagesPerMonth: number
  /** Of what waits to be delivered. A tenant's only: what waits is not told apart by credential. */
  readonly spoolBytes: number
  readonly spoolRecipients: number
}

/** What was sent, as the logs tell it. */
export interface Usage {
  /** Since 1970-01-01 UTC. */
  readonly day: number
  readonly dayMessages: number
  /** Since January 1970 UTC. */
  readonly month: number
  readonly monthMessages: number
}

/** Where a client stands: the window that has the fewest messages left. */
export interface RateState {
  readonly limit: number
  readonly remaining: number
  /** Until the window ends, rounded up. */
  readonly resetSeconds: number
}

export interface QuotaRefusal {
  readonly failure: Failure
  readonly cure: string
  /** Of the window that is used up; null when that is not what refuses. */
  readonly state: RateState | null
  readonly retryAfterSeconds: number
}

/** The receipt of a `take`, good for one `giveBack`. */
export interface Taken {
  readonly messages: number
  readonly parts: readonly TakenPart[]
}

/** Of one window of one row. */
export interface TakenPart {
  readonly row: number
  /** A row that was given to somebody else since then is left alone. */
  readonly generation: number
  readonly column: number
  readonly window: number
}

/** What intake uses. */
export interface Quotas {
  /** Before there is content, and without taking anything: would so many be refused now? */
  check(client: Client, messages: number): QuotaRefusal | null
  take(client: Client, messages: number): Taken | QuotaRefusal
  /** What was not handed over after all. A window that is over keeps it. */
  giveBack(taken: Taken): void
  /** Null: none of its windows has a limit. */
  remaining(client: Client): RateState | null
}

export function isQuotaRefusal(value: Taken | QuotaRefusal): value is QuotaRefusal {
  return 'failure' in value
}

export const nothingTaken: Taken = Object.freeze({ messages: 0, parts: [] })

/** Where nobody has any. */
export const noQuotas: Quotas = {
  check: () => null,
  take: () => nothingTaken,
  giveBack() {},
  remaining: () => null,
}
