/**
 * The catalogue of refusals: one value says what the SMTP client, the HTTP client, the log and the metric need. Codes are
 * stable; a new reason is a new entry. Reply codes: RFC 5321 §4.2, enhanced codes: RFC 3463, RFC 5248.
 */
import { formatBytes } from '../kernel/units.ts'
import { cutsMax } from './limits.ts'

export interface Failure {
  /** Stable name, used by metrics, logs and the HTTP API. */
  readonly code: string
  /** Basic and enhanced code, as sent. */
  readonly smtp: string
  readonly http: number
  /** True when trying again later may help. */
  readonly retry: boolean
  readonly say: string
}

const failure = (code: string, smtp: string, http: number, say: string): Failure =>
  Object.freeze({ code, smtp, http, retry: smtp.startsWith('4'), say })

export const failures = {
  spoolFull: failure('spool_full', '452 4.3.1', 503, 'no space left for new mail, try again later'),
  tenantShareFull: failure(
    'tenant_share_full',
    '452 4.3.1',
    429,
    "this tenant's waiting mail fills its share of the disk, try again later",
  ),
  /** `say` names the quota, in our own words. 4.7.1: it is a matter of policy, not of room (RFC 3463 §3.8). */
  quotaExceeded: (say: string): Failure => failure('quota_exceeded', '452 4.7.1', 429, say),
  spoolQuotaFull: (say: string): Failure => failure('spool_quota_full', '452 4.7.1', 429, say),
  usageUnknown: failure('usage_unknown', '451 4.3.2', 503, 'usage is being counted, try again in a second'),
  spoolBusy: failure('spool_busy', '452 4.3.1', 503, 'too much mail is waiting for the disk, try again later'),
  intakeBusy: failure('intake_busy', '452 4.3.1', 503, 'too much mail is being handed in at once, try again later'),
  spoolBroken: failure('spool_broken', '451 4.3.0', 503, 'mail cannot be stored now, try again later'),
  draining: failure('draining', '421 4.3.2', 503, 'shutting down, try again later'),
  tooManyRecipients: failure('too_many_recipients', '452 4.5.3', 422, 'too many recipients in one message'),
  messageTooBig: (limitBytes: number): Failure =>
    failure('message_too_big', '552 5.3.4', 413, `message is larger than ${formatBytes(limitBytes)}`),

  relayDenied: failure(
    'relay_denied',
    '550 5.7.1',
    403,
    'relaying denied: neither your network nor a login is known here',
  ),
  authenticationRequired: failure('authentication_required', '530 5.7.0', 401, 'authentication required'),
  authenticationFailed: failure('authentication_failed', '535 5.7.8', 401, 'authentication credentials invalid'),
  tooManyAuthenticationFailures: failure(
    'too_many_auth_failures',
    '421 4.7.0',
    429,
    'too many failed logins, try again later',
  ),
  authenticationRevoked: failure(
    'authentication_revoked',
    '421 4.7.0',
    401,
    'what you were recognised by is no longer valid, connect and log in again',
  ),
  directoryUnavailable: failure(
    'directory_unavailable',
    '454 4.7.0',
    503,
    'credentials cannot be checked now, try again later',
  ),
  senderNotAllowed: failure('sender_not_allowed', '550 5.7.1', 403, 'this client may not send from this address'),
  senderOfNobody: failure(
    'sender_of_nobody',
    '550 5.7.1',
    403,
    'several clients share your network, and this sender does not tell which you are: log in, or send as an address of yours',
  ),
  addressLiteral: failure('address_literal', '550 5.7.1', 422, 'mail to and from address literals is not relayed'),
  smtpUtf8Needed: failure(
    'smtputf8_needed',
    '553 5.6.7',
    422,
    'a non-ASCII address needs the SMTPUTF8 parameter of MAIL',
  ),

  bareLineEnd: failure('bare_line_end', '550 5.5.2', 422, 'lines must end in CRLF: a lone CR or LF was found'),
  nulByte: failure('nul_byte', '550 5.6.0', 422, 'the content holds a NUL byte'),
  lineTooLong: failure('line_too_long', '550 5.6.0', 422, 'a line is longer than 998 octets (RFC 5322 section 2.1.1)'),
  headerTooBig: failure(
    'header_too_big',
    '552 5.3.4',
    413,
    'the header is larger than 100 KiB or has more than 1,000 fields',
  ),
  headerMalformed: failure('header_malformed', '550 5.6.0', 422, 'a header line has no colon'),
  tooManyHops: failure('too_many_hops', '554 5.4.6', 422, 'more than 50 Received fields: this looks like a loop'),
  fromMissing: failure('from_missing', '550 5.6.0', 422, 'the From field is missing (RFC 5322 section 3.6)'),
  fromRepeated: failure('from_repeated', '550 5.6.0', 422, 'there is more than one From field (RFC 5322 section 3.6)'),
  fromMalformed: failure('from_malformed', '550 5.6.0', 422, 'the From field names no address that can be read'),

  optionUnknown: failure(
    'option_unknown',
    '550 5.6.0',
    422,
    'of the names that begin with X-Posthaste- there are Class, Stream, Campaign, Tag, Metadata, Expires-In and Idempotency-Key: this message has another',
  ),
  /** `option` is our own name for it, `problem` our own words. */
  optionInvalid: (option: string, problem: string): Failure =>
    failure('option_invalid', '550 5.6.0', 422, `${option}: ${problem}`),
  tooManyOptions: failure(
    'too_many_options',
    '550 5.6.0',
    422,
    `more than ${cutsMax.value} groups of X-Posthaste- fields stand apart in the header`,
  ),
  streamUnknown: failure(
    'stream_unknown',
    '550 5.6.0',
    422,
    'this client has no stream of that name: create it first, or name none',
  ),
  idempotencyConflict: failure(
    'idempotency_conflict',
    '550 5.7.0',
    409,
    'the idempotency key was used for another message before',
  ),
  storeUnavailable: failure(
    'store_unavailable',
    '451 4.3.0',
    503,
    'it cannot be found out now whether this message was accepted before, try again later',
  ),

  tooManyConnections: failure('too_many_connections', '421 4.3.2', 503, 'too many connections, try again later'),
  tooManyBadCommands: failure('too_many_bad_commands', '421 4.7.0', 400, 'too many errors'),
  tooManyChunks: failure('too_many_chunks', '421 4.7.0', 400, 'too many chunks in one message'),
  timedOut: failure('timed_out', '421 4.4.2', 408, 'timed out'),
  notInTurn: failure('not_in_turn', '554 5.5.0', 400, 'you spoke before it was your turn'),
} as const

/** A refusal that only HTTP can give. */
export type HttpFailure = Omit<Failure, 'smtp'>

const onlyHttp = (code: string, http: number, say: string): HttpFailure =>
  Object.freeze({ code, http, retry: http === 503 || http === 408, say })

/** The rest of the catalogue: what has no reply in SMTP. */
export const httpFailures = {
  malformedRequest: onlyHttp('malformed_request', 400, 'this is not HTTP as it should be'),
  malformedPath: onlyHttp('malformed_path', 400, 'the path cannot be decoded'),
  pathTooLong: onlyHttp('path_too_long', 414, 'a part of the path is too long'),
  requestHeaderTooBig: onlyHttp('request_header_too_big', 431, 'the header of the request is too big'),
  routeUnknown: onlyHttp('route_unknown', 404, 'there is nothing here'),
  methodNotAllowed: onlyHttp('method_not_allowed', 405, 'this path does not have that method'),
  scopeMissing: onlyHttp('scope_missing', 403, 'this key may not do that'),
  contentTypeUnknown: onlyHttp('content_type_unknown', 415, 'the body must be JSON'),
  contentEncodingUnknown: onlyHttp('content_encoding_unknown', 415, 'the body is packed in an unknown way'),
  gzipMalformed: onlyHttp('gzip_malformed', 400, 'the body is not gzip, or not whole'),
  bodyTooBig: (limitBytes: number): HttpFailure =>
    onlyHttp('body_too_big', 413, `the body is larger than ${formatBytes(limitBytes)}`),
  tenantBusy: onlyHttp(
    'tenant_busy',
    429,
    'the requests of this tenant that are under way hold as much memory as one tenant may',
  ),
  bodyIncomplete: onlyHttp('body_incomplete', 400, 'the body ended early'),
  notUtf8: onlyHttp('not_utf8', 400, 'the body is not UTF-8'),
  notJson: onlyHttp('not_json', 400, 'the body is not JSON'),
  duplicateKey: onlyHttp('duplicate_key', 400, 'a key is twice in one JSON object'),
  jsonTooComplex: onlyHttp('json_too_complex', 400, 'the JSON is nested too deep, or has too many values'),
  textUnfit: onlyHttp('text_unfit', 422, 'a text has a NUL or half a surrogate pair'),
  fieldUnknown: onlyHttp('field_unknown', 422, 'there is no field of that name'),
  fieldMissing: onlyHttp('field_missing', 422, 'a field is missing'),
  fieldInvalid: onlyHttp('field_invalid', 422, 'a field has a value that it cannot have'),
  contentMissing: onlyHttp('content_missing', 422, 'the message has neither text, HTML nor attachments'),
  recipientsMissing: onlyHttp('recipients_missing', 422, 'the message has no recipient'),
  addressInvalid: onlyHttp('address_invalid', 422, 'an address is malformed'),
  base64Invalid: onlyHttp('base64_invalid', 422, 'the content is not base64'),
  parameterInvalid: onlyHttp(
    'parameter_invalid',
    400,
    'a query parameter is unknown or has a value that it cannot have',
  ),
  cursorInvalid: onlyHttp('cursor_invalid', 400, 'the cursor is not one that was given for this list'),
  idempotencyKeyInvalid: onlyHttp('idempotency_key_invalid', 400, 'the Idempotency-Key cannot be used'),
  messageUnknown: onlyHttp('message_unknown', 404, 'there is no message with this id'),
  severalProblems: onlyHttp('several_problems', 422, 'more than one field has something wrong with it'),
  internal: onlyHttp('internal', 500, 'this request failed inside the engine'),
} as const
