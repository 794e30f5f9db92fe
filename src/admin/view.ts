/**
 * What the running engine shows of itself. The engine fills these, http/ puts them on the wire (names in snake_case), cli/ prints
 * them. All times are RFC 3339 in UTC; all sizes and durations carry their unit in the name.
 */
import type { Directory, SendingDomain, VerifiedSender } from '../ports/directory.ts'
import type { QuotaUse, RecordFinding } from '../tenancy/tenancy.ts'
import type { RecipientStatus } from '../ports/message-store.ts'
import type { DialogueStage, OutcomeKind } from '../model/outcome.ts'

export interface EngineView {
  /** Asked by every health check: it must not wait for anything. Ready means that mail is accepted now. */
  health(): { readonly ready: boolean; readonly reasons: readonly string[] }
  status(): Promise<EngineStatus>
  /** Null: no such message. Expired: it was known once, its record is past its retention. */
  message(id: string): Promise<MessageView | null | { readonly expired: true }>
  metrics(): Promise<readonly MetricSample[]>
  /** Null outside the sandbox. */
  readonly sandbox: SandboxStoreView | null
  /** Left out: this engine knows the tenants of its configuration file only. */
  readonly directory?: DirectoryView
  /** What to try the sandbox with; made when it is not there. Left out outside the sandbox. */
  readonly sandboxCredentials?: () => Promise<SandboxCredentials>
}

/** The directory as the admin API uses it: it asks the DNS, and mails links, where the port is told of the outcome. */
export interface DirectoryView
  extends Pick<
    Directory,
    | 'createTenant'
    | 'listTenants'
    | 'findTenant'
    | 'renameTenant'
    | 'suspendTenant'
    | 'resumeTenant'
    | 'createKey'
    | 'listKeys'
    | 'revokeKey'
    | 'createLogin'
    | 'listLogins'
    | 'revokeLogin'
    | 'addNetwork'
    | 'listNetworks'
    | 'removeNetwork'
    | 'addDomain'
    | 'listDomains'
    | 'rotateKey'
    | 'removeDomain'
    | 'listSenders'
    | 'removeSender'
    | 'createStream'
    | 'listStreams'
    | 'changeStream'
    | 'removeStream'
    | 'getQuota'
    | 'setQuota'
    | 'suppressions'
  > {
  /** Null: it has no quota, and nothing is counted. */
  quotaUse(tenantId: string, credentialId: string | null): QuotaUse | null
  /** Asks the DNS, and changes nothing. */
  reportDomain(domain: SendingDomain): Promise<DomainReport>
  /** Asks the DNS; what is proven by it counts from then on. */
  verifyDomain(domain: SendingDomain): Promise<DomainReport>
  /** Mails the link that proves the address. Throws `link_not_mailed` when that cannot be done. */
  addSender(tenantId: string, address: string): Promise<VerifiedSender>
}

export interface DomainReport {
  readonly domain: SendingDomain
  /** What the domain's zone should hold, and what it does. */
  readonly records: readonly RecordFinding[]
}

/** Of the tenant that exists for trying the sandbox. */
export interface SandboxCredentials {
  readonly tenant: string
  readonly key: string
  readonly user: string
  readonly password: string
  /** Where mail is taken, to say how to send some; null: nowhere. */
  readonly smtp: { readonly address: string; readonly port: number } | null
  readonly http: { readonly address: string; readonly port: number } | null
}

export interface EngineStatus {
  readonly version: string
  readonly hostname: string
  readonly sandbox: boolean
  readonly uptimeMs: number
  readonly state: 'starting' | 'ready' | 'draining' | 'degraded'
  /** Why the state is not `ready`, and what else an operator must know. */
  readonly reasons: readonly string[]
  readonly rates: {
    readonly acceptedPerSecond1m: number
    readonly deliveredPerSecond1m: number
    readonly deferredPerSecond1m: number
    readonly bouncedPerSecond1m: number
  }
  /** Since the start. Accepted counts messages, the others recipients. */
  readonly totals: {
    readonly accepted: number
    readonly recipients: number
    readonly delivered: number
    readonly deferred: number
    readonly bounced: number
    readonly expired: number
    readonly suppressed: number
    readonly uncertain: number
    readonly refused: number
  }
  readonly queue: {
    /** Recipients that are neither delivered nor given up. */
    readonly messages: number
    readonly ready: number
    readonly deferred: number
    readonly inFlight: number
    /** Age of the oldest; 0 when the queue is empty. */
    readonly oldestMs: number
  }
  /** The 20 with the most queued. */
  readonly sites: readonly SiteStatus[]
  readonly connections: { readonly smtpIn: number; readonly deliverActive: number; readonly deliverIdle: number }
  readonly spool: {
    readonly logs: readonly LogStatus[]
    readonly freeBytes: number
    readonly reserveBytes: number
    readonly state: 'open' | 'full' | 'failed'
  }
  /** Null when nothing is kept. */
  readonly store: StoreStatus | null
  /** Null while its thread does not tell. */
  readonly record: RecordStatus | null
  readonly threads: readonly ThreadStatus[]
  /** Messages that are set aside, because threads died over them twice. */
  readonly setAside: number
}

export interface StoreStatus {
  readonly messages: number
  readonly days: number
  readonly bytes: number
  /** On disk in the logs, and not in the store yet. */
  readonly behindBytes: number
}

/** What is kept beside the message store. */
export interface RecordStatus {
  readonly notices: {
    /** On their way into the queue. */
    readonly due: number
    /** These are since the data directory was made. */
    readonly made: number
    readonly withheld: number
    readonly doubleBounces: number
  }
  /** Null when it is not kept. */
  readonly accounting: {
    /** On disk in the logs, and not in the file yet: what was not read, and the lines that were made of the rest. */
    readonly behindBytes: number
    /** Why it cannot be written now; '' when it can. */
    readonly problem: string
  } | null
}

export interface SiteStatus {
  readonly name: string
  readonly queued: number
  readonly inFlight: number
  readonly connections: number
  readonly paused: boolean
  /** Newest reply that was not a success; null when there is none. */
  readonly lastReply: string | null
}

export interface LogStatus {
  readonly name: string
  readonly segments: number
  readonly bytes: number
  readonly committedPosition: number
}

export interface ThreadStatus {
  readonly name: string
  readonly state: 'starting' | 'running' | 'stopped'
  readonly cpuPercent: number
  readonly restarts: number
}

export interface MessageView {
  readonly id: string
  readonly tenant: string
  /** Return path; '' is the null sender. */
  readonly from: string
  readonly subject: string
  readonly acceptedAt: string
  readonly sizeBytes: number
  readonly client: string
  readonly recipients: readonly RecipientView[]
}

export interface RecipientView {
  readonly address: string
  readonly state: RecipientStatus
  readonly attempts: readonly AttemptView[]
  readonly nextAttemptAt: string | null
  /** An attempt's last reply was lost: the receiver may have it twice. */
  readonly mayBeDuplicate: boolean
}

export interface AttemptView {
  readonly startedAt: string
  readonly outcome: OutcomeKind
  readonly stage: DialogueStage
  /** 0 when no reply was read. */
  readonly code: number
  readonly enhanced: string
  readonly text: string
  readonly host: string
  readonly address: string
  readonly source: string
  readonly tls: string
  readonly reusedConnection: boolean
  /** Since the attempt began; −1 not reached. */
  readonly connectedMs: number
  readonly envelopeMs: number
  readonly finishedMs: number
}

export interface MetricSample {
  /** "posthaste_accepted_total", with the unit at its end. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Captured mail, newest first. */
export interface SandboxStoreView {
  list(query: SandboxQuery): Promise<SandboxPage>
  message(id: string): Promise<SandboxMessage | null>
  /** The message as it was received, byte for byte. */
  raw(id: string): Promise<Buffer | null>
}

export interface SandboxQuery {
  /** 1 … 500. */
  readonly limit: number
  /** Only what was captured before this one; null from the newest. */
  readonly before: string | null
  /** Only what this address received, without regard to case; null for all. */
  readonly to: string | null
}

export interface SandboxPage {
  readonly messages: readonly SandboxSummary[]
  /** `before` of the next page; null when this is the last. */
  readonly next: string | null
}

export interface SandboxSummary {
  readonly id: string
  readonly receivedAt: string
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly sizeBytes: number
}

export interface SandboxMessage extends SandboxSummary {
  /** In order, unfolded; a name may occur more than once. */
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  /** The readable text of it; null when there is none. */
  readonly text: string | null
}
