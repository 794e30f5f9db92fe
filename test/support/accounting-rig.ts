/** An accounting log on a disk in memory, with a clock that obeys. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { AccountingLog, type AccountingOptions } from '../../src/events/events.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { dayMs, GiB, MiB } from '../../src/kernel/units.ts'
import type { OutcomeKind } from '../../src/model/outcome.ts'
import { noFacts } from '../../src/model/submission.ts'
import { AccountingDisk } from './accounting-disk.ts'
import { firstNoonMs, headOf, outcomeOf } from './store-rig.ts'

export const directory = '/acct'
export const acctPath = `${directory}/acct.json`

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class AccountingRig {
  readonly disk = new AccountingDisk()
  readonly clock = new VirtualClock(firstNoonMs)
  readonly problems: string[] = []
  readonly options: AccountingOptions
  #log: AccountingLog | null = null

  constructor(options: Partial<AccountingOptions> = {}) {
    this.options = {
      directory,
      clock: this.clock,
      rotateBytes: 100 * MiB,
      rotateMs: dayMs,
      keepMs: 30 * dayMs,
      keepBytes: GiB,
      compress: false,
      onProblem: (text) => void this.problems.push(text),
      ...options,
    }
  }

  get log(): AccountingLog {
    return this.#log ?? assert.fail('it is not open')
  }

  async open(): Promise<AccountingLog> {
    let opened: AccountingLog | null = null
    void AccountingLog.open({ ...this.options, files: this.disk.files }).then((log) => (opened = log))
    await this.until(() => opened !== null, 10)
    this.#log = opened
    return this.log
  }

  /** The process ends now. */
  kill(): void {
    this.disk.kill(seededRandom(1))
  }

  /** A submission at this position of its log. */
  accept(position: number, { recipients = 1, log = 'intake-0' } = {}): void {
    const to = Array.from({ length: recipients }, (_, i) => `u${i}@example.net`)
    this.log.submission(position * 64, headOf(position, firstNoonMs, { recipients: to }), noFacts, { log, position })
  }

  settle(position: number, kind: OutcomeKind = 'delivered'): void {
    const mark = { log: 'outcome-0', position }
    this.log.outcome(position * 64, headOf(position, firstNoonMs), noFacts, outcomeOf(kind, 1), mark)
  }

  /** Time passes until it is so. Files are packed in another thread, for which a busy machine may have no time at once. */
  async until(isSo: () => boolean, stepMs = 50): Promise<void> {
    for (let i = 0; !isSo(); i++) {
      assert.ok(i < 5_000, 'it never comes to be so')
      this.clock.advance(stepMs)
      await (i < 500 ? turn() : delay(1))
    }
  }

  /** Everything that was taken is on disk. */
  async durable(): Promise<void> {
    await this.until(() => {
      const { log } = this
      return [...log.marks].every(([name, position]) => log.durable.get(name) === position)
    })
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50)
      await turn()
    }
  }

  async close(): Promise<void> {
    const done = { is: false }
    void this.log.close(60_000).then(() => (done.is = true))
    for (let i = 0; !done.is; i++) {
      assert.ok(i < 10_000)
      await turn()
    }
  }

  /** "accepted 1/0" */
  lines(path = acctPath): string[] {
    return textLines(this.disk.get(path)).map((line) => {
      const { event, position, index } = JSON.parse(line) as { event: string; position: number; index: number }
      return `${event} ${position}/${index}`
    })
  }

  get names(): string[] {
    return this.disk.paths.map((path) => path.slice(directory.length + 1))
  }
}

export const textLines = (bytes: Buffer | null): string[] =>
  (bytes?.toString() ?? '').split('\n').filter((line) => line !== '')
