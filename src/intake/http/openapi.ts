/** The API as an OpenAPI 3.1 document, whose schemas are the ones that requests are checked by (they are JSON Schema 2020-12 as they stand). */
import { STATUS_CODES } from 'node:http'
import { failures, type HttpFailure, httpFailures } from '../../model/failures.ts'
import { idempotencyKeyCharactersMax } from '../../model/limits.ts'
import { type Operation, operations } from './operations.ts'
import { problemText, retryAfterSeconds } from './problem.ts'
import { emailSummary, problem, type Schema } from './schemas.ts'
import type { HttpServer } from './server.ts'

export interface OpenapiDocument {
  readonly openapi: '3.1.0'
  readonly info: object
  readonly servers: readonly object[]
  readonly tags: readonly object[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: object }
}

export function openapiDocument({ version, config }: Pick<HttpServer, 'version' | 'config'>): OpenapiDocument {
  const schemas = new Map<string, Schema>([
    ['Problem', problem],
    ['EmailSummary', emailSummary],
  ])
  const paths = new Map<string, Record<string, object>>()
  for (const operation of operations) {
    const methods = paths.get(operation.path) ?? {}
    methods[operation.method] = operationObject(operation, schemas)
    paths.set(operation.path, methods)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Posthaste',
      version,
      summary: 'Send mail, and know what became of it.',
      description:
        'Names are in snake_case, times in RFC 3339. Errors are problem details (RFC 9457) with a stable `code`. Answers 429 and 503 say in `Retry-After` when to try again.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: config.publicUrl ?? '/' }],
    tags: [
      { name: 'Sending', description: 'Handing mail over.' },
      { name: 'Messages', description: 'What became of it.' },
      { name: 'Server', description: 'About this server; no key is needed.' },
    ],
    paths: Object.fromEntries(paths),
    components: {
      schemas: Object.fromEntries(schemas),
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key of the tenant.' } },
    },
  }
}

function operationObject(operation: Operation, schemas: Map<string, Schema>): object {
  const { id, tag, summary, description, scope } = operation
  const parameters = parametersOf(operation)
  const body = bodyOf(operation, schemas)
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: scope === null ? description : `${description} The key needs the scope \`${scope}\`.`,
    security: scope === null ? [] : [{ key: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null ? {} : { requestBody: body }),
    responses: responsesOf(operation, schemas),
  }
}

function parametersOf({ id, path, query }: Operation): object[] {
  const parameters: object[] = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description: 'Of the message, as the 202 gave it.',
    schema: { type: 'string', format: 'uuid' },
  }))
  const properties =
    query === null ? {} : (query as { properties: Record<string, Schema & { description?: string }> }).properties
  for (const [name, schema] of Object.entries(properties))
    parameters.push({ name, in: 'query', required: false, description: schema.description ?? '', schema })
  if (id === 'sendEmail') {
    parameters.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description: 'Makes it safe to send the request again. Best a UUID, a new one for each message.',
      schema: { type: 'string', minLength: 1, maxLength: idempotencyKeyCharactersMax.value, pattern: '^[!-~]+$' },
    })
  }
  return parameters
}

function bodyOf({ bodies }: Operation, schemas: Map<string, Schema>): object | null {
  if (bodies.length === 0) return null
  const references = bodies.map(({ schema }) => reference(schema, schemas))
  const examples = bodies.flatMap((body) => Object.entries(body.examples))
  return {
    required: true,
    description: 'May be packed with gzip (`Content-Encoding: gzip`).',
    content: {
      'application/json': {
        schema: references.length === 1 ? references[0] : { oneOf: references },
        examples: Object.fromEntries(
          examples.map(([name, value]) => [name.replaceAll(' ', '-'), { summary: name, value }]),
        ),
      },
    },
  }
}

function responsesOf(operation: Operation, schemas: Map<string, Schema>): object {
  const { answer, scope } = operation
  const schema = answer.schema === null ? { type: 'string' } : reference(answer.schema, schemas)
  const responses = new Map<number, object>([
    [
      answer.status,
      {
        description: answer.description,
        ...(operation.id === 'sendEmail' ? { headers: sentHeaders } : {}),
        content: { [answer.type]: { schema, example: answer.example } },
      },
    ],
  ])
  const own =
    scope === null
      ? []
      : [failures.authenticationRequired, httpFailures.scopeMissing, failures.tooManyAuthenticationFailures]
  const all: readonly HttpFailure[] = [...own, ...operation.failures, failures.draining, httpFailures.internal]
  const byStatus = Map.groupBy(all, ({ http }) => http)
  for (const status of [...byStatus.keys()].sort((a, b) => a - b)) {
    responses.set(status, problemResponse(status, byStatus.get(status) ?? []))
  }
  if (operation.id === 'getReadiness') responses.set(503, notReady(schema))
  return Object.fromEntries(responses)
}

/** draft-ietf-httpapi-ratelimit-headers-07. */
const rateHeaders = {
  'RateLimit-Limit': {
    description: 'Messages that the tightest quota of tenant and key allows in its window. Absent without quotas.',
    schema: { type: 'integer' },
  },
  'RateLimit-Remaining': { description: 'How many of them are left.', schema: { type: 'integer' } },
  'RateLimit-Reset': { description: 'Seconds until the window ends.', schema: { type: 'integer' } },
}

const sentHeaders = {
  Location: { description: 'Where the message is asked for.', schema: { type: 'string' } },
  'Idempotent-Replayed': {
    description: '`true`: this request had been accepted before, and this is its answer again.',
    schema: { type: 'string' },
  },
  ...rateHeaders,
}

function notReady(schema: object): object {
  const example = { status: 'not_ready', reasons: ['the disk is full'] }
  return { description: 'It may not, for these reasons.', content: { 'application/json': { schema, example } } }
}

function problemResponse(status: number, found: readonly HttpFailure[]): object {
  const retryAfter = status === 429 || status === 503
  const limited = status === 429 && found.some(({ code }) => code === 'quota_exceeded')
  const examples = found.map((failure) => [
    failure.code,
    { summary: failure.say, value: JSON.parse(problemText(failure)) as unknown },
  ])
  return {
    description: `${STATUS_CODES[status] ?? 'Error'}: ${found.map(({ code }) => `\`${code}\``).join(', ')}.`,
    ...(retryAfter ? { headers: { 'Retry-After': retryAfterHeader(found), ...(limited ? rateHeaders : {}) } } : {}),
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(examples),
      },
    },
  }
}

function retryAfterHeader(found: readonly HttpFailure[]): object {
  const example = retryAfterSeconds(found[0]?.code ?? '')
  return { description: 'Seconds to wait.', schema: { type: 'integer' }, example }
}

/** A schema with a title is a component of that name. */
function reference(schema: Schema, schemas: Map<string, Schema>): object {
  const { title } = schema as { title?: string }
  if (title === undefined) return schema
  schemas.set(title, schema)
  return { $ref: `#/components/schemas/${title}` }
}
