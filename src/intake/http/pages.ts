/** What needs no key: where to begin, the description of the API, and health. Pages are made once, when the first one asks. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { openapiDocument } from './openapi.ts'
import { referencePage, referencePolicy } from './reference.ts'
import type { HttpServer } from './server.ts'

type Handler = (request: FastifyRequest, reply: FastifyReply) => FastifyReply

const jsonType = 'application/json; charset=utf-8'

export function createPages(
  server: HttpServer,
): Readonly<Record<'getRoot' | 'getOpenapi' | 'getReference' | 'getHealth' | 'getReadiness', Handler>> {
  const { version, health } = server
  const root = `${JSON.stringify({ name: 'Posthaste', version, reference: '/reference', openapi: '/openapi.json' }, null, 2)}\n`
  let openapi: string | null = null
  let reference: string | null = null
  return {
    getRoot: (_, reply) => reply.type(jsonType).send(root),
    getOpenapi(_, reply) {
      openapi ??= `${JSON.stringify(openapiDocument(server), null, 2)}\n`
      return reply.type(jsonType).send(openapi)
    },
    getReference(_, reply) {
      reference ??= referencePage(server)
      return reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', referencePolicy)
        .header('x-content-type-options', 'nosniff')
        .header('referrer-policy', 'no-referrer')
        .send(reference)
    },
    getHealth: (_, reply) => reply.type(jsonType).header('cache-control', 'no-store').send('{"status":"ok"}\n'),
    getReadiness(_, reply) {
      const { ready, reasons } = server.draining ? { ready: false, reasons: ['shutting down'] } : health()
      const body = { status: ready ? 'ready' : 'not_ready', reasons }
      return reply
        .code(ready ? 200 : 503)
        .type(jsonType)
        .header('cache-control', 'no-store')
        .send(`${JSON.stringify(body)}\n`)
    },
  }
}
