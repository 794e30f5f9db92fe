/**
 * What intake asks of the stages after it: a transaction per message. Nothing exists until `commit` has settled without a
 * failure, and from then on it survives any crash.
 */
import type { Failure } from '../model/failures.ts'
import type { SubmissionHead } from '../model/submission.ts'

export interface Submissions {
  /**
   * Opens a transaction: call it when content starts (DATA, first BDAT, request body), because a commit is delayed by up to 2 ms
   * while others are open. `id` is for mail that Posthaste writes itself, and must be new. Returns a failure when no mail is taken now, or none of this tenant.
   */
  begin(expectedBytes: number, tenant: string, id?: string): Transaction | Failure
}

export interface Transaction {
  /** Public id of the message-to-be, a UUID version 7 in text. */
  readonly id: string
  /**
   * Adds `bytes[start…end)` of content, which are copied: un-stuffed, lines ended by CRLF. False asks the caller to pause its source
   * until `onDrain` is called; the bytes were taken all the same.
   */
  append(bytes: Buffer, start: number, end: number): boolean
  onDrain: (() => void) | null
  /** Bytes taken so far. */
  readonly contentBytes: number
  /** Makes it durable. `settled` is called once, later: null means that it is on disk. The transaction is over either way. */
  commit(head: SubmissionHead, settled: (failure: Failure | null) => void): void
  /** Forgets it all. */
  abort(): void
}

export function isFailure(value: Transaction | Failure): value is Failure {
  return 'smtp' in value
}
