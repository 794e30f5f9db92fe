/** Who is told what: every answer of a receiver beside every wish of a sender. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attempt, noticesPolicy, outcome } from '../../test/support/notices.ts'
import { hourMs } from '../kernel/units.ts'
import type { OutcomeKind } from '../model/outcome.ts'
import { type DsnRequest, notifyOn } from '../model/submission.ts'
import type { NoticeQuestion } from '../model/notice-question.ts'
import { type NoticeKind, noticeFor } from './feedback.ts'

const { success, failure, delay, never } = notifyOn

const asking = (notify: number): DsnRequest => ({
  returns: '',
  envelopeId: '',
  recipients: [{ notify, originalRecipient: '' }],
})

const question = (kind: OutcomeKind, notify: number, given: Partial<NoticeQuestion> = {}): NoticeQuestion => ({
  returnPath: 'ann@example.com',
  dsn: asking(notify),
  recipient: 0,
  outcome: outcome(kind),
  attempt,
  ageMs: 4 * hourMs,
  attemptIsLast: false,
  ...given,
})

const told: Record<OutcomeKind, ReadonlyMap<number, NoticeKind>> = {
  bounced: new Map(
    [0, failure, failure | success, failure | delay, failure | success | delay].map((n) => [n, 'failed']),
  ),
  expired: new Map(
    [0, failure, failure | success, failure | delay, failure | success | delay].map((n) => [n, 'failed']),
  ),
  suppressed: new Map(
    [failure, failure | success, failure | delay, failure | success | delay].map((n) => [n, 'failed']),
  ),
  delivered: new Map(
    [success, success | failure, success | delay, success | failure | delay].map((n) => [n, 'relayed']),
  ),
  deferred: new Map([delay, delay | failure, delay | success, success | failure | delay].map((n) => [n, 'delayed'])),
  uncertain: new Map(),
}

for (const [kind, wishes] of Object.entries(told) as [OutcomeKind, ReadonlyMap<number, NoticeKind>][]) {
  test(`${kind}: a notice for who asks for it, and for nobody else`, () => {
    for (let notify = 0; notify <= never; notify++)
      assert.equal(noticeFor(question(kind, notify), noticesPolicy), wishes.get(notify) ?? null, `NOTIFY ${notify}`)
  })
  test(`${kind}: nobody hears of it who has no return path, or where the operator wants no notices`, () => {
    for (let notify = 0; notify <= never; notify++) {
      assert.equal(noticeFor(question(kind, notify, { returnPath: '' }), noticesPolicy), null)
      assert.equal(noticeFor(question(kind, notify), { ...noticesPolicy, enabled: false }), null)
    }
  })
}

test('who said nothing at all, or nothing of this recipient, is told of failures', () => {
  for (const dsn of [undefined, asking(success)]) {
    const recipient = dsn === undefined ? 0 : 1
    assert.equal(noticeFor(question('bounced', 0, { dsn, recipient }), noticesPolicy), 'failed')
    assert.equal(noticeFor(question('delivered', 0, { dsn, recipient }), noticesPolicy), null)
  }
})

test('a receiver that was told what the sender wants to know tells it itself; a refusal stays ours to tell', () => {
  const passedOn = { attempt: { ...attempt, dsnPassedOn: true } }
  assert.equal(noticeFor(question('delivered', success, passedOn), noticesPolicy), null)
  assert.equal(noticeFor(question('bounced', failure, passedOn), noticesPolicy), 'failed')
})

test('limit notices.delay_after: from then on a delay is one, as long as there is something to wait for', () => {
  const after = noticesPolicy.delayAfterMs
  for (const ageMs of [after - 1, after, after + 1])
    assert.equal(noticeFor(question('deferred', delay, { ageMs }), noticesPolicy), ageMs < after ? null : 'delayed')
  assert.equal(noticeFor(question('deferred', delay, { attemptIsLast: true }), noticesPolicy), null)
})

test('the operator may have recipients told that are on the suppression list', () => {
  const policy = { ...noticesPolicy, suppressed: true }
  assert.equal(noticeFor(question('suppressed', 0), policy), 'failed')
  assert.equal(noticeFor(question('suppressed', success), policy), null)
  assert.equal(noticeFor(question('suppressed', never), policy), null)
})
