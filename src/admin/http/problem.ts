/** Errors on the wire: RFC 9457 problem details, with a stable code and what cures it. */
import type { FastifyReply } from 'fastify'
import type { PosthasteError } from '../../kernel/errors.ts'
import { InvalidValue } from '../../ports/directory.ts'

const titles = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [429, 'Too Many Requests'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
  [507, 'Insufficient Storage'],
])

interface ProblemBody {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly cure: string
  /** JSON pointer to the value that is wrong. */
  readonly pointer?: string
}

export function problem(
  reply: FastifyReply,
  status: number,
  code: string,
  detail: string,
  cure: string,
  more: Pick<ProblemBody, 'pointer'> = {},
): FastifyReply {
  const title = titles.get(status) ?? 'Error'
  const body: ProblemBody = { type: 'about:blank', title, status, code, detail, cure, ...more }
  return reply.code(status).type('application/problem+json').send(JSON.stringify(body))
}

/** Codes that no rule below covers. */
const statuses: ReadonlyMap<string, number> = new Map([
  ['not_json', 400],
  ['bad_limit', 400],
  ['repeated_parameter', 400],
  ['invalid_value', 422],
  ['tenant_needed', 422],
  ['public_url_missing', 409],
  ['directory_not_heard', 500],
  ['sender_link_too_soon', 429],
  ['database_full', 507],
  ['database_failed', 500],
  ['database_damaged', 500],
  ['database_unreadable', 500],
  ['directory_busy', 503],
  ['directory_closed', 503],
  ['link_not_mailed', 503],
  ['store_unavailable', 503],
])
const statusOfEnding: readonly (readonly [ending: string, status: number])[] = [
  ['_unknown', 404],
  ['_taken', 409],
  ['_unproven', 409],
  ['_too_many', 422],
]
const retryAfterSeconds: ReadonlyMap<number, number> = new Map([
  [429, 60],
  [503, 5],
])

/** What the client or the operator can cure; null for everything else, which is for the log. */
export function refusal(reply: FastifyReply, error: PosthasteError): FastifyReply | null {
  const { code, message, cure } = error
  const status = statuses.get(code) ?? statusOfEnding.find(([ending]) => code.endsWith(ending))?.[1]
  if (status === undefined) return null
  const seconds = retryAfterSeconds.get(status)
  if (seconds !== undefined) void reply.header('retry-after', String(seconds))
  return problem(reply, status, code, message, cure, error instanceof InvalidValue ? { pointer: error.pointer } : {})
}
