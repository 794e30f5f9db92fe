/** What goes over the wire. These schemas check requests, give them their types, and are what /openapi.json is made of. */
import { Type, type Static, type TSchema } from 'typebox'
import { formatDuration } from '../../kernel/units.ts'
import {
  campaignCharactersMax,
  expiresInMsMax,
  expiresInMsMin,
  metadataKeyCharactersMax,
  metadataKeysMax,
  metadataValueCharactersMax,
  tagCharactersMax,
  tagsMax,
} from '../../model/limits.ts'
import { mailClasses } from '../../model/options-of-mail.ts'
import { dialogueStages, outcomeKinds } from '../../model/outcome.ts'
import { recipientStatuses } from '../../ports/message-store.ts'
import { addressCharactersMax, attachmentsMax, headersMax, subjectCharactersMax } from './limits.ts'

/** Recipients of one message; the operator may allow fewer. */
const recipientsCeiling = 1_000
const exact = { additionalProperties: false }
const optional = Type.Optional
const time = (description: string) => Type.String({ format: 'date-time', description })

const maxLength = addressCharactersMax.value
const address = Type.Union(
  [
    Type.String({ maxLength, description: '`ann@example.com` or `Ann Lee <ann@example.com>`.' }),
    Type.Object(
      {
        email: Type.String({ maxLength, description: '`local@domain`, without brackets.' }),
        name: optional(Type.String({ maxLength, description: 'Shown beside the address.' })),
      },
      exact,
    ),
  ],
  { description: 'One address, as a string or as an object.' },
)
const addresses = (description: string) =>
  Type.Union([address, Type.Array(address, { maxItems: recipientsCeiling })], { description })

const attachment = Type.Object(
  {
    filename: optional(
      Type.String({ description: 'Its last path segment is used; what cannot be in a file name is taken out.' }),
    ),
    content: Type.String({ contentEncoding: 'base64', description: 'Base64 (RFC 4648 §4), with padding.' }),
    content_type: optional(
      Type.String({ description: '`type/subtype`. Left out, it follows from the ending of the file name.' }),
    ),
    content_id: optional(Type.String({ description: 'What `cid:` in the HTML says, without angle brackets.' })),
    disposition: optional(
      Type.Enum(['attachment', 'inline'], {
        type: 'string',
        description: 'Left out: `inline` with a `content_id`, otherwise `attachment`.',
      }),
    ),
  },
  exact,
)

/** What may be said of a message however its content is given. */
const options = {
  tags: optional(
    Type.Array(Type.String({ minLength: 1, maxLength: tagCharactersMax.value }), {
      maxItems: tagsMax.value,
      description: 'Words to search by. No commas.',
    }),
  ),
  metadata: optional(
    Type.Object(
      {},
      {
        additionalProperties: Type.String({ maxLength: metadataValueCharactersMax.value }),
        maxProperties: metadataKeysMax.value,
        description: `What you know the message by; given back with it and its events. Keys of up to ${metadataKeyCharactersMax.value} letters, digits, "_", "." and "-".`,
      },
    ),
  ),
  class: optional(
    Type.Enum([...mailClasses], {
      type: 'string',
      description:
        '`urgent` goes first (codes, alarms), `bulk` last. Left out: that of the stream, or `transactional`.',
    }),
  ),
  stream: optional(
    Type.String({
      minLength: 1,
      maxLength: 63,
      description: 'A stream of the tenant, which gives class and defaults.',
    }),
  ),
  campaign: optional(
    Type.String({ minLength: 1, maxLength: campaignCharactersMax.value, description: 'Groups messages in reports.' }),
  ),
  expires_in: optional(
    Type.Union([Type.Integer({ minimum: 1 }), Type.String({ minLength: 2, maxLength: 20 })], {
      description: `How long it is tried: seconds, or "90m", "2h", "3d". From ${formatDuration(expiresInMsMin.value)} to ${formatDuration(expiresInMsMax.value)}.`,
    }),
  ),
}

export const writtenEmail = Type.Object(
  {
    from: address,
    to: optional(addresses('Who it is for.')),
    cc: optional(addresses('Who gets a copy.')),
    bcc: optional(addresses('Who gets a copy without anybody being told: never written into the message.')),
    reply_to: optional(addresses('Where answers go.')),
    subject: optional(Type.String({ maxLength: subjectCharactersMax.value })),
    text: optional(Type.String({ description: 'The message as plain text. This, `html` or an attachment is needed.' })),
    html: optional(Type.String({ description: 'The message as HTML; beside `text` as the richer alternative.' })),
    headers: optional(
      Type.Object(
        {},
        {
          additionalProperties: Type.String(),
          maxProperties: headersMax.value,
          description:
            'Further header fields by name. Those that have a place of their own here, and those that the server writes, are refused.',
        },
      ),
    ),
    attachments: optional(Type.Array(attachment, { maxItems: attachmentsMax.value })),
    ...options,
  },
  { ...exact, title: 'Email', description: 'A message by its parts: the server writes the MIME.' },
)

export const rawEmail = Type.Object(
  {
    raw: Type.String({
      contentEncoding: 'base64',
      description:
        'A whole message (RFC 5322) in base64. Lines may end in LF or CRLF. Bcc and X-Posthaste- fields are taken out; Date and Message-ID are added when they are missing.',
    }),
    from: optional(
      Type.Union([...address.anyOf], {
        description: 'The return path. Left out: the address in the message’s From field.',
      }),
    ),
    to: addresses('Whom it is delivered to, whatever the header of the message says.'),
    ...options,
  },
  { ...exact, title: 'RawEmail', description: 'A message that is MIME already.' },
)

export const accepted = Type.Object(
  { id: Type.String({ format: 'uuid', description: 'The message is on disk and will be delivered or returned.' }) },
  { ...exact, title: 'Accepted' },
)

const status = Type.Enum([...recipientStatuses], {
  type: 'string',
  description:
    '`queued`: not tried yet. `deferred`: put off by the receiver, tried again. `delivered`, `bounced`, `expired`, `suppressed`: over. That of a message is the first of queued, deferred, bounced, expired, delivered, suppressed which a recipient has.',
})

const recipientSummary = {
  email: Type.String(),
  status,
  attempts: Type.Integer(),
  smtp_code: Type.Union([Type.Integer(), Type.Null()], { description: 'Of the last reply; null when none was read.' }),
  enhanced_code: Type.Union([Type.String(), Type.Null()], { description: 'RFC 3463, such as `5.1.1`.' }),
  reply: Type.Union([Type.String(), Type.Null()], { description: 'The last reply’s text, or what kept us from one.' }),
  updated_at: time('When the last attempt ended, or the message was accepted.'),
  next_attempt_at: Type.Union([time(''), Type.Null()]),
  may_be_duplicate: Type.Boolean({ description: 'The receiver may have it twice: a reply was lost.' }),
}

const attempt = Type.Object(
  {
    number: Type.Integer({ description: 'Counts from 1.' }),
    started_at: time(''),
    outcome: Type.Enum([...outcomeKinds], { type: 'string' }),
    stage: Type.Enum([...dialogueStages], { type: 'string', description: 'How far the conversation came.' }),
    smtp_code: Type.Union([Type.Integer(), Type.Null()]),
    enhanced_code: Type.Union([Type.String(), Type.Null()]),
    reply: Type.String(),
    host: Type.String({ description: 'The mail exchanger that was spoken to.' }),
    address: Type.String({ description: 'Its IP address.' }),
    source: Type.String({ description: 'The address that we used.' }),
    tls: Type.String({ description: 'Protocol and cipher; empty: none.' }),
    reused_connection: Type.Boolean(),
    connected_ms: Type.Union([Type.Integer(), Type.Null()], { description: 'Since the start of the attempt.' }),
    envelope_ms: Type.Union([Type.Integer(), Type.Null()]),
    finished_ms: Type.Union([Type.Integer(), Type.Null()]),
  },
  exact,
)

const messageFields = {
  id: Type.String({ format: 'uuid' }),
  status,
  from: Type.String({ description: 'As it was given.' }),
  return_path: Type.String({ description: 'Where delivery failures go; empty: nowhere.' }),
  subject: Type.String(),
  accepted_at: time(''),
  recipient_count: Type.Integer(),
}

const origin = {
  via: Type.Enum(['smtp', 'http'], { type: 'string' }),
  client: Type.String({ description: 'Where it came from.' }),
  expires_at: Type.Union([time(''), Type.Null()], { description: 'Null: as the server is configured.' }),
  content_bytes: Type.Integer(),
  class: Type.Enum([...mailClasses], { type: 'string' }),
  stream: Type.Union([Type.String(), Type.Null()]),
  campaign: Type.Union([Type.String(), Type.Null()]),
  tags: Type.Array(Type.String()),
  metadata: Type.Object({}, { additionalProperties: Type.String() }),
}

export const emailStatus = Type.Object(
  { ...messageFields, recipients: Type.Array(Type.Object(recipientSummary, exact)) },
  { ...exact, title: 'EmailStatus' },
)

export const emailSummary = Type.Object(
  {
    ...messageFields,
    ...origin,
    recipients: Type.Array(Type.Object(recipientSummary, exact), { description: 'The first of them.' }),
  },
  { ...exact, title: 'EmailSummary' },
)

export const email = Type.Object(
  {
    ...messageFields,
    ...origin,
    recipients: Type.Array(
      Type.Object(
        {
          ...recipientSummary,
          tries: Type.Array(attempt, { description: 'In order; the last ones when there were many.' }),
        },
        exact,
      ),
    ),
  },
  { ...exact, title: 'EmailRecord' },
)

export const emailPage = Type.Object(
  {
    data: Type.Array(emailSummary),
    next_cursor: Type.Union([Type.String(), Type.Null()]),
    has_more: Type.Boolean({
      description: 'False: this is the last page. A page may be short, even empty, and still have a next one.',
    }),
  },
  { ...exact, title: 'EmailPage' },
)

export const listQuery = Type.Object(
  {
    recipient: optional(Type.String({ description: 'One of its recipients, without regard to case.' })),
    sender: optional(Type.String({ description: 'Address of the From field or the return path. Empty: notices.' })),
    status: optional(status),
    tag: optional(Type.String({ description: 'One of its tags.' })),
    after: optional(time('Accepted at this time or later (RFC 3339).')),
    before: optional(time('Accepted before this time (RFC 3339).')),
    limit: optional(Type.Integer({ minimum: 1, description: 'Messages on a page, 1 to 100. More is taken for 100.' })),
    cursor: optional(Type.String({ description: '`next_cursor` of the page before.' })),
  },
  exact,
)

const problemItem = Type.Object(
  { pointer: Type.String(), code: Type.String(), detail: Type.String(), cure: optional(Type.String()) },
  exact,
)

export const problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; programs decide by it.' }),
    detail: Type.String({ description: 'What happened, for people.' }),
    cure: Type.String({ description: 'What to do about it.' }),
    pointer: optional(Type.String({ description: 'RFC 6901: where in the request it is.' })),
    errors: optional(Type.Array(problemItem, { description: 'When several things are wrong.' })),
  },
  { ...exact, title: 'Problem', description: 'RFC 9457.' },
)

export const root = Type.Object(
  { name: Type.String(), version: Type.String(), reference: Type.String(), openapi: Type.String() },
  { ...exact, title: 'Root' },
)
export const openapi = Type.Object({ openapi: Type.String() }, { title: 'OpenapiDocument' })
export const health = Type.Object({ status: Type.String() }, { ...exact, title: 'Health' })
export const readiness = Type.Object(
  { status: Type.Enum(['ready', 'not_ready'], { type: 'string' }), reasons: Type.Array(Type.String()) },
  { ...exact, title: 'Readiness' },
)

export type WrittenEmail = Static<typeof writtenEmail>
export type RawEmail = Static<typeof rawEmail>
export type AddressInput = Static<typeof address>
export type AttachmentInput = Static<typeof attachment>
export type ListQuery = Static<typeof listQuery>
export type Schema = TSchema
