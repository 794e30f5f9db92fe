/** How much tenants, keys and logins may send, and what they have used of it. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { QuotaOwner } from '../../ports/directory.ts'
import { quotaWire } from '../directory-wire.ts'
import type { DirectoryView } from '../view.ts'
import { Fields } from './body.ts'
import { json } from './json.ts'
import { idOf, type OfTenant, type OfThing, tenantPath } from './tenant-routes.ts'

const names = [
  'messages_per_second',
  'messages_per_day',
  'messages_per_month',
  'spool_bytes',
  'spool_recipients',
] as const

export function registerQuotaRoutes(app: FastifyInstance, directory: DirectoryView): void {
  const tell = async (reply: FastifyReply, tenantId: string, owner: QuotaOwner): Promise<FastifyReply> => {
    const limits = await directory.getQuota(tenantId, owner)
    return json(reply, quotaWire(tenantId, owner, limits, directory.quotaUse(tenantId, owner.id ?? null)))
  }
  const set = async (
    reply: FastifyReply,
    tenantId: string,
    owner: QuotaOwner,
    body: unknown,
  ): Promise<FastifyReply> => {
    const fields = new Fields(body, names)
    await directory.setQuota(tenantId, owner, {
      messagesPerSecond: fields.number('messages_per_second') ?? 0,
      messagesPerDay: fields.number('messages_per_day') ?? 0,
      messagesPerMonth: fields.number('messages_per_month') ?? 0,
      spoolBytes: fields.number('spool_bytes') ?? 0,
      spoolRecipients: fields.number('spool_recipients') ?? 0,
    })
    return await tell(reply, tenantId, owner)
  }
  /** A key by its id, a login by its user or id. */
  const ownerOf = async (tenantId: string, kind: 'key' | 'login', thing: string): Promise<QuotaOwner> => {
    if (kind === 'key') return { kind, id: thing }
    const inUse = (await directory.listLogins(tenantId)).filter(({ revokedMs }) => revokedMs === null)
    return { kind, id: idOf(inUse, thing, ({ user }) => user) }
  }

  app.get(`${tenantPath}/quota`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return await tell(reply, id, { kind: 'tenant' })
  })
  app.put(`${tenantPath}/quota`, async ({ params, body }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return await set(reply, id, { kind: 'tenant' }, body)
  })
  for (const [kind, folder] of [
    ['key', 'keys'],
    ['login', 'logins'],
  ] as const) {
    const path = `${tenantPath}/${folder}/:thing/quota`
    app.get(path, async ({ params }: OfThing, reply) => {
      const { id } = await directory.findTenant(params.tenant)
      return await tell(reply, id, await ownerOf(id, kind, params.thing))
    })
    app.put(path, async ({ params, body }: OfThing, reply) => {
      const { id } = await directory.findTenant(params.tenant)
      return await set(reply, id, await ownerOf(id, kind, params.thing), body)
    })
  }
}
