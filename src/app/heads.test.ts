import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headFor, openRig, smallSpool, submit } from '../../test/support/spool-rig.ts'
import type { OutcomeKind } from '../model/outcome.ts'
import { RecordReader } from '../spool/spool.ts'
import { Heads } from './heads.ts'
import * as limits from './limits.ts'

test('what is not kept any more is read again where its outcome says, out of the window and the file', () => {
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const content = Buffer.from('From: a@example.com\r\n\r\nx\r\n')
  submit(rig, content, () => {})
  rig.settle()
  const [row] = [...rig.queue.rows.values()].flat()
  assert.ok(row !== undefined)
  const records = new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes)
  const heads = new Heads(records)
  const known = heads.of(row.number, row.place)
  assert.deepEqual(known?.head.recipients, ['ann@example.net'])
  // The window goes on, the file stays.
  for (let i = 0; i < 40; i++) {
    submit(rig, Buffer.alloc(4_000, 'x'), () => {})
    rig.settle()
  }
  assert.equal(records.fromWindow(row.place, row.number), null)
  assert.equal(heads.of(row.number, row.place)?.head.id, known?.head.id)
  assert.equal(heads.of(row.number, 0), null, 'an outcome that does not tell')
  assert.equal(heads.of(row.number + 64, row.place), null, 'another message is there')
  assert.equal(heads.of(row.number, row.place + 64 * 1_000 * smallSpool.segmentBytes), null, 'no such segment')
})

/** What the spool adds to a head. */
const inSpool = {
  id: '0',
  acceptedAtMs: 0,
  contentBytes: 1,
  chunks: [],
  inlineOffset: 0,
  inlineBytes: 0,
  factsOffset: 0,
}

test('a message of which nothing more can come is forgotten, and one that is tried again is not', () => {
  const rig = openRig({ config: smallSpool })
  const heads = new Heads(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  const { facts, ...head } = headFor(['a@x.example', 'b@x.example'])
  const outcomes = (...kinds: OutcomeKind[]) => ({
    recipients: kinds.map((kind, recipient) => ({
      recipient,
      attempt: 1,
      outcome: { kind, scope: 'recipient' as const, stage: 'rcpt' as const, code: 0, enhanced: '', text: '' },
      nextAttemptAtMs: 0,
      mayBeDuplicate: false,
    })),
  })
  const stays = (...kinds: OutcomeKind[]): boolean => {
    heads.note(1, { ...head, ...inSpool }, facts)
    heads.taken(1, outcomes(...kinds))
    return heads.kept(1) !== undefined
  }
  assert.equal(stays('delivered', 'deferred'), true)
  assert.equal(stays('delivered'), true, 'the other one is under way')
  assert.equal(stays('delivered', 'uncertain'), true)
  assert.equal(stays('delivered', 'bounced'), false)
  heads.taken(1, outcomes('delivered', 'delivered'))
  // Those that are gone count no more: as many again are kept.
  for (let number = 2; number < 2 + limits.headsRecipientsMax.value; number++) {
    heads.note(number, { ...head, ...inSpool }, facts)
    if (number > 2) heads.taken(number, outcomes('delivered', 'delivered'))
  }
  assert.notEqual(heads.kept(2), undefined)
})

test('limit app.heads-kept: so many recipients are known, one more costs the older half its place', () => {
  const { value } = limits.headsRecipientsMax
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const heads = new Heads(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  const { facts, ...head } = headFor(['a@x.example'])
  const stored = { ...head, ...inSpool }
  for (let number = 1; number < value / 2; number++) heads.note(number, stored, facts)
  heads.note(value / 2, stored, facts)
  assert.notEqual(heads.of(1, 0), null)
  for (let number = value / 2 + 1; number <= value; number++) heads.note(number, stored, facts)
  assert.notEqual(heads.of(1, 0), null)
  heads.note(value + 1, stored, facts)
  assert.equal(heads.of(1, 0), null)
  assert.equal(heads.of(value / 2, 0), null)
  assert.notEqual(heads.of(value / 2 + 1, 0), null)
})
