/** The scheduler's word to a deliverer: these recipients of this submission, to this site, now. */
import type { Attempt, Outcome } from './outcome.ts'
import type { Site } from './site.ts'

export interface Grant {
  /** Unique while the process lives. */
  readonly id: number
  readonly site: Site
  /** Local address to leave from; null lets the kernel choose. */
  readonly source: string | null
  /** Of the submission, and where its record is (model/submission.ts). */
  readonly number: number
  readonly place: number
  /** Indexes into the submission's recipients, 1 … 100 of them. */
  readonly recipients: readonly number[]
  /** Slots of the same recipients, in the same order; the deliverer only hands them back. */
  readonly slots: readonly number[]
}

/** Every grant is answered by exactly one report. `outcomes[i]` belongs to `grant.recipients[i]`. */
export interface DeliveryReport {
  readonly grant: Grant
  readonly outcomes: readonly Outcome[]
  readonly attempt: Attempt
}
