/** What goes into the message store, and what it answers. */
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { SubmissionFacts, SubmissionHead } from '../model/submission.ts'
import type { MessagePage, MessageQuery } from '../ports/message-store.ts'
import type { PackedMessage } from './packed-message.ts'

/** As the log of its intake has it. */
export interface MessageHead
  extends Pick<SubmissionHead, 'tenant' | 'returnPath' | 'recipients' | 'mailClass' | 'expiresAtMs' | 'client'> {
  readonly id: string
  readonly acceptedAtMs: number
  readonly contentBytes: number
}

/** As the log of outcomes has it. */
export interface AttemptOutcome {
  readonly atMs: number
  readonly attempt: Attempt
  readonly recipients: readonly {
    /** Place in the envelope. */
    readonly recipient: number
    /** Counts from 1. */
    readonly attempt: number
    readonly outcome: Outcome
    /** 0: never. */
    readonly nextAttemptAtMs: number
    readonly mayBeDuplicate: boolean
  }[]
}

export interface KeyedMessage {
  readonly id: string
  readonly requestSha256: string
}

export interface StoreFigures {
  readonly messages: number
  readonly days: number
  /** Of the files, with what is written ahead. */
  readonly bytes: number
  /** Since the opening: of recipients that are not known (any more), or that had their end already. Records that come again are not counted. */
  readonly outcomesIgnored: number
}

/** Every call may throw a PosthasteError. Then nothing more can be done with it but `close`, and the next one begins at the positions. */
export interface MessageTable {
  /** By name of log, from where the logs must be read again; a log that is not named, from its beginning. */
  readonly positions: ReadonlyMap<string, number>

  /** A submission that was committed. One that is known is ignored. */
  submission(number: number, head: MessageHead, facts: SubmissionFacts): void
  /** After the submission. What is known of a recipient only grows: attempts come in order, and nothing follows the last one. */
  outcome(number: number, outcome: AttemptOutcome): void
  /** Ends a batch: from then on it survives the end of the process, though not yet of the machine. */
  commit(): void
  /** Makes everything durable and then these positions: up to there the store needs the logs no more. */
  sync(positions: ReadonlyMap<string, number>): void
  /**
   * The same by the options' `disk`, for what went in before: true when it settles, false when the table was closed, or synced at once, before. One at
   * a time.
   */
  syncElsewhere(positions: ReadonlyMap<string, number>): Promise<boolean>

  /** These know everything that went in, committed or not. */
  /** Null tenant: whosoever it is, for operators. Without tries it has what the recipients' own rows say. */
  find(tenant: string | null, id: string, withTries: boolean): PackedMessage | null
  /** @throws BadCursor */
  list(tenant: string, query: MessageQuery): MessagePage
  /** The message that was accepted with this key within `keyMsMax`. */
  key(tenant: string, key: string): KeyedMessage | null

  /** Drops the days that are too old or too many; returns them: "2026-07-01". */
  prune(): readonly string[]
  figures(): StoreFigures
  close(): void
}
