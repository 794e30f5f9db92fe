/**
 * What was refused at the door: a file of lines beside the accounting log, best effort. It is rate-limited, so that nobody fills the disk by being refused; what is
 * left out is counted. Nothing of it is written again after a crash.
 */
import type { Timer } from '../../kernel/clock.ts'
import { secondMs } from '../../kernel/units.ts'
import type { AccountingOptions } from './accounting.ts'
import { systemFiles } from './files.ts'
import { refusalBytesMax, refusalCharactersMax, refusalsPerSecondMax } from './limits.ts'
import { noFile } from './file-end.ts'
import { LineFile } from './line-file.ts'
import { isoTime, jsonLine } from './lines.ts'
import { RotatedFiles } from './rotated.ts'

export class RefusalFile {
  readonly #options: AccountingOptions
  readonly #file: LineFile<null>
  readonly #rotated: RotatedFiles
  /** In this second. */
  #lines = 0
  #omitted = 0
  #second: Timer | null = null

  constructor(options: AccountingOptions) {
    this.#options = options
    const shared = { ...options, base: 'refused', files: options.files ?? systemFiles() }
    this.#rotated = new RotatedFiles(shared)
    this.#file = new LineFile(
      {
        ...shared,
        waitingBytesMax: refusalBytesMax.value,
        adopt: true,
        token: () => null,
        save: null,
        onRotated: () => this.#rotated.tidy(),
      },
      { end: noFile, tail: Buffer.alloc(0), upTo: null },
    )
    this.#rotated.tidy()
  }

  /** Texts, numbers and truth values of it; names become snake_case, and what is empty is left out. */
  refused(event: Record<string, unknown>): void {
    this.#second ??= this.#options.clock.after(secondMs, () => this.#nextSecond())
    if (this.#lines >= refusalsPerSecondMax.value || this.#file.crowded) {
      this.#omitted += 1
      return
    }
    this.#lines += 1
    this.#file.add(jsonLine({ v: 1, event: 'refused', time: this.#time(), ...plain(event) }))
  }

  #nextSecond(): void {
    this.#second = null
    this.#lines = 0
    if (this.#omitted === 0) return
    if (this.#file.crowded) {
      this.#second = this.#options.clock.after(secondMs, () => this.#nextSecond())
      return
    }
    this.#sayOmitted()
  }

  #sayOmitted(): void {
    this.#file.add(jsonLine({ v: 1, event: 'refused_omitted', time: this.#time(), count: this.#omitted }))
    this.#omitted = 0
  }

  #time(): string {
    return isoTime(this.#options.clock.nowMs())
  }

  async close(deadlineMs: number): Promise<void> {
    this.#second?.cancel()
    if (this.#omitted > 0 && !this.#file.crowded) this.#sayOmitted()
    this.#rotated.end()
    await this.#file.close(deadlineMs)
  }
}

function plain(event: Record<string, unknown>): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(event)) {
    if (value === '' || !['string', 'number', 'boolean'].includes(typeof value)) continue
    const key = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    fields[key] = typeof value === 'string' ? value.slice(0, refusalCharactersMax.value) : value
  }
  return fields
}
