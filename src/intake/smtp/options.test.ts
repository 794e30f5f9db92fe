/** X-Posthaste- fields: what is taken, what is refused, and where they lie. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { SmtpClient } from '../../../test/support/smtp-client.ts'
import { type SmtpRig, startRig } from '../../../test/support/smtp-rig.ts'
import { cutsMax, subjectCharactersMax } from '../../model/limits.ts'
import { surveyHeader } from '../../standards/header.ts'
import { optionBytesMax } from './limits.ts'
import { readOptions } from './options.ts'

function read(text: string) {
  const header = Buffer.from(text)
  return readOptions(header, surveyHeader(header).options)
}

/** What is wrong, or null. */
function problem(...fields: string[]): string | null {
  const options = read(`${fields.map((field) => `X-Posthaste-${field}\r\n`).join('')}\r\n`)
  return 'smtp' in options ? `${options.smtp} ${options.say}` : null
}

test('every field is understood', () => {
  const options = read(
    'X-Posthaste-Class: bulk\r\nx-posthaste-stream: news\r\nFrom: a@b\r\nX-Posthaste-Campaign: =?utf-8?q?Fr=C3=BChling?=\r\n' +
      'X-Posthaste-Tag: one, two\r\nX-POSTHASTE-TAG :two,three\r\n' +
      'X-Posthaste-Metadata: {"order":\r\n "17", "name": "Köln"}\r\n' +
      'X-Posthaste-Expires-In: 2h\r\nX-Posthaste-Idempotency-Key: 8e03978e\r\n\r\n',
  )
  assert.ok(!('smtp' in options))
  const { cuts, ...values } = options
  assert.deepEqual(values, {
    mailClass: 'bulk',
    stream: 'news',
    campaign: 'Frühling',
    tags: ['one', 'two', 'three'],
    metadata: '{"order":"17","name":"Köln"}',
    expiresInMs: 7_200_000,
    idempotencyKey: '8e03978e',
  })
  assert.equal(cuts.length, 4)
})

test('what is wrong is said in our words, with the name of the field', () => {
  for (const [field, expected] of [
    ['Class: Bulk', /^550 5\.6\.0 X-Posthaste-Class: choose from urgent, transactional, bulk$/],
    ['Stream: a b', /^550 5\.6\.0 X-Posthaste-Stream: /],
    ['Campaign:', /^550 5\.6\.0 X-Posthaste-Campaign: it is empty$/],
    ['Campaign: a\x07', /characters that cannot be seen$/],
    ['Campaign: =?utf-8?q?a=0D=0AX?=', /characters that cannot be seen$/],
    ['Tag: a,,b', /^550 5\.6\.0 X-Posthaste-Tag: it is empty$/],
    ['Tag: 1,2,3,4,5,6,7,8,9,10,11', /more than 10 tags$/],
    ['Metadata: order=17', /^550 5\.6\.0 X-Posthaste-Metadata: it is not a JSON object$/],
    ['Metadata: {"a":1}', /a value is not a string$/],
    ['Metadata: {"__proto__":"x"}', /a key /],
    [`Metadata: ${'['.repeat(16_000)}`, /not a JSON object$/],
    ['Expires-In: soon', /write it like 2h, 30m or, in seconds, 7200$/],
    ['Expires-In: 5s', /it must be from 1m to 30d$/],
    ['Idempotency-Key: a b', /visible ASCII characters$/],
    [
      'Priority: 1',
      /^550 5\.6\.0 of the names that begin with X-Posthaste- there are .* and Idempotency-Key: this message has another$/,
    ],
    [': 1', /this message has another$/],
    [`${'x'.repeat(5_000)}: 1`, /this message has another$/],
  ] as const) {
    assert.match(problem(field) ?? '', expected, field.slice(0, 60))
    assert.match(problem(field) ?? '', /^[ -~]{1,300}$/)
  }
  assert.equal(problem('Class: bulk', 'Class: bulk'), '550 5.6.0 X-Posthaste-Class: it is there twice')
  assert.equal(problem('Tag: a', 'Tag: a'), null)
})

test('limit smtp.option: 16 KiB of a field are read, a byte more is refused', () => {
  for (const bytes of [optionBytesMax.value - 1, optionBytesMax.value, optionBytesMax.value + 1]) {
    const value = `{"a":"b"}`.padEnd(bytes - 2, ' ')
    assert.equal(problem(`Metadata:${value}`) === null, bytes <= optionBytesMax.value)
  }
})

test('a key of idempotency may have 256 characters, on the line of its name or on the next', () => {
  for (const length of [255, 256, 257])
    for (const space of [' ', '\r\n '])
      assert.equal(problem(`Idempotency-Key:${space}${'k'.repeat(length)}`) === null, length <= 256, `${length}`)
})

test('limit submission.cuts: 32 groups of fields, and not 33', () => {
  const apart = (count: number) => read('X-Posthaste-Tag: a\r\nA: b\r\n'.repeat(count))
  for (const count of [cutsMax.value - 1, cutsMax.value]) assert.equal('smtp' in apart(count), false)
  assert.match(JSON.stringify(apart(cutsMax.value + 1)), /too_many_options/)
  assert.equal('smtp' in read('X-Posthaste-Tag: a\r\n'.repeat(500)), false)
})

async function send(client: SmtpClient, content: string | Buffer): Promise<string> {
  const bytes = Buffer.from(content)
  client.send(Buffer.concat([Buffer.from(`MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT ${bytes.length} LAST\r\n`), bytes]))
  for (const codes of ['250 2.1.0', '250 2.1.5']) assert.equal((await client.reply()).codes, codes)
  return (await client.reply()).codes
}

/** The stored content as compose will see it. */
function sent({ spool }: SmtpRig): string {
  const { content, head } = spool.committed.at(-1) ?? assert.fail('nothing was committed')
  let text = ''
  let from = 0
  for (let i = 0; i < head.cuts.length; i += 2) {
    text += content.toString('utf8', from, head.cuts[i])
    from = head.cuts[i + 1] as number
  }
  return text + content.toString('utf8', from)
}

/** Line by line, as anybody would do it who had the time. */
function withoutOptions(content: string): string {
  const [header = '', ...rest] = content.split(/(?<=\r\n)(?=\r\n)/)
  let out = ''
  let cut = false
  for (const line of header.split(/(?<=\r\n)/)) {
    if (!/^[ \t]/.test(line)) cut = /^x-posthaste-/i.test(line)
    if (!cut) out += line
  }
  return out + rest.join('')
}

test('limit submission.subject: 512 characters are kept', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  const { value } = subjectCharactersMax
  for (const length of [value - 1, value, value + 1]) {
    assert.equal(
      await send(client, `From: a@b\r\nSubject: ${'x'.repeat(length)}\r\n\r\n`.replace(/x{200}/g, '$&\r\n ')),
      '250 2.0.0',
    )
    assert.ok((rig.spool.committed.at(-1)?.head.facts.subject.length ?? 0) <= value)
  }
})

test('facts of a message: sender, subject, and where it came in', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  const header = 'From: "Ann" <Ann@Example.COM>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an alle\r\n'
  await send(client, `${header}\r\nx\r\n`)
  await send(client, `${header}X-Posthaste-Expires-In: 60\r\n`)
  const [plain, expiring] = rig.spool.committed
  assert.deepEqual(plain?.head.facts, {
    via: 'smtp',
    from: 'Ann@example.com',
    subject: 'Grüße an alle',
    stream: '',
    campaign: '',
    tags: [],
    metadata: '',
    credentialId: '',
    idempotencyKey: '',
    requestSha256: '',
  })
  assert.deepEqual([plain.head.mailClass, plain.head.expiresAtMs, plain.head.cuts], ['transactional', 0, []])
  assert.equal(expiring?.head.expiresAtMs, rig.clock.nowMs() + 60_000)
  assert.equal(sent(rig), header)
})

test('a refused field takes the message with it, and nothing else', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.equal(await send(client, 'From: a@b\r\nX-Posthaste-Nonsense: x\r\n\r\nx\r\n'), '550 5.6.0')
  assert.equal(await send(client, 'From: a@b\r\nX-Posthaste-Stream: none\r\n\r\nx\r\n'), '550 5.6.0')
  assert.equal(await send(client, 'From: a@b\r\nX-Posthaste-Idempotency-Key: k\r\n\r\nx\r\n'), '550 5.6.0')
  assert.equal(await send(client, 'From: a@b\r\n\r\nX-Posthaste-Nonsense: in the body\r\n'), '250 2.0.0')
  assert.deepEqual([rig.spool.committed.length, rig.spool.open, rig.counters.messagesRefused], [1, 0, 3])
  assert.deepEqual(
    rig.events.map(({ code }) => code),
    ['option_unknown', 'stream_unknown', 'option_invalid'],
  )
})

test('any header, in any split: what is cut is what a plain reading would take out', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  const field = fc.constantFrom(
    'X-Posthaste-Tag: a\r\n',
    'x-posthaste-tag:\r\n b,\r\n\tc\r\n',
    'X-Posthaste: not ours\r\n',
    'To: x@y,\r\n z@y\r\n',
    'Subject: X-Posthaste-Tag: d\r\n',
    `X-Long: ${'x'.repeat(900)}\r\n`,
    '.Dot: e\r\n',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 12 }),
      fc.array(field, { maxLength: 12 }),
      fc.constantFrom('', '\r\n', '\r\nbody\r\n.\r\nX-Posthaste-Tag: no\r\n'),
      fc.integer({ min: 1, max: 400 }),
      async (before, after, body, pieceBytes) => {
        const content = `${before.join('')}From: a@b\r\n${after.join('')}${body}`
        await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
        for (let at = 0; at < content.length; at += pieceBytes) {
          const piece = content.slice(at, at + pieceBytes)
          client.send(`BDAT ${piece.length}${at + pieceBytes >= content.length ? ' LAST' : ''}\r\n${piece}`)
          assert.equal((await client.reply()).codes, '250 2.0.0')
        }
        assert.equal(sent(rig), withoutOptions(content))
      },
    ),
    { numRuns: 100 },
  )
})

test('a last field without its CRLF is taken out with the one that it gets', async (t) => {
  const rig = await startRig(t)
  assert.equal(await send(await rig.hello(), 'From: a@b\r\nX-Posthaste-Tag: a'), '250 2.0.0')
  assert.equal(sent(rig), 'From: a@b\r\n')
})
