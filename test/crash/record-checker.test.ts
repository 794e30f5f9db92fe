/** The checker of the record on evidence that is made up: it must be able to fail, at each of its promises. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { dayMs } from '../../src/kernel/units.ts'
import type { SentRecord } from '../../src/sandbox/sandbox.ts'
import { readAccounting } from './record.ts'
import { type AccountingLine, type ArrivedNotice, judgeRecord, type RecordEvidence } from './record-checker.ts'

const noon = '2026-07-01T12:00:00.000Z'
const noonDay = Math.floor(Date.parse(noon) / dayMs)

let position = 0
const line = (id: string, event: AccountingLine['event'], more: Partial<AccountingLine> = {}): AccountingLine => ({
  event,
  time: noon,
  id,
  tenant: 'crash',
  recipient: `${id}@mail.test`,
  log: event === 'accepted' ? 'intake-0' : 'outcome-0',
  position: (position += 64),
  index: 0,
  ...(event === 'accepted' ? { subject: `test ${id}`, return_path: 'me@source.test' } : { attempt: 1 }),
  ...more,
})
const sent = (id: string, code = 250): SentRecord => ({
  id,
  rcpt: `${id}@mail.test`,
  sha256: '',
  code,
  sentMs: 0,
  ackedMs: 0,
})
const notice = (id: string, about: string): ArrivedNotice => ({
  messageId: id,
  about,
  recipients: [`${about}@mail.test`],
})
const stored = (id: string, status: 'delivered' | 'bounced' | 'deferred', attempts = 1) =>
  [id, [{ address: `${id}@mail.test`, status, attempts }]] as const

/** One that was delivered at the second attempt, one whose address does not exist, its notice, and one whose client never heard of it. */
const lines = [
  line('a', 'accepted'),
  line('b', 'accepted'),
  line('a', 'deferred'),
  line('b', 'bounced', { code: 550, enhanced: '5.1.1' }),
  line('n', 'accepted', { client: 'posthaste', recipient: 'me@source.test' }),
  line('a', 'delivered', { attempt: 2 }),
  line('d', 'accepted'),
  line('d', 'delivered'),
  line('n', 'delivered', { recipient: 'me@source.test' }),
].map((one): AccountingLine => {
  const { return_path: _, ...rest } = one
  return one.id === 'n' ? rest : one
})
const [accepted, bounce, delivered] = [lines[0], lines[3], lines[5]] as [AccountingLine, AccountingLine, AccountingLine]
const store = [
  stored('a', 'delivered', 2),
  stored('b', 'bounced'),
  stored('d', 'delivered'),
  ['n', [{ address: 'me@source.test', status: 'delivered', attempts: 1 }]],
] as const
const storing =
  (messages: typeof store): RecordEvidence['stored'] =>
  (id) =>
    messages.find(([name]) => name === id)?.[1] ?? null

const sound: RecordEvidence = {
  lines,
  sent: [sent('a'), sent('b'), sent('d', 0)],
  notices: [notice('n', 'b'), notice('n', 'b')],
  empty: true,
  stored: storing(store),
  usage: (tenant, day) => (tenant === 'crash' && day === noonDay ? 3 : 0),
  suppressed: [{ tenant: 'crash', address: 'b@mail.test' }],
}
const complaints = (change: Partial<RecordEvidence>): string[] => judgeRecord({ ...sound, ...change }).violations
const without = (gone: AccountingLine): AccountingLine[] => lines.filter((one) => one !== gone)

test('a record without a fault agrees with itself and with the ledger', () => {
  assert.deepEqual(judgeRecord(sound), {
    violations: [],
    figures: { lines: 9, accepted: 4, used: 3, stored: 4, bounced: 1, notices: 1, suppressed: 1 },
  })
})

test('a doubled line is found, with and without its own place', () => {
  assert.deepEqual(complaints({ lines: [...lines, delivered] }), [
    `record: two lines of one place: outcome-0 ${delivered.position} 0`,
    'record: not in order: a a@mail.test goes on behind its end',
    'record: not in order: a a@mail.test: attempt 2 follows 2',
  ])
  assert.deepEqual(complaints({ lines: [...lines, { ...accepted, position: 1 }] }).slice(0, 1), [
    'record: not in order: a a@mail.test is accepted twice',
  ])
})

test('a missing line is found: of an acceptance, of an attempt, of an end', () => {
  const found = complaints({ lines: without(accepted) })
  assert.ok(found.includes('record: accepted, and no line says so: test a a@mail.test'), found.join('\n'))
  assert.ok(found.includes('record: not in order: a a@mail.test has an attempt before it is accepted'))
  assert.deepEqual(complaints({ lines: without(lines[2] as AccountingLine) }), [
    'record: not in order: a a@mail.test: attempt 2 follows 0',
  ])
  assert.deepEqual(complaints({ lines: without(delivered) }), [
    'record: nothing is queued, and it has no end: a a@mail.test',
    'record: the message store says something else: a a@mail.test: delivered after 2, and by the lines deferred after 1',
  ])
})

test('a line that is out of order is found', () => {
  const [first, second, third, ...rest] = lines as [AccountingLine, AccountingLine, AccountingLine]
  const found = complaints({ lines: [third, first, second, ...rest] })
  assert.equal(found[0], 'record: not in order: a a@mail.test has an attempt before it is accepted')
  const swapped = lines.map((one) => (one === third ? delivered : one === delivered ? third : one))
  assert.equal(complaints({ lines: swapped })[0], 'record: not in order: a a@mail.test: attempt 2 follows 0')
})

test('a message store that lacks a message, or is behind, is found', () => {
  const why = 'record: the message store says something else'
  const lacking = storing(store.filter(([id]) => id !== 'd') as unknown as typeof store)
  assert.deepEqual(complaints({ stored: lacking }), [
    `${why}: d d@mail.test: undefined after undefined, and by the lines delivered after 1`,
  ])
  const behind = storing(
    store.map((one) => (one[0] === 'a' ? stored('a', 'deferred') : one)) as unknown as typeof store,
  )
  assert.deepEqual(complaints({ stored: behind }), [
    `${why}: a a@mail.test: deferred after 1, and by the lines delivered after 2`,
  ])
})

test('a notice under two ids, one about nobody, and one that never came are found', () => {
  assert.deepEqual(complaints({ notices: [notice('n', 'b'), notice('m', 'b')] }), [
    'record: told of under two ids: b b@mail.test',
  ])
  assert.deepEqual(complaints({ notices: [...sound.notices, notice('m', 'a')] }), [
    'record: told of, and did not bounce: a a@mail.test',
  ])
  assert.deepEqual(complaints({ notices: [] }), ['record: bounced, and nobody was told: b b@mail.test'])
})

test('usage that is off by one is found, in either direction and on the right day', () => {
  const why = `record: the tally counts something else (day, tenant): ${noonDay} crash`
  for (const counted of [2, 4]) {
    assert.deepEqual(complaints({ usage: () => counted }), [`${why}: ${counted}, and by the lines 3`])
  }
  const next = lines.map((one) => (one.id === 'd' ? { ...one, time: '2026-07-02T00:00:00.000Z' } : one))
  assert.deepEqual(complaints({ lines: next, usage: (_, day) => (day === noonDay ? 2 : 1) }), [])
  assert.deepEqual(complaints({ lines: next, usage: (_, day) => (day === noonDay ? 3 : 0) }), [
    `${why}: 3, and by the lines 2`,
    `record: the tally counts something else (day, tenant): ${noonDay + 1} crash: 0, and by the lines 1`,
  ])
})

test('an address that should be suppressed and is not, and one that should not and is, are found', () => {
  assert.deepEqual(complaints({ suppressed: [] }), ['record: does not exist, and is not suppressed: crash b@mail.test'])
  const other = { tenant: 'other', address: 'b@mail.test' }
  assert.deepEqual(complaints({ suppressed: [...sound.suppressed, other] }), [
    'record: is suppressed, and did not bounce so: other b@mail.test',
  ])
  const full = lines.map((one) => (one === bounce ? { ...one, code: 552, enhanced: '5.2.2' } : one))
  assert.deepEqual(complaints({ lines: full }), ['record: is suppressed, and did not bounce so: crash b@mail.test'])
})

test('what is still queued need not have come to its end', () => {
  const open = { lines: lines.slice(0, 5), notices: [], suppressed: [], empty: false }
  const found = complaints({ ...open, sent: [sent('a')], usage: () => 2 })
  assert.deepEqual(found, [
    'record: the message store says something else: a a@mail.test: delivered after 2, and by the lines deferred after 1',
    'record: the message store says something else: n me@source.test: delivered after 1, and by the lines queued after 0',
  ])
})

test('a line that is not of the schema, or is cut, is named by its file and number; compressed files are read too', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-record-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const { return_path, subject, ...bare } = accepted
  const more = {
    v: 1,
    id: '019aab3c-6b88-7d2e-9c41-0c5b1f0e7a11',
    number: 64,
    class: 'bulk',
    via: 'smtp',
    bytes: 1_000,
    recipients: 1,
  }
  const good = JSON.stringify({ ...bare, return_path, subject, ...more })
  const wrong = JSON.stringify({ ...bare, ...more, position: -1 })
  writeFileSync(join(directory, 'acct-20260630T000000Z-1.json.gz'), gzipSync(`${good}\n`))
  writeFileSync(join(directory, 'acct-20260701T000000Z-2.json'), `${good}\n${wrong}\n`)
  writeFileSync(join(directory, 'acct.json'), `${good}\n${good.slice(0, 40)}`)
  const read = await readAccounting(directory)
  assert.deepEqual([read.lines.length, read.files, read.wrong.length], [3, 3, 2])
  assert.match(read.wrong[0] ?? '', /^acct-20260701T000000Z-2\.json line 2: \/position .*: \{/)
  assert.match(read.wrong[1] ?? '', /^acct\.json line 2: no JSON: \{/)
})
