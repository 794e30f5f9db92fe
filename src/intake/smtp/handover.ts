/**
 * The end of content: who may still hand this over, and was it handed over before? A message with an idempotency key is claimed in the message
 * store first; until the store has answered, the session waits as it does for a commit.
 */
import { type Failure, failures } from '../../model/failures.ts'
import { type Claim, type MessageStore, StoreUnavailable } from '../../ports/message-store.ts'
import type { IncomingMessage } from './message.ts'
import type { Session } from './session.ts'

/** Commits the message, now or when its key is claimed; its verdict was null. A failure that is known at once is returned; of later ones the session hears. */
export function handOver(session: Session, message: IncomingMessage): Failure | null {
  const { store } = session.server
  if (message.idempotencyKey === '') return session.commit(message)
  if (store === null) return failures.optionInvalid('X-Posthaste-Idempotency-Key', 'this server keeps no message store')
  void claimFirst(session, message, store)
  return null
}

async function claimFirst(session: Session, message: IncomingMessage, store: MessageStore): Promise<void> {
  const claim = await claimOf(session, message, store)
  // The client may have gone meanwhile, and the message with it.
  const waiting = session.message === message
  const current = waiting && session.current
  if (claim?.kind === 'new' && current) {
    message.claim = claim.claim
    const refusal = session.commit(message)
    if (refusal === null) return
    store.release(claim.claim)
    return session.refused(refusal)
  }
  if (claim?.kind === 'new') store.release(claim.claim)
  if (!waiting) return
  if (!current) session.refused(failures.authenticationRevoked)
  else if (claim === null) session.refused(failures.storeUnavailable)
  else if (claim.kind === 'same') session.repeated(claim.id)
  else session.refused(failures.idempotencyConflict)
}

/** Null: the store cannot answer now. */
async function claimOf(session: Session, message: IncomingMessage, store: MessageStore): Promise<Claim | null> {
  try {
    return await store.claim(session.tenant, message.idempotencyKey, message.requestSha256())
  } catch (error) {
    if (error instanceof StoreUnavailable) return null
    throw error
  }
}
