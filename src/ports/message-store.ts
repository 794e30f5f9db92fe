/**
 * Port `message store`: what became of every message. Filled by a reader of the logs, asked by the HTTP API, the admin API and, for idempotency,
 * by intake.
 *
 * Contract:
 *   1. An answer knows everything that was on disk when the question came: no "unknown" after a 202, no "delivered" that a crash takes back.
 *   2. A tenant's messages are found with that tenant's id only.
 *   3. Rejects with `StoreUnavailable` when it cannot answer now; then nothing is known, and asking again later may help.
 */
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { MailClass, SubmissionFacts } from '../model/submission.ts'

/** In the order of a message's own status, which is the first one that any of its recipients has. */
export const recipientStatuses = ['queued', 'deferred', 'bounced', 'expired', 'delivered', 'suppressed'] as const
export type RecipientStatus = (typeof recipientStatuses)[number]

/** Nothing follows it. */
export const isFinalStatus = (status: RecipientStatus): boolean => status !== 'queued' && status !== 'deferred'

export interface MessageSummary {
  readonly id: string
  readonly tenant: string
  /** '' is the null sender. */
  readonly returnPath: string
  readonly mailClass: MailClass
  readonly facts: SubmissionFacts
  readonly acceptedAtMs: number
  /** 0: as the configuration says. */
  readonly expiresAtMs: number
  readonly contentBytes: number
  /** Where it came from. */
  readonly client: string
  readonly recipientCount: number
  /** In the order of the envelope; in a list at most `summaryRecipientsMax` of them. */
  readonly recipients: readonly RecipientSummary[]
  readonly status: RecipientStatus
}

export interface RecipientSummary {
  readonly address: string
  readonly status: RecipientStatus
  readonly attempts: number
  /** Of the last attempt's reply; 0 when none was read. */
  readonly code: number
  readonly enhanced: string
  readonly text: string
  /** When the last attempt ended, or the message was accepted. */
  readonly updatedAtMs: number
  /** 0: none is due. */
  readonly nextAttemptAtMs: number
  /** The receiver may have it twice: a reply was lost, or an outcome was, in a crash. */
  readonly mayBeDuplicate: boolean
}

export interface MessageRecord extends MessageSummary {
  /** All of them. */
  readonly recipients: readonly RecipientRecord[]
}

export interface RecipientRecord extends RecipientSummary {
  /** In order; at most the last `attemptsKeptMax`. */
  readonly tries: readonly AttemptRecord[]
}

export interface AttemptRecord extends Attempt {
  /** Counts from 1. */
  readonly number: number
  readonly outcome: Outcome
}

export interface MessageQuery {
  /** Without regard to case. */
  readonly recipient?: string
  /** Of the From header or the return path. */
  readonly sender?: string
  readonly status?: RecipientStatus
  readonly tag?: string
  /** Accepted at this time or later, and before that one. */
  readonly fromMs?: number
  readonly toMs?: number
  /** 1 … 100. */
  readonly limit: number
  /** `next` of the page before: newest come first. */
  readonly cursor?: string
}

export interface MessagePage {
  readonly messages: readonly MessageSummary[]
  /** Null when this is the last page. A page that is not full may have a next one: a search looks at so many messages at a time. */
  readonly next: string | null
}

export type Claim =
  /** Nobody has used the key within a day: hand the message over, then `release(claim)`, whatever became of it. */
  | { readonly kind: 'new'; readonly claim: number }
  /** This request was accepted already, as this message. */
  | { readonly kind: 'same'; readonly id: string }
  /** The key stands for another request. */
  | { readonly kind: 'conflict'; readonly id: string }

export interface MessageStore {
  find(tenant: string, id: string): Promise<MessageRecord | null>
  /** The same, with all recipients and without their attempts: for those who ask again and again. */
  status(tenant: string, id: string): Promise<MessageSummary | null>
  /** @throws BadCursor when the cursor is not one that this store gave for this tenant */
  list(tenant: string, query: MessageQuery): Promise<MessagePage>
  /** While another request with the same key is under way it waits for that one's end, for at most `claimWaitMsMax`: then `StoreUnavailable`. */
  claim(tenant: string, key: string, requestSha256: string): Promise<Claim>
  /** After `commit` has settled: a success is found by its record from then on, after a failure the key is free again. */
  release(claim: number): void
}

export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

export class BadCursor extends Error {
  override readonly name = 'BadCursor'
}
