/** Whenever the process or the machine ends, and however the disk behaves: exactly one line each, in order per log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { AccountingDisk, errorOf } from '../../../test/support/accounting-disk.ts'
import { headOf, outcomeOf } from '../../../test/support/store-rig.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { type Random, seededRandom } from '../../kernel/random.ts'
import { dayMs, GiB } from '../../kernel/units.ts'
import type { LogMark, LogMarks } from '../../model/log-mark.ts'
import { noFacts } from '../../model/submission.ts'
import { AccountingLog } from './accounting.ts'
import { rotatedName, rotatedNames } from './names.ts'

const directory = '/acct'
const path = `${directory}/acct.json`

interface LoggedRecord {
  readonly mark: LogMark
  readonly recipients: number
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class World {
  readonly random: Random
  readonly disk = new AccountingDisk()
  readonly clock = new VirtualClock()
  readonly problems: string[] = []
  /** What the logs hold, by log. */
  readonly records = new Map<string, LoggedRecord[]>()
  /** Up to where the logs were let go, because the accounting log said so. */
  released: LogMarks = new Map()
  log: AccountingLog | null = null
  /** By other hands; the log would not compress a file of theirs, but here they are called like its own. */
  readonly renames: boolean
  #renamed = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.renames = this.below(2) === 0
    for (const log of ['intake-0', 'intake-1', 'outcome-0']) {
      let position = 0
      const records = Array.from({ length: 40 }, () => {
        position += 1 + this.below(4000)
        return { mark: { log, position }, recipients: 1 + this.below(5) }
      })
      this.records.set(log, records)
    }
  }

  below(bound: number): number {
    return Math.floor(this.random.fraction() * bound)
  }

  async open(): Promise<AccountingLog> {
    const done = { is: false }
    const opening = AccountingLog.open({
      directory,
      clock: this.clock,
      rotateBytes: 3_000 + this.below(40_000),
      rotateMs: dayMs,
      keepMs: 400 * dayMs,
      keepBytes: GiB,
      compress: !this.renames && this.below(2) === 0,
      onProblem: (text) => void this.problems.push(text),
      files: this.disk.files,
    }).finally(() => (done.is = true))
    while (!done.is) {
      this.clock.advance(1_000)
      await turn()
    }
    this.log = await opening
    return this.log
  }

  feed({ mark, recipients }: LoggedRecord): void {
    const head = headOf(mark.position, 1_700_000_000_000, {
      recipients: Array.from({ length: recipients }, (_, i) => `u${i}@example.net`),
    })
    if (mark.log !== 'outcome-0') return this.log?.submission(mark.position, head, noFacts, mark)
    const outcomes = head.recipients.flatMap((_, recipient) => outcomeOf('delivered', 1, { recipient }).recipients)
    this.log?.outcome(mark.position, head, noFacts, { ...outcomeOf('delivered', 1), recipients: outcomes }, mark)
  }

  /** From any place that the logs still hold and that leaves nothing out. */
  begins(): Map<string, number> {
    return new Map(
      [...this.records].map(([log, records]) => {
        const first = records.findIndex(({ mark }) => mark.position > (this.released.get(log) ?? -1))
        const from = first === -1 ? records.length : first
        const known = records.findIndex(({ mark }) => mark.position >= (this.log?.marks.get(log) ?? 0))
        return [log, from + this.below(Math.max(0, known - from) + 1)]
      }),
    )
  }

  release(): void {
    const durable = this.log?.durable ?? new Map<string, number>()
    for (const [log, position] of durable) assert.ok(position >= (this.released.get(log) ?? 0), 'it is not taken back')
    this.released = new Map([...this.released, ...durable])
  }

  /** Feeds for a while; true when there is nothing left. */
  async live(steps: number): Promise<boolean> {
    const next = this.begins()
    for (let step = 0; step < steps; step++) {
      for (const [log, at] of next) {
        const records = this.records.get(log) ?? []
        const to = Math.min(records.length, at + this.below(4))
        for (const record of records.slice(at, to)) this.feed(record)
        next.set(log, to)
      }
      if (this.renames && this.below(20) === 0) this.renameAside()
      this.clock.advance(this.below(400))
      for (let i = this.below(12); i > 0; i--) await turn()
      this.release()
    }
    return [...next].every(([log, at]) => at === this.records.get(log)?.length)
  }

  /** As the operator's own rotation does. */
  renameAside(): void {
    if (this.disk.get(path) === null) return
    this.#renamed += 1_000
    this.disk.rename(path, `${directory}/${rotatedName('acct', this.clock.nowMs(), 500_000 + this.#renamed)}`)
  }

  /** Of all files, oldest first. */
  lines(): { log: string; position: number; index: number }[] {
    const names = this.disk.paths.map((file) => file.slice(directory.length + 1))
    const texts = rotatedNames('acct', names).map(({ name, packed }) => {
      const bytes = this.disk.get(`${directory}/${name}`) as Buffer
      return (packed ? gunzipSync(bytes) : bytes).toString()
    })
    return [...texts, this.disk.get(path)?.toString() ?? '']
      .flatMap((text) => text.split('\n').filter((line) => line !== ''))
      .map((line) => JSON.parse(line) as { log: string; position: number; index: number })
  }

  check(): void {
    const lines = this.lines()
    for (const [log, records] of this.records) {
      const expected = records.flatMap(({ mark, recipients }) =>
        Array.from({ length: recipients }, (_, index) => `${mark.position}/${index}`),
      )
      const found = lines.filter((line) => line.log === log).map(({ position, index }) => `${position}/${index}`)
      assert.deepEqual(found, expected)
    }
  }
}

async function closed(world: World): Promise<void> {
  const done = { is: false }
  const closing = world.log?.close(60_000).finally(() => (done.is = true))
  while (!done.is) await turn()
  await closing
}

async function lives(seed: number): Promise<void> {
  const world = new World(seed)
  const { random, disk } = world
  const mood = world.below(4)
  disk.taken = mood === 1 ? (bytes) => Math.max(1, Math.floor(bytes * random.fraction())) : (bytes) => bytes
  disk.before = async ({ what }) => {
    for (let i = mood === 2 ? world.below(6) : 0; i > 0; i--) await turn()
    if (mood === 3 && ['write', 'sync', 'open', 'rename'].includes(what) && random.fraction() < 0.05)
      throw errorOf(['ENOSPC', 'EIO', 'EROFS'][world.below(3)] as string)
  }
  for (let life = 0; life < 6; life++) {
    await world.open()
    await world.live(1 + world.below(15))
    if (world.below(2) === 0) disk.kill(random)
    else disk.cutPower(random, path)
  }
  disk.before = () => undefined
  disk.taken = (bytes) => bytes
  await world.open()
  while (!(await world.live(30)));
  await closed(world)
  world.check()
  const { log } = world
  assert.deepEqual(log?.durable, log?.marks)
}

test('killed or without power at any moment, on a disk of any mood: every line once, in order', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    try {
      await lives(seed)
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
})
