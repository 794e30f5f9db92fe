import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { firstNoonMs, headOf, outcomeOf } from '../../../test/support/store-rig.ts'
import { seededRandom } from '../../kernel/random.ts'
import { dayMs, hourMs, minuteMs } from '../../kernel/units.ts'
import type { LogMark } from '../../model/log-mark.ts'
import { noFacts, notifyOn } from '../../model/submission.ts'
import * as limits from '../limits.ts'
import type { AttemptOutcome } from '../message-table.ts'
import { isDamage } from '../sqlite.ts'
import type { DueNotice } from './due-notices.ts'
import { Tally, type TalliedHead, type TallyOptions } from './tally.ts'

const memory = '/dev/shm'

class Rig {
  readonly directory: string
  readonly problems: string[] = []
  tally: Tally
  readonly #options: Partial<TallyOptions<string>>

  constructor(t: TestContext, options: Partial<TallyOptions<string>> = {}) {
    this.directory = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'posthaste-tally-'))
    this.#options = options
    this.tally = this.open()
    t.after(() => {
      this.tally.close()
      rmSync(this.directory, { recursive: true })
    })
  }

  open(): Tally {
    return Tally.open({
      directory: this.directory,
      groupMs: minuteMs,
      noticeFor: ({ outcome, returnPath }) =>
        returnPath !== '' && (outcome.kind === 'bounced' || outcome.kind === 'expired') ? 'failed' : null,
      isHardBounce: ({ enhanced }) => enhanced === '5.1.1',
      mayTell: () => true,
      lifeMs: 3 * dayMs,
      onProblem: (problem) => void this.problems.push(problem),
      ...this.#options,
    })
  }

  /** What was not committed is gone. */
  crash(): void {
    this.tally.close()
    this.tally = this.open()
  }

  /** Those whose time has come, on disk. */
  due(nowMs: number): readonly DueNotice[] {
    this.tally.commit(new Map(), nowMs)
    this.tally.sync()
    return this.tally.dueNotices(1_000)
  }
}

const mark = (log: string, position: number): LogMark => ({ log, position })
const accept = (
  { tally }: Rig,
  number: number,
  given: Partial<TalliedHead> = {},
  credentialId = 'key1',
): TalliedHead => {
  const head = headOf(number, firstNoonMs, given)
  tally.submission(number, head, { ...noFacts, credentialId }, mark('intake-0', number * 100))
  return head
}
let positions = 0
const settle = ({ tally }: Rig, number: number, head: TalliedHead, outcome: AttemptOutcome, at = ++positions): void =>
  tally.outcome(number, { ...outcome, place: number }, mark('outcome-0', at), () => ({ head, facts: noFacts }))
const bounce = (recipient = 0, atMs = firstNoonMs): AttemptOutcome => outcomeOf('bounced', 1, { recipient, atMs })

test('recipients are counted by tenant, credential and day, once however often their records come', (t) => {
  const rig = new Rig(t)
  accept(rig, 1, { recipients: ['a@example.net', 'b@example.net'] })
  accept(rig, 2)
  accept(rig, 3, {}, 'key2')
  accept(rig, 4, { tenant: 'other' })
  const day = Math.floor(firstNoonMs / dayMs)
  const month = (2026 - 1970) * 12 + 6
  const used = (messages: number) => ({ day, dayMessages: messages, month, monthMessages: messages })
  assert.deepEqual(rig.tally.usage('acme', null, firstNoonMs), used(4))
  assert.deepEqual(rig.tally.usage('acme', 'key1', firstNoonMs), used(3))
  assert.deepEqual(rig.tally.usage('nobody', null, firstNoonMs), used(0))
  rig.tally.commit(new Map([['intake-0', 4096]]), firstNoonMs)
  rig.tally.sync()
  accept(rig, 5)
  rig.crash()
  assert.equal(rig.tally.positions.get('intake-0'), 4096)
  for (const number of [2, 3, 5]) accept(rig, number)
  assert.deepEqual(rig.tally.usage('acme', null, firstNoonMs), used(5))
  const nextDay = rig.tally.usage('acme', null, firstNoonMs + dayMs)
  assert.deepEqual([nextDay.dayMessages, nextDay.monthMessages], [0, 5])
  assert.equal(rig.tally.usage('acme', null, firstNoonMs + 31 * dayMs).monthMessages, 0)
})

test("Posthaste's own mail is nobody's use", (t) => {
  const rig = new Rig(t)
  accept(rig, 1, { client: 'posthaste', returnPath: '' })
  assert.equal(rig.tally.usage('acme', null, firstNoonMs).dayMessages, 0)
})

test('what bounces within a minute is told together, and again after it', (t) => {
  const rig = new Rig(t)
  const head = accept(rig, 1, { recipients: ['a@x.example', 'b@x.example', 'c@x.example'] })
  settle(rig, 1, head, bounce(0))
  settle(rig, 1, head, bounce(2, firstNoonMs + 59_000))
  assert.deepEqual(rig.due(firstNoonMs + 59_000), [])
  const first = rig.due(firstNoonMs + 60_000)
  assert.deepEqual(
    first.map(({ told }) => told.map(({ address }) => address)),
    [['a@x.example', 'c@x.example']],
  )
  settle(rig, 1, head, bounce(1, firstNoonMs + 61_000))
  const second = rig.due(firstNoonMs + hourMs)
  assert.equal(second.length, 2)
  assert.deepEqual(rig.tally.figures().noticesMade, 2)
  assert.equal(new Set(second.map(({ id }) => id)).size, 2)
  for (const { id } of second) rig.tally.endNotice(id, 'sent')
  assert.deepEqual(rig.due(firstNoonMs + hourMs), [])
  assert.equal(rig.tally.waits, true, 'the addresses are for the directory')
})

test('a submission of one recipient waits for nobody', (t) => {
  const rig = new Rig(t)
  settle(rig, 1, accept(rig, 1), bounce())
  const [notice] = rig.due(firstNoonMs)
  assert.equal(notice?.kind, 'failed')
  assert.equal(notice.about.returnPath, 'bounces@acme.example')
  assert.equal(notice.told[0]?.outcome.enhanced, '5.1.1')
  assert.equal(notice.told[0].recipient, 0)
})

test('nobody is told before it is on disk that a notice is due: whoever joined it after a power cut would hear nothing', (t) => {
  const rig = new Rig(t)
  const due = (): number[] =>
    rig.tally
      .dueNotices(9)
      .map(({ number }) => number)
      .toSorted((a, b) => a - b)
  const two = { recipients: ['a@x.example', 'b@x.example'] }
  settle(rig, 1, accept(rig, 1, two), bounce())
  settle(rig, 2, accept(rig, 2), bounce())
  assert.deepEqual(due(), [])
  rig.tally.commit(new Map(), firstNoonMs + hourMs)
  assert.deepEqual(due(), [], 'ripe, and not on disk')
  settle(rig, 3, accept(rig, 3), bounce())
  rig.tally.sync()
  assert.deepEqual(due(), [1, 2])
  rig.tally.commit(new Map(), firstNoonMs + hourMs)
  rig.tally.sync()
  assert.deepEqual(due(), [1, 2, 3])
})

test('a notice that is found in the logs is not due any more', (t) => {
  const rig = new Rig(t)
  settle(rig, 1, accept(rig, 1), bounce())
  const [notice] = rig.due(firstNoonMs)
  accept(rig, 2, { id: notice?.id ?? '', client: 'posthaste', returnPath: '' })
  assert.deepEqual(rig.due(firstNoonMs), [])
})

test('made again from the logs alone, nothing that went out is due again', (t) => {
  const rig = new Rig(t)
  const head = accept(rig, 1, { recipients: ['a@x.example', 'b@x.example'] })
  settle(rig, 1, head, bounce(0))
  settle(rig, 1, head, bounce(1))
  const [notice] = rig.due(firstNoonMs + hourMs)
  rig.tally.close()
  rmSync(join(rig.directory, 'tally.sqlite'))
  writeFileSync(join(rig.directory, 'tally.sqlite'), Buffer.alloc(8192, 'x'))
  rig.tally = rig.open()
  assert.match(rig.problems.join(), /is kept as .*damaged-1/)
  accept(rig, 1, { recipients: head.recipients })
  // The notice itself is in the log of intake, which is read before that of outcomes.
  accept(rig, 2, { id: notice?.id ?? '', client: 'posthaste', returnPath: '' })
  settle(rig, 1, head, bounce(0))
  settle(rig, 1, head, bounce(1))
  assert.deepEqual(rig.due(firstNoonMs + hourMs), [])
})

test('over the hourly bound nothing new is begun, and what was begun goes on', (t) => {
  let room = 1
  const rig = new Rig(t, { mayTell: () => room-- > 0 })
  const head = accept(rig, 1, { recipients: ['a@x.example', 'b@x.example'] })
  settle(rig, 1, head, bounce(0))
  settle(rig, 1, head, bounce(1))
  settle(rig, 2, accept(rig, 2), bounce())
  const due = rig.due(firstNoonMs + hourMs)
  assert.deepEqual(
    due.map(({ number, told }) => [number, told.length]),
    [[1, 2]],
  )
  assert.equal(rig.tally.figures().noticesWithheld, 1)
})

test('a submission is read for a delivery only when its sender wants to hear of it', (t) => {
  const rig = new Rig(t, { noticeFor: ({ outcome }) => (outcome.kind === 'delivered' ? 'relayed' : null) })
  const wants = {
    returns: '',
    envelopeId: '',
    recipients: [{ notify: notifyOn.success, originalRecipient: '' }],
  } as const
  const asking = accept(rig, 1, { dsn: wants })
  const silent = accept(rig, 2)
  settle(rig, 1, asking, outcomeOf('deferred', 1))
  settle(rig, 1, asking, outcomeOf('delivered', 2))
  rig.tally.outcome(2, { ...outcomeOf('delivered', 1), place: 2 }, mark('outcome-0', ++positions), () =>
    assert.fail('read'),
  )
  assert.deepEqual(
    rig.due(firstNoonMs + dayMs).map(({ number, kind }) => [number, kind]),
    [[1, 'relayed']],
  )
  // Its end is known: whatever comes now is not asked about.
  rig.tally.outcome(1, { ...outcomeOf('delivered', 3), place: 1 }, mark('outcome-0', ++positions), () =>
    assert.fail('read'),
  )
  assert.equal(silent.dsn, undefined)
})

test('addresses that do not exist wait for the directory, across a crash', (t) => {
  const rig = new Rig(t)
  settle(rig, 1, accept(rig, 1), bounce())
  settle(rig, 2, accept(rig, 2), bounce())
  rig.tally.commit(new Map(), firstNoonMs)
  rig.tally.sync()
  rig.crash()
  const found = rig.tally.bounces(10)
  assert.deepEqual(
    found.map(({ tenant, address }) => [tenant, address]),
    [
      ['acme', 'user1@example.net'],
      ['acme', 'user2@example.net'],
    ],
  )
  assert.match(found[0]?.detail ?? '', /^550 5\.1\.1 /)
  rig.tally.bouncesTaken(found[0]?.bounce ?? 0)
  rig.tally.commit(new Map(), firstNoonMs)
  rig.tally.sync()
  rig.crash()
  assert.deepEqual(
    rig.tally.bounces(10).map(({ address }) => address),
    ['user2@example.net'],
  )
})

test('what is said again to be taken takes nothing that came since', (t) => {
  const rig = new Rig(t)
  settle(rig, 1, accept(rig, 1), bounce())
  rig.tally.commit(new Map(), firstNoonMs)
  rig.tally.sync()
  const through = rig.tally.bounces(10)[0]?.bounce ?? 0
  rig.tally.bouncesTaken(through)
  rig.tally.commit(new Map(), firstNoonMs)
  rig.tally.sync()
  rig.crash()
  settle(rig, 2, accept(rig, 2), bounce())
  rig.tally.bouncesTaken(through)
  assert.deepEqual(
    rig.tally.bounces(10).map(({ address }) => address),
    ['user2@example.net'],
  )
})

test('a notice that bounces is counted', (t) => {
  const rig = new Rig(t)
  settle(rig, 1, accept(rig, 1), bounce())
  const [notice] = rig.due(firstNoonMs)
  const own = accept(rig, 2, {
    id: notice?.id ?? '',
    client: 'posthaste',
    returnPath: '',
    recipients: ['bounces@acme.example'],
  })
  settle(rig, 2, own, bounce())
  assert.equal(rig.tally.figures().doubleBounces, 1)
  settle(rig, 2, own, outcomeOf('suppressed', 1))
  assert.equal(rig.tally.figures().doubleBounces, 2, 'its return path is on the list of the tenant')
  assert.deepEqual(rig.due(firstNoonMs), [])
})

test('a file that is damaged while it is in use is set aside, and the next one begins with nothing', (t) => {
  const rig = new Rig(t)
  const path = join(rig.directory, 'tally.sqlite')
  for (let number = 1; number <= 200; number++) settle(rig, number, accept(rig, number), bounce())
  rig.tally.commit(new Map([['intake-0', 4096]]), firstNoonMs)
  rig.tally.sync()
  rig.crash()
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill(0x5a, 4096 * 12))
  assert.deepEqual(rig.problems, [])
  assert.throws(() => {
    for (let number = 1; number <= 200; number++)
      settle(rig, 1_000 + number, headOf(1_000 + number, firstNoonMs), bounce())
    rig.due(firstNoonMs + 60 * dayMs)
  }, isDamage)
  assert.match(rig.problems.join(), /is kept as .*damaged-1/)
  rig.crash()
  assert.equal(rig.tally.positions.size, 0)
  settle(rig, 1, accept(rig, 1), bounce())
  assert.equal(rig.due(firstNoonMs).length, 1)
})

test('a notice that nobody takes comes behind those that were not tried yet', (t) => {
  const rig = new Rig(t)
  for (const number of [1, 2, 3]) settle(rig, number, accept(rig, number), bounce(0, firstNoonMs + number))
  const numbers = (): number[] => rig.due(firstNoonMs).map(({ number }) => number)
  assert.deepEqual(numbers(), [1, 2, 3])
  rig.tally.putOffNotice(rig.due(firstNoonMs)[0]?.id ?? '')
  assert.deepEqual(numbers(), [2, 3, 1])
  const [second] = rig.tally.dueNotices(1)
  assert.deepEqual(
    rig.tally.dueNotices(1, new Set([second?.id ?? ''])).map(({ number }) => number),
    [3],
  )
})

test('limit notices.group_within: for so long a notice waits for other recipients, and a clock that was set back makes it no longer', (t) => {
  for (const direction of [1, -1]) {
    const rig = new Rig(t)
    const head = accept(rig, 1, { recipients: ['a@x.example', 'b@x.example'] })
    settle(rig, 1, head, bounce(0))
    assert.equal(rig.due(firstNoonMs + direction * (minuteMs - 1)).length, 0)
    assert.equal(rig.due(firstNoonMs + direction * minuteMs).length, 1)
    assert.equal(rig.due(firstNoonMs + direction * (minuteMs + 1)).length, 1)
  }
})

test('of a notice that went out only that is kept, and to whom it was for the hourly bound', (t) => {
  const rig = new Rig(t)
  settle(rig, 1, accept(rig, 1), bounce())
  const [notice] = rig.due(firstNoonMs)
  rig.tally.endNotice(notice?.id ?? '', 'sent')
  rig.tally.commit(new Map(), firstNoonMs)
  rig.tally.sync()
  rig.tally.close()
  const database = new DatabaseSync(join(rig.directory, 'tally.sqlite'))
  assert.deepEqual({ ...database.prepare('SELECT about FROM notices').get() }, { about: '{}' })
  assert.deepEqual({ ...database.prepare('SELECT what FROM told').get() }, { what: '' })
  database.close()
  rig.tally = rig.open()
  const begun = (ms: number): string[] => rig.tally.begunSince(ms).map(({ returnPath }) => returnPath)
  assert.deepEqual(begun(firstNoonMs - 1), ['bounces@acme.example'])
  assert.deepEqual(begun(firstNoonMs), [])
})

for (let seed = 1; seed <= 20; seed++) {
  test(`each record counts once, and each recipient is told of once, whenever it crashes (seed ${seed})`, (t) => {
    const random = seededRandom(seed)
    const below = (count: number): number => Math.floor(random.fraction() * count)
    const rig = new Rig(t)
    // The logs, as they will always be read again: from anywhere before what was committed.
    const records: (() => void)[] = []
    const sent = new Map<string, string>()
    let recipients = 0
    let atMs = firstNoonMs
    let outcomeAt = 0
    let committed = 0
    let read = 0
    for (let number = 1; number <= 60; number++) {
      const count = 1 + below(3)
      recipients += count
      const head = headOf(number, firstNoonMs, {
        recipients: Array.from({ length: count }, (_, i) => `r${i}@x.example`),
      })
      records.push(() => rig.tally.submission(number, head, noFacts, mark('intake-0', number * 100)))
      for (let recipient = 0; recipient < count; recipient++) {
        atMs += below(50_000)
        const outcome = bounce(recipient, atMs)
        const at = ++outcomeAt
        records.push(() => settle(rig, number, head, outcome, at))
      }
    }
    while (read < records.length || rig.tally.figures().noticesDue > 0) {
      const step = below(10)
      if (step < 6) records[read++]?.()
      else if (step < 8) {
        rig.tally.commit(new Map(), read < records.length ? firstNoonMs : atMs + hourMs)
        rig.tally.sync()
        committed = read
        for (const { id, number, told } of rig.tally.dueNotices(below(5))) {
          // It is a message now; whether anybody comes to note that is another question.
          for (const { recipient } of told) {
            assert.equal(sent.get(`${number} ${recipient}`) ?? id, id, 'told twice')
            sent.set(`${number} ${recipient}`, id)
          }
          const own = headOf(1_000 + sent.size, atMs, { id, client: 'posthaste', returnPath: '' })
          const at = 1_000_000 + sent.size
          records.splice(read + below(Math.max(1, records.length - read)), 0, () =>
            rig.tally.submission(1_000 + sent.size, own, noFacts, mark('intake-1', at)),
          )
          if (below(2) === 0) rig.tally.endNotice(id, 'sent')
        }
      } else if (step === 9 && below(6) === 0) {
        rig.crash()
        read = Math.max(0, committed - below(20))
      }
    }
    rig.tally.commit(new Map(), atMs + hourMs)
    rig.tally.sync()
    assert.equal(sent.size, recipients)
    assert.equal(rig.tally.usage('acme', null, firstNoonMs).monthMessages, recipients)
    assert.equal(rig.tally.bounces(1_000).length, recipients)
  })
}

test('limit tally.kept: what went out is known until then', (t) => {
  const rig = new Rig(t)
  const head = accept(rig, 1)
  const told = bounce()
  settle(rig, 1, head, told, 1)
  const [notice] = rig.due(firstNoonMs)
  rig.tally.endNotice(notice?.id ?? '', 'sent')
  const again = (atMs: number): number => {
    rig.tally.commit(new Map(), atMs)
    rig.tally.sync()
    settle(rig, 1, head, told)
    const { noticesMade } = rig.tally.figures()
    return noticesMade
  }
  const { value } = limits.tallyKeptMsMax
  assert.equal(again(firstNoonMs + value - hourMs), 1)
  assert.equal(again(firstNoonMs + value), 1)
  assert.equal(again(firstNoonMs + value + 2 * hourMs), 2)
})

test('limit tally.notices-waiting: so many gather or are due, one more is withheld', (t) => {
  const { value } = limits.noticesWaitingMax
  const rig = new Rig(t)
  rig.tally.close()
  const database = new DatabaseSync(join(rig.directory, 'tally.sqlite'))
  database.exec(`WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${value - 1})
    INSERT INTO notices SELECT 'id ' || n, -n, 'failed', 'due', 0, 0, '', '{}' FROM n`)
  database.close()
  rig.tally = rig.open()
  assert.equal(rig.tally.figures().noticesDue, value - 1)
  settle(rig, 1, accept(rig, 1), bounce())
  assert.deepEqual([rig.tally.figures().noticesDue, rig.tally.figures().noticesWithheld], [value, 0])
  settle(rig, 2, accept(rig, 2), bounce())
  assert.deepEqual([rig.tally.figures().noticesDue, rig.tally.figures().noticesWithheld], [value, 1])
})

test('limit tally.notices-gathering: so many wait for company, one more makes the first one due at once', (t) => {
  const { value } = limits.noticesGatheringMax
  const rig = new Rig(t)
  rig.tally.close()
  const database = new DatabaseSync(join(rig.directory, 'tally.sqlite'))
  database.exec(`WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${value - 1})
    INSERT INTO notices SELECT 'id ' || n, -n, 'failed', 'gathering', ${firstNoonMs} + n / 1000, 0, '', '{}' FROM n`)
  database.close()
  rig.tally = rig.open()
  const recipients = ['a@x.example', 'b@x.example']
  for (const [number, due] of [
    [1, 0],
    [2, 1],
  ] as const) {
    settle(rig, number, accept(rig, number, { recipients }), bounce(0, firstNoonMs + 100))
    assert.deepEqual(
      rig.due(firstNoonMs + 100).map(({ id }) => id),
      ['id 1'].slice(0, due),
    )
  }
})

test('limit tally.bounces-waiting: one more is counted only', (t) => {
  const { value } = limits.tallyBouncesMax
  const rig = new Rig(t, { noticeFor: () => null })
  const recipients = Array.from({ length: value + 1 }, (_, i) => `user${i}@x.example`)
  const head = accept(rig, 1, { recipients })
  const all = (from: number, to: number): AttemptOutcome => {
    const one = bounce()
    const [first] = one.recipients
    assert.ok(first !== undefined)
    return { ...one, recipients: recipients.slice(from, to).map((_, i) => ({ ...first, recipient: from + i })) }
  }
  settle(rig, 1, head, all(0, value - 1))
  assert.equal(rig.tally.figures().bouncesDropped, 0)
  settle(rig, 1, head, all(value - 1, value))
  assert.equal(rig.tally.figures().bouncesDropped, 0)
  settle(rig, 1, head, all(value, value + 1))
  assert.equal(rig.tally.figures().bouncesDropped, 1)
  assert.equal(rig.tally.bounces(value + 5).length, value)
})
