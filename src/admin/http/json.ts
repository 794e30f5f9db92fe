/** Answers in JSON, one line. */
import type { FastifyReply } from 'fastify'

/** As it is: names are on the wire already. */
export function json(reply: FastifyReply, body: unknown): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(`${JSON.stringify(body)}\n`)
}
