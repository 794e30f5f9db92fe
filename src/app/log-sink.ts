/**
 * Where log lines go: standard error, which may be a file on a full disk, a pipe that nobody reads, or gone. Nobody waits for it, and nothing that
 * goes wrong with it ends the engine or holds it up. Lines that cannot be written are left out, and counted in a line of its own once one can be.
 *
 *   [ chunk: is being written ][ waiting ]      whole lines, both
 */
import { write, writeSync } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import { logBytesMax } from './limits.ts'

/** Until a pipe is tried again whose reader is slow. */
const busyPauseMs = 100
const lf = 0x0a
const newLine = Buffer.from('\n')

/** As node:fs has it; tests have another. */
export type Write = (
  descriptor: number,
  bytes: Buffer,
  offset: number,
  length: number,
  position: null,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void

export class LogSink {
  readonly #descriptor: number
  readonly #clock: Clock
  readonly #write: Write
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #chunk = Buffer.alloc(0)
  #written = 0
  #state: 'idle' | 'writing' | 'pausing' = 'idle'
  /** Lines that were left out, and how many of them the chunk tells of. */
  #omitted = 0
  #told = 0
  /** What was written last is not a whole line. */
  #torn = false

  constructor(descriptor: number, clock: Clock, how: Write = write) {
    this.#descriptor = descriptor
    this.#clock = clock
    this.#write = how
  }

  /** One line, with its end. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.#waitingBytes + bytes.length > logBytesMax.value) {
      this.#omitted++
      return
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (this.#state === 'idle') this.#next()
  }

  /** For the end of the process: writes what waits, as far as it can be written at once. What is being written ends by itself before that. */
  end(): void {
    const rest = this.#state === 'pausing' ? this.#chunk.subarray(this.#written) : Buffer.alloc(0)
    this.#gather()
    const bytes = Buffer.concat([rest, this.#chunk])
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at)
    } catch {
      // There is nobody left to tell.
    }
  }

  #next(): void {
    this.#state = 'idle'
    if (this.#waiting.length === 0) return
    this.#gather()
    this.#send()
  }

  #gather(): void {
    this.#told = this.#omitted
    const first = this.#torn ? [newLine] : []
    this.#chunk = Buffer.concat([...first, Buffer.from(this.#omission()), ...this.#waiting])
    this.#written = 0
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #omission(): string {
    if (this.#told === 0) return ''
    const time = new Date(this.#clock.nowMs()).toISOString()
    return `${JSON.stringify({ level: 'warn', time, lines: this.#told, msg: 'log lines could not be written' })}\n`
  }

  #send(): void {
    this.#state = 'writing'
    const { length } = this.#chunk
    this.#write(this.#descriptor, this.#chunk, this.#written, length - this.#written, null, (error, written) => {
      if (error === null) return this.#sent(written)
      if (error.code !== 'EAGAIN') return this.#failed()
      this.#state = 'pausing'
      this.#clock.after(busyPauseMs, () => this.#send())
    })
  }

  #sent(written: number): void {
    this.#written += written
    if (this.#written < this.#chunk.length) return this.#send()
    this.#omitted -= this.#told
    this.#torn = false
    this.#next()
  }

  /** The next line tries again. */
  #failed(): void {
    if (this.#written > 0) this.#torn = this.#chunk[this.#written - 1] !== lf
    for (let at = this.#chunk.indexOf(lf, this.#written); at >= 0; at = this.#chunk.indexOf(lf, at + 1)) this.#omitted++
    // The line that tells of those before is none of them.
    if (this.#told > 0 && this.#written === 0) this.#omitted--
    this.#next()
  }
}
