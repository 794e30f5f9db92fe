/** Every line is what docs/accounting.schema.json says, and one line for whoever reads it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Compile } from 'typebox/schema'
import { readProjectFile } from '../../../test/support/house-source.ts'
import { firstNoonMs, headOf, outcomeOf } from '../../../test/support/store-rig.ts'
import { type Attempt, dialogueStages, outcomeKinds, outcomeScopes } from '../../model/outcome.ts'
import { noFacts, type SubmissionFacts } from '../../model/submission.ts'
import type { AttemptOutcome, MessageHead } from '../message-table.ts'
import { acceptedLine, isoTime, outcomeLine } from './lines.ts'

const schema = JSON.parse(readProjectFile('docs/accounting.schema.json')) as {
  properties: { event: { enum: string[] } }
} & Record<string, unknown>
const validator = Compile(schema)

/** The object; it is of the schema, and every name in it is one of the schema's. */
function valid(line: string): Record<string, unknown> {
  assert.ok(line.endsWith('}\n'))
  const value = JSON.parse(line) as Record<string, unknown>
  assert.ok(validator.Check(value), `${line} ${JSON.stringify(validator.Errors(value))}`)
  const known = readProjectFile('docs/accounting.schema.json')
  for (const name of Object.keys(value)) assert.ok(known.includes(`"${name}": {`), name)
  return value
}

const mark = { log: 'intake-0', position: 4096 }
const facts: SubmissionFacts = {
  ...noFacts,
  via: 'http',
  from: 'Ann <ann@acme.example>',
  subject: 'Grüße, 世界',
  stream: 'receipts',
  campaign: 'summer',
  tags: ['a', 'b'],
  credentialId: 'key-1',
}

test('an accepted line has everything that is known then, under the names of the schema', () => {
  const head = headOf(64, firstNoonMs, { recipients: ['ann@x.example', 'bob@y.example'], expiresAtMs: firstNoonMs + 1 })
  assert.deepEqual(valid(acceptedLine(64, head, facts, mark, 1)), {
    v: 1,
    event: 'accepted',
    time: '2026-07-01T12:00:00.000Z',
    log: 'intake-0',
    position: 4096,
    index: 1,
    id: head.id,
    number: 64,
    tenant: 'acme',
    recipient: 'bob@y.example',
    return_path: 'bounces@acme.example',
    class: 'transactional',
    stream: 'receipts',
    campaign: 'summer',
    from: 'Ann <ann@acme.example>',
    subject: 'Grüße, 世界',
    tags: ['a', 'b'],
    via: 'http',
    client: '203.0.113.7 helo.example',
    credential_id: 'key-1',
    bytes: 1000,
    recipients: 2,
    expires_at: '2026-07-01T12:00:00.001Z',
  })
})

test('a line of an outcome says what was answered, by whom, how long it took, and whose mail it was', () => {
  const head = headOf(64, firstNoonMs)
  const outcome = outcomeOf('deferred', 2)
  const attempt: Attempt = { ...outcome.attempt, tls: 'TLSv1.3', connectedMs: 0 }
  const line = outcomeLine(64, head, facts, { ...outcome, attempt }, { log: 'outcome-0', position: 7 }, 0)
  assert.deepEqual(valid(line), {
    v: 1,
    event: 'deferred',
    time: '2026-07-01T12:02:00.000Z',
    log: 'outcome-0',
    position: 7,
    index: 0,
    id: head.id,
    number: 64,
    tenant: 'acme',
    recipient: 'user64@example.net',
    return_path: 'bounces@acme.example',
    class: 'transactional',
    stream: 'receipts',
    campaign: 'summer',
    attempt: 2,
    code: 451,
    enhanced: '4.7.1',
    reply: 'deferred, attempt 2',
    stage: 'final',
    scope: 'recipient',
    next_attempt_at: '2026-07-01T12:07:00.000Z',
    host: 'mx.example.net',
    address: '192.0.2.7:25',
    source: '192.0.2.1',
    tls: 'TLSv1.3',
    reused_connection: true,
    connect_ms: 0,
    total_ms: 30,
    queued_ms: 120_000,
  })
})

test('what is empty is left out: the null sender, facts that nobody gave, an attempt that nobody made', () => {
  const head: MessageHead = { ...headOf(64, firstNoonMs, { returnPath: '', client: '' }) }
  assert.deepEqual(Object.keys(valid(acceptedLine(64, head, noFacts, mark, 0))).slice(10), [
    'class',
    'via',
    'bytes',
    'recipients',
  ])
  const given = outcomeOf('suppressed', 0)
  const nobody = {
    host: '',
    address: '',
    source: '',
    tls: '',
    reusedConnection: false,
    connectedMs: -1,
    envelopeMs: -1,
    finishedMs: -1,
  }
  // A clock that was set back between the two.
  const outcome: AttemptOutcome = { ...given, atMs: firstNoonMs - 5, attempt: { ...given.attempt, ...nobody } }
  const line = valid(outcomeLine(64, head, noFacts, outcome, mark, 0))
  assert.deepEqual(Object.keys(line).slice(10), ['class', 'attempt', 'reply', 'stage', 'scope', 'queued_ms'])
  assert.equal(line['queued_ms'], 0)
})

test('whatever is in it, a line is one line of clean text, and the text comes back', () => {
  const nasty = fc.string({
    unit: fc.oneof(
      fc.constantFrom(
        '\n',
        '\r',
        '\u0000',
        '\u001b',
        '\u007f',
        '\u0085',
        '\u009b',
        '\u2028',
        '\u2029',
        '"',
        '\\',
        '\ud800',
        '\udfff',
        'é',
        '😀',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
    ),
  })
  fc.assert(
    fc.property(
      nasty,
      fc.constantFrom(...outcomeKinds),
      fc.constantFrom(...dialogueStages),
      fc.constantFrom(...outcomeScopes),
      (text, kind, stage, scope) => {
        const head = headOf(64, firstNoonMs, { tenant: text, recipients: [text], returnPath: text, client: text })
        const given = outcomeOf(kind, 1)
        const recipients = given.recipients.map((recipient) => ({
          ...recipient,
          outcome: { ...recipient.outcome, stage, scope, text, enhanced: '5.1.1' },
        }))
        for (const line of [
          acceptedLine(64, head, { ...facts, subject: text, tags: [text] }, mark, 0),
          outcomeLine(64, head, facts, { ...given, recipients }, mark, 0),
        ]) {
          assert.equal(line.slice(0, -1).replaceAll(/\p{Cc}|\p{Zl}|\p{Zp}|\p{Cs}/gu, ''), line.slice(0, -1))
          const value = valid(Buffer.from(line).toString())
          assert.equal(value['tenant'], text)
          assert.equal(value['subject'] ?? value['reply'] ?? '', text)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('the schema names every outcome there is, and one more that nobody writes yet', () => {
  assert.deepEqual(schema.properties.event.enum.toSorted(), [...outcomeKinds, 'accepted', 'deleted'].toSorted())
  assert.equal(validator.Check({ v: 1 }), false)
  const value = JSON.parse(acceptedLine(64, headOf(64, firstNoonMs), facts, mark, 0)) as Record<string, unknown>
  for (const wrong of [{ v: 2 }, { time: 'now' }, { position: -1 }, { event: 'other' }, { tags: [] }, { bytes: 1.5 }])
    assert.equal(validator.Check({ ...value, ...wrong }), false, JSON.stringify(wrong))
})

test('times are those of Date, whatever came before', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4e12 }),
      (ms) => isoTime(ms) === new Date(ms).toISOString() && isoTime(ms + 1) === new Date(ms + 1).toISOString(),
    ),
  )
})
