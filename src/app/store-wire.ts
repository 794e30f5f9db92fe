/** What threads that serve clients, or main, and the events thread say to each other, over a port of their own. Structured-cloneable. */
import type { HardBounce, HeldClaim, PackedMessage, TenantUsage } from '../events/events.ts'
import type { Failure } from '../model/failures.ts'
import type { Claim, MessagePage, MessageQuery } from '../ports/message-store.ts'
import type { OutgoingMail } from '../ports/outbox.ts'

export type { HeldClaim }

export type StoreQuestion =
  /** Null: any tenant's, for the operator. */
  | { readonly kind: 'find'; readonly tenant: string | null; readonly id: string; readonly withTries: boolean }
  | { readonly kind: 'list'; readonly tenant: string; readonly query: MessageQuery }
  | { readonly kind: 'claim'; readonly tenant: string; readonly key: string; readonly requestSha256: string }
  /** How much was accepted; null: by whatever credential. */
  | { readonly kind: 'usage'; readonly tenant: string; readonly credential: string | null }

export type ToStore =
  /** The first thing on every port: claims that are held since before this events thread began. */
  | { readonly kind: 'hello'; readonly claims: readonly HeldClaim[] }
  | { readonly kind: 'ask'; readonly ask: number; readonly question: StoreQuestion }
  | { readonly kind: 'release'; readonly claim: number }
  /** Answers `send`: null when it is on disk. */
  | { readonly kind: 'sent'; readonly send: number; readonly failure: Failure | null }
  /** Answers `bounces`: the directory has them, up to this one. */
  | { readonly kind: 'bounces-taken'; readonly through: number }
  /** For the file of what was refused at the door. */
  | { readonly kind: 'refused'; readonly events: readonly Record<string, unknown>[] }

export type StoreAnswer = PackedMessage | MessagePage | Claim | TenantUsage | null

export type FromStore =
  | { readonly kind: 'answer'; readonly ask: number; readonly answer: StoreAnswer }
  | {
      readonly kind: 'refused'
      readonly ask: number
      readonly why: 'bad_cursor' | 'unavailable'
      readonly message: string
    }
  /** To whoever takes mail in: a notice. */
  | { readonly kind: 'send'; readonly send: number; readonly mail: OutgoingMail }
  /** To main, until it has taken them. */
  | { readonly kind: 'bounces'; readonly bounces: readonly HardBounce[] }
