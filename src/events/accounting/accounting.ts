/**
 * The accounting log: a line of JSON for everything that happens to a message, in a file for people and shippers. Fed from the logs; what it has on disk it need
 * not be told again, and what it has not it is told again after a start.
 *
 * Always true:
 *   1. Of each log, the lines in the file are those of its records up to some place, each once and in order.
 *   2. `durable` is never ahead of what is on disk.
 *   3. No call waits for the disk.
 */
import { rethrowBug } from '../../kernel/assert.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { LogMark, LogMarks } from '../../model/log-mark.ts'
import type { SubmissionFacts } from '../../model/submission.ts'
import type { AttemptOutcome, MessageHead } from '../message-table.ts'
import { type AccountingFiles, systemFiles } from './files.ts'
import { retryMsMax, stallMsMax, waitingBytesMax } from './limits.ts'
import { LineFile } from './line-file.ts'
import { acceptedLine, outcomeLine } from './lines.ts'
import { resume, type Resumed } from './resume.ts'
import { RotatedFiles } from './rotated.ts'
import { type LineMark, type LineMarks, saveState } from './state.ts'

export interface AccountingOptions {
  readonly directory: string
  readonly clock: Clock
  readonly rotateBytes: number
  readonly rotateMs: number
  readonly keepMs: number
  readonly keepBytes: number
  readonly compress: boolean
  /** Told once when something fails, and once when it works again. */
  readonly onProblem: (text: string) => void
  /** Default: those of the system. */
  readonly files?: AccountingFiles
}

export interface AccountingFigures {
  /** Since the opening. */
  readonly lines: number
  /** On disk, since the opening. */
  readonly bytes: number
  /** Not known to be on disk. */
  readonly waitingBytes: number
  readonly problems: number
  /** '' when there was none. */
  readonly lastErrorText: string
  /** '' when it can be written now. */
  readonly presentProblem: string
}

/** How long `open` waits after its first failure. */
const firstRetryMs = 500

export class AccountingLog {
  readonly #taken: Map<string, LineMark>
  #durable: LineMarks
  readonly #file: LineFile<LineMarks>
  readonly #rotated: RotatedFiles
  #lines = 0

  /** A disk that fails is tried again, however long it takes. */
  static async open(options: AccountingOptions): Promise<AccountingLog> {
    const files = options.files ?? systemFiles()
    let told = false
    const tell = (what: string): void => {
      if (!told) options.onProblem(`the accounting log in ${options.directory} ${what}`)
      told = true
    }
    for (let delayMs = firstRetryMs; ; delayMs = Math.min(retryMsMax.value, delayMs * 2)) {
      const stall = options.clock.after(stallMsMax.value, () => tell('takes long to open: its disk is slow.'))
      try {
        const resumed = await resume(files, options.directory, 'acct')
        await saveState(files, options.directory, resumed)
        if (told) options.onProblem(`the accounting log in ${options.directory} is open now`)
        return new AccountingLog(options, files, resumed)
      } catch (error) {
        rethrowBug(error)
        tell(`cannot be opened: ${(error as Error).message}. It is tried again.`)
      } finally {
        stall.cancel()
      }
      await new Promise<void>((resolve) => void options.clock.after(delayMs, resolve))
    }
  }

  private constructor(options: AccountingOptions, files: AccountingFiles, resumed: Resumed) {
    const { directory, onProblem } = options
    this.#taken = new Map(resumed.marks)
    this.#durable = resumed.marks
    for (const finding of resumed.findings) onProblem(`accounting: ${finding}`)
    this.#rotated = new RotatedFiles({ ...options, base: 'acct', files })
    this.#file = new LineFile(
      {
        ...options,
        base: 'acct',
        files,
        waitingBytesMax: waitingBytesMax.value,
        adopt: false,
        token: () => new Map(this.#taken),
        save: async (end, marks) => {
          await saveState(files, directory, { end, marks })
          this.#durable = marks
        },
        onRotated: () => this.#rotated.tidy(),
      },
      { end: resumed.end, tail: resumed.tail, upTo: resumed.marks },
    )
    this.#file.onRoom = () => this.onRoom?.()
    this.#rotated.tidy()
  }

  /** Called when it is not crowded any more. */
  onRoom: (() => void) | null = null

  /**
   * By log, the last record that was taken. A start goes on with this record, because only some of its lines may be in the file; those that are there are not
   * written again, and records before it are ignored.
   */
  get marks(): LogMarks {
    return new Map([...this.#taken].map(([log, { position }]) => [log, position]))
  }

  /** By log, up to where all lines are on disk, and known to be: no record there or before is ever asked for again. */
  get durable(): LogMarks {
    // Of a record that may not be whole, everything before it.
    return new Map([...this.#durable].map(([log, { position, whole }]) => [log, whole ? position : position - 1]))
  }

  /** No more records until `onRoom`, but for those of the batch at hand: what waits is in memory. */
  get crowded(): boolean {
    return this.#file.crowded
  }

  /** One line per recipient. */
  submission(number: number, head: MessageHead, facts: SubmissionFacts, mark: LogMark): void {
    this.#take(mark, head.recipients.length, (index) => acceptedLine(number, head, facts, mark, index))
  }

  /** One line per recipient of the outcome. */
  outcome(number: number, head: MessageHead, facts: SubmissionFacts, outcome: AttemptOutcome, mark: LogMark): void {
    this.#take(mark, outcome.recipients.length, (index) => outcomeLine(number, head, facts, outcome, mark, index))
  }

  #take({ log, position }: LogMark, lines: number, lineAt: (index: number) => string): void {
    const known = this.#taken.get(log)
    if (known !== undefined && position < known.position) return
    const first = known?.position === position ? known.index + 1 : 0
    // Before its lines are: a batch that has them must say so.
    this.#taken.set(log, { position, index: Math.max(first, lines) - 1, whole: true })
    if (first >= lines) {
      if (known?.whole === false) this.#file.touch()
      return
    }
    let text = ''
    for (let index = first; index < lines; index++) text += lineAt(index)
    this.#lines += lines - first
    this.#file.add(text)
  }

  /** The logs are another spool's than those of the marks, which mean nothing in them: everything is taken, and goes to a new file. Before anything was. */
  startOver(): void {
    this.#taken.clear()
    this.#durable = new Map()
    this.#file.beginAnew(new Map())
  }

  figures(): AccountingFigures {
    const { bytesWritten, waitingBytes, trouble } = this.#file
    const { problems, lastErrorText, present: presentProblem } = trouble
    return { lines: this.#lines, bytes: bytesWritten, waitingBytes, problems, lastErrorText, presentProblem }
  }

  /** Settles when everything is on disk, or it fails, or the time is over; never rejects. */
  async close(deadlineMs: number): Promise<void> {
    this.#rotated.end()
    await this.#file.close(deadlineMs)
  }
}
