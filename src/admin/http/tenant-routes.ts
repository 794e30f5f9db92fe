/** Tenants and what they are recognised by. A tenant is named in a path by its id or its name; its things by their ids, or by what people call them. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Scope, Tenant } from '../../ports/directory.ts'
import { parseNetwork } from '../../standards/network.ts'
import { keyWire, loginWire, networkWire, tenantWire } from '../directory-wire.ts'
import type { DirectoryView } from '../view.ts'
import { Fields, noFields } from './body.ts'
import { json } from './json.ts'
import { readLimit, readText } from './query.ts'

const tenantsPath = '/api/v1/admin/tenants'
export const tenantPath = `${tenantsPath}/:tenant`

export type OfTenant = FastifyRequest<{ Params: { tenant: string } }>
export type OfThing = FastifyRequest<{ Params: { tenant: string; thing: string } }>
type WithQuery = FastifyRequest<{ Querystring: Record<string, unknown> }>

const pageDefault = 100

export function registerTenantRoutes(app: FastifyInstance, directory: DirectoryView): void {
  app.post(tenantsPath, async (request, reply) => {
    const fields = new Fields(request.body, ['name'])
    return json(reply.code(201), tenantWire(await directory.createTenant(fields.needText('name'))))
  })
  app.get(tenantsPath, async (request: WithQuery, reply) => {
    const count = readLimit(request.query['limit'], pageDefault)
    const after = readText(request.query, 'after')
    // One more than asked for tells whether there is another page.
    const page = await directory.listTenants({ count: count + 1, ...(after === undefined ? {} : { after }) })
    const tenants = page.slice(0, count)
    return json(reply, {
      tenants: tenants.map(tenantWire),
      next: page.length > count ? (tenants.at(-1) as Tenant).id : null,
    })
  })
  app.get(tenantPath, async ({ params }: OfTenant, reply) =>
    json(reply, tenantWire(await directory.findTenant(params.tenant))),
  )
  app.patch(tenantPath, async ({ params, body }: OfTenant, reply) => {
    const name = new Fields(body, ['name']).needText('name')
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, tenantWire(await directory.renameTenant(id, name)))
  })
  app.post(`${tenantPath}/suspend`, async ({ params, body }: OfTenant, reply) => {
    noFields(body)
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, tenantWire((await directory.suspendTenant(id)).withdrawn))
  })
  app.post(`${tenantPath}/resume`, async ({ params, body }: OfTenant, reply) => {
    noFields(body)
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, tenantWire(await directory.resumeTenant(id)))
  })
}

export function registerCredentialRoutes(app: FastifyInstance, directory: DirectoryView): void {
  app.post(`${tenantPath}/keys`, async ({ params, body }: OfTenant, reply) => {
    const fields = new Fields(body, ['name', 'scopes', 'networks', 'expires_at'])
    const asked = {
      name: fields.needText('name'),
      // What is no scope is refused by the directory, which knows them.
      scopes: fields.need('scopes', fields.texts('scopes')) as readonly Scope[],
      networks: fields.texts('networks') ?? [],
      expiresMs: fields.time('expires_at') ?? null,
    }
    const { id } = await directory.findTenant(params.tenant)
    const { key, secret } = await directory.createKey(id, asked)
    return json(reply.code(201), { ...keyWire(key), secret })
  })
  app.get(`${tenantPath}/keys`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, { keys: (await directory.listKeys(id)).map(keyWire) })
  })
  app.delete(`${tenantPath}/keys/:thing`, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, keyWire((await directory.revokeKey(id, params.thing)).withdrawn))
  })

  app.post(`${tenantPath}/logins`, async ({ params, body }: OfTenant, reply) => {
    const fields = new Fields(body ?? {}, ['user', 'networks'])
    const user = fields.text('user')
    const networks = fields.texts('networks') ?? []
    const { id } = await directory.findTenant(params.tenant)
    const { login, password } = await directory.createLogin(id, { networks, ...(user === undefined ? {} : { user }) })
    return json(reply.code(201), { ...loginWire(login), password })
  })
  app.get(`${tenantPath}/logins`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, { logins: (await directory.listLogins(id)).map(loginWire) })
  })
  app.delete(`${tenantPath}/logins/:thing`, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { id } = await directory.findTenant(params.tenant)
    const inUse = (await directory.listLogins(id)).filter(({ revokedMs }) => revokedMs === null)
    const login = idOf(inUse, params.thing, ({ user }) => user)
    return json(reply, loginWire((await directory.revokeLogin(id, login)).withdrawn))
  })
}

export function registerNetworkRoutes(app: FastifyInstance, directory: DirectoryView): void {
  app.post(`${tenantPath}/networks`, async ({ params, body }: OfTenant, reply) => {
    const cidr = new Fields(body, ['cidr']).needText('cidr')
    const { id } = await directory.findTenant(params.tenant)
    return json(reply.code(201), networkWire(await directory.addNetwork(id, cidr)))
  })
  app.get(`${tenantPath}/networks`, async ({ params }: OfTenant, reply) => {
    const { id } = await directory.findTenant(params.tenant)
    return json(reply, { networks: (await directory.listNetworks(id)).map(networkWire) })
  })
  app.delete(`${tenantPath}/networks/:thing`, async ({ params, body }: OfThing, reply) => {
    noFields(body)
    const { id } = await directory.findTenant(params.tenant)
    const called = parseNetwork(params.thing)?.cidr ?? params.thing
    const network = idOf(await directory.listNetworks(id), called, ({ cidr }) => cidr)
    return json(reply, networkWire((await directory.removeNetwork(id, network)).withdrawn))
  })
}

/** The id of what is called so; what nothing is called is taken for an id, which the directory knows or refuses. */
export function idOf<T extends { readonly id: string }>(
  things: readonly T[],
  called: string,
  nameOf: (thing: T) => string,
): string {
  const thing = things.find(({ id }) => id === called) ?? things.find((one) => nameOf(one) === called)
  return thing?.id ?? called
}
