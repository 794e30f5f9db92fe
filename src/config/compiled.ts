/**
 * The configuration as the program uses it: checked, with defaults, units in the names, secrets loaded, frozen. Made from the
 * file by `load.ts`; it is structured-cloneable, because every thread gets a copy.
 */
import type { TlsPolicy } from '../model/site.ts'

export interface Config {
  /** Path of the file it came from; null for the built-in sandbox. */
  readonly file: string | null
  /** True: no way out. Every destination is the capture sink, and sockets open to loopback only. */
  readonly sandbox: boolean
  /** Our name in EHLO, greeting, Received and Message-ID. */
  readonly hostname: string
  /** Absolute path. */
  readonly dataDirectory: string
  readonly smtp: SmtpConfig
  readonly http: HttpConfig
  readonly store: StoreConfig
  readonly accounting: AccountingConfig
  /** Certificate for STARTTLS and implicit TLS; null: not offered. */
  readonly tls: TlsConfig | null
  readonly tenants: readonly TenantConfig[]
  readonly dkim: readonly DkimKeyConfig[]
  readonly routes: readonly RouteConfig[]
  readonly delivery: DeliveryConfig
  readonly retry: RetryConfig
  readonly notices: NoticesConfig
  readonly dns: DnsConfig
  readonly spool: SpoolConfig
  readonly threads: ThreadsConfig
  readonly management: ManagementConfig
  readonly log: LogConfig
}

export interface SmtpConfig {
  readonly listeners: readonly ListenerConfig[]
  readonly messageBytesMax: number
  readonly recipientsMax: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** Longest wait for a whole command or for content to make progress. */
  readonly idleMsMax: number
  /** Slowest content that is put up with, averaged. */
  readonly contentBytesPerSecondMin: number
  /** Sandbox: clients on loopback may AUTH without TLS. */
  readonly authWithoutTlsOnLoopback: boolean
}

/** The sending API. */
export interface HttpConfig {
  readonly listeners: readonly HttpListenerConfig[]
  /** Of a request, after it was decompressed. */
  readonly bodyBytesMax: number
  readonly connectionsMax: number
  /** For a whole request to arrive. */
  readonly requestMsMax: number
  /** How people reach the API from outside, without a slash at the end, for links in mail; null: links cannot be mailed. */
  readonly publicUrl: string | null
}

export interface HttpListenerConfig {
  readonly address: string
  readonly port: number
  readonly tls: 'none' | 'implicit'
}

export interface StoreConfig {
  /** False: nothing is kept of what is done, no status can be asked for, and the API accepts nothing. */
  readonly enabled: boolean
  /** Whole days, of UTC. */
  readonly retentionDays: number
  /** The oldest days go when all of them together take more. */
  readonly bytesMax: number
}

export interface AccountingConfig {
  readonly enabled: boolean
  /** Absolute path. */
  readonly directory: string
  readonly rotateBytes: number
  readonly rotateMs: number
  readonly keepMs: number
  /** Of all files together. */
  readonly keepBytes: number
  readonly compress: boolean
  /** So much of the logs may be held back by a file that cannot be written. */
  readonly behindBytesMax: number
}

export interface ListenerConfig {
  readonly address: string
  readonly port: number
  /** 'offered' is STARTTLS; it becomes 'none' when no certificate is configured. */
  readonly tls: 'none' | 'offered' | 'implicit'
}

export interface TlsConfig {
  readonly certificatePem: string
  readonly keyPem: string
}

export interface TenantConfig {
  readonly name: string
  /** CIDR blocks whose clients are this tenant without a password. */
  readonly networks: readonly string[]
  /** SHA-256 of the password, hex. */
  readonly logins: readonly { readonly user: string; readonly passwordSha256: string }[]
}

export interface DkimKeyConfig {
  readonly domain: string
  readonly selector: string
  /** PKCS#8 or PKCS#1 PEM; RSA ≥ 2048 bits or Ed25519. */
  readonly privateKeyPem: string
}

export interface RouteConfig {
  /** Lower-case domain, "*.example.com" for its children, or "*" for everything. First exact, then longest, then "*". */
  readonly domain: string
  /** Host name or IP address of the next hop. A name is resolved to its addresses, not to its exchangers. */
  readonly host: string
  readonly port: number
  readonly tls: TlsPolicy
  readonly credentials: { readonly user: string; readonly password: string } | null
}

export interface DeliveryConfig {
  readonly ehloName: string
  readonly connectionsPerSite: number
  readonly connectionsMax: number
  readonly recipientsPerTransaction: number
  readonly messagesPerConnection: number
  readonly idleConnectionMs: number
  readonly tls: TlsPolicy
  readonly port: number
}

export interface RetryConfig {
  /** Delay before attempt 2, 3, …; the last one repeats. */
  readonly delaysMs: readonly number[]
  /** Each delay is spread evenly over ± this share of itself. */
  readonly jitter: number
  readonly expireAfterMs: number
}

/** Mail to the return path about what became of a message. */
export interface NoticesConfig {
  readonly enabled: boolean
  /** Address of their From header. */
  readonly from: string
  /** Age at which a delay is told, if it was asked for. */
  readonly delayAfterMs: number
  /** Recipients of one message that fail within this time share a notice. */
  readonly groupWithinMs: number
  /** To one return path. */
  readonly perHourMax: number
  /** Largest message that goes back as a whole. */
  readonly returnFullBytesMax: number
  /** Tell of recipients on the tenant's suppression list, although nobody asked for it. */
  readonly suppressed: boolean
}

export interface DnsConfig {
  /** "address" or "address#port"; empty: those of /etc/resolv.conf. */
  readonly servers: readonly string[]
  readonly timeoutMs: number
}

export interface SpoolConfig {
  readonly segmentBytes: number
  readonly windowBytes: number
  /** Below this much free disk new mail is refused with 452. */
  readonly reserveBytes: number
  readonly commitDelayMs: number
  readonly commitBytesMax: number
  /** Of what there is for mail, the part that one tenant's waiting mail may take. */
  readonly tenantShare: number
  /** The queue is written down when the logs have grown by this much, or by its own size if that is more. */
  readonly checkpointAfterBytes: number
}

/** 0: on the scheduler's thread. 'auto': by the number of cores, which only the machine knows. */
export interface ThreadsConfig {
  readonly intake: number | 'auto'
  readonly deliver: number | 'auto'
}

export interface ManagementConfig {
  readonly address: string
  readonly port: number
  /** Bearer token; null only where nothing but loopback is listened on. */
  readonly token: string | null
}

export interface LogConfig {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
}
