/**
 * Stage 2, tenancy: knows who may send, by where they are or by what they know, and as whom.
 *
 *   in   an address and a sender, a user name and password, or a key (from intake); the configuration file, a snapshot of the directory, and
 *        each of its tenants that has changed since
 *   out  the client: its tenant, and how it was recognised; or null, which intake refuses
 *
 * Always true:
 *   1. Of the networks that hold an address the most specific one counts. Where several tenants have it, the sender says which of them is meant;
 *      when it does not, nobody is.
 *   2. A password is compared in constant time, whether the user exists or not. Passwords and keys are random and long and made by us, so that
 *      one SHA-256 keeps them (a slow hash is for passwords that people think up).
 *   3. What it answers depends on the configuration and what it was told of the directory alone; nothing is looked up elsewhere.
 *   4. A tenant of the directory sends only as the domains and addresses that it has proven, and from the null sender.
 *   5. What it, or a key or login of it, sends in a second, a day or a month never comes to more than its quota, however many threads take mail.
 *
 * The directory itself, where tenants and what they have are kept, is directory/directory.ts: only who opens it pays for loading it.
 *
 * RFC 4632 (CIDR), RFC 4291 §2.5.5.2 (IPv4 addresses in IPv6's clothes).
 */
export { clientsOf, type LiveClients } from './clients.ts'
export {
  judgeRecord,
  type RecordFinding,
  type RecordPurpose,
  type RecordState,
  wantedRecords,
} from './domain-records.ts'
export { makeQuotaMemory, QuotaTable } from './quotas.ts'
export { QuotaRows, type QuotaUse, type RowToLoad } from './quota-rows.ts'
export { TenantQuotas } from './tenant-quotas.ts'
export { confirmLink } from './confirm-link.ts'
export { SuppressionSet } from './suppression-set.ts'
export { verificationMail } from './verification-mail.ts'
export * as tenancyLimits from './directory/limits.ts'
