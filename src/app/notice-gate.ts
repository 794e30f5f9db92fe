/**
 * When notices may go out: as soon as everything was read that whoever took them in before may have put on disk. A notice that is there is found, and not sent
 * a second time; that holds for a start, for another events thread, and when an intake thread has died over one.
 */
import type { LogMarks } from '../model/log-mark.ts'
import { Channel, intakeLogName, type LogThreadMemory } from '../spool/spool.ts'

export class NoticeGate {
  readonly #memory: LogThreadMemory
  /** By name of the log, what must be read first. */
  readonly #until = new Map<string, number>()
  /** All that was on disk at the beginning was read, also in logs that nobody fills any more. */
  #reached = false

  constructor(memory: LogThreadMemory) {
    this.#memory = memory
  }

  /** Once the logs' ends are known: whoever filled them may have handed over what nobody heard of. */
  begin(): void {
    for (let log = 0; log < this.#memory.intakeLogs; log++) this.died(log)
  }

  /** Whoever filled this log; what it had closed may still come to the disk. */
  died(log: number): void {
    const name = intakeLogName(log)
    const memory = this.#memory.channels.find((channel) => channel.name === name)
    if (memory !== undefined) this.#until.set(name, new Channel(memory).closedTo)
  }

  /** Everything was read that was on disk at some moment since the beginning. */
  reached(): void {
    this.#reached = true
  }

  /** @param read what the tally has read */
  isOpen(read: LogMarks): boolean {
    for (const [log, until] of this.#until) if ((read.get(log) ?? 0) >= until) this.#until.delete(log)
    return this.#reached && this.#until.size === 0
  }
}
