/** The events thread of the week: the store and its follower on real files, driven by hand; it asks as src/app/events-loop.ts does. */
import assert from 'node:assert/strict'
import { type MessageTable, openMessageStore, unpackMessage } from '../../src/events/events.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { GiB } from '../../src/kernel/units.ts'
import type { MessageRecord } from '../../src/ports/message-store.ts'
import { SpoolFollower } from '../../src/spool/spool.ts'
import type { SpoolRig } from '../support/spool-rig.ts'
import type { StoreDisk } from '../support/store-disk.ts'
import { countingAgain, type StatusMutant } from './status-mutants.ts'

export interface ReaderOptions {
  readonly rig: SpoolRig
  readonly disk: StoreDisk
  readonly mutant: StatusMutant
  /** Up to there the store has everything on disk, by name of the log: what is reclaimed must lie before. */
  readonly durable: Map<string, number>
}

export class StatusReader {
  readonly #options: ReaderOptions
  readonly #table: MessageTable
  /** What one of the mutants says in the place of it. */
  readonly #told: (record: MessageRecord) => MessageRecord
  readonly #follower: SpoolFollower
  /** What one of the mutants puts off. */
  #late: (() => void)[] = []

  constructor(options: ReaderOptions) {
    const { rig, disk, mutant } = options
    this.#options = options
    const table = openMessageStore({
      directory: disk.directory,
      clock: rig.clock,
      random: seededRandom(7),
      retentionDays: 30,
      bytesMax: GiB,
      onProblem: (problem) => assert.fail(problem),
    })
    const counting = mutant === 'what comes again counts again' ? countingAgain(table) : null
    this.#table = counting?.table ?? table
    this.#told = counting?.told ?? ((record) => record)
    this.#follower = new SpoolFollower({
      disk: rig.disk,
      memory: rig.memory,
      from: table.positions,
      onSubmission: (number, submission, facts) => {
        if (mutant !== 'outcomes before their submissions') return this.#table.submission(number, submission, facts)
        this.#late.push(() => this.#table.submission(number, submission, facts))
      },
      onOutcome: (number, outcome) => this.#table.outcome(number, outcome),
    })
  }

  /** Nobody asks; it reads some of what is there. */
  look(bytesMax: number): void {
    this.#follower.aim()
    this.#step(bytesMax)
    if (this.#options.mutant !== 'released where it reads') return
    this.#follower.release(this.#follower.positions)
    this.#follower.told(this.#follower.positions)
  }

  /** Before an answer. */
  reachNow(): void {
    if (this.#options.mutant === 'answered from what happens to be read') return
    this.#follower.aim()
    while (!this.#step(20_000));
  }

  #step(bytesMax: number): boolean {
    const done = this.#follower.step(bytesMax)
    const late = this.#late
    this.#late = []
    for (const act of late) act()
    return done
  }

  find(tenant: string, id: string): MessageRecord | null {
    const packed = this.#table.find(tenant, id, true)
    return packed === null ? null : this.#told(unpackMessage(packed))
  }

  key(tenant: string, key: string): ReturnType<MessageTable['key']> {
    return this.#table.key(tenant, key)
  }

  /** Over as many pages as it takes. */
  lists(tenant: string, recipient: string, id: string): boolean {
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = this.#table.list(tenant, { limit: 5, recipient, ...(cursor === undefined ? {} : { cursor }) })
      if (page.messages.some((message) => message.id === id)) return true
      cursor = page.next
    }
    return false
  }

  get messages(): number {
    const { messages, outcomesIgnored } = this.#table.figures()
    assert.equal(outcomesIgnored, 0, 'every outcome is that of a recipient who waits')
    return messages
  }

  /** As much as a full write-ahead log, or another day that is opened, makes it. */
  commit(): void {
    this.#table.commit()
  }

  sync(): void {
    const { disk, mutant, durable } = this.#options
    const { positions } = this.#follower
    this.#table.commit()
    this.#table.sync(positions)
    this.#table.prune()
    disk.synced(mutant === 'positions before their rows')
    for (const [log, position] of positions) durable.set(log, position)
    this.#follower.release(positions)
    this.#follower.told(positions)
  }

  /** It is gone without a word; its files are as `disk` makes them. */
  die(becomes: () => void): void {
    this.#follower.close()
    becomes()
    this.#table.close()
  }
}
