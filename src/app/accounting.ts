/**
 * The accounting log in the events thread: opened whenever its disk lets us, fed by a reader of its own, and its place in the logs kept with the tally's.
 * Nothing here is waited for.
 */
import type { AccountingConfig } from '../config/compiled.ts'
import { type AccountingFigures, AccountingLog, RefusalFile } from '../events/events.ts'
import type { Clock } from '../kernel/clock.ts'
import { KiB } from '../kernel/units.ts'
import type { LogMarks } from '../model/log-mark.ts'
import type { Disk } from '../ports/disk.ts'
import { Channel, type LogThreadMemory } from '../spool/spool.ts'
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
  readonly #channels: readonly Channel[]
  #lines: AccountingLog | null = null
  #reader: AccountingReader | null = null
  /** From where the logs must be read; null until their ends are known. */
  #from: LogMarks | null = null

  constructor(options: AccountingFeedOptions) {
    this.#options = options
    this.#channels = options.memory.channels.map((memory) => new Channel(memory))
    const { config, clock, onProblem } = options
    const files = {
      directory: config.directory,
      clock,
      rotateBytes: config.rotateBytes,
      rotateMs: config.rotateMs,
      keepMs: config.keepMs,
      keepBytes: config.keepBytes,
      compress: config.compress,
      onProblem,
    }
    this.#refusals = new RefusalFile(files)
    void AccountingLog.open(files).then((lines) => {
      this.#lines = lines
      this.#read()
    })
  }

  /** The logs' ends are known. @param kept what `kept` said in the life before */
  begin(kept: LogMarks): void {
    this.#from = withoutPrefix(kept)
    this.#read()
  }

  /** Once both are there. */
  #read(): void {
    const [lines, from] = [this.#lines, this.#from]
    if (lines === null || from === null) return
    const { config, onRoom } = this.#options
    // Marks of another spool, whose logs went further.
    if (this.#channels.some(({ name, begun, committedTo }) => begun && (lines.marks.get(name) ?? 0) > committedTo))
      lines.startOver()
    this.#reader = new AccountingReader({
      ...this.#options,
      accounting: lines,
      from,
      behindBytesMax: config.behindBytesMax,
    })
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

  /** Nothing of the logs is needed here before these positions. A file that cannot be opened holds back no more than one that cannot be written. */
  get heldFrom(): LogMarks {
    if (this.#reader !== null) return this.#reader.heldFrom
    if (this.#unreadBytes <= this.#options.config.behindBytesMax) return this.#from ?? new Map()
    return new Map(this.#begun.map(({ name, committedTo }) => [name, committedTo]))
  }

  get #begun(): readonly Channel[] {
    return this.#channels.filter((channel) => channel.begun)
  }

  /** Before there is a reader. */
  get #unreadBytes(): number {
    const from = this.#from
    return this.#begun.reduce((sum, { name, committedTo }) => sum + committedTo - (from?.get(name) ?? committedTo), 0)
  }

  /** To be kept for the next life, under names that are nobody else's. */
  get kept(): LogMarks {
    return new Map([...this.heldFrom].map(([log, position]) => [prefix + log, position]))
  }

  figures(): AccountingFeedFigures {
    const figures = this.#lines?.figures() ?? notOpened
    return { ...figures, behindBytes: this.#reader?.behindBytes ?? this.#unreadBytes }
  }

  /** Reads what there is, and has it on disk; or as much as the time allows. */
  async drain(deadlineMs: number): Promise<void> {
    const { clock } = this.#options
    const startMs = clock.monotonicMs()
    while (!this.step() && clock.monotonicMs() < startMs + deadlineMs / 2)
      await new Promise<void>((resolve) => setImmediate(resolve))
    const leftMs = Math.max(100, startMs + deadlineMs - clock.monotonicMs())
    await Promise.all([this.#lines?.close(leftMs), this.#refusals.close(leftMs)])
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
