/** What can be asked, in one table: the routes are made of it, and so is /openapi.json. */
import type { Scope } from '../../ports/directory.ts'
import type { HttpFailure } from '../../model/failures.ts'
import { failures, httpFailures } from '../../model/failures.ts'
import { idempotencyKeyCharactersMax } from '../../model/limits.ts'
import * as schemas from './schemas.ts'
import type { Schema } from './schemas.ts'

export type OperationId =
  | 'sendEmail'
  | 'listEmails'
  | 'getEmail'
  | 'getEmailStatus'
  | 'getRoot'
  | 'getOpenapi'
  | 'getReference'
  | 'getHealth'
  | 'getReadiness'

export interface Operation {
  readonly id: OperationId
  readonly method: 'get' | 'post'
  readonly path: string
  /** What the key must be good for; null: no key is needed. */
  readonly scope: Scope | null
  readonly tag: 'Sending' | 'Messages' | 'Server'
  readonly summary: string
  readonly description: string
  readonly query: Schema | null
  /** Forms that the body may have. */
  readonly bodies: readonly { readonly schema: Schema; readonly examples: Readonly<Record<string, unknown>> }[]
  readonly answer: {
    readonly status: number
    readonly description: string
    readonly type: string
    /** Null: text. */
    readonly schema: Schema | null
    readonly example: unknown
  }
  /** Failures of its own, beside those that its scope brings. */
  readonly failures: readonly HttpFailure[]
}

const id = '0199f3c2-7d1e-7c3a-9b1f-2f6f1f0c8a11'
const jsonType = 'application/json'
const status = 'delivered' as const

const bodyFailures: readonly HttpFailure[] = [
  httpFailures.notJson,
  httpFailures.bodyTooBig(25 * 1024 * 1024),
  httpFailures.contentTypeUnknown,
  httpFailures.fieldInvalid,
  failures.timedOut,
]

const recipient = {
  email: 'bob@example.net',
  status,
  attempts: 1,
  smtp_code: 250,
  enhanced_code: '2.0.0',
  reply: 'OK queued as 4F2A',
  updated_at: '2026-11-22T10:00:01.250Z',
  next_attempt_at: null,
  may_be_duplicate: false,
}

const message = {
  id,
  status,
  from: 'Shop <orders@example.com>',
  return_path: 'orders@example.com',
  subject: 'Your order',
  accepted_at: '2026-11-22T10:00:00.000Z',
  recipient_count: 1,
}

const origin = {
  via: 'http' as const,
  client: '192.0.2.7 key 0199f3c2-1111-7000-8000-000000000001',
  expires_at: null,
  content_bytes: 612,
  class: 'transactional' as const,
  stream: 'receipts',
  campaign: null,
  tags: ['order'],
  metadata: { order: '1001' },
}

const attempt = {
  number: 1,
  started_at: '2026-11-22T10:00:00.100Z',
  outcome: 'delivered' as const,
  stage: 'final' as const,
  smtp_code: 250,
  enhanced_code: '2.0.0',
  reply: 'OK queued as 4F2A',
  host: 'mx1.example.net',
  address: '198.51.100.25',
  source: '192.0.2.1',
  tls: 'TLSv1.3 TLS_AES_256_GCM_SHA384',
  reused_connection: false,
  connected_ms: 41,
  envelope_ms: 160,
  finished_ms: 1_150,
}

const nothing = { query: null, bodies: [], failures: [] } as const

export const operations: readonly Operation[] = [
  {
    id: 'sendEmail',
    method: 'post',
    path: '/api/v1/emails',
    scope: 'send',
    tag: 'Sending',
    summary: 'Send a message',
    description: `Answers 202 once the message is on disk: from then on it is delivered, or returned to its sender. With an \`Idempotency-Key\` the same request may be sent any number of times within a day and makes one message. A key of up to ${idempotencyKeyCharactersMax.value} visible ASCII characters stands for the bytes of the body: another body under it is 409. Where tenant or key have quotas, \`ratelimit-*\` tell how much is left; a message counts once for each recipient.`,
    query: null,
    bodies: [
      {
        schema: schemas.writtenEmail,
        examples: {
          'plain text': {
            from: 'Shop <orders@example.com>',
            to: 'bob@example.net',
            subject: 'Your order',
            text: 'Thank you. It is on its way.',
          },
          'with everything': {
            from: { email: 'orders@example.com', name: 'Shop' },
            to: ['Bob <bob@example.net>', { email: 'eve@example.org' }],
            bcc: 'archive@example.com',
            reply_to: 'help@example.com',
            subject: 'Your order',
            text: 'Thank you. It is on its way.',
            html: '<p>Thank you. <img src="cid:logo"> It is on its way.</p>',
            headers: { 'X-Order': '1001' },
            attachments: [
              { filename: 'logo.png', content: 'iVBORw0KGgo=', content_id: 'logo' },
              { filename: 'invoice.txt', content: 'MTAwMQ==' },
            ],
            tags: ['order'],
            metadata: { order: '1001' },
            stream: 'receipts',
            expires_in: '2h',
          },
        },
      },
      {
        schema: schemas.rawEmail,
        examples: {
          'whole message': {
            raw: 'RnJvbTogb3JkZXJzQGV4YW1wbGUuY29tDQpTdWJqZWN0OiBIaQ0KDQpIaQ0K',
            to: ['bob@example.net'],
          },
        },
      },
    ],
    answer: {
      status: 202,
      description: 'Accepted: it is on disk.',
      type: jsonType,
      schema: schemas.accepted,
      example: { id },
    },
    failures: [
      ...bodyFailures,
      httpFailures.tenantBusy,
      failures.intakeBusy,
      httpFailures.contentMissing,
      failures.senderNotAllowed,
      failures.streamUnknown,
      failures.idempotencyConflict,
      failures.tenantShareFull,
      failures.quotaExceeded(
        'the quota of this tenant is 1,000 messages a day, 0 of them are left until 2026-11-23T00:00:00Z',
      ),
      failures.spoolQuotaFull(
        'the spool quota of this tenant is 5,000 recipients that wait to be delivered to, and has 5,000: try again later',
      ),
      failures.usageUnknown,
      failures.spoolFull,
    ],
  },
  {
    id: 'listEmails',
    method: 'get',
    path: '/api/v1/emails',
    scope: 'read',
    tag: 'Messages',
    summary: 'Find messages',
    description:
      'Newest first, a page at a time. `next_cursor` of one page, given as `cursor` with the same other parameters, is the next.',
    query: schemas.listQuery,
    bodies: [],
    answer: {
      status: 200,
      description: 'A page of messages.',
      type: jsonType,
      schema: schemas.emailPage,
      example: { data: [{ ...message, ...origin, recipients: [recipient] }], next_cursor: null, has_more: false },
    },
    failures: [httpFailures.parameterInvalid, httpFailures.cursorInvalid, failures.storeUnavailable],
  },
  {
    id: 'getEmail',
    method: 'get',
    path: '/api/v1/emails/{id}',
    scope: 'read',
    tag: 'Messages',
    summary: 'All about one message',
    description:
      'Its recipients with every attempt: whom we spoke to, what was answered, and how long it took. With 1,000 recipients that are retried for days this is 9 MB; whoever waits for an end asks for the status.',
    query: null,
    bodies: [],
    answer: {
      status: 200,
      description: 'The message.',
      type: jsonType,
      schema: schemas.email,
      example: { ...message, ...origin, recipients: [{ ...recipient, tries: [attempt] }] },
    },
    failures: [httpFailures.messageUnknown, failures.storeUnavailable],
  },
  {
    id: 'getEmailStatus',
    method: 'get',
    path: '/api/v1/emails/{id}/status',
    scope: 'read',
    tag: 'Messages',
    summary: 'What became of a message',
    description:
      'Known from the moment of the 202 on. Sender, recipients, subject, status, SMTP codes, times and last replies.',
    query: null,
    bodies: [],
    answer: {
      status: 200,
      description: 'Its status.',
      type: jsonType,
      schema: schemas.emailStatus,
      example: { ...message, recipients: [recipient] },
    },
    failures: [httpFailures.messageUnknown, failures.storeUnavailable],
  },
  {
    ...nothing,
    id: 'getRoot',
    method: 'get',
    path: '/',
    scope: null,
    tag: 'Server',
    summary: 'Where to begin',
    description: 'Names the reference and the description of this API.',
    answer: {
      status: 200,
      description: 'Links.',
      type: jsonType,
      schema: schemas.root,
      example: { name: 'Posthaste', version: '0.1.0', reference: '/reference', openapi: '/openapi.json' },
    },
  },
  {
    ...nothing,
    id: 'getOpenapi',
    method: 'get',
    path: '/openapi.json',
    scope: null,
    tag: 'Server',
    summary: 'This API as OpenAPI 3.1',
    description: 'Made from the very schemas that check requests.',
    answer: {
      status: 200,
      description: 'An OpenAPI document.',
      type: jsonType,
      schema: schemas.openapi,
      example: { openapi: '3.1.0' },
    },
  },
  {
    ...nothing,
    id: 'getReference',
    method: 'get',
    path: '/reference',
    scope: null,
    tag: 'Server',
    summary: 'This API as a page to read',
    description: 'Made on the server; it loads nothing from elsewhere and runs no script.',
    answer: { status: 200, description: 'A page.', type: 'text/html', schema: null, example: '<!doctype html>' },
  },
  {
    ...nothing,
    id: 'getHealth',
    method: 'get',
    path: '/healthz',
    scope: null,
    tag: 'Server',
    summary: 'Is it alive?',
    description: 'For supervisors: it answers while the process works.',
    answer: {
      status: 200,
      description: 'It is.',
      type: jsonType,
      schema: schemas.health,
      example: { status: 'ok' },
    },
  },
  {
    ...nothing,
    id: 'getReadiness',
    method: 'get',
    path: '/readyz',
    scope: null,
    tag: 'Server',
    summary: 'May mail be handed in?',
    description: 'For load balancers. 503 with the reasons when no mail is taken now.',
    answer: {
      status: 200,
      description: 'It may.',
      type: jsonType,
      schema: schemas.readiness,
      example: { status: 'ready', reasons: [] },
    },
  },
]
