/** The way of a message from a request that was found good into the spool. It goes to its end even when the client has hung up. */
import { domainOf, needsSmtpUtf8 } from '../../standards/address.ts'
import { type Failure, failures, httpFailures } from '../../model/failures.ts'
import { isQuotaRefusal } from '../../ports/quotas.ts'
import { isFailure, type Transaction } from '../../ports/submissions.ts'
import { addressLiteral, receivedField } from '../trace.ts'
import type { Address } from './addresses.ts'
import { ContentWriter } from './content-writer.ts'
import type { MailOptions } from './options.ts'
import { Problem } from './problem.ts'
import type { Caller, HttpServer } from './server.ts'

/** A message that can be sent, before it has its id. */
export interface Draft {
  readonly from: Address
  /** For the record: as it was given. */
  readonly shownFrom: string
  readonly returnPath: string
  readonly recipients: readonly Address[]
  readonly subject: string
  readonly options: MailOptions
  /** About as many bytes as it will have. */
  readonly expectedBytes: number
  /** Its content once it has an id; may throw a Problem. */
  write(id: string, timeMs: number): Content
}

export interface Content {
  /** Header fields to be put in front, beside Received. */
  readonly addedHeaders: string
  readonly pieces: Iterable<Buffer>
  /** The header is not ASCII (RFC 6532). */
  readonly smtpUtf8: boolean
}

/** '' and '' without an idempotency key. */
export interface Idempotency {
  readonly key: string
  readonly requestSha256: string
}

/** Whether this client may send to them as that. Throws a Problem. */
export function checkEnvelope(server: HttpServer, caller: Caller, draft: Draft, fromPointer: string): void {
  const { recipients, from, returnPath } = draft
  if (recipients.length === 0)
    throw new Problem(httpFailures.recipientsMissing, { pointer: '/to', cure: 'Name one in to, cc or bcc.' })
  if (recipients.length > server.recipientsMax) {
    const detail = `there are ${recipients.length} recipients; one message may have ${server.recipientsMax}`
    throw new Problem(failures.tooManyRecipients, { pointer: '/to', detail })
  }
  for (const address of new Set([from.address, returnPath])) {
    if (!server.clients.maySendAs(caller.client, address)) {
      const detail = `this key may not send from ${JSON.stringify(address)}`
      throw new Problem(failures.senderNotAllowed, { pointer: fromPointer, detail })
    }
  }
}

/** The message's id, once it is on disk. Rejects with a Problem; then there is no message, and its quota has lost nothing. */
export async function handOver(
  server: HttpServer,
  caller: Caller,
  draft: Draft,
  idempotency: Idempotency,
): Promise<string> {
  const taken = server.quotas.take(caller.client, draft.recipients.length)
  if (isQuotaRefusal(taken)) {
    const { failure, cure, state: rate, retryAfterSeconds } = taken
    throw new Problem(failure, { cure, rate, retryAfterSeconds })
  }
  try {
    return await store(server, caller, draft, idempotency)
  } catch (error) {
    server.quotas.giveBack(taken)
    throw error
  }
}

async function store(server: HttpServer, caller: Caller, draft: Draft, idempotency: Idempotency): Promise<string> {
  const { counters, clock, submissions } = server
  const transaction = submissions.begin(draft.expectedBytes, caller.client.tenant)
  if (isFailure(transaction)) throw new Problem(transaction)
  const timeMs = clock.nowMs()
  const writer = new ContentWriter(transaction)
  let content: Content
  try {
    content = draft.write(transaction.id, timeMs)
    await writer.write(content.pieces)
    // The key may have been revoked while another request with the same key of idempotency was waited for, or the disk.
    if (!server.clients.isCurrent(caller.client)) throw new Problem(failures.authenticationFailed)
  } catch (error) {
    transaction.onDrain = null
    transaction.abort()
    throw error
  }
  // The transaction is over either way once this was called.
  const failure = await commit(server, caller, draft, content, transaction, writer, timeMs, idempotency)
  if (failure !== null) throw new Problem(failure)
  counters.messages++
  counters.recipients += draft.recipients.length
  counters.contentBytes += transaction.contentBytes
  return transaction.id
}

function commit(
  server: HttpServer,
  { peer, secure, client }: Caller,
  draft: Draft,
  content: Content,
  transaction: Transaction,
  { scanner }: ContentWriter,
  timeMs: number,
  { key, requestSha256 }: Idempotency,
): Promise<Failure | null> {
  const { id } = transaction
  const { address } = peer
  const { options } = draft
  const recipients = draft.recipients.map((recipient) => recipient.address)
  // RFC 5321 §4.4: whoever did not call itself anything is known by its address.
  const hello = addressLiteral(address)
  const protocol = secure ? 'HTTPS' : 'HTTP'
  const received = receivedField({ hostname: server.hostname, hello, address, protocol, id, timeMs }, recipients)
  return new Promise((resolve) => {
    transaction.commit(
      {
        tenant: client.tenant,
        returnPath: draft.returnPath,
        recipients,
        mailClass: options.mailClass,
        addedHeaders: received + content.addedHeaders,
        fromDomain: domainOf(draft.from.address),
        client: `${address} ${client.how}`,
        eightBit: scanner.eightBit,
        smtpUtf8: content.smtpUtf8 || needsSmtpUtf8(draft.returnPath) || recipients.some(needsSmtpUtf8),
        dotLines: scanner.dotLines,
        expiresAtMs: options.expiresInMs === 0 ? 0 : timeMs + options.expiresInMs,
        cuts: [],
        facts: {
          via: 'http',
          from: draft.shownFrom,
          subject: draft.subject,
          stream: options.stream,
          campaign: options.campaign,
          tags: options.tags,
          metadata: options.metadata,
          credentialId: client.credentialId,
          idempotencyKey: key,
          requestSha256,
        },
      },
      resolve,
    )
  })
}
