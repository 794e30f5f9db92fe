/** What a change has at hand, and what refuses it. */
import { PosthasteError } from '../../kernel/errors.ts'
import type { Limit } from '../../kernel/limits.ts'
import type { Random } from '../../kernel/random.ts'
import type { DirectoryTransaction } from './schema.ts'

/** One transaction. Whatever a change touches belongs to `tenantId`. */
export interface Change {
  readonly trx: DirectoryTransaction
  readonly tenantId: string
  readonly nowMs: number
  readonly random: Random
  newId(): string
}

/** `what` is a noun: "key". An id of another tenant is unknown too, so that ids tell nothing. */
export function unknown(what: string, id: string): PosthasteError {
  return new PosthasteError(
    `${what}_unknown`,
    `this tenant has no ${what} ${JSON.stringify(id.slice(0, 60))}`,
    `List its ${what}s for their ids.`,
  )
}

export function taken(what: string, message: string, cure: string): PosthasteError {
  return new PosthasteError(`${what}_taken`, message, cure)
}

/** Refuses one more when there are as many as the limit allows. */
export function refuseBeyond(bound: Limit, what: string, count: number, cure: string): void {
  if (count < bound.value) return
  throw new PosthasteError(`${what}_too_many`, `there are ${count} ${bound.unit}, and no more can be`, cure)
}
