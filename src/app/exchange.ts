/** What main and the engine thread say to each other. Small, rare, structured-cloneable; mail itself never goes this way. */
import type { Config } from '../config/config.ts'
import type { SiteStatus } from '../admin/admin.ts'
import type { LogThreadMemory, RecoveryReport } from '../spool/spool.ts'

export interface EngineThreadData {
  readonly config: Config
  readonly memory: LogThreadMemory
  /** Where all mail goes in the sandbox; null elsewhere. */
  readonly sandboxSink: { readonly address: string; readonly port: number } | null
}

export interface LogThreadData {
  readonly dataDirectory: string
  readonly memory: LogThreadMemory
  readonly reserveBytes: number
}

export type ToEngine =
  | { readonly kind: 'figures'; readonly ask: number }
  | { readonly kind: 'live'; readonly ask: number; readonly number: number }
  /** Finish what is open until the deadline, then say `drained`. */
  | { readonly kind: 'drain'; readonly deadlineMs: number }

export type FromEngine =
  | {
      readonly kind: 'ready'
      readonly addresses: readonly { readonly address: string; readonly port: number }[]
      readonly recovery: RecoveryReport
    }
  | {
      readonly kind: 'failed'
      readonly code: string
      readonly message: string
      readonly cure: string
      readonly exitCode: number
    }
  | { readonly kind: 'figures'; readonly ask: number; readonly figures: EngineFigures }
  | { readonly kind: 'live'; readonly ask: number; readonly recipients: readonly LiveRecipient[] }
  | {
      readonly kind: 'log'
      readonly level: 'error' | 'warn' | 'info' | 'debug'
      readonly message: string
      readonly fields: Record<string, unknown>
    }
  | { readonly kind: 'drained' }

export type FromLogThread = { readonly kind: 'broken'; readonly log: string; readonly message: string }

export interface EngineFigures {
  readonly totals: EngineTotals
  readonly queue: {
    readonly ready: number
    readonly deferred: number
    readonly inFlight: number
    readonly oldestAtMs: number
  }
  readonly sites: readonly SiteStatus[]
  readonly connections: { readonly smtpIn: number; readonly deliverActive: number; readonly deliverIdle: number }
  readonly logs: readonly {
    readonly name: string
    readonly committedPosition: number
    readonly freeBytes: number
    readonly state: 'ok' | 'full' | 'broken'
  }[]
  readonly intake: Readonly<Record<string, number>>
  readonly deliver: Readonly<Record<string, number>>
}

export interface EngineTotals {
  accepted: number
  recipients: number
  delivered: number
  deferred: number
  bounced: number
  expired: number
  uncertain: number
}

export interface LiveRecipient {
  readonly recipient: number
  readonly state: 'queued' | 'in_flight' | 'deferred'
  readonly attempts: number
  readonly nextAttemptAtMs: number
  readonly mayBeDuplicate: boolean
}
