/** What threads that serve clients and the events thread say to each other, over a port of their own. Structured-cloneable. */
import type { HeldClaim } from '../events/events.ts'
import type { Claim, MessagePage, MessageQuery, MessageRecord } from '../ports/message-store.ts'

export type { HeldClaim }

export type StoreQuestion =
  /** Null: any tenant's, for the operator. */
  | { readonly kind: 'find'; readonly tenant: string | null; readonly id: string }
  | { readonly kind: 'list'; readonly tenant: string; readonly query: MessageQuery }
  | { readonly kind: 'claim'; readonly tenant: string; readonly key: string; readonly requestSha256: string }

export type ToStore =
  /** The first thing on every port: claims that are held since before this events thread began. */
  | { readonly kind: 'hello'; readonly claims: readonly HeldClaim[] }
  | { readonly kind: 'ask'; readonly ask: number; readonly question: StoreQuestion }
  | { readonly kind: 'release'; readonly claim: number }

export type StoreAnswer = MessageRecord | MessagePage | Claim | null

export type FromStore =
  | { readonly kind: 'answer'; readonly ask: number; readonly answer: StoreAnswer }
  | {
      readonly kind: 'refused'
      readonly ask: number
      readonly why: 'bad_cursor' | 'unavailable'
      readonly message: string
    }
