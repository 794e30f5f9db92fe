/** What a tenant may send as, domains and single addresses, and its kinds of mail. */
import type { FastifyInstance } from 'fastify'
import { PosthasteError } from '../../kernel/errors.ts'
import type { MailClass } from '../../model/submission.ts'
import type { SendingDomain } from '../../ports/directory.ts'
import { domainReportWire, domainWire, senderWire, streamWire } from '../directory-wire.ts'
import type { DirectoryView } from '../view.ts'
import { Fields, noFields } from './body.ts'
import { json } from './json.ts'
import { idOf, type OfTenant, type OfThing, tenantPath } from './tenant-routes.ts'

export function registerDomainRoutes(app: FastifyInstance, directory: DirectoryView): void {
  const one = `${tenantPath}/domains/:thing`
  const found = async ({ tenant, thing }: OfThing['params']): Promise<SendingDomain> =>
    await domainOf(directory, (await directory.findTenant(tenant)).id, thing)

  app.post(`${tenantPath}/domains`, async ({ params, body }: OfTenant, reply) => {
    const fields = new Fields(body, ['domain', 'subdomains'])
    const asked = { domain: fields.needText('domain'), subdomains: fields.flag('subdomains') ?? false }
    const { id } = await directory.findTenant(params.tenant)
    const domain = await directory.addDomain(id, asked)
    return json(reply.code(201), domainReportWire(await directory.reportDomain(domain)))
  })
  app.get(`${tenantPath}/domains`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, { domains: (await directory.listDomains(id)).map(domainWire) })
  })
  app.get(one, async ({ params }: OfThing, reply) =>
    json(reply, domainReportWire(await directory.reportDomain(await found(params)))),
  )
  app.post(`${one}/verify`, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    return json(reply, domainReportWire(await directory.verifyDomain(await found(params))))
  })
  app.post(`${one}/rotate-key`, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { tenantId, id } = await found(params)
    return json(reply, domainReportWire(await directory.reportDomain(await directory.rotateKey(tenantId, id))))
  })
  app.delete(one, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { tenantId, id } = await found(params)
    return json(reply, domainWire((await directory.removeDomain(tenantId, id)).withdrawn))
  })
}

async function domainOf(directory: DirectoryView, tenantId: string, called: string): Promise<SendingDomain> {
  const domains = await directory.listDomains(tenantId)
  const id = idOf(domains, called.toLowerCase(), ({ domain }) => domain)
  const domain = domains.find((one) => one.id === id)
  if (domain !== undefined) return domain
  throw new PosthasteError(
    'domain_unknown',
    `this tenant has no domain ${JSON.stringify(called.slice(0, 60))}`,
    'List its domains.',
  )
}

export function registerSenderRoutes(app: FastifyInstance, directory: DirectoryView): void {
  app.post(`${tenantPath}/senders`, async ({ params, body }: OfTenant, reply) => {
    const address = new Fields(body, ['address']).needText('address')
    const { id } = await directory.findTenant(params.tenant)
    return json(reply.code(201), senderWire(await directory.addSender(id, address)))
  })
  app.get(`${tenantPath}/senders`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, { senders: (await directory.listSenders(id)).map(senderWire) })
  })
  app.delete(`${tenantPath}/senders/:thing`, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { id } = await directory.findTenant(params.tenant)
    const sender = idOf(await directory.listSenders(id), params.thing.toLowerCase(), ({ address }) => address)
    return json(reply, senderWire((await directory.removeSender(id, sender)).withdrawn))
  })
}

export function registerStreamRoutes(app: FastifyInstance, directory: DirectoryView): void {
  const one = `${tenantPath}/streams/:thing`
  const found = async ({ tenant, thing }: OfThing['params']): Promise<{ tenantId: string; streamId: string }> => {
    const { id } = await directory.findTenant(tenant)
    return { tenantId: id, streamId: idOf(await directory.listStreams(id), thing, ({ name }) => name) }
  }

  app.post(`${tenantPath}/streams`, async ({ params, body }: OfTenant, reply) => {
    const fields = new Fields(body, ['name', 'class', 'defaults'])
    const asked = {
      name: fields.needText('name'),
      // What is no class is refused by the directory, which knows them.
      mailClass: fields.needText('class') as MailClass,
      defaults: fields.object('defaults') ?? {},
    }
    const { id } = await directory.findTenant(params.tenant)
    return json(reply.code(201), streamWire(await directory.createStream(id, asked)))
  })
  app.get(`${tenantPath}/streams`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, { streams: (await directory.listStreams(id)).map(streamWire) })
  })
  app.patch(one, async ({ params, body }: OfThing, reply) => {
    const fields = new Fields(body, ['class', 'defaults'])
    const mailClass = fields.text('class') as MailClass | undefined
    const defaults = fields.object('defaults')
    const change = {
      ...(mailClass === undefined ? {} : { mailClass }),
      ...(defaults === undefined ? {} : { defaults }),
    }
    const { tenantId, streamId } = await found(params)
    return json(reply, streamWire(await directory.changeStream(tenantId, streamId, change)))
  })
  app.delete(one, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { tenantId, streamId } = await found(params)
    return json(reply, streamWire((await directory.removeStream(tenantId, streamId)).withdrawn))
  })
}
