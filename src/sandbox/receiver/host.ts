/** What the sessions of one receiver share, and what they hand over. */
import type { SecureContext } from 'node:tls'
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import type { PlayedRule, PlayedScript } from './behaviour.ts'
import type { Content } from './content.ts'
import type { Session } from './session.ts'

export interface SessionHost {
  readonly played: PlayedScript
  readonly clock: Clock
  readonly random: Random
  readonly secureContext: SecureContext | null
  readonly keepsContent: boolean
  readonly counters: Counters
  /** Takes over a complete message; a promise delays the reply. */
  take(session: Session, transaction: Transaction, content: Content, replyLost: boolean): void | Promise<void>
  closed(session: Session): void
}

export interface Counters {
  connections: number
  connectionsOpen: number
  /** Handshakes completed, and those of them that resumed an earlier session. */
  tls: number
  tlsResumed: number
  /** Messages taken, their recipients and content bytes. */
  messages: number
  recipients: number
  contentBytes: number
  /** 4xx and 5xx answers to whatever command or content. */
  refused: number
  /** Connections that the script ended or silenced. */
  dropped: number
}

export interface Transaction {
  readonly from: string
  readonly to: string[]
  readonly mailParameters: readonly string[]
  /** Of each in `to`. */
  readonly rcptParameters: (readonly string[])[]
  readonly mailMs: number
  contentMs: number
  /** That of the first accepted recipient; else of the first refused one. */
  rule: PlayedRule | null
  /** Content comes in BDAT chunks. */
  counted: boolean
}
