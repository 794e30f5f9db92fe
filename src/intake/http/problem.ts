/** Errors on the wire: RFC 9457 problem details, with a stable code of the catalogue, what cures it, and where in the request it is. */
import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import { type Failure, failures, type HttpFailure, httpFailures } from '../../model/failures.ts'
import type { RateState } from '../../ports/quotas.ts'

/** One of several things that are wrong. */
export interface ProblemItem {
  /** RFC 6901: into the body of the request; for a query "/name". */
  readonly pointer: string
  readonly code: string
  readonly detail: string
  readonly cure?: string
}

export interface ProblemDetails {
  /** What the catalogue says when left out. */
  readonly detail?: string
  readonly cure?: string
  readonly pointer?: string
  readonly errors?: readonly ProblemItem[]
  /** The connection cannot be used again. */
  readonly close?: boolean
  /** Default by the failure, where it passes by itself. */
  readonly retryAfterSeconds?: number
  readonly rate?: RateState | null
}

/** Thrown by whatever handles a request; answered in one place. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly failure: HttpFailure
  readonly details: ProblemDetails

  constructor(failure: HttpFailure, details: ProblemDetails = {}) {
    super(details.detail ?? failure.say)
    this.failure = failure
    this.details = details
  }
}

/** As the body of an answer. `code` may be a more exact one than the failure's. */
export function problemText({ code, http, retry, say }: HttpFailure, details: ProblemDetails = {}): string {
  return JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[http] ?? 'Error',
    status: http,
    code,
    detail: details.detail ?? say,
    cure: details.cure ?? cures.get(code) ?? (retry ? 'Send it again later.' : 'Correct the request.'),
    pointer: details.pointer,
    errors: details.errors,
  })
}

export function sendProblem(reply: FastifyReply, failure: HttpFailure, details: ProblemDetails = {}): FastifyReply {
  if (failure.http === 429 || failure.http === 503)
    void reply.header('retry-after', details.retryAfterSeconds ?? retryAfterSeconds(failure.code))
  sendRate(reply, details.rate ?? null)
  if (failure.http === 401) void reply.header('www-authenticate', 'Bearer')
  if (details.close === true) void reply.header('connection', 'close')
  return reply
    .code(failure.http)
    .header('cache-control', 'no-store')
    .type('application/problem+json')
    .send(problemText(failure, details))
}

/** draft-ietf-httpapi-ratelimit-headers-07 §3: of several windows the one that is tightest. Null: no window has a limit. */
export function sendRate(reply: FastifyReply, rate: RateState | null): void {
  if (rate === null) return
  void reply.header('ratelimit-limit', rate.limit)
  void reply.header('ratelimit-remaining', rate.remaining)
  void reply.header('ratelimit-reset', rate.resetSeconds)
}

/** RFC 9110 §10.2.3. What is short of disk stays so for a while; the rest passes quickly. */
export function retryAfterSeconds(code: string): number {
  return retryAfter.get(code) ?? 1
}

const retryAfter: ReadonlyMap<string, number> = new Map([
  [failures.spoolFull.code, 30],
  [failures.spoolBroken.code, 30],
  [failures.tenantShareFull.code, 30],
  [failures.tooManyAuthenticationFailures.code, 6],
  [failures.draining.code, 2],
])

const cureByFailure: readonly (readonly [Pick<Failure, 'code'>, string])[] = [
  [failures.authenticationRequired, 'Send "Authorization: Bearer KEY" with an API key of the tenant.'],
  [failures.authenticationFailed, 'Check the key: it may be revoked, expired, or bound to other networks.'],
  [
    failures.tooManyAuthenticationFailures,
    'Correct the key that is used at this address, and wait as Retry-After says.',
  ],
  [failures.senderNotAllowed, 'Use an address of a domain that the tenant has verified, or a verified sender.'],
  [failures.streamUnknown, 'Create the stream first, or leave it out.'],
  [failures.idempotencyConflict, 'Use a new Idempotency-Key for a new message.'],
  [failures.tooManyRecipients, 'Send it in several requests.'],
  [httpFailures.severalProblems, 'Correct each of them: errors says where it is, and what to do.'],
  [httpFailures.gzipMalformed, 'Send the whole of it, or leave out Content-Encoding.'],
  [httpFailures.contentEncodingUnknown, 'Pack it with gzip, or not at all.'],
  [httpFailures.bodyTooBig(0), 'Send less, by links for example; the operator may raise http.body_size_max.'],
  [httpFailures.malformedPath, 'Write what is no letter or digit as %XX, of UTF-8.'],
  [failures.nulByte, 'Encode what is not text in base64.'],
  [failures.lineTooLong, 'Encode that part as quoted-printable or base64.'],
  [failures.headerTooBig, 'Shorten or leave out some of its fields.'],
  [failures.headerMalformed, 'Begin with lines of "Name: value", then an empty line, then the body.'],
  [failures.tooManyHops, 'Take the Received fields out if it is sent for the first time.'],
  [failures.fromMissing, 'Add a line "From: Name <local@domain>" to the header.'],
  [failures.fromRepeated, 'Keep one of them.'],
  [failures.fromMalformed, 'Write it as "From: Name <local@domain>".'],
  [failures.addressLiteral, 'Use an address with a domain.'],
  [failures.tenantShareFull, 'Wait until some of the tenant’s mail has been delivered.'],
  [
    httpFailures.tenantBusy,
    'Send fewer or smaller requests at a time, and this one again as Retry-After says. Those that wait for one Idempotency-Key count too.',
  ],
  [failures.draining, 'Send it again: another process takes over.'],
]

const cures: ReadonlyMap<string, string> = new Map(cureByFailure.map(([{ code }, cure]) => [code, cure]))
