/**
 * Feeds the accounting log, at the pace of its disk: a reader of its own, so that nobody waits when that disk is slow or not there, and what it cannot take yet
 * stays in the logs. It is asked last, when the others have read what there is.
 *
 *   logs ─▶ follower ─▶ lines ─▶ durable        the logs are held from where the last lines begin that are not known to be on disk
 */
import type { AccountingLog } from '../events/events.ts'
import { formatBytes } from '../kernel/units.ts'
import type { LogMark, LogMarks } from '../model/log-mark.ts'
import type { Disk } from '../ports/disk.ts'
import { type LogThreadMemory, SpoolFollower } from '../spool/spool.ts'
import type { Heads } from './heads.ts'

export type AccountingLines = Pick<AccountingLog, 'submission' | 'outcome' | 'durable' | 'crowded'>

export interface AccountingReaderOptions {
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
  /** By log, the last record that was handed over in this life: of others it cannot be said that the file will ever have them. */
  readonly #marks = new Map<string, number>()
  /** Null until it is open. */
  #lines: AccountingLines | null = null
  #passed: Passed | null = null
  #heldFrom: LogMarks

  constructor(options: AccountingReaderOptions) {
    this.#options = options
    const { disk, memory, heads, from, take } = options
    this.#follower = new SpoolFollower({
      disk,
      memory,
      from,
      known: (number) => heads.kept(number),
      onSubmission: (number, head, facts, mark) =>
        take(number, () => {
          this.#lines?.submission(number, head, facts, mark)
          this.#note(mark)
        }),
      onOutcome: (number, outcome, mark) =>
        take(number, () => {
          const known = heads.of(number, outcome.place)
          if (known === null) return
          this.#lines?.outcome(number, known.head, known.facts, outcome, mark)
          this.#note(mark)
          heads.taken(number, outcome)
        }),
    })
    this.#heldFrom = this.#follower.positions
  }

  /** From now on it can be fed. */
  feed(lines: AccountingLines): void {
    this.#lines = lines
  }

  #note({ log, position }: LogMark): void {
    if (position > (this.#marks.get(log) ?? 0)) this.#marks.set(log, position)
  }

  get behindBytes(): number {
    return this.#follower.behindBytes
  }

  /** Reads about so many bytes, unless the file has enough to do. True when there is nothing more to read now. */
  step(bytesMax: number): boolean {
    if (this.#lines?.crowded !== false) {
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
    const passed = this.#passed
    if (passed === null || this.#lines === null) return this.#heldFrom
    const { durable } = this.#lines
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
