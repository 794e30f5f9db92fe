/**
 * A message between its client and the spool: for whom it is taken, whether the spool keeps up with its content, and at the end of content whether it may
 * still be handed over, whether it was handed over before, and what became of it. A message with an idempotency key is claimed in the message store first;
 * until the store has answered, the session waits as it does for a commit.
 */
import { type Failure, failures } from '../../model/failures.ts'
import type { Client, ClientStream } from '../../ports/clients.ts'
import { type Claim, type MessageStore, StoreUnavailable } from '../../ports/message-store.ts'
import { isQuotaRefusal } from '../../ports/quotas.ts'
import { protocolWord } from '../trace.ts'
import type { IncomingMessage, MessageOwner } from './message.ts'
import type { Session } from './session.ts'

export class Handover implements MessageOwner {
  readonly #session: Session
  #spoolFull = false

  constructor(session: Session) {
    this.#session = session
  }

  // Whose message it is. There is none without a client.

  get #client(): Client {
    return this.#session.client as Client
  }

  get tenant(): string {
    return this.#client.tenant
  }

  get credentialId(): string {
    return this.#client.credentialId ?? ''
  }

  maySendAs(address: string): boolean {
    return this.#session.server.clients.maySendAs(this.#client, address)
  }

  stream(name: string): ClientStream | null {
    return this.#session.server.clients.stream(this.#client, name)
  }

  /** What was revoked since MAIL hands nothing over any more. */
  get #current(): boolean {
    return this.#session.server.clients.isCurrent(this.#client)
  }

  // While content comes in.

  /** The spool wants no more content for now. */
  get waitsForSpool(): boolean {
    return this.#spoolFull
  }

  spoolFull(): void {
    this.#spoolFull = true
  }

  spoolReady(): void {
    this.#spoolFull = false
    this.#session.resume()
  }

  /** Asked for within the reading of content, which goes on by itself. */
  spoolGone(): void {
    this.#spoolFull = false
  }

  // The end of content.

  /** Hands it over, now or when its key is claimed. A failure that is known at once is returned; of later ones the client is told. */
  begin(message: IncomingMessage): Failure | null {
    const verdict = this.#current ? message.verdict() : failures.authenticationRevoked
    if (verdict !== null) return verdict
    this.#session.phase = 'commit'
    this.#spoolFull = false
    const { store } = this.#session.server
    if (message.idempotencyKey === '') return this.#commit(message)
    if (store === null)
      return failures.optionInvalid('X-Posthaste-Idempotency-Key', 'this server keeps no message store')
    void this.#claimFirst(message, store)
    return null
  }

  async #claimFirst(message: IncomingMessage, store: MessageStore): Promise<void> {
    const claim = await this.#claimOf(message, store)
    // The client may have gone meanwhile, and the message with it.
    const waiting = this.#session.message === message
    const current = waiting && this.#current
    if (claim?.kind === 'new' && current) {
      message.claim = claim.claim
      const refusal = this.#commit(message)
      if (refusal === null) return
      store.release(claim.claim)
      return this.#refuse(refusal)
    }
    if (claim?.kind === 'new') store.release(claim.claim)
    if (!waiting) return
    if (!current) this.#refuse(failures.authenticationRevoked)
    else if (claim === null) this.#refuse(failures.storeUnavailable)
    else if (claim.kind === 'same') this.#session.answer(null, claim.id)
    else this.#refuse(failures.idempotencyConflict)
  }

  /** Null: the store cannot answer now. */
  async #claimOf(message: IncomingMessage, store: MessageStore): Promise<Claim | null> {
    try {
      return await store.claim(this.tenant, message.idempotencyKey, message.requestSha256())
    } catch (error) {
      if (error instanceof StoreUnavailable) return null
      throw error
    }
  }

  /** Makes it durable, and `settled` follows; or says why it is not tried: others have used up the quota meanwhile. */
  #commit(message: IncomingMessage): Failure | null {
    const session = this.#session
    const { hostname, clock, quotas } = session.server
    const taken = quotas.take(this.#client, message.recipients.length)
    if (isQuotaRefusal(taken)) return taken.failure
    message.taken = taken
    const protocol = protocolWord(session, message.smtpUtf8)
    const { address } = session.peer
    message.commit({ hostname, hello: session.hello, address, protocol, timeMs: clock.nowMs() })
    return null
  }

  /** The session may be closed by now: what is on disk counts all the same (RFC 1047). */
  settled(failure: Failure | null, message: IncomingMessage): void {
    const session = this.#session
    const { counters, store, quotas } = session.server
    if (message.claim !== null) store?.release(message.claim)
    if (failure !== null) quotas.giveBack(message.taken)
    if (failure === null) {
      counters.messages++
      counters.recipients += message.recipients.length
      counters.contentBytes += message.contentBytes
    } else counters.messagesRefused++
    if (!session.closed) session.answer(failure, message.id)
  }

  #refuse(failure: Failure): void {
    this.#session.server.counters.messagesRefused++
    this.#session.answer(failure, '')
  }
}
