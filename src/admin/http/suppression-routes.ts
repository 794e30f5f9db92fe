/** To whom tenants send nothing. The tenant is a name or an id; left out, it is the only one there is. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { InvalidValue } from '../../ports/directory.ts'
import type { SuppressionReason } from '../../ports/suppression-list.ts'
import { suppressionWire } from '../directory-wire.ts'
import type { DirectoryView } from '../view.ts'
import { Fields } from './body.ts'
import { json } from './json.ts'
import { readLimit, readText } from './query.ts'

const path = '/api/v1/admin/suppressions'
const pageDefault = 100

type WithQuery = FastifyRequest<{ Querystring: Record<string, unknown> }>

export function registerSuppressionRoutes(app: FastifyInstance, { suppressions }: DirectoryView): void {
  app.get(path, async ({ query }: WithQuery, reply) => {
    const count = readLimit(query['limit'], pageDefault)
    const after = readText(query, 'after')
    const prefix = readText(query, 'prefix')
    const reason = readReason(readText(query, 'reason'))
    const tenant = await suppressions.tenantOf(readText(query, 'tenant') ?? '')
    // One more than asked for tells whether there is another page.
    const page = await suppressions.list(tenant, {
      count: count + 1,
      ...(after === undefined ? {} : { after }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(reason === undefined ? {} : { reason }),
    })
    const entries = page.entries.slice(0, count)
    const next = page.entries.length > count ? (entries.at(-1)?.address ?? null) : null
    return json(reply, { tenant, suppressions: entries.map(suppressionWire), total: page.total, next })
  })
  app.post(path, async ({ body }, reply) => {
    const fields = new Fields(body, ['tenant', 'addresses', 'detail'])
    const addresses = fields.need('addresses', fields.texts('addresses'))
    const note = { detail: fields.text('detail') ?? '', createdBy: 'admin' }
    const tenant = await suppressions.tenantOf(fields.text('tenant') ?? '')
    const { added, known } = await suppressions.suppressByHand(tenant, addresses, note)
    return json(reply.code(201), { tenant, added: added.map(suppressionWire), known })
  })
  // Addresses do not fit into a path: they are longer than its parts may be.
  app.post(`${path}/remove`, async ({ body }, reply) => {
    const fields = new Fields(body, ['tenant', 'addresses'])
    const addresses = fields.need('addresses', fields.texts('addresses'))
    const tenant = await suppressions.tenantOf(fields.text('tenant') ?? '')
    const { removed, unknown } = await suppressions.unsuppress(tenant, addresses)
    return json(reply, { tenant, removed: removed.map(suppressionWire), unknown })
  })
}

const reasons: readonly SuppressionReason[] = ['hard_bounce', 'manual']

function readReason(written: string | undefined): SuppressionReason | undefined {
  if (written === undefined) return undefined
  const reason = reasons.find((one) => one === written)
  if (reason !== undefined) return reason
  const shown = JSON.stringify(written.slice(0, 60))
  throw new InvalidValue('/reason', `${shown} is not a reason`, `Choose from ${reasons.join(', ')}.`)
}
