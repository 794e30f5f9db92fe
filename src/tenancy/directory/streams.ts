/** Streams: a tenant's named kinds of mail. */
import type { MailClass } from '../../model/submission.ts'
import type { NewStream, Stream } from '../../ports/directory.ts'
import { type Change, refuseBeyond, taken, unknown } from './change.ts'
import { streamsMax } from './limits.ts'
import type { DirectoryDatabase, StreamRow } from './schema.ts'
import { defaultsOf, readDefaults } from './stream-defaults.ts'
import { mailClass, slug } from './values.ts'

function streamOf(row: StreamRow): Stream {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    mailClass: row.mail_class as MailClass,
    defaults: defaultsOf(row.defaults),
    createdMs: row.created_ms,
  }
}

export async function createStream(change: Change, asked: NewStream): Promise<Stream> {
  const { trx, tenantId } = change
  const row: StreamRow = {
    id: change.newId(),
    tenant_id: tenantId,
    name: slug('/name', asked.name),
    mail_class: mailClass('/class', asked.mailClass),
    defaults: readDefaults('/defaults', asked.defaults ?? {}),
    created_ms: change.nowMs,
  }
  const mine = await trx.selectFrom('streams').select('name').where('tenant_id', '=', tenantId).execute()
  if (mine.some(({ name }) => name === row.name))
    throw taken('stream', `this tenant has a stream ${row.name} already`, 'Change that one, or choose another name.')
  refuseBeyond(streamsMax, 'streams', mine.length, 'A campaign is a tag of its messages, not a stream.')
  await trx.insertInto('streams').values(row).execute()
  return streamOf(row)
}

export async function listStreams(db: DirectoryDatabase, tenantId: string): Promise<Stream[]> {
  const rows = await db.selectFrom('streams').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()
  return rows.map(streamOf)
}

export async function changeStream(
  change: Change,
  streamId: string,
  asked: Partial<Omit<NewStream, 'name'>>,
): Promise<Stream> {
  const row = await streamRow(change, streamId)
  const changed = {
    mail_class: asked.mailClass === undefined ? row.mail_class : mailClass('/class', asked.mailClass),
    defaults: asked.defaults === undefined ? row.defaults : readDefaults('/defaults', asked.defaults),
  }
  await change.trx
    .updateTable('streams')
    .set(changed)
    .where('tenant_id', '=', change.tenantId)
    .where('id', '=', streamId)
    .execute()
  return streamOf({ ...row, ...changed })
}

export async function removeStream(change: Change, streamId: string): Promise<Stream> {
  const row = await streamRow(change, streamId)
  await change.trx.deleteFrom('streams').where('tenant_id', '=', change.tenantId).where('id', '=', streamId).execute()
  return streamOf(row)
}

async function streamRow({ trx, tenantId }: Change, streamId: string): Promise<StreamRow> {
  const row = await trx
    .selectFrom('streams')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('id', '=', streamId)
    .executeTakeFirst()
  if (row === undefined) throw unknown('stream', streamId)
  return row
}
