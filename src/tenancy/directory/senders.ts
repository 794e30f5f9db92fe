/**
 * Single addresses that a tenant may send as, without the domain being its own: proven by a link that is mailed there. An address below a domain that
 * another tenant has verified is that tenant's to give.
 */
import { PosthasteError } from '../../kernel/errors.ts'
import type { VerifiedSender } from '../../ports/directory.ts'
import { type Change, refuseBeyond, taken, unknown } from './change.ts'
import { ownerOf } from './domains.ts'
import { linkMsMax, linkPauseMs, sendersMax } from './limits.ts'
import type { DirectoryDatabase, DirectoryTransaction, SenderRow } from './schema.ts'
import { createSecret, isSecret, sha256 } from './secrets.ts'
import { address as readAddress } from './values.ts'

function senderOf(row: SenderRow): VerifiedSender {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    address: row.address,
    createdMs: row.created_ms,
    linkExpiresMs: row.link_expires_ms,
    verifiedMs: row.verified_ms,
  }
}

export async function addSender(change: Change, written: string): Promise<{ sender: VerifiedSender; token: string }> {
  const { trx, tenantId, nowMs } = change
  const address = readAddress('/address', written)
  await refuseAnothers(change.trx, tenantId, address)
  const token = createSecret('link', change.random)
  const link = { link_sha256: sha256(token), link_expires_ms: nowMs + linkMsMax.value }
  const known = await trx
    .selectFrom('verified_senders')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('address', '=', address)
    .executeTakeFirst()
  if (known !== undefined) {
    if (known.verified_ms !== null)
      throw taken('sender', `${address} is proven already`, 'Send as it; nothing is missing.')
    refuseTooSoon(known, nowMs)
    await trx
      .updateTable('verified_senders')
      .set(link)
      .where('tenant_id', '=', tenantId)
      .where('id', '=', known.id)
      .execute()
    return { sender: senderOf({ ...known, ...link }), token }
  }
  const { count } = await trx
    .selectFrom('verified_senders')
    .select((of) => of.fn.countAll().as('count'))
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
  refuseBeyond(sendersMax, 'senders', Number(count), 'Verify their domain instead, or remove those that nobody uses.')
  const row: SenderRow = {
    id: change.newId(),
    tenant_id: tenantId,
    address,
    ...link,
    created_ms: nowMs,
    verified_ms: null,
  }
  await trx.insertInto('verified_senders').values(row).execute()
  return { sender: senderOf(row), token }
}

export async function listSenders(db: DirectoryDatabase, tenantId: string): Promise<VerifiedSender[]> {
  const rows = await db
    .selectFrom('verified_senders')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  return rows.map(senderOf)
}

/** The tenant whose link this is. Throws `sender_link_unknown` for one that is malformed, used, replaced or expired alike. */
export async function tenantOfLink(db: DirectoryDatabase, token: string, nowMs: number): Promise<string> {
  const row = isSecret('link', token)
    ? await db
        .selectFrom('verified_senders')
        .select(['tenant_id', 'link_expires_ms'])
        .where('link_sha256', '=', sha256(token))
        .executeTakeFirst()
    : undefined
  if (row !== undefined && nowMs < row.link_expires_ms) return row.tenant_id
  throw linkUnknown()
}

export async function confirmSender(change: Change, token: string): Promise<VerifiedSender> {
  const { trx, tenantId, nowMs } = change
  const mine = trx.selectFrom('verified_senders').selectAll().where('tenant_id', '=', tenantId)
  const row = await mine.where('link_sha256', '=', sha256(token)).executeTakeFirst()
  if (row === undefined) throw linkUnknown()
  await refuseAnothers(trx, tenantId, row.address)
  const proven = { link_sha256: null, verified_ms: nowMs }
  await trx
    .updateTable('verified_senders')
    .set(proven)
    .where('tenant_id', '=', tenantId)
    .where('id', '=', row.id)
    .execute()
  return senderOf({ ...row, ...proven })
}

export async function removeSender({ trx, tenantId }: Change, senderId: string): Promise<VerifiedSender> {
  const mine = trx.selectFrom('verified_senders').selectAll().where('tenant_id', '=', tenantId)
  const row = await mine.where('id', '=', senderId).executeTakeFirst()
  if (row === undefined) throw unknown('sender', senderId)
  await trx.deleteFrom('verified_senders').where('tenant_id', '=', tenantId).where('id', '=', senderId).execute()
  return senderOf(row)
}

function refuseTooSoon({ address, link_expires_ms }: SenderRow, nowMs: number): void {
  const agoMs = nowMs - (link_expires_ms - linkMsMax.value)
  // Less than nothing: the clock was set back.
  if (agoMs < 0 || agoMs >= linkPauseMs.value) return
  const message = `a link was mailed to ${address} less than a minute ago`
  throw new PosthasteError('sender_link_too_soon', message, 'Look for that mail, or ask again in a minute.')
}

function linkUnknown(): PosthasteError {
  const message = 'this link was used, replaced by a newer one, or is too old'
  return new PosthasteError('sender_link_unknown', message, 'Ask for a new link, and use the newest mail.')
}

async function refuseAnothers(trx: DirectoryTransaction, tenantId: string, address: string): Promise<void> {
  const domain = address.slice(address.lastIndexOf('@') + 1)
  const owner = await ownerOf(trx, domain)
  if (owner === null || owner === tenantId) return
  const message = `${domain} belongs to another tenant`
  throw taken('sender', message, 'Send as an address of your own, or have that tenant send it.')
}
