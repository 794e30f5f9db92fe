/**
 * Port `submissions` on an intake log: transactions, and the pace of commits.
 *
 * A transaction stages up to 64 KiB; what goes beyond is spilled as chunk records, so that 50 MB never sit in memory. Its commit record holds
 * the rest. One flush is in flight at a time, and what gathers meanwhile is the next one.
 */
import { BoundedQueue } from '../kernel/bounded-queue.ts'
import { BufferPool } from '../kernel/buffer-pool.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { uuidV7 } from '../kernel/ids.ts'
import type { Random } from '../kernel/random.ts'
import { type Failure, failures } from '../model/failures.ts'
import { inLog, type SubmissionHead } from '../model/submission.ts'
import type { Submissions, Transaction } from '../ports/submissions.ts'
import { recordTypes } from './layout.ts'
import { commitsWaitingMax, stageBytes } from './limits.ts'
import { type ChunkReference, submissionBytes, writeSubmission } from './records.ts'
import { stageBuffers } from './stage-buffers.ts'
import type { LogWriter } from './writer.ts'

export interface SubmissionLogOptions {
  readonly writer: LogWriter
  /** Which of the intake logs: its submissions have numbers of it. */
  readonly log: number
  readonly clock: Clock
  readonly random: Random
  readonly commitDelayMs: number
  readonly commitBytesMax: number
  /** What a transaction stages before it spills; the simulation makes it small. */
  readonly stageBytesMax?: number
}

interface Waiting {
  readonly end: number
  readonly transaction: StagedTransaction
  readonly settled: (failure: Failure | null) => void
}

export class SubmissionLog implements Submissions {
  readonly #writer: LogWriter
  readonly #clock: Clock
  readonly #random: Random
  readonly #commitDelayMs: number
  readonly #commitBytesMax: number
  readonly stageBytesMax: number
  readonly #stages = new BufferPool(stageBuffers)
  readonly #log: number
  #nextSequence: number
  /** Open transactions that have chunks in the log. */
  readonly #spilled = new Set<StagedTransaction>()
  /** What the owner before had pinned; null once that is over. */
  #inherited: { readonly pinnedFrom: number; readonly until: number } | null
  #fullTenants: ReadonlySet<string> = new Set()
  #queueFull = false
  #open = 0
  #accepting = true
  readonly #waiting = new BoundedQueue<Waiting>(commitsWaitingMax.value)
  /** Transactions that wait for room in the window, with what to do once there is some. */
  #stalled: (() => void)[] = []
  #pace: Timer | null = null
  /** Commits in the open batch, and in the one before it. */
  #gathered = 0
  #gatheredBefore = 0

  constructor(options: SubmissionLogOptions) {
    this.#writer = options.writer
    this.#clock = options.clock
    this.#random = options.random
    this.#log = options.log
    this.#nextSequence = options.writer.channel.nextSequence
    const { pinnedFrom, closedTo } = options.writer.channel
    this.#inherited = { pinnedFrom, until: closedTo }
    this.#commitDelayMs = options.commitDelayMs
    this.#commitBytesMax = options.commitBytesMax
    this.stageBytesMax = options.stageBytesMax ?? stageBytes.value
  }

  get openTransactions(): number {
    return this.#open
  }

  /** Tenants whose share of the disk is full, and whether the queue has no room for anybody: from now on, until the next call. */
  setFull(tenants: ReadonlySet<string>, queueFull: boolean): void {
    this.#fullTenants = tenants
    this.#queueFull = queueFull
  }

  begin(_expectedBytes: number, tenant: string, id?: string): Transaction | Failure {
    if (!this.#accepting) return failures.draining
    const { state } = this.#writer.channel
    if (state === 'broken') return failures.spoolBroken
    if (state === 'full') return failures.spoolFull
    if (this.#queueFull) return failures.spoolBusy
    if (this.#fullTenants.has(tenant)) return failures.tenantShareFull
    if (this.#waiting.size >= commitsWaitingMax.value - this.#open) return failures.spoolBusy
    if (this.#writer.backlogBytes > this.#writer.channel.windowBytes * 0.75) return failures.spoolBusy
    this.#open += 1
    return new StagedTransaction(this, id ?? uuidV7(this.#clock, this.#random))
  }

  /** No new transactions; those that are open may finish. */
  close(): void {
    this.#accepting = false
  }

  /** The log thread has moved: releases what is on disk, lets the stalled go on, and starts the next flush if one is due. */
  poll(): void {
    const { channel } = this.#writer
    if (channel.state === 'broken') return this.#fail()
    this.#dropInherited()
    const committedTo = channel.committedTo
    for (let next = this.#waiting.peek(); next !== undefined && next.end <= committedTo; next = this.#waiting.peek()) {
      this.#waiting.shift()
      if (next.transaction.chunks.length > 0) this.#unpin(next.transaction)
      next.settled(null)
    }
    if (this.#stalled.length > 0 && !this.#crowded()) {
      const stalled = this.#stalled
      this.#stalled = []
      for (const resume of stalled) resume()
    }
    this.#flushIfDue()
  }

  /** Spills a full stage. False when the window is so full of bytes not yet on disk that the source should pause. */
  spill(transaction: StagedTransaction): boolean {
    while (transaction.stagedBytes >= this.stageBytesMax && this.#writer.hasRoomFor(transaction.stagedBytes)) {
      transaction.number ||= this.#takeNumber()
      const bytes = transaction.stagedBytes
      const position = this.#writer.start(recordTypes.chunk, transaction.number, bytes)
      transaction.stage.copy(this.#writer.channel.window, this.#writer.payloadOffset, 0, bytes)
      this.#writer.finish()
      transaction.chunks.push({ position, bytes })
      transaction.stagedBytes = 0
      if (transaction.chunks.length === 1) this.#pin(transaction)
    }
    if (this.#writer.openBatchBytes >= this.#commitBytesMax) this.#flushIfDue()
    if (!this.#crowded()) return true
    this.#flushIfDue()
    this.#stalled.push(() => transaction.onDrain?.())
    return false
  }

  commit(transaction: StagedTransaction, head: SubmissionHead, settled: (failure: Failure | null) => void): void {
    // The log thread says so once, and may have said it already: nobody else would come to tell this client.
    if (this.#writer.channel.state === 'broken') {
      this.abort(transaction)
      return queueMicrotask(() => settled(failures.spoolBroken))
    }
    const payloadBytes = submissionBytes(head, transaction.chunks.length, transaction.stagedBytes)
    if (!this.#writer.hasRoomFor(payloadBytes)) {
      this.#stalled.push(() => this.commit(transaction, head, settled))
      return this.#flushIfDue()
    }
    this.#open -= 1
    transaction.number ||= this.#takeNumber()
    const window = this.#writer.channel.window
    this.#writer.start(recordTypes.submission, transaction.number, payloadBytes)
    const inlineAt = writeSubmission(window, this.#writer.payloadOffset, head, {
      id: transaction.id,
      acceptedAtMs: this.#clock.nowMs(),
      contentBytes: transaction.contentBytes,
      chunks: transaction.chunks,
      inlineBytes: transaction.stagedBytes,
    })
    transaction.stage.copy(window, inlineAt, 0, transaction.stagedBytes)
    this.#writer.finish()
    this.#stages.give(transaction.stage)
    this.#waiting.push({ end: this.#writer.endOfOpenBatch, settled, transaction })
    this.#gathered += 1
    this.#flushIfDue()
  }

  abort(transaction: StagedTransaction): void {
    this.#open -= 1
    this.#stages.give(transaction.stage)
    if (transaction.chunks.length > 0) this.#unpin(transaction)
  }

  #takeNumber(): number {
    const number = inLog(this.#log, this.#nextSequence++)
    this.#writer.channel.setNextSequence(this.#nextSequence)
    return number
  }

  /** A former owner may have closed a commit whose slots say so only once it is on disk and read. */
  #dropInherited(): void {
    if (this.#inherited === null || this.#writer.channel.readTo < this.#inherited.until) return
    this.#inherited = null
    this.#announcePins()
  }

  /** Nobody knows yet that a submission will need these chunks; once it is on disk its slots say so. */
  #pin(transaction: StagedTransaction): void {
    this.#spilled.add(transaction)
    this.#announcePins()
  }

  #unpin(transaction: StagedTransaction): void {
    this.#spilled.delete(transaction)
    this.#announcePins()
  }

  #announcePins(): void {
    let first = this.#inherited?.pinnedFrom ?? Number.POSITIVE_INFINITY
    for (const { chunks } of this.#spilled) first = Math.min(first, (chunks[0] as ChunkReference).position)
    this.#writer.channel.setPinnedFrom(first)
  }

  takeStage(bytes: number): Buffer {
    return this.#stages.take(bytes)
  }

  giveStage(stage: Buffer): void {
    this.#stages.give(stage)
  }

  #crowded(): boolean {
    return this.#writer.backlogBytes > this.#writer.channel.windowBytes / 2
  }

  /**
   * Paces itself: a batch goes at once when nobody is in the middle of content and it has gathered as many commits as the one before, otherwise
   * when its first one has waited `commitDelayMs`. So one busy session never waits, and twenty of them soon share every flush.
   */
  #flushIfDue(): void {
    const { channel, openBatchBytes } = this.#writer
    if (openBatchBytes === 0 || channel.closedTo !== channel.committedTo) return
    const full = this.#gathered >= this.#gatheredBefore && this.#open === 0
    if (full || openBatchBytes >= this.#commitBytesMax) return this.#flush()
    this.#pace ??= this.#clock.after(this.#commitDelayMs, () => {
      this.#pace = null
      if (channel.closedTo === channel.committedTo) this.#flush()
    })
  }

  #flush(): void {
    this.#pace?.cancel()
    this.#pace = null
    this.#gatheredBefore = this.#gathered
    this.#gathered = 0
    this.#writer.closeBatch()
  }

  #fail(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      next.settled(failures.spoolBroken)
    const stalled = this.#stalled
    this.#stalled = []
    for (const resume of stalled) resume()
  }
}

const nothing = Buffer.alloc(0)

class StagedTransaction implements Transaction {
  readonly #log: SubmissionLog
  readonly id: string
  onDrain: (() => void) | null = null
  contentBytes = 0
  stage: Buffer = nothing
  stagedBytes = 0
  /** 0 until something of it is in the log. */
  number = 0
  readonly chunks: ChunkReference[] = []

  constructor(log: SubmissionLog, id: string) {
    this.#log = log
    this.id = id
  }

  append(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start
    if (this.stagedBytes + length > this.stage.length) this.#grow(this.stagedBytes + length)
    bytes.copy(this.stage, this.stagedBytes, start, end)
    this.stagedBytes += length
    this.contentBytes += length
    return this.stagedBytes < this.#log.stageBytesMax || this.#log.spill(this)
  }

  commit(head: SubmissionHead, settled: (failure: Failure | null) => void): void {
    this.#log.commit(this, head, settled)
  }

  abort(): void {
    this.#log.abort(this)
  }

  #grow(bytes: number): void {
    const larger = this.#log.takeStage(bytes)
    this.stage.copy(larger, 0, 0, this.stagedBytes)
    this.#log.giveStage(this.stage)
    this.stage = larger
  }
}
