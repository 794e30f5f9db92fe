/** Errors on the wire: RFC 9457 problem details, with a stable code and what cures it. */
import type { FastifyReply } from 'fastify'

const titles = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [410, 'Gone'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [421, 'Misdirected Request'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
])

interface ProblemBody {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly cure: string
}

export function problem(reply: FastifyReply, status: number, code: string, detail: string, cure: string): FastifyReply {
  const body: ProblemBody = { type: 'about:blank', title: titles.get(status) ?? 'Error', status, code, detail, cure }
  return reply.code(status).type('application/problem+json').send(JSON.stringify(body))
}
