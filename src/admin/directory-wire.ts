/** What the directory holds, as it goes over the wire: names in snake_case, times in RFC 3339. */
import { dayMs, hourMs, minuteMs, secondMs } from '../kernel/units.ts'
import type {
  ApiKey,
  QuotaOwner,
  SendingDomain,
  SmtpLogin,
  SourceNetwork,
  Stream,
  StreamDefaults,
  Tenant,
  VerifiedSender,
} from '../ports/directory.ts'
import type { QuotaLimits } from '../ports/quotas.ts'
import type { QuotaUse } from '../tenancy/tenancy.ts'
import type { Suppression } from '../ports/suppression-list.ts'
import type { DomainReport } from './view.ts'

const time = (ms: number): string => new Date(ms).toISOString()
const timeOrNull = (ms: number | null): string | null => (ms === null ? null : time(ms))

export type TenantWire = ReturnType<typeof tenantWire>
export const tenantWire = ({ id, name, suspended, createdMs }: Tenant) => ({
  id,
  name,
  suspended,
  created_at: time(createdMs),
})

export type KeyWire = ReturnType<typeof keyWire>
export const keyWire = (key: ApiKey) => ({
  id: key.id,
  tenant_id: key.tenantId,
  name: key.name,
  scopes: key.scopes,
  networks: key.networks,
  last_four: key.lastFour,
  created_at: time(key.createdMs),
  expires_at: timeOrNull(key.expiresMs),
  revoked_at: timeOrNull(key.revokedMs),
})

export type LoginWire = ReturnType<typeof loginWire>
export const loginWire = (login: SmtpLogin) => ({
  id: login.id,
  tenant_id: login.tenantId,
  user: login.user,
  networks: login.networks,
  last_four: login.lastFour,
  created_at: time(login.createdMs),
  revoked_at: timeOrNull(login.revokedMs),
})

export type NetworkWire = ReturnType<typeof networkWire>
export const networkWire = ({ id, tenantId, cidr, createdMs }: SourceNetwork) => ({
  id,
  tenant_id: tenantId,
  cidr,
  created_at: time(createdMs),
})

export type DomainWire = ReturnType<typeof domainWire>
export const domainWire = (domain: SendingDomain) => ({
  id: domain.id,
  tenant_id: domain.tenantId,
  domain: domain.domain,
  subdomains: domain.subdomains,
  verified: domain.verifiedMs !== null,
  created_at: time(domain.createdMs),
  verified_at: timeOrNull(domain.verifiedMs),
  dkim_keys: domain.keys.map(({ selector, createdMs, provenMs, retiredMs }) => ({
    selector,
    state: retiredMs !== null ? 'retired' : provenMs !== null ? 'signs' : 'waits for its record',
    created_at: time(createdMs),
    proven_at: timeOrNull(provenMs),
    retired_at: timeOrNull(retiredMs),
  })),
})

export type DomainReportWire = ReturnType<typeof domainReportWire>
export const domainReportWire = ({ domain, records }: DomainReport) => ({
  ...domainWire(domain),
  records: records.map(({ purpose, name, type, value, needed, state, found, note }) => ({
    purpose,
    name,
    type,
    value,
    needed,
    state,
    found,
    note,
  })),
})

export type SenderWire = ReturnType<typeof senderWire>
export const senderWire = (sender: VerifiedSender) => ({
  id: sender.id,
  tenant_id: sender.tenantId,
  address: sender.address,
  verified: sender.verifiedMs !== null,
  created_at: time(sender.createdMs),
  link_expires_at: time(sender.linkExpiresMs),
  verified_at: timeOrNull(sender.verifiedMs),
})

export type QuotaWire = ReturnType<typeof quotaWire>
/** null: no limit, and of what is used: not known yet. */
export const quotaWire = (tenantId: string, { kind, id }: QuotaOwner, limits: QuotaLimits, use: QuotaUse | null) => ({
  tenant_id: tenantId,
  of: kind,
  credential_id: id ?? null,
  limits: {
    messages_per_second: limits.messagesPerSecond || null,
    messages_per_day: limits.messagesPerDay || null,
    messages_per_month: limits.messagesPerMonth || null,
    spool_bytes: limits.spoolBytes || null,
    spool_recipients: limits.spoolRecipients || null,
  },
  used:
    use === null
      ? null
      : {
          messages_per_second: use.secondMessages,
          messages_per_day: use.dayMessages,
          messages_per_month: use.monthMessages,
          // What waits is told apart by tenant only.
          spool_bytes: kind === 'tenant' ? use.spoolBytes : null,
          spool_recipients: kind === 'tenant' ? use.spoolRecipients : null,
        },
})

export type StreamWire = ReturnType<typeof streamWire>
export const streamWire = (stream: Stream) => ({
  id: stream.id,
  tenant_id: stream.tenantId,
  name: stream.name,
  class: stream.mailClass,
  defaults: defaultsWire(stream.defaults),
  created_at: time(stream.createdMs),
})

export type SuppressionWire = ReturnType<typeof suppressionWire>
export const suppressionWire = (entry: Suppression) => ({
  tenant: entry.tenant,
  address: entry.address,
  address_seen: entry.addressSeen,
  reason: entry.reason,
  detail: entry.detail,
  message_id: entry.messageId === '' ? null : entry.messageId,
  created_at: time(entry.createdMs),
  created_by: entry.createdBy,
})

/** As it may be sent back. */
const defaultsWire = ({ expiresInMs, tags, campaign }: StreamDefaults) => ({
  ...(expiresInMs === 0 ? {} : { expires_in: exactDuration(expiresInMs) }),
  ...(tags.length === 0 ? {} : { tags }),
  ...(campaign === '' ? {} : { campaign }),
})

/** "90m": in the largest unit of which it has a whole number. */
function exactDuration(ms: number): string {
  for (const [unit, size] of [
    ['d', dayMs],
    ['h', hourMs],
    ['m', minuteMs],
    ['s', secondMs],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}
