/** Bounds of the message store at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { headOf, outcomeOf, StoreRig } from '../../test/support/store-rig.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { dayMs, MiB } from '../kernel/units.ts'
import { noFacts } from '../model/submission.ts'
import { DayFile } from './day-file.ts'
import {
  attemptsKeptMax,
  cacheBytesMax,
  clockAheadMsMax,
  clockDoubtMsMin,
  damagedKeptMax,
  filesOpenMax,
  lockWaitMsMax,
  namesCachedMax,
  searchFilesMax,
  searchRowsMax,
  summaryRecipientsMax,
  walBytesMax,
} from './limits.ts'
import { numberOf } from './sqlite.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

const filesOf = ({ directory }: StoreRig, ending: RegExp): string[] =>
  readdirSync(directory).filter((name) => ending.test(name))

test('limit store.files-open: so many day files are open, for one more the oldest is closed', (t) => {
  const rig = new StoreRig(t)
  for (let day = 1; day <= filesOpenMax.value + 1; day++) {
    rig.accept(64 * day)
    rig.table.commit()
    // SQLite removes what was written ahead when it closes a file.
    assert.equal(filesOf(rig, /^\d.*-wal$/).length, Math.min(day, filesOpenMax.value))
    rig.nextDay()
  }
})

test('limit store.cache: SQLite is told so', (t) => {
  const rig = new StoreRig(t)
  const file = new DayFile(join(rig.directory, 'other.sqlite'), 1)
  assert.equal(numberOf(file.database, 'PRAGMA cache_size') * -1024, cacheBytesMax.value)
  file.close()
})

test('limit store.names-cached: beyond it names are looked up again, and stay what they are', (t) => {
  const rig = new StoreRig(t)
  const tenants = around(namesCachedMax.value)
  for (let n = 1; n <= tenants[2]; n++) rig.accept(64 * n, { tenant: `t${n}` })
  for (const n of [1, ...tenants]) {
    rig.accept(64 * (n + 10_000), { tenant: `t${n}` })
    assert.equal(rig.table.list(`t${n}`, { limit: 10 }).messages.length, 2)
  }
})

test('limit store.wal: more than that written ahead is moved into the day file at once', (t) => {
  const rig = new StoreRig(t)
  const metadata = `{"a":"${'x'.repeat(16 * MiB - 300_000)}"}`
  const ahead: number[] = []
  for (let n = 1; n <= 5; n++) {
    rig.accept(64 * n, {}, { metadata })
    rig.table.commit()
    ahead.push(rig.table.figures().bytes)
  }
  assert.ok((ahead[3] as number) < walBytesMax.value + MiB)
  // A moved page is not in both: there would be 160 MB.
  assert.ok((ahead[4] as number) < 1.3 * walBytesMax.value)
})

test('limit store.attempts-kept: the last so many attempts of a recipient', (t) => {
  const rig = new StoreRig(t)
  const id = rig.accept(64)
  const [below, , above] = around(attemptsKeptMax.value)
  for (let attempt = 1; attempt <= above; attempt++) {
    rig.table.outcome(64, outcomeOf('deferred', attempt))
    if (attempt < below) continue
    const [recipient] = rig.find('acme', id)?.recipients ?? []
    assert.equal(recipient?.tries.length, Math.min(attempt, attemptsKeptMax.value))
    assert.equal(recipient.tries.at(-1)?.number, attempt)
  }
})

test('limit store.summary-recipients: a list shows so many of a message’s recipients, and counts all', (t) => {
  const rig = new StoreRig(t)
  for (const count of around(summaryRecipientsMax.value)) {
    const recipients = Array.from({ length: count }, (_, i) => `r${i}@example.net`)
    rig.accept(64 * count, { tenant: `t${count}`, recipients })
    const [message] = rig.table.list(`t${count}`, { limit: 1 }).messages
    assert.equal(message?.recipientCount, count)
    const shown = message.recipients.map(({ address }) => address)
    assert.deepEqual(shown, recipients.slice(0, summaryRecipientsMax.value))
  }
})

test('limit store.search-rows: so many messages are looked at for a page, then its cursor goes on', (t) => {
  const rig = new StoreRig(t)
  const pages: number[] = []
  for (const count of around(searchRowsMax.value)) {
    const tenant = `t${count}`
    for (let n = 1; n <= count; n++)
      rig.accept(64 * (count * 10_000 + n), { tenant }, n === 1 ? { from: 'a@b.example' } : {})
    const page = rig.table.list(tenant, { limit: 1, sender: 'a@b.example' })
    pages.push(page.messages.length)
    if (page.next === null) continue
    const second = rig.table.list(tenant, { limit: 1, sender: 'a@b.example', cursor: page.next })
    assert.deepEqual([second.messages.length, second.next], [1, null])
  }
  assert.deepEqual(pages, [1, 1, 0])
})

test('limit store.search-files: so many days are looked into for a page, then its cursor goes on', (t) => {
  const rig = new StoreRig(t)
  const first = rig.accept(64)
  for (let day = 2; day <= searchFilesMax.value + 1; day++) {
    rig.nextDay()
    rig.accept(64 * day, { recipients: ['other@example.net'] })
    const page = rig.table.list('acme', { limit: 1, recipient: 'user64@example.net' })
    assert.deepEqual([page.messages.length, page.next === null], day <= searchFilesMax.value ? [1, true] : [0, false])
    if (page.next === null) continue
    const second = rig.table.list('acme', { limit: 1, recipient: 'user64@example.net', cursor: page.next })
    assert.deepEqual([second.messages[0]?.id, second.next], [first, null])
  }
})

test('limit store.damaged-kept: so many files are kept for inspection, then the oldest is removed', (t) => {
  const rig = new StoreRig(t)
  rig.table.close()
  const path = join(rig.directory, '2026-06-30.sqlite')
  for (let count = 1; count <= damagedKeptMax.value + 1; count++) {
    writeFileSync(path, `no database ${count}`.padEnd(4096, '.'))
    rig.table = rig.open()
    rig.table.close()
    assert.equal(filesOf(rig, /\.damaged-/).length, Math.min(count, damagedKeptMax.value))
  }
  assert.equal(existsSync(path), false)
  rig.table = rig.open()
})

test('limit store.lock-wait: a second opener is refused after so long', (t) => {
  const rig = new StoreRig(t)
  const beganMs = performance.now()
  assert.throws(
    () => rig.open(),
    (error) => error instanceof PosthasteError && error.code === 'store_in_use',
  )
  assert.ok(performance.now() - beganMs >= lockWaitMsMax.value - 1)
})

test('limit store.retention: a message can be asked for on so many days after its own, then it is gone', (t) => {
  const rig = new StoreRig(t, { retentionDays: 3 })
  const id = rig.accept(64)
  for (let day = 1; day <= 4; day++) {
    rig.nextDay()
    assert.deepEqual(rig.table.prune(), day <= 3 ? [] : ['2026-07-01'])
    assert.equal(rig.find('acme', id) === null, day > 3)
  }
  rig.table.outcome(64, outcomeOf('delivered', 1))
  assert.deepEqual(filesOf(rig, /^\d/), [])
  assert.equal(rig.table.figures().outcomesIgnored, 1)
  assert.deepEqual(rig.problems, [])
})

test('limit store.size_max: days that take as much stay, for one octet more the oldest is dropped; today and yesterday stay', (t) => {
  const options = { bytesMax: 0 }
  const rig = new StoreRig(t, options)
  for (let day = 1; day <= 4; day++) {
    for (let n = 0; n < 50; n++) rig.table.submission(64 * (100 * day + n), headOf(n, rig.clock.nowMs()), noFacts)
    if (day < 4) rig.nextDay()
  }
  rig.table.sync(new Map())
  rig.reopen()
  const bytes = filesOf(rig, /^\d.*(sqlite|-wal)$/).reduce(
    (sum, name) => sum + statSync(join(rig.directory, name)).size,
    0,
  )
  for (const [bytesMax, dropped] of [
    [bytes + 1, []],
    [bytes, []],
    [bytes - 1, ['2026-07-01']],
    [1, ['2026-07-02']],
  ] as const) {
    options.bytesMax = bytesMax
    rig.reopen()
    assert.deepEqual(rig.table.prune(), dropped)
  }
  assert.equal(rig.table.figures().days, 2)
  assert.match(rig.problems[0] ?? '', /2026-07-01.*store\.size_max/)
})

const longAheadMs = 25 * 365 * dayMs

/** A store with a message on each of five days, opened by a clock that is ahead. */
function rigAhead(t: TestContext, byMs: number): { rig: StoreRig; first: string } {
  const rig = new StoreRig(t, { retentionDays: 3 })
  let first = ''
  for (let day = 1; day <= 5; day++) {
    const id = rig.accept(64 * day)
    if (day === 1) first = id
    if (day < 5) rig.nextDay()
  }
  rig.clock.jumpWall(byMs)
  rig.reopen()
  return { rig, first }
}

test('limit store.clock-ahead: a clock that is a week beyond the newest day is believed, one that is more drops nothing', (t) => {
  for (const [aheadMs, days] of [
    [clockAheadMsMax.value - 1, 0],
    [clockAheadMsMax.value, 0],
    [clockAheadMsMax.value + 1, 4],
  ] as const) {
    const { rig } = rigAhead(t, aheadMs)
    // As the newest day tells, the first one has had its three days.
    assert.equal(rig.table.prune().length, 5 - days)
    assert.equal(rig.table.figures().days, days)
    assert.equal(rig.problems.length, days === 0 ? 0 : 1)
  }
})

test('limit store.clock-doubt: what a clock has said for twenty hours is believed', (t) => {
  const { rig } = rigAhead(t, longAheadMs)
  const dropped: number[] = []
  const told: number[] = []
  for (const afterMs of [0, clockDoubtMsMin.value - 1, 1, 1]) {
    rig.clock.advance(afterMs)
    dropped.push(rig.table.prune().length)
    told.push(rig.problems.length)
  }
  // Time has passed, so one day more is old in any case.
  assert.deepEqual(dropped, [1, 1, 3, 0])
  assert.deepEqual(told, [1, 1, 1, 1])
  assert.match(rig.problems[0] ?? '', /clock says 2051-.*store\.retention/)
})

test('a clock that is put right again has cost nothing, whatever was accepted under it and however often the store was opened', (t) => {
  const { rig, first } = rigAhead(t, longAheadMs)
  rig.accept(64 * 10)
  rig.table.prune()
  rig.reopen()
  rig.accept(64 * 11)
  rig.clock.advance(dayMs / 4)
  rig.table.prune()
  assert.equal(rig.find('acme', first), null, 'it was old by any clock')
  assert.equal(rig.table.figures().days, 5)
  rig.clock.jumpWall(-longAheadMs)
  assert.deepEqual(rig.table.prune(), [])
  rig.nextDay()
  assert.deepEqual(rig.table.prune(), ['2026-07-02'])
})

test('a store that stood still knows the time again when mail has come for more than a week, however often it is opened', (t) => {
  const { rig } = rigAhead(t, 100 * dayMs)
  const dropped = Array.from({ length: 9 }, (_, day) => {
    rig.accept(64 * (10 + day))
    rig.reopen()
    const { length } = rig.table.prune()
    rig.nextDay()
    return length
  })
  // On the ninth day it has gone on for more than a week: the four days from before are old, and the first five since.
  assert.deepEqual(dropped, [1, 0, 0, 0, 0, 0, 0, 0, 9])
  assert.equal(rig.table.figures().days, 4)
})

test('what was accepted by a clock that was far ahead is dropped with the day on which it was put right', (t) => {
  const { rig } = rigAhead(t, longAheadMs)
  const ids = [10, 11].map((n) => {
    if (n === 11) rig.nextDay()
    return rig.accept(64 * n)
  })
  rig.reopen()
  rig.clock.jumpWall(-longAheadMs)
  rig.accept(64 * 12)
  for (let day = 1; day <= 4; day++) {
    rig.nextDay()
    rig.table.prune()
    rig.reopen()
    rig.accept(64 * (20 + day))
    assert.deepEqual(
      ids.map((id) => rig.find('acme', id) !== null),
      day <= 3 ? [true, true] : [false, false],
    )
  }
  assert.deepEqual(filesOf(rig, /^2051/), [])
})

test('under a clock that fell behind, what seems to be far ahead is kept as long as what follows it', (t) => {
  const rig = new StoreRig(t, { retentionDays: 60 })
  rig.accept(64)
  rig.clock.advance(50 * dayMs)
  rig.accept(64 * 2)
  rig.clock.jumpWall(-45 * dayMs)
  rig.accept(64 * 3)
  for (const [days, dropped] of [
    [55, []],
    [1, ['2026-07-01']],
    [4, []],
    [1, ['2026-07-06']],
  ] as const) {
    rig.clock.advance(days * dayMs)
    assert.deepEqual(rig.table.prune(), dropped)
  }
  assert.equal(rig.table.figures().days, 1)
})

test('a clock that jumps while the store is open is doubted too', (t) => {
  const { rig } = rigAhead(t, 0)
  rig.table.prune()
  rig.clock.jumpWall(longAheadMs)
  assert.deepEqual(rig.table.prune(), [])
  rig.clock.advance(clockDoubtMsMin.value)
  assert.equal(rig.table.prune().length, 4)
})
