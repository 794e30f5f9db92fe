/** One grant on its way: who it is for, what is already known of each recipient, and when things happened. */
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { PreparedMessage } from '../ports/messages.ts'

export class Transaction {
  readonly grant: Grant
  readonly startedAtMs: number
  readonly startedMonotonicMs: number
  /** Null before the message was opened. */
  message: PreparedMessage | null = null
  /** The message on its way from the disk, when that began before its turn. */
  opening: Promise<PreparedMessage> | null = null
  /** Null before the content begins. */
  flow: ContentFlow | null = null
  /** Per recipient; null while it may still be delivered. */
  readonly outcomes: (Outcome | null)[]
  /** Recipients whose outcome is null. */
  pending: number
  /** Whom RCPT names, in its order; null: every recipient. */
  #named: number[] | null = null
  /** It was begun anew on a new connection, which happens at most once. */
  retried = false
  /** The connection ended without a word about this transaction, or with a word that asks for another manner. */
  worthRetrying = false
  reused = false
  /** The receiver offers DSN and is told what the sender asked. */
  dsnPassedOn = false
  host = ''
  address = ''
  source = ''
  tls = ''
  /** Milliseconds since it started; −1 not reached. */
  connectedMs = -1
  envelopeMs = -1

  constructor(grant: Grant, startedAtMs: number, startedMonotonicMs: number) {
    this.grant = grant
    this.startedAtMs = startedAtMs
    this.startedMonotonicMs = startedMonotonicMs
    this.pending = grant.recipients.length
    this.outcomes = []
    for (let i = 0; i < this.pending; i++) this.outcomes.push(null)
  }

  /** The same grant from the beginning, for its one retry. */
  again(): Transaction {
    const next = new Transaction(this.grant, this.startedAtMs, this.startedMonotonicMs)
    next.retried = true
    return next
  }

  /** How many RCPT there are. */
  get namedCount(): number {
    return this.#named === null ? this.outcomes.length : this.#named.length
  }

  /** Which recipient the RCPT is for; −1 beyond the last. */
  named(rcpt: number): number {
    if (this.#named === null) return rcpt < this.outcomes.length ? rcpt : -1
    return this.#named[rcpt] ?? -1
  }

  /** Before anything is sent: gives the recipient its outcome, and RCPT never names it. */
  leaveOut(recipient: number, outcome: Outcome): void {
    this.settle(recipient, outcome)
    this.#named = []
    for (let i = 0; i < this.outcomes.length; i++) if (this.outcomes[i] === null) this.#named.push(i)
  }

  settle(recipient: number, outcome: Outcome): void {
    if (this.outcomes[recipient] !== null) return
    this.outcomes[recipient] = outcome
    this.pending--
  }

  /** Gives everybody an outcome who has none. */
  settlePending(outcome: Outcome): void {
    if (this.pending === 0) return
    for (let i = 0; i < this.outcomes.length; i++) this.outcomes[i] ??= outcome
    this.pending = 0
  }

  /** Takes the outcomes back: the replies were not in step with the commands, so nobody knows whom they were meant for. */
  unsettle(): void {
    const { namedCount } = this
    for (let i = 0; i < namedCount; i++) this.outcomes[this.named(i)] = null
    this.pending = namedCount
  }

  report(nowMonotonicMs: number): DeliveryReport {
    const attempt: Attempt = {
      startedAtMs: this.startedAtMs,
      host: this.host,
      address: this.address,
      source: this.source,
      tls: this.tls,
      reusedConnection: this.reused,
      connectedMs: this.connectedMs,
      envelopeMs: this.envelopeMs,
      finishedMs: nowMonotonicMs - this.startedMonotonicMs,
    }
    return {
      grant: this.grant,
      // `pending` is 0, so there is no null left.
      outcomes: this.outcomes as Outcome[],
      attempt: this.dsnPassedOn ? { ...attempt, dsnPassedOn: true } : attempt,
    }
  }
}

/** Where the content stands between reading and writing: one block, written in parts. */
export class ContentFlow {
  /** The next block is being read. */
  reading = false
  #block: Buffer = nothing
  #written = 0
  /** The last two bytes. Empty content ends a line, because DATA's own line end stands before it. */
  #lastTwo = CRLF

  /** Everything that was read is written. */
  get exhausted(): boolean {
    return this.#written === this.#block.length
  }

  get endsLine(): boolean {
    return this.#lastTwo === CRLF
  }

  add(block: Buffer): void {
    this.#block = block
    this.#written = 0
    const { length } = block
    if (length === 0) return
    const before = length > 1 ? (block[length - 2] as number) : this.#lastTwo & 0xff
    this.#lastTwo = (before << 8) | (block[length - 1] as number)
  }

  nextPart(bytesMax: number): Buffer {
    const start = this.#written
    const end = Math.min(this.#block.length, start + bytesMax)
    this.#written = end
    return start === 0 && end === this.#block.length ? this.#block : this.#block.subarray(start, end)
  }
}

const CRLF = 0x0d0a
const nothing: Buffer = Buffer.alloc(0)
