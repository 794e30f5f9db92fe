/**
 * The way to a connection: one address of the site after another, until one is ready for mail (RFC 5321 §5.1). TLS that breaks at an
 * opportunistic site costs one more try of the same address in plain text.
 */
import type { Outcome } from '../model/outcome.ts'
import { Candidates, endpoint, type Candidate, type CandidateSources } from './candidates.ts'
import { Connection, type ConnectionOwner, type ConnectionSetting } from './connection.ts'
import { setupMsMax } from './limits.ts'
import { moreTelling, outcomeOfFault } from './outcome.ts'
import type { Transaction } from './transaction.ts'

export interface OpeningOwner {
  readonly connectionOwner: Omit<ConnectionOwner, 'onSetup'>
  /** A connection exists from now on, to be watched until its `onClosed` or `onSettled` says that it is closed. */
  onConnecting(connection: Connection): void
  /** Called once: with a connection that rests, or with the reason why there is none. */
  onOpened(opening: Opening, connection: Connection | null, failure: Outcome | null): void
}

export class Opening {
  readonly transaction: Transaction
  readonly #setting: ConnectionSetting
  readonly #owner: OpeningOwner
  readonly #candidates: Candidates
  readonly #startedMs: number
  #connection: Connection | null = null
  #failure: Outcome | null = null
  #aborted = false
  #over = false

  constructor(transaction: Transaction, setting: ConnectionSetting, sources: CandidateSources, owner: OpeningOwner) {
    this.transaction = transaction
    this.#setting = setting
    this.#owner = owner
    const { site, source } = transaction.grant
    this.#candidates = new Candidates(site, source, sources)
    this.#startedMs = setting.clock.monotonicMs()
  }

  /** Never rejects: Dns does not, and everything else reports to the owner. */
  async tryNext(): Promise<void> {
    const spentMs = this.#setting.clock.monotonicMs() - this.#startedMs
    const candidate = spentMs < setupMsMax.value ? await this.#candidates.next() : null
    if (this.#over) return
    if (candidate !== null) this.#connect(candidate, this.#setting.hosts.tlsBroken.has(this.#hostKey(candidate)))
    else this.#end(null)
  }

  /** Gives up now. */
  abort(): void {
    if (this.#over) return
    this.#aborted = true
    if (this.#connection === null) this.#end(null)
    else this.#connection.abort('stopping')
  }

  #connect(candidate: Candidate, plain: boolean): void {
    const { site, source } = this.transaction.grant
    this.#connection = new Connection(
      this.#setting,
      { site, candidate, source, plain },
      {
        ...this.#owner.connectionOwner,
        onSetup: (connection, failure) => {
          if (failure === null) this.#end(connection)
          else this.#failed(connection, candidate, failure)
        },
      },
    )
    this.#owner.onConnecting(this.#connection)
  }

  #failed(connection: Connection, candidate: Candidate, failure: Outcome): void {
    this.#connection = null
    this.#owner.connectionOwner.onClosed(connection)
    if (this.#aborted) return this.#end(null)
    const { transaction } = this
    transaction.host = candidate.host
    transaction.address = candidate.address
    const { hosts, counters } = this.#setting
    if (connection.tlsBroke && transaction.grant.site.tls === 'opportunistic') {
      hosts.tlsBroken.set(this.#hostKey(candidate), true)
      counters.tlsFallbacks++
      return this.#connect(candidate, true)
    }
    hosts.failing.set(endpoint(candidate.address, transaction.grant.site.port), true)
    this.#failure = moreTelling(this.#failure, failure)
    void this.tryNext()
  }

  #end(connection: Connection | null): void {
    if (this.#over) return
    this.#over = true
    if (connection !== null) return this.#owner.onOpened(this, connection, null)
    this.#owner.onOpened(this, null, this.#aborted ? outcomeOfFault('stopping', 'connect') : this.#reason())
  }

  #reason(): Outcome {
    const unreached = this.#candidates.failure
    if (unreached !== null) return moreTelling(this.#failure, unreached)
    return this.#failure ?? outcomeOfFault('connectTimeout', 'connect', `none in ${setupMsMax.value / 1000} s`)
  }

  #hostKey(candidate: Candidate): string {
    return endpoint(candidate.host, this.transaction.grant.site.port)
  }
}
