/** GET /api/v1/emails…: what became of messages. A tenant finds its own only; another's is as unknown as what never was. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { invariant } from '../../kernel/assert.ts'
import { uuidBytes } from '../../kernel/ids.ts'
import { failures, httpFailures } from '../../model/failures.ts'
import { BadCursor, type MessageQuery, StoreUnavailable } from '../../ports/message-store.ts'
import { readAddress } from './addresses.ts'
import { pointerToken } from './json.ts'
import { pageMessagesMax } from './limits.ts'
import { Problem } from './problem.ts'
import { type ListQuery, listQuery } from './schemas.ts'
import type { HttpServer } from './server.ts'
import { type Check, checkOf } from './validate.ts'
import { pageView, recordView, statusView } from './views.ts'

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

const pageDefault = 20

export function createReaders(server: HttpServer): {
  readonly email: Handler
  readonly status: Handler
  readonly list: Handler
} {
  const { store } = server
  const checkQuery: Check<typeof listQuery> = checkOf(listQuery)
  return {
    email: async (request, reply) =>
      json(reply, recordView(await known(request, (tenant, id) => store.find(tenant, id)))),
    status: async (request, reply) =>
      json(reply, statusView(await known(request, (tenant, id) => store.status(tenant, id)))),
    list: async (request, reply) => {
      const query = parameters(request.query as Readonly<Record<string, unknown>>)
      const question = aboutParameters(() => {
        checkQuery(query)
        return messageQuery(query)
      })
      const page = await answered(store.list(tenantOf(request), question))
      return json(reply, pageView(page))
    },
  }
}

/** The message that the path names. */
async function known<Message>(
  request: FastifyRequest,
  ask: (tenant: string, id: string) => Promise<Message | null>,
): Promise<Message> {
  const { id } = request.params as { id: string }
  const message = uuidBytes(id) === null ? null : await answered(ask(tenantOf(request), id.toLowerCase()))
  if (message === null) {
    const cure =
      'Use the id that the 202 gave, with a key of the same tenant. Messages are forgotten after a time (store.retention).'
    throw new Problem(httpFailures.messageUnknown, { cure })
  }
  return message
}

async function answered<T>(question: Promise<T>): Promise<T> {
  try {
    return await question
  } catch (error) {
    if (error instanceof StoreUnavailable) {
      throw new Problem(failures.storeUnavailable, { detail: 'what became of messages cannot be found out now' })
    }
    if (error instanceof BadCursor) {
      const cure = 'Use next_cursor of the page before as it is, or leave it out for the first page.'
      throw new Problem(httpFailures.cursorInvalid, { pointer: '/cursor', cure })
    }
    throw error
  }
}

/** What fails of a query is a parameter. */
function aboutParameters<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof Problem ? new Problem(httpFailures.parameterInvalid, error.details) : error
  }
}

/** As the schema wants them: numbers as such, and with a "+" where the client forgot to escape it (RFC 3339 §5.6, RFC 5233). */
function parameters(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const query = { ...given }
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') refuseParameter(name, 'is there more than once', 'Give it once.')
    if (name === 'limit' && /^\d{1,10}$/.test(value)) query[name] = Number(value)
    if (name === 'after' || name === 'before') query[name] = value.replace(' ', '+')
    if ((name === 'recipient' || name === 'sender') && !/["<]/.test(value)) query[name] = value.replaceAll(' ', '+')
  }
  return query
}

function messageQuery(query: ListQuery): MessageQuery {
  const { recipient, sender, status, tag, cursor, after, before, limit = pageDefault } = query
  return {
    limit: Math.min(limit, pageMessagesMax.value),
    ...(recipient === undefined ? {} : { recipient: readAddress(recipient, '/recipient').address }),
    // '' is the null sender, as which notices go out.
    ...(sender === undefined ? {} : { sender: sender === '' ? '' : readAddress(sender, '/sender').address }),
    ...(status === undefined ? {} : { status }),
    ...(tag === undefined ? {} : { tag }),
    ...(cursor === undefined ? {} : { cursor }),
    ...(after === undefined ? {} : { fromMs: timeOf('after', after) }),
    ...(before === undefined ? {} : { toMs: timeOf('before', before) }),
  }
}

function timeOf(name: string, text: string): number {
  const isTime = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/.test(text)
  const ms = isTime ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) refuseParameter(name, 'is not a time with its offset', 'Write it like 2026-11-22T10:00:00Z.')
  return ms
}

function refuseParameter(name: string, problem: string, cure: string): never {
  throw new Problem(httpFailures.parameterInvalid, {
    pointer: `/${pointerToken(name)}`,
    detail: `${name.slice(0, 80)} ${problem}`,
    cure,
  })
}

function tenantOf({ caller }: FastifyRequest): string {
  invariant(caller !== null, 'a route with a scope has a caller')
  return caller.client.tenant
}

function json(reply: FastifyReply, body: object): FastifyReply {
  return reply
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(`${JSON.stringify(body)}\n`)
}
