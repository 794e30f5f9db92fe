/** What main and its threads say to each other. Small, rare, structured-cloneable; mail itself never goes this way. */
import type { MessagePort } from 'node:worker_threads'
import type { SiteStatus } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import type { TallyFigures } from '../events/events.ts'
import type { Failure } from '../model/failures.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import type { Confirmation, DirectorySnapshot } from '../ports/directory.ts'
import type { LogThreadMemory, RecoveryReport } from '../spool/spool.ts'
import type { AccountingFeedFigures } from './accounting.ts'
import type { DirectoryNews, Measured } from './directory-news.ts'

export interface Place {
  readonly address: string
  readonly port: number
}

/** The two ends of a deliver thread's rings: grants to it, reports from it. */
export interface DeliverRings {
  readonly grants: SharedArrayBuffer
  readonly reports: SharedArrayBuffer
}

export interface SchedulerThreadData {
  readonly version: string
  readonly config: Config
  readonly memory: LogThreadMemory
  /** Where all mail goes in the sandbox; null elsewhere. */
  readonly sandboxSink: Place | null
  /** True: this thread listens and fills log 0. */
  readonly intakeHere: boolean
  readonly directory: DirectorySnapshot
  readonly quotaMemory: SharedArrayBuffer
  readonly measured: readonly Measured[]
  /** The set of suppressed addresses. */
  readonly suppressed: SharedArrayBuffer
  /** One pair per deliver thread; none: this thread delivers. */
  readonly rings: readonly DeliverRings[]
  readonly hand: SharedArrayBuffer
  /** Numbers of messages that are set aside. */
  readonly quarantined: readonly number[]
}

export interface IntakeThreadData {
  readonly version: string
  readonly config: Config
  readonly memory: LogThreadMemory
  readonly log: number
  /** Other threads listen on the same ports. */
  readonly reusePort: boolean
  readonly directory: Pick<DirectorySnapshot, 'version' | 'intake'>
  readonly quotaMemory: SharedArrayBuffer
}

export interface DeliverThreadData {
  readonly config: Config
  readonly memory: LogThreadMemory
  readonly rings: DeliverRings
  readonly hand: SharedArrayBuffer
  readonly directory: Pick<DirectorySnapshot, 'version' | 'preparing'>
  readonly suppressed: SharedArrayBuffer
}

export interface EventsThreadData {
  readonly config: Config
  readonly memory: LogThreadMemory
  /** Names of the threads that may hold keys of idempotency since before this one began. */
  readonly clients: readonly string[]
  readonly hand: SharedArrayBuffer
  /** Numbers of messages that the store cannot take. */
  readonly leftOut: readonly number[]
}

export interface LogThreadData {
  readonly dataDirectory: string
  readonly memory: LogThreadMemory
  readonly reserveBytes: number
}

export type ToThread =
  | { readonly kind: 'figures'; readonly ask: number }
  /** To intake and scheduler: finish what is open until the deadline, then say `drained`. */
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  /** To the scheduler: this deliver thread has died, and another one will read these rings. */
  | { readonly kind: 'deliverer-died'; readonly thread: number; readonly rings: DeliverRings }
  /** To the scheduler: it is there. */
  | { readonly kind: 'deliverer-ready'; readonly thread: number }
  /** To the scheduler. */
  | { readonly kind: 'quarantine'; readonly number: number }
  /** To intake. */
  | ({ readonly kind: 'full' } & Fullness)
  /** To all that accept or deliver: a tenant has changed. What a thread has no use for is left out. Answered by `took`. */
  | ({ readonly kind: 'directory'; readonly ask: number } & DirectoryNews)
  /** To all that deliver, and the scheduler: ask this set of suppressed addresses from now on. Answered by `took`. */
  | { readonly kind: 'suppressed'; readonly ask: number; readonly memory: SharedArrayBuffer }
  /** To whoever serves clients: mail that Posthaste writes itself. Answered by `sent`. */
  | { readonly kind: 'send'; readonly ask: number; readonly mail: OutgoingMail }
  /** To whoever asked main something. */
  | { readonly kind: 'confirmed'; readonly request: number; readonly confirmation: Confirmation }
  /** To whoever serves clients: ask the events thread by this port from now on. */
  | { readonly kind: 'store'; readonly port: MessagePort }
  /** To the events thread: somebody asks by this port. */
  | { readonly kind: 'client'; readonly owner: string; readonly port: MessagePort }
  /** To the events thread: this one died, and what it filled was the log of that number. */
  | { readonly kind: 'client-gone'; readonly owner: string; readonly log: number }

export type FromThread =
  | {
      readonly kind: 'ready'
      readonly addresses: readonly Place[]
      readonly httpAddresses: readonly Place[]
      readonly recovery: RecoveryReport | null
    }
  | {
      readonly kind: 'failed'
      readonly code: string
      readonly message: string
      readonly cure: string
      readonly exitCode: number
    }
  | { readonly kind: 'figures'; readonly ask: number; readonly figures: ThreadFigures }
  | {
      readonly kind: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly fields: Record<string, unknown>
    }
  | { readonly kind: 'took'; readonly ask: number }
  | { readonly kind: 'sent'; readonly ask: number; readonly failure: Failure | null }
  /** The one question to main: somebody has followed the link that was mailed to an address. Answered by `confirmed`. */
  | { readonly kind: 'confirm-sender'; readonly request: number; readonly token: string }
  | { readonly kind: 'drained' }
  /** From the scheduler, when it has changed. */
  | ({ readonly kind: 'full' } & Fullness)

/** What intake refuses for want of room. */
export interface Fullness {
  readonly tenants: ReadonlySet<string>
  readonly queueFull: boolean
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
export type ThreadLog = (level: LogLevel, message: string, fields: Record<string, unknown>) => void

export type FromLogThread = { readonly kind: 'broken'; readonly log: string; readonly message: string }

/** A thread's own part of the figures: what it does not do is not there. */
export interface ThreadFigures {
  readonly queue?: QueueFigures
  readonly intake?: { readonly connections: number; readonly counters: Counters }
  readonly deliver?: { readonly active: number; readonly idle: number; readonly counters: Counters }
  readonly store?: StoreFigures
  readonly record?: RecordFigures
}

/** Of what is kept beside the message store. */
export interface RecordFigures extends TallyFigures {
  /** Null when it is not kept. */
  readonly accounting: AccountingFeedFigures | null
}

export interface StoreFigures {
  /** On disk, and not in the store yet. */
  readonly behindBytes: number
  readonly messages: number
  readonly days: number
  readonly bytes: number
}

export type Counters = Readonly<Record<string, number>>

export interface QueueFigures {
  readonly totals: EngineTotals
  readonly queue: {
    readonly ready: number
    readonly deferred: number
    readonly inFlight: number
    readonly oldestAtMs: number
  }
  readonly sites: readonly SiteStatus[]
  readonly logs: readonly {
    readonly name: string
    readonly committedPosition: number
    readonly freeBytes: number
    readonly state: 'ok' | 'full' | 'broken'
  }[]
}

/** Of all threads. */
export interface EngineFigures extends QueueFigures {
  readonly connections: { readonly smtpIn: number; readonly deliverActive: number; readonly deliverIdle: number }
  readonly intake: Counters
  readonly deliver: Counters
  /** Null when nothing is kept, or the thread was not there to tell. */
  readonly store: StoreFigures | null
  /** Null when the thread was not there to tell. */
  readonly record: RecordFigures | null
}

export interface EngineTotals {
  accepted: number
  recipients: number
  delivered: number
  deferred: number
  bounced: number
  expired: number
  suppressed: number
  uncertain: number
}
