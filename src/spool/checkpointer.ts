/**
 * Writes the queue down while it goes on, and reclaims what lies behind.
 *
 *   idle ──logs have grown──▶ rows ─▶ flows ─▶ learned ─▶ settling ─▶ ending ─▶ idle: reclaim
 *                              a MiB per step, when the log thread has written the one before
 *
 * `settling`: rows may show outcomes that are not on disk yet. The file gets its end only when they are, or a crash would leave a queue that
 * has forgotten a recipient whose end no log tells.
 */
import type { Clock } from '../kernel/clock.ts'
import { MiB } from '../kernel/units.ts'
import { queueRowBytes } from '../model/queue.ts'
import type { QueueSource } from '../ports/queue.ts'
import {
  type CheckpointHead,
  type CheckpointLog,
  flowEntries,
  jsonParts,
  newHead,
  rangeHeaderBytes,
  type RangeKind,
  rangeKinds,
  sealJson,
  sealRange,
} from './checkpoint.ts'
import type { CheckpointPort } from './checkpoint-files.ts'
import { rangeBytesMax } from './limits.ts'

/** What the checkpointer needs of the logs. */
export interface CheckpointLogs {
  /** Positions now: everything before them is in the queue, and everything after them can be read again. */
  positions(): CheckpointLog[]
  /** Bytes that all logs together have grown by, ever. */
  grownBytes(): number
  /** Is everything on disk that the queue shows? Asked until it is. */
  settled(): boolean
}

export interface CheckpointerOptions {
  readonly port: CheckpointPort
  readonly logs: CheckpointLogs
  readonly source: QueueSource
  readonly clock: Clock
  readonly afterBytes: number
  /** Of files that are there, whole or not. */
  readonly nextNumber: number
  readonly lastBytes: number
  readonly onWritten: (head: CheckpointHead) => void
  readonly onFailed: () => void
}

type Phase = 'idle' | 'rows' | 'flows' | 'learned' | 'settling' | 'ending'

/** What a start reads in a fraction of a second, at 1.5 s per GB. */
const readAgainBytes = 256 * MiB

export class Checkpointer {
  readonly #options: CheckpointerOptions
  #phase: Phase = 'idle'
  #number: number
  #head: CheckpointHead | null = null
  #wanted = false
  #busy = false
  #ranges = 0
  #rows = 0
  #bytes = 0
  #slot = 0
  /** Ranges of the phase that are still to be written. */
  #parts: Iterator<string, undefined> | null = null
  #lastBytes: number
  #grownAtStart = 0

  constructor(options: CheckpointerOptions) {
    this.#options = options
    this.#number = options.nextNumber
    this.#lastBytes = options.lastBytes
  }

  get idle(): boolean {
    return this.#phase === 'idle' && !this.#wanted
  }

  /** One as soon as possible, however little has happened: at a stop in good order. */
  request(): void {
    this.#wanted = true
  }

  /** Called often. Does at most a MiB's worth of work. */
  step(): void {
    const { port } = this.#options
    if (this.#busy) {
      const state = port.take()
      if (state === 'busy') return
      this.#busy = false
      if (state === 'failed') return this.#giveUp()
      if (this.#phase === 'ending') return this.#written()
    }
    switch (this.#phase) {
      case 'idle':
        if (this.#wanted || this.#due) this.#begin()
        return
      case 'rows':
        return this.#writeRows()
      case 'flows':
        if (this.#writePart(rangeKinds.flows)) return
        this.#phase = 'learned'
        this.#parts = jsonParts(this.#options.source.learned())
        return this.step()
      case 'learned':
        if (this.#writePart(rangeKinds.learned)) return
        this.#phase = 'settling'
        return this.step()
      case 'settling':
        if (!this.#options.logs.settled()) return
        this.#phase = 'ending'
        return this.#json(rangeKinds.end, JSON.stringify({ ranges: this.#ranges + 1, rows: this.#rows }))
      case 'ending':
        return
    }
  }

  /**
   * A large queue is not written again for every bit of mail: until the logs have grown by four times its size, or by 256 MiB and at least its own, because
   * a start reads them again. A million recipients are 54 MiB, written for every 216 MiB of mail.
   */
  get #due(): boolean {
    const { afterBytes, logs } = this.#options
    return (
      logs.grownBytes() - this.#grownAtStart >=
      Math.max(afterBytes, this.#lastBytes, Math.min(4 * this.#lastBytes, readAgainBytes))
    )
  }

  #begin(): void {
    const { logs, clock } = this.#options
    this.#wanted = false
    this.#grownAtStart = logs.grownBytes()
    this.#head = newHead(this.#number, clock.nowMs(), logs.positions())
    this.#ranges = this.#rows = this.#bytes = this.#slot = 0
    this.#phase = 'rows'
    this.#json(rangeKinds.head, JSON.stringify(this.#head))
  }

  #writeRows(): void {
    const { source, port } = this.#options
    const { next, bytes } = source.writeRows(
      this.#slot,
      port.buffer.subarray(rangeHeaderBytes, rangeHeaderBytes + rangeBytesMax.value),
    )
    this.#slot = next
    if (next === -1) {
      this.#phase = 'flows'
      // After the rows: what they refer to is among them.
      this.#parts = jsonParts(flowEntries(source.flows()))
    }
    this.#rows += bytes / queueRowBytes
    if (bytes > 0) this.#hand(sealRange(port.buffer, rangeKinds.rows, this.#ranges, bytes, this.#number))
  }

  /** False when there was none left. */
  #writePart(kind: RangeKind): boolean {
    const { done, value } = (this.#parts as Iterator<string, undefined>).next()
    if (done === true) return false
    this.#json(kind, value)
    return true
  }

  #json(kind: RangeKind, json: string): void {
    this.#hand(sealJson(this.#options.port.buffer, kind, this.#ranges, json, this.#number))
  }

  #hand(bytes: number): void {
    this.#options.port.write(this.#number, bytes, this.#ranges === 0, this.#phase === 'ending')
    this.#ranges += 1
    this.#bytes += bytes
    this.#busy = true
  }

  #written(): void {
    const head = this.#head as CheckpointHead
    this.#phase = 'idle'
    this.#lastBytes = this.#bytes
    this.#number += 1
    this.#options.onWritten(head)
  }

  /** The next one has a name of its own; until then the logs are kept. */
  #giveUp(): void {
    this.#phase = 'idle'
    this.#number += 1
    this.#options.onFailed()
  }
}
