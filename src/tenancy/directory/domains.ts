/**
 * Sending domains. A tenant claims a name, publishes the TXT record that it is told, and has it verified; somebody else asks the DNS.
 *
 *   _posthaste.example.com.  TXT  "posthaste-verification=7qk2…"
 *
 * The value comes from a secret of this directory, the tenant and the name (HMAC-SHA-256), so that what one tenant publishes proves nothing
 * for another, and a claim that is given up and made again keeps its record.
 *
 * A name belongs to whoever verified it; a name that nobody did belongs to whoever verified the nearest name above it with its subdomains.
 */
import { createHmac } from 'node:crypto'
import { PosthasteError } from '../../kernel/errors.ts'
import type { NewDomain, SendingDomain } from '../../ports/directory.ts'
import { type Change, refuseBeyond, taken, unknown } from './change.ts'
import {
  addDomainKey,
  deleteKeys,
  domainKeyOf,
  domainKeys,
  proveKey,
  type PublicKeyRow,
  rotateKey,
} from './domain-keys.ts'
import { domainsMax } from './limits.ts'
import type { DirectoryDatabase, DirectoryTransaction, DomainRow } from './schema.ts'
import { domain as readDomain } from './values.ts'

function domainOf(row: DomainRow, keys: readonly PublicKeyRow[], secret: string): SendingDomain {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    domain: row.domain,
    subdomains: row.subdomains !== 0,
    record: recordOf(row, secret),
    createdMs: row.created_ms,
    verifiedMs: row.verified_ms,
    keys: keys.map((key) => domainKeyOf(key, row.domain)),
  }
}

function recordOf({ tenant_id, domain }: DomainRow, secret: string): SendingDomain['record'] {
  return { name: `_posthaste.${domain}`, value: proofOf(secret, tenant_id, domain) }
}

async function domainWithKeys({ trx, tenantId }: Change, row: DomainRow, secret: string): Promise<SendingDomain> {
  return domainOf(row, await domainKeys(trx, tenantId, row.id), secret)
}

function proofOf(secret: string, tenantId: string, domain: string): string {
  // Neither an id nor a domain can hold a space.
  const proof = createHmac('sha256', Buffer.from(secret, 'hex')).update(`domain ${tenantId} ${domain}`).digest('hex')
  return `posthaste-verification=${proof.slice(0, 40)}`
}

export async function addDomain(
  change: Change,
  asked: NewDomain,
  privateKeyPem: string,
  secret: string,
): Promise<SendingDomain> {
  const { trx, tenantId } = change
  const row: DomainRow = {
    id: change.newId(),
    tenant_id: tenantId,
    domain: readDomain('/domain', asked.domain),
    subdomains: asked.subdomains === true ? 1 : 0,
    created_ms: change.nowMs,
    verified_ms: null,
  }
  const mine = await trx
    .selectFrom('sending_domains')
    .select((of) => [of.fn.countAll().as('count'), of.fn.max('id').filterWhere('domain', '=', row.domain).as('same')])
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
  if (mine.same !== null) {
    const message = `this tenant has the domain ${row.domain} already`
    throw taken('domain', message, 'Verify that one, or remove it first.')
  }
  refuseBeyond(domainsMax, 'domains', Number(mine.count), 'Remove those that nobody uses, or take one with subdomains.')
  await trx.insertInto('sending_domains').values(row).execute()
  await addDomainKey(change, row.id, privateKeyPem)
  return await domainWithKeys(change, row, secret)
}

export async function listDomains(db: DirectoryDatabase, tenantId: string, secret: string): Promise<SendingDomain[]> {
  const rows = await db
    .selectFrom('sending_domains')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  const keys = Map.groupBy(await domainKeys(db, tenantId), ({ domain_id }) => domain_id)
  return rows.map((row) => domainOf(row, keys.get(row.id) ?? [], secret))
}

/** Verified twice, the first time counts. */
export async function verifyDomain(
  change: Change,
  domainId: string,
  records: readonly string[],
  secret: string,
): Promise<SendingDomain> {
  const { trx, tenantId, nowMs } = change
  const row = await domainRow(change, domainId)
  const record = recordOf(row, secret)
  if (!records.some((text) => text.trim() === record.value)) {
    const found = records.length === 0 ? 'no TXT record stands there' : `${records.length} TXT records there are others`
    throw new PosthasteError(
      'domain_unproven',
      `${row.domain} is not proven: ${found}`,
      `Publish a TXT record at ${record.name} with the text ${record.value}; what was published a moment ago may take an hour to be seen.`,
    )
  }
  if (row.verified_ms !== null) return await domainWithKeys(change, row, secret)
  const other = await trx
    .selectFrom('sending_domains')
    .select('id')
    .where('domain', '=', row.domain)
    .where('verified_ms', 'is not', null)
    .executeTakeFirst()
  if (other !== undefined) {
    const message = `${row.domain} is verified by another tenant`
    throw taken('domain', message, 'Have it removed there, or ask whoever runs this server to do so.')
  }
  await trx
    .updateTable('sending_domains')
    .set({ verified_ms: nowMs })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', domainId)
    .execute()
  return await domainWithKeys(change, { ...row, verified_ms: nowMs }, secret)
}

export async function rotateDomainKey(
  change: Change,
  domainId: string,
  privateKeyPem: string,
  secret: string,
): Promise<SendingDomain> {
  const row = await domainRow(change, domainId)
  await rotateKey(change, domainId, privateKeyPem)
  return await domainWithKeys(change, row, secret)
}

export async function proveDomainKey(
  change: Change,
  domainId: string,
  keyId: string,
  records: readonly string[],
  secret: string,
): Promise<SendingDomain> {
  const row = await domainRow(change, domainId)
  await proveKey(change, domainId, row.domain, keyId, records)
  return await domainWithKeys(change, row, secret)
}

export async function removeDomain(change: Change, domainId: string, secret: string): Promise<SendingDomain> {
  const row = await domainRow(change, domainId)
  const removed = await domainWithKeys(change, row, secret)
  await deleteKeys(change, domainId)
  await change.trx
    .deleteFrom('sending_domains')
    .where('tenant_id', '=', change.tenantId)
    .where('id', '=', domainId)
    .execute()
  return removed
}

/** The tenant that a name belongs to, as clientsOf finds it in a snapshot; null when it is nobody's. */
export async function ownerOf(trx: DirectoryTransaction, domain: string): Promise<string | null> {
  const names = withParents(domain)
  const rows = await trx
    .selectFrom('sending_domains')
    .select(['tenant_id', 'domain', 'subdomains'])
    .where('domain', 'in', names)
    .where('verified_ms', 'is not', null)
    .execute()
  const covering = rows.filter((row) => row.domain === domain || row.subdomains !== 0)
  covering.sort((one, other) => other.domain.length - one.domain.length)
  return covering[0]?.tenant_id ?? null
}

/** "a.example.com" → itself, "example.com", "com". A name has 127 labels at most. */
function withParents(domain: string): string[] {
  const labels = domain.split('.')
  return labels.map((_, index) => labels.slice(index).join('.'))
}

async function domainRow({ trx, tenantId }: Change, domainId: string): Promise<DomainRow> {
  const row = await trx
    .selectFrom('sending_domains')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('id', '=', domainId)
    .executeTakeFirst()
  if (row === undefined) throw unknown('domain', domainId)
  return row
}
