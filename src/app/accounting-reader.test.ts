import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { deliverOne, headFor, openRig, smallSpool, type SpoolRig } from '../../test/support/spool-rig.ts'
import { seededRandom } from '../kernel/random.ts'
import { KiB } from '../kernel/units.ts'
import type { LogMark, LogMarks } from '../model/log-mark.ts'
import { isFailure } from '../ports/submissions.ts'
import { RecordReader } from '../spool/spool.ts'
import { type AccountingLines, AccountingReader } from './accounting-reader.ts'
import { Heads } from './heads.ts'

interface Line extends LogMark {
  /** The message's number, and what happened to it. */
  readonly what: string
  readonly id: string
}

/** An accounting log whose disk does as it likes. What is on disk outlives it. */
class FakeLines implements AccountingLines {
  readonly onDisk: Line[]
  readonly #waiting: Line[] = []
  readonly #taken = new Map<string, number>()
  #durable: LogMarks
  crowded = false

  constructor(onDisk: Line[]) {
    this.onDisk = onDisk
    for (const { log, position } of onDisk) this.#taken.set(log, position)
    this.#durable = new Map(this.#taken)
  }

  get durable(): LogMarks {
    return this.#durable
  }

  submission(number: number, { id }: { readonly id: string }, _facts: unknown, mark: LogMark): void {
    this.#take(mark, id, `${number} accepted`)
  }

  outcome(number: number, { id }: { readonly id: string }, _facts: unknown, _outcome: unknown, mark: LogMark): void {
    this.#take(mark, id, `${number} delivered`)
  }

  #take(mark: LogMark, id: string, what: string): void {
    if (mark.position <= (this.#taken.get(mark.log) ?? 0)) return
    this.#taken.set(mark.log, mark.position)
    this.#waiting.push({ ...mark, id, what })
  }

  /** So many lines come to the disk; whether it is said of them is another question. */
  sync(count: number, said: boolean): void {
    this.onDisk.push(...this.#waiting.splice(0, count))
    if (!said) return
    const durable = new Map<string, number>()
    for (const { log, position } of this.onDisk) durable.set(log, position)
    this.#durable = durable
  }
}

interface Made {
  readonly reader: AccountingReader
  readonly lines: FakeLines
  readonly problems: string[]
}

function read(rig: SpoolRig, from: LogMarks, onDisk: Line[], behindBytesMax = 2 ** 40): Made {
  const problems: string[] = []
  const reader = new AccountingReader({
    disk: rig.disk,
    memory: rig.memory,
    heads: new Heads(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes)),
    from,
    behindBytesMax,
    onProblem: (text) => void problems.push(text),
    take: (_, act) => act(),
  })
  return { reader, lines: new FakeLines(onDisk), problems }
}

function hand(rig: SpoolRig, log: number, bytes: number, accepted: (id: string) => void = () => {}): void {
  const transaction = rig.owners[log]?.begin(bytes, 'acme')
  if (transaction === undefined || isFailure(transaction)) return
  transaction.append(Buffer.alloc(bytes, 'x'), 0, bytes)
  transaction.commit(headFor(['ann@example.net']), (failure) => failure === null && accepted(transaction.id))
}

/** The mail whose outcomes were not read stays, or nobody would know whose they were. */
const hold = (rig: SpoolRig, { heldFrom }: AccountingReader): void => {
  for (const channel of rig.spool.channels)
    if (channel.name === 'outcome-0') channel.setToldTo(heldFrom.get(channel.name) ?? 0)
  for (const channel of rig.spool.channels)
    if (channel.heldFrom !== Number.POSITIVE_INFINITY) channel.setHeldFrom(heldFrom.get(channel.name) ?? 0)
}

const end = (rig: SpoolRig, { reader, lines }: Made): void => {
  rig.settle()
  lines.crowded = false
  // What was passed is said one step later.
  for (let i = 0; i < 2; i++) {
    while (!reader.step(10_000));
    lines.sync(Number.POSITIVE_INFINITY, true)
    assert.ok(reader.heldFrom.size > 0)
  }
}

for (let seed = 1; seed <= 12; seed++) {
  test(`every record has its line once and in order, however slow the disk is and whenever it dies (seed ${seed})`, () => {
    const random = seededRandom(seed)
    const below = (count: number): number => Math.floor(random.fraction() * count)
    const intakeLogs = 1 + (seed % 3)
    const config = { ...smallSpool, checkpointAfterBytes: 64 * KiB }
    const onDisk: Line[] = []
    let disk = new SimulatedDisk()
    const accepted: string[] = []
    let waiting: readonly number[] = []
    let kept: LogMarks = new Map()
    for (let life = 0; life < 3; life++) {
      const rig = openRig({ disk, random, config, intakeLogs, followed: true })
      rig.settle()
      let made = read(rig, kept, onDisk)
      if (below(2) === 0) made.reader.feed(made.lines)
      for (let step = 0; step < 150; step++) {
        for (let i = below(5); i > 0; i--) hand(rig, below(intakeLogs), 100 + below(9_000), (id) => accepted.push(id))
        for (const number of rig.queue.numbers.slice(0, below(5))) deliverOne(rig, number)
        if (below(3) > 0) {
          rig.pump()
          rig.clock.advance(3)
        }
        rig.spool.reclaim.tick()
        made.lines.crowded = below(3) === 0
        if (below(3) === 0) made.reader.step(1 + below(100_000))
        if (below(4) === 0) made.lines.sync(below(20), below(2) === 0)
        if (below(10) === 0) made.reader.feed(made.lines)
        hold(rig, made.reader)
        if (below(20) === 0) kept = made.reader.heldFrom
        if (below(40) === 0) {
          made.reader.close()
          made = read(rig, kept, onDisk)
        }
      }
      made.reader.feed(made.lines)
      if (life === 2) end(rig, made)
      made.reader.close()
      if (life === 2) {
        assert.deepEqual(made.problems, [])
        waiting = rig.queue.numbers
        hold(rig, made.reader)
        for (const channel of rig.spool.channels)
          if (channel.heldFrom !== Number.POSITIVE_INFINITY)
            assert.equal(channel.heldFrom, channel.committedTo, `${channel.name} is held by nobody`)
      } else disk = disk.crash(random)
    }
    const at = new Map<string, number>()
    for (const [index, { what }] of onDisk.entries()) {
      assert.ok(!at.has(what), `${what} twice`)
      at.set(what, index)
    }
    const numbers = (word: string): string[] =>
      [...at.keys()].filter((what) => what.endsWith(word)).map((what) => what.replace(` ${word}`, ''))
    const told = new Set(onDisk.map(({ id }) => id))
    for (const id of accepted) assert.ok(told.has(id), 'what was acknowledged has its line')
    assert.deepEqual(
      numbers('accepted').filter((number) => !at.has(`${number} delivered`)),
      numbers('accepted').filter((number) => waiting.includes(Number(number))),
      'who does not wait has an end',
    )
    for (const number of numbers('delivered')) {
      const before = at.get(`${number} accepted`)
      assert.ok(
        before !== undefined && before < (at.get(`${number} delivered`) as number),
        `${number} is accepted late`,
      )
    }
  })
}

test('an outcome of which nobody knows whose it was holds up nothing', () => {
  const rig = openRig({ followed: true })
  rig.settle()
  const made = read(rig, new Map(), [])
  made.reader.feed(made.lines)
  deliverOne(rig, 64)
  end(rig, made)
  for (const { name, committedTo } of rig.spool.channels)
    if (name === 'outcome-0') assert.equal(made.reader.heldFrom.get(name), committedTo)
})

test('lines of a log that nobody fills any more, and that were not all vouched for, hold up nothing', () => {
  const rig = openRig({ followed: true })
  rig.settle()
  const made = read(rig, new Map(), [{ log: 'intake-7', position: 9_000, id: '', what: 'it was found' }])
  const all = Number.POSITIVE_INFINITY
  // Of its record it may have more.
  const durable = new Map([
    ['intake-7', 8_999],
    ['intake-0', all],
    ['outcome-0', all],
  ])
  Object.defineProperty(made.lines, 'durable', { get: () => durable })
  hand(rig, 0, 100)
  rig.settle()
  made.reader.feed(made.lines)
  const before = made.reader.heldFrom.get('intake-0') ?? 0
  while (!made.reader.step(10_000));
  assert.ok((made.reader.heldFrom.get('intake-0') ?? 0) > before)
})

test('limit accounting.behind_max: a disk that takes nothing, or was never there, holds back so much and no more', () => {
  for (const isOpen of [true, false]) {
    const rig = openRig({ followed: true })
    rig.settle()
    for (let i = 0; i < 20; i++) hand(rig, 0, 4_000)
    rig.settle()
    const bytes = read(rig, new Map(), []).reader.behindBytes
    for (const behindMax of [bytes + 1, bytes, bytes - 1]) {
      const { reader, lines, problems } = read(rig, new Map(), [], behindMax)
      lines.crowded = true
      if (isOpen) reader.feed(lines)
      assert.equal(reader.step(10_000), true)
      assert.equal(problems.length, behindMax < bytes ? 1 : 0)
      assert.equal(reader.behindBytes, behindMax < bytes ? 0 : bytes)
      if (behindMax >= bytes) continue
      assert.match(problems[0] ?? '', /is left out/)
      hold(rig, reader)
      for (const { heldFrom, committedTo } of rig.spool.channels)
        assert.ok(heldFrom === Number.POSITIVE_INFINITY || heldFrom === committedTo)
      // What comes then has its lines.
      if (!isOpen) reader.feed(lines)
      hand(rig, 0, 100)
      end(rig, { reader, lines, problems })
      assert.equal(lines.onDisk.length, 1)
    }
  }
})
