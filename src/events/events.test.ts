/** The message store: what goes in is found, by its own tenant, and only grows. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { outcomeOf, firstNoonMs, headOf, idOf, StoreRig } from '../../test/support/store-rig.ts'
import { unpackSummary } from './packed-message.ts'
import { noFacts } from '../model/submission.ts'
import { BadCursor, type MessageQuery, type RecipientStatus } from '../ports/message-store.ts'
import { hourMs, MiB, minuteMs } from '../kernel/units.ts'
import { keyMsMax } from './limits.ts'

const lists = ({ table }: StoreRig, tenant: string, query: Partial<MessageQuery>): string[] => {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = table.list(tenant, { limit: 3, ...query, ...(cursor === undefined ? {} : { cursor }) })
    ids.push(...page.messages.map(({ id }) => id))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return ids
}

test('everything that is told of a message is in its record', (t) => {
  const rig = new StoreRig(t)
  const facts = {
    via: 'http',
    from: 'Ann <ann@acme.example>',
    subject: 'Grüße, 世界',
    stream: 'receipts',
    campaign: 'summer',
    tags: ['a', 'b', 'a'],
    metadata: '{"order":7}',
    credentialId: '0190-key',
    idempotencyKey: 'once',
    requestSha256: 'ab'.repeat(32),
  } as const
  const head = headOf(2 ** 52 + 64, firstNoonMs, {
    recipients: ['Bob@Example.NET', 'carol@example.net'],
    mailClass: 'urgent',
    expiresAtMs: firstNoonMs + hourMs,
    contentBytes: 50_000_000,
  })
  rig.table.submission(2 ** 52 + 64, head, facts)
  const deferred = outcomeOf('uncertain', 1)
  rig.table.outcome(2 ** 52 + 64, deferred)
  rig.table.outcome(2 ** 52 + 64, outcomeOf('delivered', 2))
  const quiet = { code: 0, enhanced: '', text: '', nextAttemptAtMs: 0, mayBeDuplicate: false }
  const expected = {
    id: head.id,
    tenant: 'acme',
    returnPath: head.returnPath,
    mailClass: 'urgent',
    facts,
    acceptedAtMs: firstNoonMs,
    expiresAtMs: firstNoonMs + hourMs,
    contentBytes: 50_000_000,
    client: head.client,
    recipientCount: 2,
    status: 'queued',
    recipients: [
      {
        address: 'Bob@Example.NET',
        status: 'delivered',
        attempts: 2,
        code: 250,
        enhanced: '2.0.0',
        text: 'delivered, attempt 2',
        updatedAtMs: firstNoonMs + 2 * minuteMs,
        nextAttemptAtMs: 0,
        mayBeDuplicate: true,
        tries: [
          { number: 1, ...deferred.attempt, outcome: deferred.recipients[0]?.outcome },
          {
            number: 2,
            ...outcomeOf('delivered', 2).attempt,
            outcome: outcomeOf('delivered', 2).recipients[0]?.outcome,
          },
        ],
      },
      { address: 'carol@example.net', status: 'queued', attempts: 0, ...quiet, updatedAtMs: firstNoonMs, tries: [] },
    ],
  }
  assert.deepEqual(rig.find('acme', head.id), expected)
  rig.reopen()
  assert.deepEqual(rig.find(null, head.id.toUpperCase()), expected)
  const [summary] = rig.table.list('acme', { limit: 1 }).messages
  const untold = expected.recipients.map((recipient) => ({ ...recipient, tries: undefined }))
  const shown = summary?.recipients.map((recipient) => ({ ...recipient, tries: undefined }))
  assert.deepEqual({ ...summary, recipients: shown }, { ...expected, recipients: untold })
  assert.ok(summary?.recipients.every((recipient) => !('tries' in recipient)))
})

test('a message’s status is the first that any recipient has: queued, deferred, bounced, expired, delivered', (t) => {
  const rig = new StoreRig(t)
  const id = rig.accept(64, { recipients: ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example'] })
  const status = (): RecipientStatus | undefined => rig.find('acme', id)?.status
  const seen = [status()]
  const steps = [
    ['delivered', 1, 0],
    ['expired', 1, 1],
    ['bounced', 1, 2],
    ['deferred', 1, 3],
    ['delivered', 2, 3],
  ] as const
  for (const [kind, attempt, recipient] of steps) {
    rig.table.outcome(64, outcomeOf(kind, attempt, { recipient }))
    seen.push(status())
  }
  assert.deepEqual(seen, ['queued', 'queued', 'queued', 'queued', 'deferred', 'bounced'])
})

test('records that come again change nothing, and nothing follows an end', (t) => {
  const rig = new StoreRig(t)
  const id = rig.accept(64)
  for (const attempt of [1, 2]) rig.table.outcome(64, outcomeOf('deferred', attempt))
  const before = rig.find('acme', id)
  rig.accept(64, { tenant: 'other', recipients: ['somebody@else.example'] })
  for (const attempt of [1, 2]) rig.table.outcome(64, outcomeOf('delivered', attempt - 1))
  rig.table.outcome(64, outcomeOf('deferred', 2))
  assert.deepEqual(rig.find('acme', id), before)
  assert.equal(rig.table.figures().outcomesIgnored, 0)
  rig.table.outcome(64, outcomeOf('bounced', 3))
  const end = rig.find('acme', id)
  rig.table.outcome(64, outcomeOf('delivered', 4))
  assert.deepEqual(rig.find('acme', id), end)
  assert.equal(rig.table.figures().outcomesIgnored, 1)
})

test('an end that has the number of the attempt before it counts: attempts are not counted beyond 65,535', (t) => {
  const rig = new StoreRig(t)
  const id = rig.accept(64)
  rig.table.outcome(64, outcomeOf('deferred', 65_535))
  rig.table.outcome(64, outcomeOf('expired', 65_535))
  assert.equal(rig.find('acme', id)?.status, 'expired')
})

test('outcomes of unknown messages and recipients are ignored and counted', (t) => {
  const rig = new StoreRig(t)
  rig.accept(640)
  for (const number of [64, 640 + 64, 641]) rig.table.outcome(number, outcomeOf('delivered', 1))
  rig.table.outcome(640, outcomeOf('delivered', 1, { recipient: 1 }))
  assert.equal(rig.table.figures().outcomesIgnored, 4)
})

test('a tenant finds its own messages only, whatever it asks', (t) => {
  const rig = new StoreRig(t)
  const common = { recipients: ['ann@example.net'] }
  const facts = { tags: ['sale'], idempotencyKey: 'k', requestSha256: 'f'.repeat(64) }
  const ours = rig.accept(64, { ...common, tenant: 'acme' }, facts)
  const theirs = rig.accept(128, { ...common, tenant: 'other' }, facts)
  assert.equal(rig.find('acme', theirs), null)
  assert.equal(rig.find('other', ours), null)
  assert.equal(rig.find(null, theirs)?.tenant, 'other')
  const searches: Partial<MessageQuery>[] = [
    {},
    { recipient: 'Ann@Example.net' },
    { tag: 'sale' },
    { tag: 'sale', recipient: 'ann@example.net' },
    { sender: 'bounces@acme.example' },
    { status: 'queued' },
  ]
  for (const query of searches) {
    assert.deepEqual(lists(rig, 'acme', query), [ours], JSON.stringify(query))
    assert.deepEqual(lists(rig, 'other', query), [theirs])
    assert.deepEqual(lists(rig, 'nobody', query), [])
  }
  assert.equal(rig.table.key('acme', 'k')?.id, ours)
  assert.equal(rig.table.key('other', 'k')?.id, theirs)
  assert.equal(rig.table.key('nobody', 'k'), null)
})

test('who has a domain of U-labels is found by either form of it, and shown as given', (t) => {
  const rig = new StoreRig(t)
  const recipients = ['Ann@Bücher.example', 'ben@xn--bcher-kva.example']
  const id = rig.accept(64, { recipients, returnPath: 'news@bücher.example' })
  for (const query of [
    { recipient: 'ann@bücher.example' },
    { recipient: 'ann@xn--bcher-kva.example' },
    { recipient: 'Ben@BÜCHER.example' },
    { sender: 'news@xn--bcher-kva.example' },
  ])
    assert.deepEqual(lists(rig, 'acme', query), [id], JSON.stringify(query))
  assert.deepEqual(
    rig.find('acme', id)?.recipients.map(({ address }) => address),
    recipients,
  )
})

test('a list is filtered by recipient, sender, status, tag and time, newest first', (t) => {
  const rig = new StoreRig(t)
  const ids: string[] = []
  for (let i = 0; i < 20; i++) {
    rig.clock.advance(3 * hourMs)
    const from = i % 3 === 0 ? 'News <NEWS@acme.example>' : 'shop@acme.example'
    const recipients = [`User${i % 2}@Example.net`, `user${i % 2}@example.net`]
    ids.unshift(rig.accept(64 * i, { recipients }, { from, tags: i % 5 === 0 ? ['five'] : [] }))
    if (i % 4 === 0) for (const recipient of [0, 1]) rig.table.outcome(64 * i, outcomeOf('bounced', 1, { recipient }))
  }
  const every = (n: number): string[] => ids.filter((_, index) => (19 - index) % n === 0)
  assert.equal(rig.table.figures().days, 4)
  assert.deepEqual(lists(rig, 'acme', {}), ids)
  assert.deepEqual(lists(rig, 'acme', { recipient: 'USER0@example.net' }), every(2))
  assert.deepEqual(lists(rig, 'acme', { sender: 'news@acme.example' }), every(3))
  assert.deepEqual(lists(rig, 'acme', { sender: 'bounces@ACME.example', status: 'bounced' }), every(4))
  assert.deepEqual(lists(rig, 'acme', { tag: 'five' }), every(5))
  assert.deepEqual(lists(rig, 'acme', { tag: 'five', recipient: 'user0@example.net' }), every(10))
  assert.deepEqual(lists(rig, 'acme', { tag: 'Five' }), [])
  const [fromMs, toMs] = [firstNoonMs + 5 * 3 * hourMs, firstNoonMs + 9 * 3 * hourMs]
  assert.deepEqual(lists(rig, 'acme', { fromMs, toMs }), ids.slice(12, 16))
  assert.equal(rig.table.list('acme', { limit: 20 }).next, null)
  assert.notEqual(rig.table.list('acme', { limit: 19 }).next, null)
})

test('a cursor is good for its own list only, also after a restart and when its day is gone', (t) => {
  const rig = new StoreRig(t, { retentionDays: 1 })
  const old = [1, 2].map((n) => rig.accept(64 * n))
  rig.nextDay()
  rig.accept(64 * 3)
  const cursor = rig.table.list('acme', { limit: 1 }).next
  assert.ok(cursor !== null)
  const next = (query: Partial<MessageQuery>, tenant = 'acme'): string[] =>
    rig.table.list(tenant, { limit: 5, cursor, ...query }).messages.map(({ id }) => id)
  assert.deepEqual(next({}), old.toReversed())
  rig.reopen()
  assert.deepEqual(next({}), old.toReversed())
  const flipped = `${cursor.slice(0, 8)}${cursor[8] === 'A' ? 'B' : 'A'}${cursor.slice(9)}`
  for (const query of [{ status: 'queued' }, { fromMs: 1 }, { cursor: flipped }, { cursor: `${cursor}=` }] as const)
    assert.throws(() => next(query), BadCursor)
  for (const bad of ['', 'x', 'A'.repeat(48), 'é'.repeat(10), 'A'.repeat(100_000)])
    assert.throws(() => next({ cursor: bad }), BadCursor)
  assert.throws(() => next({}, 'other'), BadCursor)
  assert.equal(next({ limit: 1 }).length, 1, 'a bad cursor ends nothing')
  rig.clock.advance(3 * 24 * hourMs)
  rig.table.prune()
  assert.deepEqual(next({}), [])
})

test('limit store.key-age: for a day a key stands for its message, then for another', (t) => {
  const rig = new StoreRig(t)
  const facts = { idempotencyKey: 'k', requestSha256: '1'.repeat(64) }
  const first = rig.accept(64, {}, facts)
  rig.clock.advance(keyMsMax.value)
  assert.deepEqual(rig.table.key('acme', 'k'), { id: first, requestSha256: '1'.repeat(64) })
  rig.clock.advance(1)
  assert.equal(rig.table.key('acme', 'k'), null)
  const second = rig.accept(128, {}, { ...facts, requestSha256: '2'.repeat(64) })
  assert.deepEqual(rig.table.key('acme', 'k'), { id: second, requestSha256: '2'.repeat(64) })
  assert.equal(rig.table.key('acme', ''), null)
})

test('what is asked for in a shape that no id has is not found', (t) => {
  const rig = new StoreRig(t)
  rig.accept(64)
  for (const id of ['', 'x', "' OR 1=1", idOf(65, firstNoonMs), idOf(64, firstNoonMs - 1)])
    assert.equal(rig.find('acme', id), null)
})

test('text of any kind comes back as it went in', (t) => {
  const rig = new StoreRig(t)
  const subject = `nul \0, quote ', "\\", emoji 🙂, right to left \u202e, ${'long '.repeat(2000)}`
  const recipients = [
    "o'brien@EXAMPLE.net",
    'jörg@BÜCHER.example',
    '"a b\\"c"@example.net',
    "x');DROP TABLE messages;--@example.net",
  ]
  const facts = { from: subject, subject, tags: ['%', '', "'"], metadata: '{"a":"\\u0000"}', idempotencyKey: "'k\0" }
  const id = rig.accept(64, { recipients, returnPath: '', client: subject }, facts)
  const record = rig.find('acme', id)
  assert.deepEqual(record?.facts, { ...noFacts, ...facts })
  assert.deepEqual([record?.returnPath, record?.client], ['', subject])
  const addresses = record?.recipients.map(({ address }) => address)
  assert.deepEqual(addresses, recipients)
  for (const recipient of [...recipients, 'JÖRG@bücher.EXAMPLE'])
    assert.deepEqual(lists(rig, 'acme', { recipient }), [id])
  for (const tag of facts.tags) assert.deepEqual(lists(rig, 'acme', { tag }), [id])
  assert.deepEqual(lists(rig, 'acme', { sender: '' }), [id])
  assert.equal(rig.table.key('acme', facts.idempotencyKey)?.id, id)
})

test('only the engine’s user reads the files', (t) => {
  const rig = new StoreRig(t)
  rig.accept(64)
  rig.table.commit()
  const modes = ['', ...readdirSync(rig.directory)].map((name) => statSync(join(rig.directory, name)).mode & 0o777)
  assert.deepEqual(modes, [0o700, 0o600, 0o600, 0o600, 0o600, 0o600])
})

test('the catalogue does not grow with every sync', (t) => {
  const rig = new StoreRig(t)
  for (let position = 0; position < 2000; position++) rig.table.sync(new Map([['intake-0', position]]))
  assert.ok(rig.table.figures().bytes < 1.1 * MiB)
  rig.reopen()
  assert.deepEqual([...rig.table.positions], [['intake-0', 1999]])
})

test('a submission without facts is one too', (t) => {
  const rig = new StoreRig(t)
  assert.deepEqual(rig.find('acme', rig.accept(64))?.facts, noFacts)
})

test('replies come back as they were given, whatever is in them', (t) => {
  const rig = new StoreRig(t)
  const id = rig.accept(64)
  const texts = ['', '"', "\\'\\u0000", 'a\0b\u2028\n\t\x7f\x01', 'größer 漢字 🙂', '[1,"x"]', '{"a":1}', '\ufeff']
  for (const [i, text] of texts.entries()) {
    const outcome = outcomeOf('deferred', i + 1)
    const [first] = outcome.recipients
    assert.ok(first !== undefined)
    const attempt = { ...outcome.attempt, host: text, tls: text }
    rig.table.outcome(64, { ...outcome, attempt, recipients: [{ ...first, outcome: { ...first.outcome, text } }] })
  }
  const [recipient] = rig.find('acme', id)?.recipients ?? []
  assert.deepEqual(
    recipient?.tries.map(({ number, host, tls, outcome }) => [number, host, tls, outcome.text]),
    texts.map((text, i) => [i + 1, text, text, text]),
  )
})

test('without tries there is everything but them', (t) => {
  const rig = new StoreRig(t)
  const recipients = Array.from({ length: 25 }, (_, i) => `r${i}@x.example`)
  const id = rig.accept(64, { recipients })
  rig.table.outcome(64, outcomeOf('deferred', 1, { recipient: 3 }))
  rig.table.outcome(64, outcomeOf('bounced', 2, { recipient: 3 }))
  const packed = rig.table.find('acme', id, false)
  assert.ok(packed !== null)
  assert.equal(packed.tries, null)
  const record = rig.find('acme', id)
  assert.ok(record !== null)
  const { recipients: shown, ...summary } = unpackSummary(packed)
  assert.deepEqual({ ...record, recipients: null }, { ...summary, recipients: null })
  assert.deepEqual(
    record.recipients,
    shown.map((recipient, i) => ({ ...recipient, tries: record.recipients[i]?.tries })),
  )
  assert.ok(shown.every((recipient) => !('tries' in recipient)))
  assert.deepEqual(
    record.recipients.map(({ address, tries }) => [address, tries.length]),
    recipients.map((address, i) => [address, i === 3 ? 2 : 0]),
  )
  assert.equal(rig.table.find('other', id, false), null)
})
