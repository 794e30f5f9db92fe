/**
 * Feeds the accounting log, at the pace of its disk: a reader of its own, so that nobody waits when that disk is slow, and what it cannot take yet stays in
 * the logs. It is asked last, when the others have read what there is.
 */
import type { AccountingLog } from '../events/events.ts'
import { formatBytes } from '../kernel/units.ts'
import type { LogMark, LogMarks } from '../model/log-mark.ts'
import type { Disk } from '../ports/disk.ts'
import { type LogThreadMemory, SpoolFollower } from '../spool/spool.ts'
import type { Heads } from './heads.ts'

export interface AccountingReaderOptions {
  readonly accounting: AccountingLog
  readonly disk: Disk
  readonly memory: LogThreadMemory
  readonly heads: Heads
  /** From where the logs must be read. */
  readonly from: LogMarks
  /** What the logs may hold back for it. */
  readonly behindBytesMax: number
  readonly onProblem: (text: string) => void
  readonly take: (number: number, act: () => void) => void
}

/** Before which positions all is in the file once these marks are. */
interface Passed {
  readonly positions: LogMarks
  readonly marks: LogMarks
}

export class AccountingReader {
  readonly #options: AccountingReaderOptions
  readonly #follower: SpoolFollower
  readonly #marks: Map<string, number>
  #passed: Passed | null = null
  #heldFrom: LogMarks

  constructor(options: AccountingReaderOptions) {
    this.#options = options
    this.#marks = new Map(options.accounting.marks)
    this.#follower = this.#follow(options.from)
    this.#heldFrom = this.#follower.positions
  }

  #follow(from: LogMarks): SpoolFollower {
    const { accounting, disk, memory, heads, take } = this.#options
    return new SpoolFollower({
      disk,
      memory,
      from,
      known: (number) => heads.kept(number),
      onSubmission: (number, head, facts, mark) =>
        take(number, () => {
          accounting.submission(number, head, facts, mark)
          this.#note(mark)
        }),
      onOutcome: (number, outcome, mark) =>
        take(number, () => {
          const known = heads.of(number, outcome.place)
          if (known !== null) accounting.outcome(number, known.head, known.facts, outcome, mark)
          this.#note(mark)
        }),
    })
  }

  #note({ log, position }: LogMark): void {
    if (position > (this.#marks.get(log) ?? 0)) this.#marks.set(log, position)
  }

  get behindBytes(): number {
    return this.#follower.behindBytes
  }

  /** Reads about so many bytes, unless the file has enough to do. True when there is nothing more to read now. */
  step(bytesMax: number): boolean {
    const { accounting } = this.#options
    if (accounting.crowded) {
      if (this.#follower.behindBytes > this.#options.behindBytesMax) this.#giveUp()
      return true
    }
    this.#follower.aim()
    const done = this.#follower.step(bytesMax)
    this.#passed ??= { positions: this.#follower.positions, marks: new Map(this.#marks) }
    return done
  }

  /** Nothing of the logs is needed here before these positions, should this thread begin anew. */
  get heldFrom(): LogMarks {
    const { durable } = this.#options.accounting
    const passed = this.#passed
    if (passed === null) return this.#heldFrom
    for (const [log, position] of passed.marks) if ((durable.get(log) ?? 0) < position) return this.#heldFrom
    this.#passed = null
    return (this.#heldFrom = passed.positions)
  }

  /** The disk under the file has been stuck for so long that the spool would fill with what it was to be told. */
  #giveUp(): void {
    const bytes = this.#follower.behindBytes
    this.#options.onProblem(
      `The accounting log cannot be written, and ${formatBytes(bytes)} of the logs wait for it: what is in them is left out, so that mail goes on.`,
    )
    this.#follower.skip()
    this.#passed = null
    this.#heldFrom = this.#follower.positions
  }

  close(): void {
    this.#follower.close()
  }
}
