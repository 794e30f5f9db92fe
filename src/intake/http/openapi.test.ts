/** The description of the API: valid by the standard's own schema, held to rules of ours, and true. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { goodEmail, startHttpRig } from '../../../test/support/http-rig.ts'
import { openapiDocument } from './openapi.ts'
import { operations } from './operations.ts'
import { problem, type Schema } from './schemas.ts'
import { checkOf } from './validate.ts'

const config = {
  listeners: [],
  bodyBytesMax: 1,
  connectionsMax: 1,
  requestMsMax: 1,
  publicUrl: 'https://mail.example.com',
}

interface OperationObject {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly tags: readonly string[]
  readonly security: readonly object[]
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly description: string }[]
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly headers?: object; readonly content: Content }>
  >
}
type Content = Readonly<Record<string, { readonly examples?: Readonly<Record<string, { readonly value: unknown }>> }>>

const document = openapiDocument({ version: '1.2.3', config })
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation: operation as OperationObject })),
)

function fits(schema: Schema, value: unknown): void {
  const check: (value: unknown) => void = checkOf(schema)
  check(value)
}

test('the description is valid by the schema of OpenAPI 3.1, all its references lead somewhere, and the validator can say no', async () => {
  const plain = JSON.parse(JSON.stringify(document)) as Record<string, unknown>
  const validator = new Validator()
  assert.deepEqual(await validator.validate(plain), { valid: true })
  assert.equal(validator.version, '3.1')
  assert.equal((await new Validator().validate({ ...plain, info: {} })).valid, false)
  const references = [...JSON.stringify(plain).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name ?? '',
  )
  assert.ok(references.length > 0)
  for (const name of references) assert.ok(document.components.schemas[name] !== undefined, name)
})

test('every operation has a name of its own, a summary, a known tag, and answers for when it fails', () => {
  const tags = document.tags.map((tag) => (tag as { name: string }).name)
  assert.equal(new Set(described.map(({ operation }) => operation.operationId)).size, described.length)
  assert.equal(described.length, operations.length)
  for (const { path, operation } of described) {
    const { operationId, summary, description, responses, parameters = [], security } = operation
    assert.match(operationId, /^[a-z][A-Za-z]+$/)
    assert.ok(summary.length > 5 && summary.length < 60 && !summary.endsWith('.'), summary)
    assert.ok(description.endsWith('.'), operationId)
    assert.ok(operation.tags.length === 1 && operation.tags.every((tag) => tags.includes(tag)))
    const statuses = Object.keys(responses)
    assert.ok(
      statuses.some((status) => status.startsWith('2')) && statuses.includes('500') && statuses.includes('503'),
      operationId,
    )
    if (security.length > 0)
      for (const status of ['401', '403', '429']) assert.ok(statuses.includes(status), `${operationId} ${status}`)
    for (const { name, description: said } of parameters) assert.notEqual(said, '', name)
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    assert.deepEqual(
      parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name),
      inPath,
    )
    for (const [status, { headers }] of Object.entries(responses)) {
      const waits = (status === '429' || status === '503') && operationId !== 'getReadiness'
      assert.equal(headers !== undefined && 'Retry-After' in headers, waits, `${operationId} ${status}`)
    }
  }
})

test('every example is one that the server would take, or give', () => {
  for (const { bodies, answer } of operations) {
    for (const { schema, examples } of bodies) {
      assert.ok(Object.keys(examples).length > 0)
      for (const example of Object.values(examples)) fits(schema, example)
    }
    if (answer.schema !== null) fits(answer.schema, answer.example)
  }
  for (const { operation } of described) {
    for (const [status, { content }] of Object.entries(operation.responses)) {
      for (const { value } of Object.values(content['application/problem+json']?.examples ?? {})) {
        fits(problem, value)
        assert.equal((value as { status: number }).status, Number(status))
      }
    }
  }
})

test('every path that is described answers, and in the form that is described', async (t) => {
  const rig = await startHttpRig(t)
  const { id } = (await rig.post(goodEmail)).body as { id: string }
  for (const { method, path, answer } of operations) {
    if (method !== 'get') continue
    const { status, headers, body, text } = await rig.get(path.replace('{id}', id))
    assert.equal(status, answer.status, `${path}: ${text}`)
    assert.equal(headers.get('content-type')?.split(';')[0], answer.type)
    if (answer.schema !== null) fits(answer.schema, body)
  }
  const served = (await rig.get('/openapi.json', null)).body
  assert.deepEqual(Object.keys(served['paths'] as object), Object.keys(document.paths))
})

test('the reference shows every operation and schema, loads nothing from elsewhere, and runs nothing', async (t) => {
  const rig = await startHttpRig(t)
  const { text, headers } = await rig.get('/reference', null)
  for (const { id } of operations) assert.ok(text.includes(`<section id="${id}">`), id)
  for (const name of Object.keys(document.components.schemas))
    assert.ok(text.includes(`<section id="schema-${name}">`), name)
  const targets = [...text.matchAll(/href="([^"]*)"/g)].map(([, target]) => target ?? '')
  for (const target of targets)
    assert.ok(target === '/openapi.json' || text.includes(` id="${target.slice(1)}"`), target)
  assert.doesNotMatch(text, /<script|<link|<img|<[^>]*\bsrc=|@import|url\(|<[^>]*\son\w+=/i)
  assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-[^']+'/)
})
