import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { noFacts } from '../model/submission.ts'
import type { MessageRecord, RecipientStatus } from '../ports/message-store.ts'
import { EndedMessages } from './ended-messages.ts'
import { endedKeptMax, endedMsMax, endedRecipientsMax } from './limits.ts'

function message(id: string, statuses: readonly RecipientStatus[]): MessageRecord {
  const recipients = statuses.map((status, i) => ({
    address: `r${i}@example.net`,
    status,
    attempts: 1,
    code: 250,
    enhanced: '2.0.0',
    text: 'ok',
    updatedAtMs: 1,
    nextAttemptAtMs: 0,
    mayBeDuplicate: false,
    tries: [],
  }))
  return {
    id,
    tenant: 'acme',
    returnPath: 'me@example.com',
    mailClass: 'transactional',
    facts: noFacts,
    acceptedAtMs: 1,
    expiresAtMs: 0,
    contentBytes: 1,
    client: '127.0.0.1',
    recipientCount: recipients.length,
    recipients,
    status: statuses[0] ?? 'queued',
  }
}

const note = (ended: EndedMessages, id: string, record: MessageRecord): void => ended.note('acme', id, record, record)

test('only what has come to its end for everybody is kept, and for its tenant only', () => {
  const ended = new EndedMessages(new VirtualClock())
  for (const status of ['queued', 'deferred'] as const) {
    note(ended, status, message(status, ['delivered', status]))
    assert.equal(ended.get('acme', status), null)
  }
  for (const status of ['delivered', 'bounced', 'expired'] as const) {
    const record = message(status, [status, 'delivered'])
    note(ended, status, record)
    assert.equal(ended.get('acme', status), record)
    assert.equal(ended.get('other', status), null)
  }
})

test('whoever asked for the status only does not know the attempts', () => {
  const ended = new EndedMessages(new VirtualClock())
  const summary = message('x', ['delivered'])
  ended.note('acme', 'x', summary, null)
  assert.equal(ended.status('acme', 'x'), summary)
  assert.equal(ended.get('acme', 'x'), null)
  note(ended, 'x', summary)
  assert.equal(ended.get('acme', 'x'), summary)
})

test('limit app.ended-kept: so many are known, one more costs the oldest its place', () => {
  const ended = new EndedMessages(new VirtualClock())
  for (let i = 0; i <= endedKeptMax.value; i++) {
    note(ended, `${i}`, message(`${i}`, ['delivered']))
    assert.equal(ended.get('acme', '0') === null, i === endedKeptMax.value)
  }
})

test('limit app.ended-recipients: a message for four is kept, one for five is asked for again', () => {
  const ended = new EndedMessages(new VirtualClock())
  for (const recipients of [endedRecipientsMax.value - 1, endedRecipientsMax.value, endedRecipientsMax.value + 1]) {
    note(
      ended,
      `${recipients}`,
      message(
        'x',
        Array.from({ length: recipients }, () => 'delivered'),
      ),
    )
    assert.equal(ended.get('acme', `${recipients}`) !== null, recipients <= endedRecipientsMax.value)
  }
})

test('limit app.ended-age: a minute later it is asked for again', () => {
  const clock = new VirtualClock()
  const ended = new EndedMessages(clock)
  note(ended, 'x', message('x', ['delivered']))
  clock.advance(endedMsMax.value - 1)
  assert.notEqual(ended.get('acme', 'x'), null)
  clock.advance(1)
  assert.equal(ended.get('acme', 'x'), null)
})
