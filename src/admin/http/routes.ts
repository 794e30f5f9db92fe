/** The routes of the admin API. Each asks the engine's view and writes what it says. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { DirectoryView, EngineView, SandboxStoreView } from '../view.ts'
import { toWire } from '../wire.ts'
import { registerDomainRoutes, registerSenderRoutes, registerStreamRoutes } from './identity-routes.ts'
import { json as wireJson } from './json.ts'
import { metricsContentType, renderMetrics } from './metrics.ts'
import { problem } from './problem.ts'
import { readLimit } from './query.ts'
import { registerQuotaRoutes } from './quota-routes.ts'
import { registerSuppressionRoutes } from './suppression-routes.ts'
import { registerCredentialRoutes, registerNetworkRoutes, registerTenantRoutes } from './tenant-routes.ts'

const pageDefault = 50

type WithId = FastifyRequest<{ Params: { id: string } }>
type WithQuery = FastifyRequest<{ Querystring: Record<string, unknown> }>

export function registerHealthRoutes(app: FastifyInstance, engine: EngineView): void {
  app.get('/healthz', (_, reply) => json(reply, { status: 'ok' }))
  app.get('/readyz', (_, reply) => {
    const { ready, reasons } = engine.health()
    return json(reply.code(ready ? 200 : 503), { status: ready ? 'ready' : 'not_ready', reasons })
  })
  app.get('/metrics', async (_, reply) =>
    reply.type(metricsContentType).send(await renderMetrics(await engine.metrics())),
  )
}

export function registerAdminRoutes(app: FastifyInstance, engine: EngineView): void {
  app.get('/api/v1/admin/status', async (_, reply) => json(reply, await engine.status()))
  app.get('/api/v1/admin/messages/:id', async (request: WithId, reply) => {
    const { id } = request.params
    const message = await engine.message(id)
    if (message === null) return unknownMessage(reply, id)
    if ('expired' in message) {
      return problem(
        reply,
        410,
        'message_expired',
        `message ${id} was finished long ago`,
        'Look into the accounting log of its day.',
      )
    }
    return json(reply, message)
  })
  if (engine.sandbox === null) app.get('/api/v1/admin/sandbox/*', (_, reply) => noSandbox(reply))
  else registerSandboxRoutes(app, engine.sandbox)
  if (engine.sandboxCredentials !== undefined) {
    const ask = engine.sandboxCredentials
    app.get('/api/v1/admin/sandbox/credentials', async (_, reply) => json(reply, await ask()))
  }
  if (engine.directory !== undefined) registerDirectoryRoutes(app, engine.directory)
}

function registerDirectoryRoutes(app: FastifyInstance, directory: DirectoryView): void {
  registerTenantRoutes(app, directory)
  registerCredentialRoutes(app, directory)
  registerNetworkRoutes(app, directory)
  registerDomainRoutes(app, directory)
  registerSenderRoutes(app, directory)
  registerStreamRoutes(app, directory)
  registerQuotaRoutes(app, directory)
  registerSuppressionRoutes(app, directory)
}

function noSandbox(reply: FastifyReply): FastifyReply {
  const what = 'this engine is no sandbox: it sends mail to its receivers, and captures none'
  return problem(
    reply,
    404,
    'no_sandbox',
    what,
    'Ask a sandbox; `posthaste acct query` tells what became of mail here.',
  )
}

function registerSandboxRoutes(app: FastifyInstance, store: SandboxStoreView): void {
  app.get('/api/v1/admin/sandbox/messages', async (request: WithQuery, reply) => {
    const { limit, before, to } = request.query
    if (Array.isArray(before) || Array.isArray(to))
      return problem(reply, 400, 'repeated_parameter', 'a parameter is given twice', 'Give each once.')
    const query = {
      limit: readLimit(limit, pageDefault),
      before: textOrNull(before),
      to: textOrNull(to),
    }
    return json(reply, await store.list(query))
  })
  app.get('/api/v1/admin/sandbox/messages/:id', async (request: WithId, reply) => {
    const message = await store.message(request.params.id)
    return message === null ? unknownMessage(reply, request.params.id) : json(reply, message)
  })
  app.get('/api/v1/admin/sandbox/messages/:id/raw', async (request: WithId, reply) => {
    const raw = await store.raw(request.params.id)
    if (raw === null) return unknownMessage(reply, request.params.id)
    // Not message/rfc822: a browser must save a stranger's mail, never show it.
    return reply
      .type('application/octet-stream')
      .header('content-disposition', 'attachment; filename="message.eml"')
      .send(raw)
  })
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

function unknownMessage(reply: FastifyReply, id: string): FastifyReply {
  return problem(
    reply,
    404,
    'message_unknown',
    `there is no message ${id}`,
    'Check the id; it was given in the reply to the client.',
  )
}

function json(reply: FastifyReply, view: unknown): FastifyReply {
  return wireJson(reply, toWire(view))
}
