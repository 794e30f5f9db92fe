/** Damaged, newer, full and half-made files: what can be had is had, the rest comes again from the logs, and nothing is lost silently. */
import assert from 'node:assert/strict'
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { headOf, outcomeOf, StoreRig } from '../../test/support/store-rig.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { noFacts } from '../model/submission.ts'
import { DayFile } from './day-file.ts'
import { dayName, dayOf, Spans } from './spans.ts'
import { explained } from './sqlite.ts'

const withCode = (code: string) => (error: unknown) =>
  error instanceof PosthasteError && error.code === code && error.cure !== ''

/** Two days with a message each, and positions. */
function twoDays(rig: StoreRig): [string, string] {
  const first = rig.accept(64)
  rig.nextDay()
  const second = rig.accept(128)
  rig.table.outcome(128, outcomeOf('deferred', 1))
  rig.table.sync(new Map([['intake-0', 4096]]))
  return [first, second]
}

const found = ({ table }: StoreRig, ids: string[]): boolean[] => ids.map((id) => table.find('acme', id, false) !== null)

test('a damaged catalogue is set aside: all messages are there, and the logs are read from their beginning', (t) => {
  // A file that is none at all, and damage behind its first page, cut off and overwritten.
  const damages: ((path: string) => void)[] = [
    (path) => writeFileSync(path, 'this is no database'.repeat(300)),
    (path) => truncateSync(path, 4096),
    (path) => overwrite(path, 4096),
  ]
  for (const damage of damages) {
    const rig = new StoreRig(t)
    const ids = twoDays(rig)
    rig.table.close()
    damage(join(rig.directory, 'catalogue.sqlite'))
    rig.table = rig.open()
    assert.deepEqual(found(rig, ids), [true, true])
    assert.deepEqual([...rig.table.positions], [])
    assert.equal(rig.problems.length, 1)
    assert.match(
      rig.problems[0] ?? '',
      /catalogue\.sqlite is (not a database|damaged).*damaged-1.*from their beginning/,
    )
    rig.accept(192)
    rig.table.outcome(64, outcomeOf('delivered', 1))
    assert.equal(rig.table.list('acme', { limit: 9 }).messages.length, 3)
  }
})

function overwrite(path: string, from: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(statSync(path).size - from, 0xa5), 0, undefined, from)
  closeSync(file)
}

test('a damaged day is set aside: the others are there, and its messages come again from the logs', (t) => {
  const rig = new StoreRig(t)
  const ids = twoDays(rig)
  rig.table.close()
  writeFileSync(join(rig.directory, '2026-07-01.sqlite'), Buffer.alloc(9000, 'SQLite format 3\0 and then nonsense'))
  rig.table = rig.open()
  assert.deepEqual(found(rig, ids), [false, true])
  assert.deepEqual([...rig.table.positions], [])
  assert.match(rig.problems.join(), /2026-07-01\.sqlite.*2026-07-01\.sqlite\.damaged-1/)
  rig.reopen()
  assert.deepEqual([...rig.table.positions], [], 'also when it ends before the logs were read')
  rig.clock.jumpWall(-86_400_000)
  rig.accept(64)
  rig.clock.jumpWall(86_400_000)
  rig.accept(128)
  rig.table.outcome(64, outcomeOf('delivered', 1))
  assert.deepEqual(found(rig, ids), [true, true])
  assert.equal(rig.table.figures().days, 2)
  assert.equal(rig.table.figures().outcomesIgnored, 0)
})

test('damage that shows later ends the table; the next one begins without that day', (t) => {
  const rig = new StoreRig(t)
  for (let n = 1; n <= 200; n++) rig.accept(64 * n)
  rig.table.sync(new Map([['intake-0', 4096]]))
  rig.table.close()
  // Past the pages that are read at opening.
  overwrite(join(rig.directory, '2026-07-01.sqlite'), 17 * 4096)
  rig.table = rig.open()
  assert.throws(() => rig.table.list('acme', { limit: 100 }), withCode('store_damaged'))
  assert.throws(() => rig.accept(64 * 201), withCode('store_damaged'), 'nothing goes on with it')
  assert.throws(() => rig.table.sync(new Map([['intake-0', 8192]])), withCode('store_damaged'))
  assert.match(rig.problems.join(), /2026-07-01\.sqlite.*damaged-1/)
  rig.reopen()
  assert.deepEqual([...rig.table.positions], [])
  for (let n = 1; n <= 200; n++) rig.accept(64 * n)
  assert.equal(rig.table.list('acme', { limit: 100 }).messages.length, 100)
  assert.deepEqual(
    readdirSync(rig.directory).filter((name) => /damaged-\d+$/.test(name)),
    ['2026-07-01.sqlite.damaged-1'],
  )
})

test('a day that was cut off is set aside, and so is one that cannot be begun', (t) => {
  for (const bytes of [100, 4096, 3 * 4096]) {
    const rig = new StoreRig(t)
    const ids = twoDays(rig)
    rig.table.close()
    truncateSync(join(rig.directory, '2026-07-01.sqlite'), bytes)
    rig.table = rig.open()
    assert.deepEqual(found(rig, ids), [false, true])
    assert.deepEqual([...rig.table.positions], [])
    assert.equal(rig.problems.length, 1)
  }
})

test('files of a newer version are refused, and nothing is changed', (t) => {
  for (const name of ['catalogue.sqlite', '2026-07-01.sqlite']) {
    const rig = new StoreRig(t)
    twoDays(rig)
    rig.table.close()
    const path = join(rig.directory, name)
    const database = new DatabaseSync(path)
    database.exec('PRAGMA user_version = 2')
    database.close()
    const before = readdirSync(rig.directory).map((file) => [file, readFileSync(join(rig.directory, file))])
    assert.throws(() => rig.open(), withCode('store_newer'))
    const after = readdirSync(rig.directory).map((file) => [file, readFileSync(join(rig.directory, file))])
    assert.deepEqual(after, before)
    const again = new DatabaseSync(path)
    again.exec('PRAGMA user_version = 1')
    again.close()
    rig.table = rig.open()
  }
})

test('a full disk ends the table; what was committed is there, and the rest comes again', (t) => {
  const rig = new StoreRig(t)
  const path = join(rig.directory, 'full.sqlite')
  const file = new DayFile(path, 1)
  file.database.exec('PRAGMA max_page_count = 40')
  const spans = new Spans()
  let committed = 0
  let failure: unknown = null
  for (let n = 1; failure === null; n++) {
    try {
      const subject = 'x'.repeat(1000)
      file.submission(64 * n, spans.place(64 * n, 1), headOf(64 * n, 1), { ...noFacts, subject })
      if (n % 5 !== 0) continue
      file.commit()
      committed = n
    } catch (error) {
      failure = explained(path, error)
    }
  }
  assert.ok(withCode('store_full')(failure))
  assert.ok(committed > 20)
  file.abandon()
  const again = new DayFile(path, 1)
  assert.equal(again.facts.messages, committed)
  assert.deepEqual(
    again.spans.map(({ last }) => last),
    [committed],
  )
  again.close()
})

test('no room is no room, for the memory that connections share and for whatever is synced', () => {
  for (const given of [
    { errcode: 4874 },
    { code: 'ENOSPC', syscall: 'fdatasync' },
    { code: 'EDQUOT', syscall: 'open' },
  ])
    assert.ok(withCode('store_full')(explained('x', Object.assign(new Error('no room'), given))))
})

test('a directory that cannot be made is told with its cure', (t) => {
  const rig = new StoreRig(t)
  const file = join(rig.directory, 'a-file')
  writeFileSync(file, '')
  const inFile = new StoreRig(t)
  inFile.table.close()
  const options = { directory: join(file, 'messages') }
  assert.throws(() => new StoreRig({ after: () => {} }, options), withCode('store_unreadable'))
  inFile.table = inFile.open()
})

test('what a crash can leave half-made is no damage: an empty day, a write-ahead log without its file', (t) => {
  const rig = new StoreRig(t)
  const ids = twoDays(rig)
  rig.table.close()
  writeFileSync(join(rig.directory, '2026-07-03.sqlite'), '')
  writeFileSync(join(rig.directory, '2026-07-04.sqlite-wal'), Buffer.alloc(5000, 7))
  rig.table = rig.open()
  rig.nextDay()
  rig.nextDay()
  ids.push(rig.accept(192))
  assert.deepEqual(found(rig, ids), [true, true, true])
  rig.reopen()
  assert.deepEqual(found(rig, ids), [true, true, true])
  assert.deepEqual(rig.problems, [])
})

test('a clock that was years ahead does not keep what comes after it; one that fell behind scatters nothing', () => {
  const spans = new Spans()
  const placed = [10, 11, 27_000, 27_001, 12, 13, 3, 14].map((day, i) => spans.place(64 * i, day).day)
  assert.deepEqual(placed, [10, 11, 27_000, 27_001, 12, 13, 13, 14])
  const others = new Spans()
  assert.deepEqual(
    [10, 27_000, 10, 11, 3, 11].map((day, i) => others.place(64 * i, day).day),
    [10, 27_000, 10, 11, 11, 11],
  )
})

test('a day is followed by one that can be, in each of its logs', () => {
  const spans = new Spans()
  ;[10, 27_000, 27_001, 12, 13, 27_000, 14].forEach((day, i) => spans.place(64 * i, day))
  const day = (asked: number): (number | null)[] => [20, 13, 11].map((dayMax) => spans.followedBy(asked, dayMax))
  assert.deepEqual(day(27_001), [12, 12, null])
  assert.deepEqual(day(27_000), [14, null, null])
  assert.deepEqual(day(14), [null, null, null])
  // The same days in another log, where the first of them is the last.
  ;[10, 27_000].forEach((of, i) => spans.place(64 * i + 1, of))
  assert.deepEqual(day(27_000), [null, null, null])
  spans.place(64 * 2 + 1, 17)
  assert.deepEqual(day(27_000), [17, null, null])
  spans.remove(17)
  assert.deepEqual(day(27_000), [null, null, null])
})

test('records older than what is known go before it, and every number keeps its day', () => {
  const spans = new Spans()
  const place = (number: number, day: number): number => spans.place(64 * number, day).day
  assert.deepEqual([place(1000, 22), place(2000, 23)], [22, 23])
  // Stragglers of the same log, read later.
  assert.deepEqual([place(10, 17), place(500, 21), place(600, 24), place(1500, 22)], [17, 21, 22, 22])
  assert.deepEqual(
    [5, 10, 400, 500, 600, 1000, 1500, 2000, 2001].map((number) => spans.find(64 * number)?.day ?? null),
    [null, 17, null, 21, 22, 22, 22, 23, null],
  )
  spans.remove(17)
  assert.equal(spans.find(64 * 10), null)
  assert.equal(spans.find(64 * 1000)?.day, 22)
})

test('days have names, and clocks that are out of their mind do too', () => {
  assert.equal(dayName(dayOf(Date.UTC(2026, 1, 28, 23, 59))), '2026-02-28')
  assert.deepEqual(
    [-1, 0, Number.MAX_SAFE_INTEGER].map((ms) => dayName(dayOf(ms))),
    ['1970-01-01', '1970-01-01', '9999-12-31'],
  )
})
