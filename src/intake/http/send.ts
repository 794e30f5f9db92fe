/**
 * POST /api/v1/emails. In this order, so that what costs most comes last and a key of idempotency is claimed for nothing that could not be
 * read:
 *
 *   body ── JSON ── schema ── claim ──┬── same: answered with the id of before
 *                                     └── new: envelope, options, content ── spool ── on disk: 202 ── release
 */
import { hash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { invariant } from '../../kernel/assert.ts'
import { failures, httpFailures } from '../../model/failures.ts'
import { checkIdempotencyKey } from '../../model/options-of-mail.ts'
import type { Claim, MessageStore } from '../../ports/message-store.ts'
import { StoreUnavailable } from '../../ports/message-store.ts'
import { readBody } from './body.ts'
import { checkEnvelope, type Draft, handOver, type Idempotency } from './hand-over.ts'
import { parseJson } from './json.ts'
import { sliceBytes } from './limits.ts'
import { readOptions } from './options.ts'
import { Problem, sendRate } from './problem.ts'
import { rawDraft } from './raw-email.ts'
import { type RawEmail, rawEmail, type WrittenEmail, writtenEmail } from './schemas.ts'
import type { Caller, HttpServer } from './server.ts'
import { type Check, checkOf } from './validate.ts'
import { assembleEmail, type Bodies, hasLongBody, readAttachments, readBodies, readEnvelope } from './written-email.ts'

type Input =
  | { readonly kind: 'written'; readonly email: WrittenEmail }
  | { readonly kind: 'raw'; readonly email: RawEmail }

export type SendEmail = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

export function createSendEmail(server: HttpServer): SendEmail {
  const checkWritten: Check<typeof writtenEmail> = checkOf(writtenEmail)
  const checkRaw: Check<typeof rawEmail> = checkOf(rawEmail)

  /** The form that is meant is the one whose content is given. */
  function check(value: unknown): Input {
    if (typeof value === 'object' && value !== null && 'raw' in value) {
      checkRaw(value)
      return { kind: 'raw', email: value }
    }
    checkWritten(value)
    return { kind: 'written', email: value }
  }

  return async (request, reply) => {
    const { caller } = request
    invariant(caller !== null, 'a route with a scope has a caller')
    const key = idempotencyKey(request)
    checkContentType(request)
    const body = await readBody(request.raw, server.memory, caller.client.tenant, server.config.bodyBytesMax)
    server.underWay++
    try {
      // The key may have been revoked while the body came.
      if (!server.clients.isCurrent(caller.client)) throw new Problem(failures.authenticationFailed)
      const value = parseJson(body.bytes)
      if (body.bytes.length > sliceBytes.value) await nextTurn()
      const input = check(value)
      const sent =
        key === ''
          ? { id: await send(server, caller, input, { key, requestSha256: '' }), replayed: false }
          : await sendOnce(server, caller, input, { key, requestSha256: hash('sha256', body.bytes) })
      if (sent.replayed) void reply.header('idempotent-replayed', 'true')
      sendRate(reply, server.quotas.remaining(caller.client))
      return await reply
        .code(202)
        .header('location', `/api/v1/emails/${sent.id}`)
        .header('cache-control', 'no-store')
        .type('application/json; charset=utf-8')
        .send(`{"id":"${sent.id}"}\n`)
    } catch (error) {
      server.counters.messagesRefused++
      throw error
    } finally {
      server.memory.release(caller.client.tenant, body.heldBytes)
      if (--server.underWay === 0) server.onIdle?.()
    }
  }
}

/** Under the key that the client has for it: whatever became of it, the claim is given back. */
async function sendOnce(
  server: HttpServer,
  caller: Caller,
  input: Input,
  idempotency: Idempotency,
): Promise<{ id: string; replayed: boolean }> {
  const { store, counters } = server
  const claim = await claimed(store, caller.client.tenant, idempotency)
  if (claim.kind === 'conflict') {
    const detail = `this Idempotency-Key was used for another request before, which became ${claim.id}`
    throw new Problem(failures.idempotencyConflict, { detail })
  }
  if (claim.kind === 'same') {
    counters.messagesReplayed++
    return { id: claim.id, replayed: true }
  }
  try {
    return { id: await send(server, caller, input, idempotency), replayed: false }
  } finally {
    store.release(claim.claim)
  }
}

async function claimed(store: MessageStore, tenant: string, { key, requestSha256 }: Idempotency): Promise<Claim> {
  try {
    return await store.claim(tenant, key, requestSha256)
  } catch (error) {
    if (error instanceof StoreUnavailable) throw new Problem(failures.storeUnavailable)
    throw error
  }
}

async function send(server: HttpServer, caller: Caller, input: Input, idempotency: Idempotency): Promise<string> {
  const draft =
    input.kind === 'raw' ? rawDraft(server, caller, input.email) : await writtenDraft(server, caller, input.email)
  return await handOver(server, caller, draft, idempotency)
}

async function writtenDraft(server: HttpServer, caller: Caller, email: WrittenEmail): Promise<Draft> {
  const { hostname, random, clients } = server
  const { from, recipients, shownFrom, parts } = readEnvelope(email)
  let expectedBytes = (email.text?.length ?? 0) + (email.html?.length ?? 0)
  for (const { content } of email.attachments ?? []) expectedBytes += content.length
  let bodies: Bodies = { text: email.text, html: email.html }
  const draft: Draft = {
    from,
    shownFrom,
    returnPath: from.address,
    recipients,
    subject: email.subject ?? '',
    options: readOptions(email, caller.client, clients),
    expectedBytes,
    write(id, dateMs) {
      const attachments = readAttachments(email.attachments)
      const boundarySeed = `${random.uint32().toString(36)}${random.uint32().toString(36)}`
      const made = { dateMs, messageId: `<${id}@${hostname}>`, boundarySeed }
      const assembled = assembleEmail(email, parts, bodies, attachments, made)
      return { addedHeaders: '', pieces: assembled, smtpUtf8: assembled.needsSmtpUtf8 }
    },
  }
  checkEnvelope(server, caller, draft, '/from')
  // A template that came to nothing is left out by JSON.stringify: nobody should get a blank mail for it.
  if (email.text === undefined && email.html === undefined && (email.attachments ?? []).length === 0) {
    const cure = 'Give text or html; a message that is meant to be blank has "text": "".'
    throw new Problem(httpFailures.contentMissing, { pointer: '/text', cure })
  }
  // Before there is a transaction: others' commits wait for one that is open.
  if (hasLongBody(email)) bodies = await readBodies(email)
  return draft
}

/** '' when there is none. Throws a Problem. */
function idempotencyKey(request: FastifyRequest): string {
  const key = request.headers['idempotency-key']
  if (key === undefined) return ''
  // Node joins what was sent twice with a comma and a space, which no key has.
  const problem = typeof key === 'string' ? checkIdempotencyKey(key) : 'it is there twice'
  if (problem === null) return key as string
  throw new Problem(httpFailures.idempotencyKeyInvalid, {
    detail: `the Idempotency-Key cannot be used: ${problem}`,
    cure: 'Use a UUID, a new one for each message.',
  })
}

export const contentTypeCure = 'Send "Content-Type: application/json".'

/** RFC 8259 §11: the type has no parameters; charset is put up with, because many clients send it. */
function checkContentType(request: FastifyRequest): void {
  const type = request.headers['content-type']
  if (type !== undefined && /^application\/json[ \t]*(?:;|$)/i.test(type)) return
  throw new Problem(httpFailures.contentTypeUnknown, { cure: contentTypeCure })
}
