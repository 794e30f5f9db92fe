/** The checker on evidence that is made up: it must be able to fail, at each of its promises. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReceivedRecord, SentRecord } from '../../src/sandbox/sandbox.ts'
import { checkEvidence, type Evidence, type StoredRecipient } from './checker.ts'

const rcpt = 'ann@mail.test'
const sent = (id: string, code = 250): SentRecord => ({ id, rcpt, sha256: `${id}!`, code, sentMs: 0, ackedMs: 0 })
const received = (id: string, receivedMs: number, more: Partial<ReceivedRecord> = {}): ReceivedRecord => ({
  id,
  rcpt,
  sha256: `${id}!`,
  bytes: 1,
  from: '',
  receivedMs,
  connection: 1,
  replyLost: false,
  ...more,
})
const stored = (id: string, more: Partial<StoredRecipient> = {}): StoredRecipient => ({
  id,
  rcpt,
  sha256: `${id}!`,
  headersSha256: 'h',
  end: 'delivered',
  ...more,
})

/** One message that was delivered, one that bounced, one that waits, and one whose client never heard of it; a kill at 1,000. */
const sound: Evidence = {
  sent: [sent('a'), sent('b'), sent('c'), sent('d', 0)],
  received: [received('a', 500), received('d', 500)],
  receivedHeaders: new Map([['a', new Set(['h'])]]),
  stored: [stored('a'), stored('b', { end: 'bounced' }), stored('c', { end: 'pending' }), stored('d')],
  refuses: () => false,
  killsAtMs: [1_000],
  inFlightMax: 1,
  outcomeMsMax: 60,
}

const complaints = (change: Partial<Evidence>): string[] => checkEvidence({ ...sound, ...change }).violations

test('evidence without a fault is accounted for', () => {
  const { violations, acknowledged, delivered, bounced, pending, unacknowledgedDelivered } = checkEvidence(sound)
  assert.deepEqual(
    { violations, acknowledged, delivered, bounced, pending, unacknowledgedDelivered },
    { violations: [], acknowledged: 3, delivered: 1, bounced: 1, pending: 1, unacknowledgedDelivered: 1 },
  )
})

test('what has left the spool must have arrived, unless the receiver refuses it for good', () => {
  assert.deepEqual(complaints({ stored: sound.stored.slice(1) }), [])
  assert.deepEqual(complaints({ stored: sound.stored.filter(({ id }) => id !== 'b') }), [
    'acknowledged and lost: b ann@mail.test',
  ])
  const refused = checkEvidence({ ...sound, stored: sound.stored.filter(({ id }) => id !== 'b'), refuses: () => true })
  assert.deepEqual([refused.violations, refused.bounced], [[], 1])
})

test('what is in the spool of nobody, or called delivered and never seen, is lost', () => {
  assert.deepEqual(complaints({ stored: sound.stored.slice(0, 2) }), [`acknowledged and lost: c ${rcpt}`])
  assert.deepEqual(complaints({ received: [received('d', 500)] }), [`acknowledged and lost: a ${rcpt}`])
})

test('changed bytes are found on the way, in the spool, and in the fields in front', () => {
  const changed = received('a', 500, { sha256: 'x' })
  assert.deepEqual(complaints({ received: [changed] }), [`arrived with other bytes than were sent: a ${rcpt}`])
  const damaged = sound.stored.map((one) => (one.id === 'c' ? { ...one, sha256: null } : one))
  assert.deepEqual(complaints({ stored: damaged }), [`damaged in the spool: c ${rcpt}`])
  for (const forms of [['x'], ['h', 'x']]) {
    const receivedHeaders = new Map([['a', new Set(forms)]])
    assert.deepEqual(complaints({ receivedHeaders }), [
      `arrived with other added header fields than were stored: a ${rcpt}`,
    ])
  }
})

test('what nobody sent, and what is stored twice, is found', () => {
  assert.deepEqual(complaints({ received: [...sound.received, received('z', 1)] }), [
    `arrived and was never sent: z ${rcpt}`,
  ])
  assert.deepEqual(complaints({ stored: [...sound.stored, stored('a')] }), [`is stored twice: a ${rcpt}`])
})

test('a second copy needs a cause, and a kill is the cause of so many only', () => {
  const again = (...copies: ReceivedRecord[]): string[] => complaints({ received: [...sound.received, ...copies] })
  assert.deepEqual(again(received('a', 1_100)), [], 'a kill came between')
  assert.deepEqual(again(received('a', 600)), [
    `delivered twice, though nothing was killed and no reply was lost between the copies: a ${rcpt}`,
  ])
  const lost = [received('a', 500, { replyLost: true }), received('d', 500), received('a', 600)]
  assert.deepEqual(complaints({ received: lost }), [], 'the receiver withheld its reply')
  const flowing = { sent: [...sound.sent, sent('e')], stored: [...sound.stored, stored('e')] }
  const early = [
    ...sound.received,
    received('e', 990),
    received('a', 1_100),
    received('d', 1_100),
    received('e', 1_100),
  ]
  assert.deepEqual(complaints({ ...flowing, received: early }), [
    'a kill caused more duplicates than were in flight and not yet committed: kill 1: 3 > 2',
  ])
  const late = [received('a', 990), received('d', 980), received('a', 1_100), received('d', 1_100)]
  assert.deepEqual(complaints({ received: late }), [], 'both arrived while an outcome may still be on its way')
})
