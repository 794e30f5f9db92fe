import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { headFor, openRig, smallSpool, type SpoolRig } from '../../test/support/spool-rig.ts'
import { type MessageTable, ownDisk, Tally } from '../events/events.ts'
import type { NoticeKind } from '../feedback/feedback.ts'
import { dayMs, secondMs } from '../kernel/units.ts'
import type { LogMarks } from '../model/log-mark.ts'
import { isFailure } from '../ports/submissions.ts'
import { RecordReader } from '../spool/spool.ts'
import { Books, lower } from './books.ts'
import { Heads } from './heads.ts'

const openTally = (dataDirectory: string): Tally<NoticeKind> =>
  Tally.open<NoticeKind>({
    directory: join(dataDirectory, 'store'),
    groupMs: 0,
    noticeFor: () => null,
    isHardBounce: () => false,
    mayTell: () => true,
    lifeMs: dayMs,
    onProblem: (problem) => assert.fail(problem),
  })

/** A store that keeps nothing. */
const emptyStore = (positions: LogMarks): MessageTable =>
  ({
    positions,
    submission() {},
    outcome() {},
    commit() {},
    sync() {},
    syncElsewhere: async () => true,
    prune: () => [],
    close() {},
  }) as Partial<MessageTable> as MessageTable

function booksOf(
  t: TestContext,
  rig: SpoolRig,
  tallyPositions: LogMarks,
  open = openTally,
): { books: Books; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-books-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const before = openTally(directory)
  before.commit(tallyPositions, 0)
  before.close()
  const books = new Books({
    disk: rig.disk,
    dataDirectory: directory,
    memory: rig.memory,
    clock: rig.clock,
    log: () => {},
    openTally: () => open(directory),
    storeDisk: ownDisk,
    onTallySynced: () => {},
    openStore: () => emptyStore(new Map()),
    heads: new Heads(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes)),
    take: (_, act) => act(),
  })
  books.begin()
  return { books, directory }
}

test('a tally of another spool is set aside although the store beside it has read nothing', (t) => {
  const rig = openRig({ followed: true })
  rig.settle()
  const { books, directory } = booksOf(t, rig, new Map([['intake-0', 2 ** 40]]))
  assert.ok(existsSync(join(directory, 'store.other-1', 'tally.sqlite')))
  assert.equal(books.tally.positions.size, 0)
  books.finish(0, new Map())
})

test('what was read is committed after a second, and the logs are held for whoever is further behind', async (t) => {
  const rig = openRig({ followed: true })
  rig.settle()
  const { books } = booksOf(t, rig, new Map())
  const elsewhere = (): LogMarks => new Map([['accounting intake-0', 7]])
  for (let i = 0; i < 3; i++) {
    const transaction = rig.submissions.begin(1, 'acme')
    assert.ok(!isFailure(transaction))
    transaction.append(Buffer.from('x'), 0, 1)
    transaction.commit(headFor(['ann@example.net']), () => {})
    rig.settle()
    books.aim()
    while (!books.step(1_000));
    assert.equal(books.keep(0, elsewhere), i > 0, 'the first look comes at once')
    assert.equal(books.told.get('intake-0') === books.read.get('intake-0'), false, 'not on disk yet')
    await setImmediate()
    rig.clock.advance(secondMs)
  }
  const read = books.read.get('intake-0') ?? 0
  assert.equal(books.told.get('intake-0'), read)
  assert.ok((books.heldFrom.get('intake-0') ?? 0) < read, 'the store is not synced yet')
  assert.equal(books.keep(0, elsewhere), false, 'nothing new')
  books.finish(0, elsewhere())
})

test('what a former life has committed is on disk before mail is let go for it: whoever was killed may not have synced it', (t) => {
  const rig = openRig({ followed: true })
  rig.settle()
  const onDisk: LogMarks[] = []
  const { books } = booksOf(t, rig, new Map([['intake-0', 1]]), (directory) => {
    const tally = openTally(directory)
    t.mock.method(tally, 'sync', () => void onDisk.push(tally.positions))
    return tally
  })
  assert.equal(books.told.get('intake-0'), 1)
  assert.deepEqual(onDisk, [books.told])
  books.finish(0, new Map())
})

test('nothing is caught up before all was read that was on disk at the beginning', (t) => {
  const rig = openRig({ followed: true })
  for (let i = 0; i < 3; i++) {
    const transaction = rig.submissions.begin(1, 'acme')
    assert.ok(!isFailure(transaction))
    transaction.append(Buffer.from('x'), 0, 1)
    transaction.commit(headFor(['ann@example.net']), () => {})
    rig.settle()
  }
  const { books } = booksOf(t, rig, new Map())
  books.aim()
  assert.equal(books.caughtUp, false)
  assert.equal(books.step(1), false)
  assert.equal(books.caughtUp, false)
  while (!books.step(1));
  assert.equal(books.caughtUp, true)
  books.aim()
  assert.equal(books.caughtUp, true, 'what comes later is not of a former life')
  books.finish(0, new Map())
})

test('of two that have read, each log is held for the one that is behind, and from its beginning for one that knows nothing of it', () => {
  const one = new Map([
    ['a', 5],
    ['b', 9],
  ])
  assert.deepEqual(
    [
      ...lower(
        one,
        new Map([
          ['a', 7],
          ['accounting a', 1],
        ]),
      ),
    ],
    [
      ['a', 5],
      ['b', 0],
    ],
  )
})
