/**
 * DKIM keys of sending domains. A key is made, waits for its record in the DNS, signs, and is retired when the next one's record was seen. So at
 * most three are kept: retired, signing, waiting. The private half lies in the database until then, and nowhere else; only threads that sign
 * get it, by the snapshot.
 *
 * A selector is never used again, so that a record of an earlier key, of an earlier tenant too, stands in nobody's way: ph202611-k3fa.
 */
import { createPublicKey, generateKeyPair } from 'node:crypto'
import { PosthasteError } from '../../kernel/errors.ts'
import type { Random } from '../../kernel/random.ts'
import type { DomainKey } from '../../ports/directory.ts'
import { publishesKey } from '../domain-records.ts'
import { type Change, taken, unknown } from './change.ts'
import type { DirectoryDatabase, DirectoryTransaction, DomainKeyRow } from './schema.ts'
import { randomText } from './secrets.ts'

/** PKCS#8 PEM of a new key. Slow: not to be waited for inside a transaction. */
export type MakePrivateKey = () => Promise<string>

/** RFC 8301 §3.2: at least 2048 bits; more do not fit one string of a TXT record, and few resolvers' packets. */
export const makeRsaKey: MakePrivateKey = () =>
  new Promise((resolve, reject) => {
    const options = {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    } as const
    generateKeyPair('rsa', options, (error, _, privateKey) => (error === null ? resolve(privateKey) : reject(error)))
  })

/** All but the private half, which is for the snapshot alone. */
export type PublicKeyRow = Omit<DomainKeyRow, 'private_key_pem'>

const publicColumns = [
  'id',
  'tenant_id',
  'domain_id',
  'selector',
  'public_key',
  'created_ms',
  'proven_ms',
  'retired_ms',
] as const

export function domainKeyOf(row: PublicKeyRow, domain: string): DomainKey {
  return {
    id: row.id,
    selector: row.selector,
    record: { name: `${row.selector}._domainkey.${domain}`, value: `v=DKIM1; k=rsa; p=${row.public_key}` },
    createdMs: row.created_ms,
    provenMs: row.proven_ms,
    retiredMs: row.retired_ms,
  }
}

/** Of one domain, or of all that the tenant has: retired ones first, then those that sign, then those that wait. */
export async function domainKeys(
  db: DirectoryDatabase | DirectoryTransaction,
  tenantId: string,
  domainId: string | null = null,
): Promise<PublicKeyRow[]> {
  const rows = await db
    .selectFrom('domain_keys')
    .select(publicColumns)
    .where('tenant_id', '=', tenantId)
    .$if(domainId !== null, (query) => query.where('domain_id', '=', domainId as string))
    .execute()
  const rank = (row: PublicKeyRow): number => (row.retired_ms !== null ? 0 : row.proven_ms !== null ? 1 : 2)
  return rows.sort((one, other) => rank(one) - rank(other))
}

export async function addDomainKey(change: Change, domainId: string, privateKeyPem: string): Promise<void> {
  const row: DomainKeyRow = {
    id: change.newId(),
    tenant_id: change.tenantId,
    domain_id: domainId,
    selector: selector(change.nowMs, change.random),
    public_key: createPublicKey(privateKeyPem).export({ type: 'spki', format: 'der' }).toString('base64'),
    private_key_pem: privateKeyPem,
    created_ms: change.nowMs,
    proven_ms: null,
    retired_ms: null,
  }
  await change.trx.insertInto('domain_keys').values(row).execute()
}

function selector(nowMs: number, random: Random): string {
  const month = new Date(nowMs).toISOString().slice(0, 7).replace('-', '')
  return `ph${month}-${randomText(random, 4)}`
}

/** Beside the one that signs. */
export async function rotateKey(change: Change, domainId: string, privateKeyPem: string): Promise<void> {
  const waiting = (await domainKeys(change.trx, change.tenantId, domainId)).find(({ proven_ms }) => proven_ms === null)
  if (waiting !== undefined) {
    const message = `the key ${waiting.selector} of this domain waits for its record already`
    throw taken('domain_key', message, 'Publish its record and verify the domain.')
  }
  await addDomainKey(change, domainId, privateKeyPem)
}

/** Proven twice, the first time counts. */
export async function proveKey(
  change: Change,
  domainId: string,
  domain: string,
  keyId: string,
  records: readonly string[],
): Promise<void> {
  const keys = await domainKeys(change.trx, change.tenantId, domainId)
  const row = keys.find(({ id }) => id === keyId)
  if (row === undefined) throw unknown('domain_key', keyId)
  const { record } = domainKeyOf(row, domain)
  if (!publishesKey(records, record.value)) {
    throw new PosthasteError(
      'domain_key_unproven',
      `the key ${row.selector} of ${domain} is not published`,
      `Publish a TXT record at ${record.name} with the text ${record.value}; what was published a moment ago may take an hour to be seen.`,
    )
  }
  if (row.proven_ms !== null) return
  for (const other of keys) {
    if (other.retired_ms !== null) await deleteKeys(change, domainId, other.id)
    else if (other.proven_ms !== null)
      await updateKey(change, other.id, { retired_ms: change.nowMs, private_key_pem: '' })
  }
  await updateKey(change, row.id, { proven_ms: change.nowMs })
}

async function updateKey({ trx, tenantId }: Change, id: string, set: Partial<DomainKeyRow>): Promise<void> {
  await trx.updateTable('domain_keys').set(set).where('tenant_id', '=', tenantId).where('id', '=', id).execute()
}

/** One of a domain, or all. */
export async function deleteKeys({ trx, tenantId }: Change, domainId: string, id: string | null = null): Promise<void> {
  await trx
    .deleteFrom('domain_keys')
    .where('tenant_id', '=', tenantId)
    .where('domain_id', '=', domainId)
    .$if(id !== null, (query) => query.where('id', '=', id as string))
    .execute()
}
