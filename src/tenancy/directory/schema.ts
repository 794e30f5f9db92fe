/**
 * The directory's tables, in what SQLite and PostgreSQL both understand: ids are UUIDv7 as text, times are milliseconds since 1970, yes and no
 * are a time or null, lists and objects are JSON as text. (An adapter to PostgreSQL must read bigint as a number.)
 *
 *   tenants ─┬─ api_keys
 *            ├─ smtp_logins
 *            ├─ source_networks     the same one as often as there are tenants in it
 *            ├─ sending_domains     a verified name is there once, a claimed one as often as claimed
 *            │  └─ domain_keys      DKIM keys: one retired, one that signs, one that waits for its record
 *            ├─ verified_senders
 *            ├─ streams
 *            └─ quotas              of the tenant as a whole, of a key, of a login; only those that limit something
 *   suppressions                    whom a tenant sends nothing; a tenant of the configuration file has them, too
 *   suppression_counts              how many each has
 *   settings                        the secret that makes the records of domains
 */
import type { Kysely, Transaction } from 'kysely'

export interface DirectorySchema {
  schema_versions: { version: number; name: string; applied_ms: number }
  settings: { name: string; value: string }
  tenants: TenantRow
  api_keys: KeyRow
  smtp_logins: LoginRow
  source_networks: NetworkRow
  sending_domains: DomainRow
  domain_keys: DomainKeyRow
  verified_senders: SenderRow
  streams: StreamRow
  suppressions: SuppressionRow
  suppression_counts: { tenant: string; entries: number }
  quotas: QuotaRow
}

export type DirectoryDatabase = Kysely<DirectorySchema>
export type DirectoryTransaction = Transaction<DirectorySchema>

export interface TenantRow {
  id: string
  name: string
  created_ms: number
  suspended_ms: number | null
}

export interface KeyRow {
  id: string
  tenant_id: string
  name: string
  sha256: string
  last_four: string
  scopes: string
  networks: string
  created_ms: number
  expires_ms: number | null
  revoked_ms: number | null
}

export interface LoginRow {
  id: string
  tenant_id: string
  user_name: string
  password_sha256: string
  last_four: string
  networks: string
  created_ms: number
  revoked_ms: number | null
}

export interface NetworkRow {
  id: string
  tenant_id: string
  cidr: string
  created_ms: number
}

export interface DomainRow {
  id: string
  tenant_id: string
  domain: string
  /** 1: names below it too. */
  subdomains: number
  created_ms: number
  verified_ms: number | null
}

export interface DomainKeyRow {
  id: string
  tenant_id: string
  domain_id: string
  selector: string
  /** SubjectPublicKeyInfo in base64, as `p=` has it. */
  public_key: string
  /** '' once it is retired. */
  private_key_pem: string
  created_ms: number
  proven_ms: number | null
  retired_ms: number | null
}

export interface SenderRow {
  id: string
  tenant_id: string
  address: string
  /** Null once it was used. */
  link_sha256: string | null
  link_expires_ms: number
  created_ms: number
  verified_ms: number | null
}

export interface StreamRow {
  id: string
  tenant_id: string
  name: string
  mail_class: string
  defaults: string
  created_ms: number
}

export interface SuppressionRow {
  /** As mail names it. */
  tenant: string
  /** In the form that is compared. */
  address: string
  address_seen: string
  reason: string
  detail: string
  message_id: string
  created_ms: number
  created_by: string
}

/** 0: no limit. */
export interface QuotaRow {
  tenant_id: string
  /** Of a key or login; '' of the tenant as a whole. */
  credential_id: string
  messages_per_second: number
  messages_per_day: number
  messages_per_month: number
  spool_bytes: number
  spool_recipients: number
}
