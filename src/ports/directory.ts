/**
 * Port `directory`: who the tenants are, what they sign in with, and what they may send as. Asked by the admin API and by the CLI through it;
 * stages read its snapshot and never ask it about a message.
 *
 * Contract:
 *   1. A call that changes something settles when the change is on disk, is in the snapshot, and every listener has settled. So a key that is
 *      revoked opens nothing from then on.
 *   2. Whatever belongs to a tenant is found only by that tenant's id; another tenant's is as unknown as what never was.
 *   3. A secret is told once, by the call that made it. Only its SHA-256 is kept.
 *   4. A verified domain belongs to one tenant. Any number may claim it until then.
 *   5. Calls throw PosthasteError: `invalid_value` (an InvalidValue, which points at the value), `…_unknown`, `…_taken`, `…_too_many`,
 *      `…_unproven`, `directory_busy`, and what the database says.
 */
import { PosthasteError } from '../kernel/errors.ts'
import type { MailClass } from '../model/submission.ts'
import type { SuppressionList } from './suppression-list.ts'
import type { QuotaLimits } from './quotas.ts'

/** One value of a request is wrong. */
export class InvalidValue extends PosthasteError {
  /** JSON pointer (RFC 6901) to it. */
  readonly pointer: string

  constructor(pointer: string, what: string, cure: string) {
    super('invalid_value', pointer === '' ? what : `${pointer}: ${what}`, cure)
    this.pointer = pointer
  }
}

/** send: hand over mail. read: see messages and figures. manage: change what the tenant has. */
export type Scope = 'send' | 'read' | 'manage'

export interface Tenant {
  readonly id: string
  readonly name: string
  /** Its keys, logins and networks open nothing; what it holds stays its own. */
  readonly suspended: boolean
  readonly createdMs: number
}

export interface ApiKey {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly scopes: readonly Scope[]
  /** CIDR blocks that it may be used from; none: from everywhere. */
  readonly networks: readonly string[]
  /** Of the secret, so that people tell their keys apart. */
  readonly lastFour: string
  readonly createdMs: number
  readonly expiresMs: number | null
  readonly revokedMs: number | null
}

export interface SmtpLogin {
  readonly id: string
  readonly tenantId: string
  readonly user: string
  readonly networks: readonly string[]
  readonly lastFour: string
  readonly createdMs: number
  readonly revokedMs: number | null
}

/** Clients in it are the tenant without a password, when the sender is (ports/clients.ts). Any number of tenants may share one. */
export interface SourceNetwork {
  readonly id: string
  readonly tenantId: string
  /** Without bits of a host; never everybody. */
  readonly cidr: string
  readonly createdMs: number
}

export interface SendingDomain {
  readonly id: string
  readonly tenantId: string
  /** Lower-case A-labels. */
  readonly domain: string
  /** Names below it are included, except those that another tenant has verified. */
  readonly subdomains: boolean
  /** The TXT record that proves it. */
  readonly record: { readonly name: string; readonly value: string }
  readonly createdMs: number
  readonly verifiedMs: number | null
  /** In this order: one that another has followed, the one that signs, one that waits for its record. Each may be missing. */
  readonly keys: readonly DomainKey[]
}

/** A DKIM key of a sending domain. It signs from when its record was seen until a newer one's was. */
export interface DomainKey {
  readonly id: string
  readonly selector: string
  /** The TXT record that publishes it (RFC 6376 §3.6). */
  readonly record: { readonly name: string; readonly value: string }
  readonly createdMs: number
  readonly provenMs: number | null
  /** Its private half is gone. The record is still looked at for a week by those who have mail that it signed. */
  readonly retiredMs: number | null
}

export interface VerifiedSender {
  readonly id: string
  readonly tenantId: string
  /** Lower-case; its domain in A-labels. */
  readonly address: string
  readonly createdMs: number
  /** Until when the link that was mailed proves it. */
  readonly linkExpiresMs: number
  readonly verifiedMs: number | null
}

/** What a message of the stream has when it does not say otherwise. */
export interface StreamDefaults {
  /** 0: none. */
  readonly expiresInMs: number
  /** Beside its own, as far as there is room. */
  readonly tags: readonly string[]
  /** '': none. */
  readonly campaign: string
}

export interface Stream {
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly mailClass: MailClass
  readonly defaults: StreamDefaults
  readonly createdMs: number
}

/** One tenant as it is from this version on; all others are as they were. */
export interface DirectoryChange {
  readonly version: number
  readonly intake: IntakeTenant
  readonly preparing: PreparingTenant
}

/** What the threads work by. Plain data, as its changes are: it survives structuredClone. */
export interface DirectorySnapshot {
  /** Grows by one with every change; begins anew with the process. */
  readonly version: number
  readonly intake: readonly IntakeTenant[]
  readonly preparing: readonly PreparingTenant[]
}

/** Whose quota: the tenant's as a whole, or of one credential that is good for something. */
export type QuotaOwner =
  | { readonly kind: 'tenant'; readonly id?: undefined }
  | { readonly kind: 'key' | 'login'; readonly id: string }

/** Where what is used of it is counted, and how much there may be. The row stays the same while the process lives and there is a quota. */
export interface IntakeQuota {
  readonly row: number
  readonly limits: QuotaLimits
}

/** For whoever recognises clients. Of a suspended tenant there are no keys, no logins and no networks. */
export interface IntakeTenant {
  readonly id: string
  readonly name: string
  /** Absent, as of keys and logins: none. */
  readonly quota?: IntakeQuota
  readonly keys: readonly IntakeKey[]
  readonly logins: readonly IntakeLogin[]
  readonly networks: readonly { readonly id: string; readonly cidr: string }[]
  /** Verified ones. */
  readonly domains: readonly OwnDomain[]
  /** Verified ones. */
  readonly senders: readonly string[]
  readonly streams: readonly {
    readonly name: string
    readonly mailClass: MailClass
    readonly defaults: StreamDefaults
  }[]
}

export interface IntakeKey {
  readonly id: string
  /** Hex. */
  readonly sha256: string
  readonly scopes: readonly Scope[]
  readonly networks: readonly string[]
  readonly expiresMs: number | null
  readonly quota?: IntakeQuota
}

export interface IntakeLogin {
  readonly id: string
  readonly user: string
  /** Hex. */
  readonly passwordSha256: string
  readonly networks: readonly string[]
  readonly quota?: IntakeQuota
}

export interface OwnDomain {
  readonly domain: string
  readonly subdomains: boolean
}

/** For whoever composes and signs: no secret of a client is in it. Mail that a suspended tenant handed over goes on. */
export interface PreparingTenant {
  readonly id: string
  readonly name: string
  readonly domains: readonly SigningDomain[]
}

export interface SigningDomain extends OwnDomain {
  /** Null: no key's record was seen yet. */
  readonly key: { readonly id: string; readonly selector: string; readonly privateKeyPem: string } | null
}

/** What became of a link that somebody pressed, in a form that travels between threads. */
export type Confirmation =
  | { readonly outcome: 'confirmed'; readonly address: string }
  /** unknown: used, replaced or too old. taken: its domain is another tenant's by now. later: ask again. */
  | { readonly outcome: 'unknown' | 'taken' | 'later' }

/** What was taken away, and a snapshot without it. */
export interface Withdrawal<T> {
  readonly withdrawn: T
  readonly snapshot: DirectorySnapshot
}

export interface NewKey {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly networks?: readonly string[]
  readonly expiresMs?: number | null
}

export interface NewLogin {
  /** Left out: one is made. */
  readonly user?: string
  readonly networks?: readonly string[]
}

export interface NewDomain {
  readonly domain: string
  readonly subdomains?: boolean
}

export interface NewStream {
  readonly name: string
  readonly mailClass: MailClass
  /** As people write them (docs/tenants.md): `expires_in`, `tags`, `campaign`. */
  readonly defaults?: Readonly<Record<string, unknown>>
}

export interface Directory {
  readonly version: number
  snapshot(): DirectorySnapshot
  /**
   * Called with every change, one at a time and no version left out, when the snapshot has it; the next one waits for it. So it bounds its own wait
   * for others, and asks for no change itself. Returns how to stop that.
   */
  onChange(listener: (change: DirectoryChange) => void | Promise<void>): () => void

  createTenant(name: string): Promise<Tenant>
  /** In order of creation, a page at a time: those after the id given. */
  listTenants(page?: { readonly after?: string; readonly count?: number }): Promise<readonly Tenant[]>
  getTenant(tenantId: string): Promise<Tenant>
  /** By its id, else by its name. */
  findTenant(idOrName: string): Promise<Tenant>
  renameTenant(tenantId: string, name: string): Promise<Tenant>
  suspendTenant(tenantId: string): Promise<Withdrawal<Tenant>>
  resumeTenant(tenantId: string): Promise<Tenant>

  createKey(tenantId: string, key: NewKey): Promise<{ readonly key: ApiKey; readonly secret: string }>
  /** Revoked ones too, as long as they are remembered. */
  listKeys(tenantId: string): Promise<readonly ApiKey[]>
  revokeKey(tenantId: string, keyId: string): Promise<Withdrawal<ApiKey>>

  createLogin(tenantId: string, login: NewLogin): Promise<{ readonly login: SmtpLogin; readonly password: string }>
  listLogins(tenantId: string): Promise<readonly SmtpLogin[]>
  revokeLogin(tenantId: string, loginId: string): Promise<Withdrawal<SmtpLogin>>

  addNetwork(tenantId: string, cidr: string): Promise<SourceNetwork>
  listNetworks(tenantId: string): Promise<readonly SourceNetwork[]>
  removeNetwork(tenantId: string, networkId: string): Promise<Withdrawal<SourceNetwork>>

  addDomain(tenantId: string, domain: NewDomain): Promise<SendingDomain>
  listDomains(tenantId: string): Promise<readonly SendingDomain[]>
  /** `records`: the texts of the TXT records that stand at `record.name`, each joined from its strings. */
  verifyDomain(tenantId: string, domainId: string, records: readonly string[]): Promise<SendingDomain>
  /** A new key for it, which waits for its record; `domain_key_taken` while one waits already. */
  rotateKey(tenantId: string, domainId: string): Promise<SendingDomain>
  /** Has the key sign, and retires the one before. `records`: what stands at `record.name` of the key. */
  proveKey(tenantId: string, domainId: string, keyId: string, records: readonly string[]): Promise<SendingDomain>
  removeDomain(tenantId: string, domainId: string): Promise<Withdrawal<SendingDomain>>

  /** The token goes into the link that is mailed to the address. Asked again before it is proven, a new link replaces the old one. */
  addSender(tenantId: string, address: string): Promise<{ readonly sender: VerifiedSender; readonly token: string }>
  listSenders(tenantId: string): Promise<readonly VerifiedSender[]>
  /** Whoever has the token has read the mail; no tenant is asked for. */
  confirmSender(token: string): Promise<VerifiedSender>
  removeSender(tenantId: string, senderId: string): Promise<Withdrawal<VerifiedSender>>

  createStream(tenantId: string, stream: NewStream): Promise<Stream>
  listStreams(tenantId: string): Promise<readonly Stream[]>
  /** The name stays: messages carry it. */
  changeStream(tenantId: string, streamId: string, change: Partial<Omit<NewStream, 'name'>>): Promise<Stream>
  removeStream(tenantId: string, streamId: string): Promise<Withdrawal<Stream>>

  /** All 0 when there is none. */
  getQuota(tenantId: string, owner: QuotaOwner): Promise<QuotaLimits>
  /** In the place of the one before; what is left out has no limit. Of a credential it ends with the credential. `quotas_too_many`. */
  setQuota(tenantId: string, owner: QuotaOwner, limits: Partial<QuotaLimits>): Promise<QuotaLimits>

  /** To whom tenants send nothing. */
  readonly suppressions: SuppressionList

  /** Waits for what is under way and closes the database. */
  close(): Promise<void>
}
