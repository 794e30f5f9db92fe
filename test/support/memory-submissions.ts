/** A spool in memory, for tests of intake: what was committed, what is open, and failures and delays to order. */
import type { Failure } from '../../src/model/failures.ts'
import type { SubmissionHead } from '../../src/model/submission.ts'
import type { Submissions, Transaction } from '../../src/ports/submissions.ts'

export interface MemorySubmission {
  readonly id: string
  readonly head: SubmissionHead
  readonly content: Buffer
}

export class MemorySubmissions implements Submissions {
  readonly committed: MemorySubmission[] = []
  readonly expectedBytes: number[] = []
  open = 0
  aborted = 0
  /** Largest content held for one open transaction. */
  contentBytesPeak = 0
  /** Largest piece that one call of `append` brought. */
  appendBytesPeak = 0
  beginFailure: Failure | null = null
  commitFailure: Failure | null = null
  /** True: commits wait for `settle()`. */
  holdCommits = false
  /** `append` answers false until `drain()`. */
  full = false
  /** False: bytes are counted and forgotten. */
  keep = true
  #held: (() => void)[] = []
  #waiting = new Set<MemoryTransaction>()
  #count = 0

  begin(expectedBytes: number): Transaction | Failure {
    if (this.beginFailure !== null) return this.beginFailure
    this.expectedBytes.push(expectedBytes)
    this.open++
    return new MemoryTransaction(this, `00000000-0000-7000-8000-${String(++this.#count).padStart(12, '0')}`)
  }

  get heldCommits(): number {
    return this.#held.length
  }

  settle(): void {
    for (const settle of this.#held.splice(0)) settle()
  }

  drain(): void {
    this.full = false
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const transaction of waiting) transaction.onDrain?.()
  }

  wait(transaction: MemoryTransaction): void {
    this.#waiting.add(transaction)
  }

  commit(submission: MemorySubmission, settled: (failure: Failure | null) => void): void {
    this.open--
    const settle = (): void => {
      if (this.commitFailure === null) this.committed.push(submission)
      settled(this.commitFailure)
    }
    if (this.holdCommits) this.#held.push(settle)
    else setImmediate(settle)
  }
}

class MemoryTransaction implements Transaction {
  readonly id: string
  onDrain: (() => void) | null = null
  contentBytes = 0
  readonly #owner: MemorySubmissions
  readonly #chunks: Buffer[] = []
  #over = false

  constructor(owner: MemorySubmissions, id: string) {
    this.#owner = owner
    this.id = id
  }

  append(bytes: Buffer, start: number, end: number): boolean {
    this.#mustBeOpen()
    this.contentBytes += end - start
    this.#owner.appendBytesPeak = Math.max(this.#owner.appendBytesPeak, end - start)
    this.#owner.contentBytesPeak = Math.max(this.#owner.contentBytesPeak, this.contentBytes)
    if (this.#owner.keep) this.#chunks.push(Buffer.from(bytes.subarray(start, end)))
    if (this.#owner.full) this.#owner.wait(this)
    return !this.#owner.full
  }

  commit(head: SubmissionHead, settled: (failure: Failure | null) => void): void {
    this.#mustBeOpen()
    this.#over = true
    this.#owner.commit({ id: this.id, head, content: Buffer.concat(this.#chunks) }, settled)
  }

  abort(): void {
    this.#mustBeOpen()
    this.#over = true
    this.#owner.open--
    this.#owner.aborted++
  }

  #mustBeOpen(): void {
    if (this.#over) throw new Error('the transaction is over')
  }
}
