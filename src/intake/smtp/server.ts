/** What all sessions of one SMTP server share, and what it tells the outside about itself. */
import type { SmtpConfig } from '../../config/compiled.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Clients } from '../../ports/clients.ts'
import type { MessageStore } from '../../ports/message-store.ts'
import type { Quotas } from '../../ports/quotas.ts'
import type { Submissions } from '../../ports/submissions.ts'
import type { Deadlines } from './deadlines.ts'
import type { LoginGuard } from './login-guard.ts'
import type { SessionMemory } from './memory.ts'

export interface SmtpServer {
  readonly config: SmtpConfig
  readonly hostname: string
  readonly submissions: Submissions
  readonly clients: Clients
  readonly quotas: Quotas
  /** Where idempotency keys are looked up. Null: messages that have one are refused. */
  readonly store: MessageStore | null
  readonly clock: Clock
  readonly guard: LoginGuard
  readonly deadlines: Deadlines
  readonly memory: SessionMemory
  readonly counters: IntakeCounters
  readonly log: (event: IntakeLogEvent) => void
  /** Sessions end as soon as they have no message open. */
  draining: boolean
}

export type IntakeStage = 'connect' | 'tls' | 'auth' | 'mail' | 'rcpt' | 'content' | 'session'

/** A refusal, for the log. Nothing in it is raw input. */
export interface IntakeLogEvent {
  readonly stage: IntakeStage
  /** Code of the failure catalogue, or 'address' and 'protocol' for what only SMTP knows. */
  readonly code: string
  readonly address: string
  /** As the client called itself; '' before EHLO. */
  readonly hello: string
  readonly tenant: string
  readonly reply: string
}

/** Only ever grow. The owner reads them whenever it likes. */
export interface IntakeCounters {
  connections: number
  connectionsRefused: number
  messages: number
  messagesRefused: number
  recipients: number
  contentBytes: number
  badCommands: number
  loginsFailed: number
  timeouts: number
  outOfTurn: number
  tlsHandshakes: number
  tlsFailures: number
}

export function newIntakeCounters(): IntakeCounters {
  return {
    connections: 0,
    connectionsRefused: 0,
    messages: 0,
    messagesRefused: 0,
    recipients: 0,
    contentBytes: 0,
    badCommands: 0,
    loginsFailed: 0,
    timeouts: 0,
    outOfTurn: 0,
    tlsHandshakes: 0,
    tlsFailures: 0,
  }
}
