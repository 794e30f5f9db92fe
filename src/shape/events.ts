/** What the scheduler is told, and what it says is to be done. */
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import type { SettledRecipient } from './verdict.ts'

/** One recipient that enters the queue. */
export interface Admission {
  readonly number: number
  readonly place: number
  readonly span: number
  readonly bytes: number
  readonly recipient: number
  readonly domain: string
  readonly tenant: string
  readonly acceptedAtMs: number
  readonly attempts: number
  /** 0: now. */
  readonly nextAttemptAtMs: number
  /** 0: as the configuration says. */
  readonly lifeS: number
  readonly mayBeDuplicate: boolean
  /** Why nothing may go there; absent for nearly all. */
  readonly refusal?: Outcome
}

export type RouteAnswer = { readonly site: Site; readonly validForMs: number } | { readonly failure: Outcome }

export type ShapeEvent =
  /** `more`: others of the same submission follow at once, and those of one site should share transactions. */
  | { readonly kind: 'admit'; readonly admission: Admission; readonly more?: boolean }
  | { readonly kind: 'routed'; readonly domain: string; readonly answer: RouteAnswer }
  | { readonly kind: 'report'; readonly report: DeliveryReport }
  /** Whoever had this grant is gone, and nobody knows how far it came. It counts as no attempt. */
  | { readonly kind: 'lost'; readonly grant: Grant }
  /** The connection that carries `grant` can take one more behind it, in the same write: at most one grant action answers. */
  | { readonly kind: 'ahead'; readonly grant: Grant }
  /** True: grant nothing more, because the outcome log is behind or the process is going down. */
  | { readonly kind: 'hold'; readonly hold: boolean }
  | { readonly kind: 'tick' }

export type ShapeAction =
  | { readonly kind: 'route'; readonly domain: string }
  | { readonly kind: 'grant'; readonly grant: Grant }
  | {
      readonly kind: 'settle'
      readonly number: number
      readonly place: number
      readonly attempt: Attempt
      readonly recipients: readonly SettledRecipient[]
    }

/** What one event causes, in order: every part of the scheduler adds to it, and the scheduler hands it out. */
export class Actions {
  #list: ShapeAction[] = []

  push(action: ShapeAction): void {
    this.#list.push(action)
  }

  take(): readonly ShapeAction[] {
    const list = this.#list
    if (list.length > 0) this.#list = []
    return list
  }
}
