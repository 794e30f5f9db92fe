/** The routes of the admin API. Each asks the engine's view and writes what it says. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pageMessagesMax } from '../limits.ts'
import type { EngineView, SandboxStoreView } from '../view.ts'
import { toWire } from '../wire.ts'
import { metricsContentType, renderMetrics } from './metrics.ts'
import { problem } from './problem.ts'

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
  if (engine.sandbox !== null) registerSandboxRoutes(app, engine.sandbox)
}

function registerSandboxRoutes(app: FastifyInstance, store: SandboxStoreView): void {
  app.get('/api/v1/admin/sandbox/messages', async (request: WithQuery, reply) => {
    const { limit, before, to } = request.query
    const limitNumber =
      limit === undefined ? pageDefault : typeof limit === 'string' && /^\d{1,9}$/.test(limit) ? Number(limit) : 0
    if (limitNumber < 1)
      return problem(reply, 400, 'bad_limit', 'limit is not a whole number', `Use 1 to ${pageMessagesMax.value}.`)
    if (Array.isArray(before) || Array.isArray(to))
      return problem(reply, 400, 'repeated_parameter', 'a parameter is given twice', 'Give each once.')
    const query = {
      limit: Math.min(limitNumber, pageMessagesMax.value),
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
  return reply.type('application/json; charset=utf-8').send(`${JSON.stringify(toWire(view))}\n`)
}
