/**
 * How long a client is waited for: a whole command must come in time (RFC 5321 §4.5.3.2.7), content at the rate that the operator asks for. What we need
 * ourselves, for a commit or a handshake, is not counted against it.
 */
import { secondMs } from '../../kernel/units.ts'
import type { Mortal } from './deadlines.ts'
import type { Session } from './session.ts'

export class Pace implements Mortal {
  dueMs: number
  readonly #session: Session
  /** Something came since `dueMs` was set for which it is set again. */
  #progress = false
  /** Octets of content since then. */
  #contentBytes = 0

  constructor(session: Session) {
    this.#session = session
    this.dueMs = this.#idleFromNowMs()
    session.server.deadlines.add(this)
  }

  /** A whole command came, or something of that weight happened. */
  progress(): void {
    this.#progress = true
  }

  contentBegins(): void {
    this.#contentBytes = 0
  }

  content(bytes: number): void {
    this.#contentBytes += bytes
  }

  /** Once for each event, so that the clock is not asked for every command. */
  afterEvent(): void {
    if (this.#progress) this.dueMs = this.#idleFromNowMs()
    this.#progress = false
  }

  onDue(): void {
    const { phase, waitsForUs, server } = this.#session
    const { contentBytesPerSecondMin, idleMsMax } = server.config
    const content = phase === 'data' || phase === 'chunk'
    const enough = content && this.#contentBytes * secondMs >= contentBytesPerSecondMin * idleMsMax
    if (!waitsForUs && !(enough && this.#contentBytes > 0)) return this.#session.timeOut()
    this.#contentBytes = 0
    this.dueMs = this.#idleFromNowMs()
  }

  end(): void {
    this.#session.server.deadlines.delete(this)
  }

  #idleFromNowMs(): number {
    const { clock, config } = this.#session.server
    return clock.monotonicMs() + config.idleMsMax
  }
}
