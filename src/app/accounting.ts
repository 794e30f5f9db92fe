/**
 * The accounting log in the events thread: opened whenever its disk lets us, fed by a reader of its own, and its place in the logs kept with the tally's.
 * Nothing here is waited for.
 */
import type { AccountingConfig } from '../config/compiled.ts'
import { type AccountingFigures, AccountingLog, RefusalFile, systemFiles } from '../events/events.ts'
import type { Clock } from '../kernel/clock.ts'
import { KiB } from '../kernel/units.ts'
import type { LogMarks } from '../model/log-mark.ts'
import type { Disk } from '../ports/disk.ts'
import { isOfOtherSpool, logEnds, type LogThreadMemory } from '../spool/spool.ts'
import { AccountingReader } from './accounting-reader.ts'
import type { Heads } from './heads.ts'

export interface AccountingFeedOptions {
  readonly config: AccountingConfig
  readonly disk: Disk
  readonly memory: LogThreadMemory
  readonly heads: Heads
  readonly clock: Clock
  readonly onProblem: (text: string) => void
  /** It takes more. */
  readonly onRoom: () => void
  readonly take: (number: number, act: () => void) => void
}

export interface AccountingFeedFigures extends AccountingFigures {
  /** On disk in the logs, and not read yet. */
  readonly behindBytes: number
}

/** Lines take longer than rows: whoever asks the thread something waits for no more than these. */
const stepBytes = 64 * KiB
const notOpened: AccountingFigures = {
  lines: 0,
  bytes: 0,
  waitingBytes: 0,
  problems: 0,
  lastErrorText: '',
  presentProblem: 'it is not open yet',
}

export class Accounting {
  readonly #options: AccountingFeedOptions
  readonly #refusals: RefusalFile
  #lines: AccountingLog | null = null
  /** Null until the logs' ends are known. */
  #reader: AccountingReader | null = null
  /** Where the logs ended then: no line in the file can be of a record behind that, unless it is another spool's. */
  #ends: LogMarks = new Map()

  constructor(options: AccountingFeedOptions) {
    this.#options = options
    const { config, clock, onProblem } = options
    const shared = {
      directory: config.directory,
      clock,
      rotateBytes: config.rotateBytes,
      rotateMs: config.rotateMs,
      keepMs: config.keepMs,
      keepBytes: config.keepBytes,
      compress: config.compress,
      onProblem,
      files: systemFiles(),
    }
    this.#refusals = new RefusalFile(shared)
    void AccountingLog.open(shared).then((lines) => {
      this.#lines = lines
      this.#feed()
    })
  }

  /** The logs' ends are known. @param kept what `kept` said in the life before */
  begin(kept: LogMarks): void {
    const { memory, config } = this.#options
    this.#ends = logEnds(memory)
    const before = withoutPrefix(kept)
    const from = isOfOtherSpool(before, this.#ends) ? new Map<string, number>() : before
    this.#reader = new AccountingReader({ ...this.#options, from, behindBytesMax: config.behindBytesMax })
    this.#feed()
  }

  /** Once both are there. */
  #feed(): void {
    const [lines, reader] = [this.#lines, this.#reader]
    if (lines === null || reader === null) return
    const { onRoom } = this.#options
    if (isOfOtherSpool(lines.marks, this.#ends)) lines.startOver()
    reader.feed(lines)
    lines.onRoom = onRoom
    onRoom()
  }

  /** True when there is nothing to do now. */
  step(): boolean {
    return this.#reader?.step(stepBytes) ?? true
  }

  refused(events: readonly Record<string, unknown>[]): void {
    for (const event of events) this.#refusals.refused(event)
  }

  /** Nothing of the logs is needed here before these positions. */
  get heldFrom(): LogMarks {
    return this.#reader?.heldFrom ?? new Map()
  }

  /** To be kept for the next life, under names that are nobody else's. */
  get kept(): LogMarks {
    return new Map([...this.heldFrom].map(([log, position]) => [prefix + log, position]))
  }

  figures(): AccountingFeedFigures {
    const figures = this.#lines?.figures() ?? notOpened
    return { ...figures, behindBytes: this.#reader?.behindBytes ?? 0 }
  }

  /** Reads what there is, and has it on disk; or as much as the time allows. */
  async drain(deadlineMs: number): Promise<void> {
    const { clock } = this.#options
    const startMs = clock.monotonicMs()
    while (!this.step() && clock.monotonicMs() < startMs + deadlineMs / 2)
      await new Promise<void>((resolve) => setImmediate(resolve))
    const leftMs = Math.max(100, startMs + deadlineMs - clock.monotonicMs())
    await Promise.all([this.#lines?.close(leftMs), this.#refusals.close(leftMs)])
    this.#reader?.close()
  }
}

const prefix = 'accounting '

/** Out of all that was kept. */
const withoutPrefix = (kept: LogMarks): LogMarks =>
  new Map(
    [...kept].flatMap(([name, position]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), position] as const] : [],
    ),
  )
