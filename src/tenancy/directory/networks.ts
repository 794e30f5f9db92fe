/** Networks whose clients are the tenant without a password. */
import type { SourceNetwork } from '../../ports/directory.ts'
import { type Change, refuseBeyond, taken, unknown } from './change.ts'
import { sourceNetworksMax } from './limits.ts'
import type { DirectoryDatabase, NetworkRow } from './schema.ts'
import { network } from './values.ts'

function networkOf(row: NetworkRow): SourceNetwork {
  return { id: row.id, tenantId: row.tenant_id, cidr: row.cidr, createdMs: row.created_ms }
}

export async function addNetwork(change: Change, written: string): Promise<SourceNetwork> {
  const { trx, tenantId, nowMs } = change
  const row: NetworkRow = {
    id: change.newId(),
    tenant_id: tenantId,
    cidr: network('/cidr', written, 'Name the networks of the tenant’s own machines.'),
    created_ms: nowMs,
  }
  const mine = await trx.selectFrom('source_networks').select('cidr').where('tenant_id', '=', tenantId).execute()
  if (mine.some(({ cidr }) => cidr === row.cidr))
    throw taken('network', `this tenant has the network ${row.cidr} already`, 'Nothing is missing.')
  refuseBeyond(sourceNetworksMax, 'networks', mine.length, 'Name larger ones, which hold the smaller ones.')
  await trx.insertInto('source_networks').values(row).execute()
  return networkOf(row)
}

export async function listNetworks(db: DirectoryDatabase, tenantId: string): Promise<SourceNetwork[]> {
  const mine = db.selectFrom('source_networks').selectAll().where('tenant_id', '=', tenantId)
  return (await mine.orderBy('id').execute()).map(networkOf)
}

export async function removeNetwork({ trx, tenantId }: Change, networkId: string): Promise<SourceNetwork> {
  const mine = trx.selectFrom('source_networks').selectAll().where('tenant_id', '=', tenantId)
  const row = await mine.where('id', '=', networkId).executeTakeFirst()
  if (row === undefined) throw unknown('network', networkId)
  await trx.deleteFrom('source_networks').where('tenant_id', '=', tenantId).where('id', '=', networkId).execute()
  return networkOf(row)
}
