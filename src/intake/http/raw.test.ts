/** Messages that come as MIME: stored as they are, but for what is not to be sent; and held to what SMTP holds content to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HttpRig, startHttpRig } from '../../../test/support/http-rig.ts'
import { headerBytesMax } from '../smtp/limits.ts'

const to = ['bob@example.net']
const send = (rig: HttpRig, raw: string | Buffer, options: object = {}) =>
  rig.post({ raw: Buffer.from(raw).toString('base64'), to, ...options })

const whole =
  'From: Ann <ann@example.test>\r\nTo: bob@example.net\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nline one\r\n.dot\r\n'

test('a whole message is stored as it is, and nothing but Received is added', async (t) => {
  const rig = await startHttpRig(t)
  const answer = await send(rig, whole, { stream: 'news', tags: ['a'] })
  assert.equal(answer.status, 202, answer.text)
  const [message] = rig.spool.committed
  assert.equal(message?.content.toString(), whole)
  assert.match(message?.head.addedHeaders ?? '', /^Received: [^]*\r\n$/)
  assert.doesNotMatch(message?.head.addedHeaders ?? '', /Date:|Message-ID:/)
  const { head } = message
  assert.deepEqual(
    [head.returnPath, head.fromDomain, head.mailClass, head.dotLines],
    ['ann@example.test', 'example.test', 'bulk', true],
  )
  assert.deepEqual([head.facts.from, head.facts.subject, head.facts.tags], ['ann@example.test', 'Grüße', ['a']])
})

test('Date and Message-ID are added when they are missing', async (t) => {
  const rig = await startHttpRig(t)
  await send(rig, 'From: ann@example.test\r\n\r\nhi\r\n')
  const [message] = rig.spool.committed
  assert.match(
    message?.head.addedHeaders ?? '',
    new RegExp(`\r\nDate: .*\r\nMessage-ID: <${message?.id}@mail.example.test>\r\n$`),
  )
})

test('Bcc and fields that speak to us are not stored, whatever their case', async (t) => {
  const rig = await startHttpRig(t)
  await send(
    rig,
    'BCC: eve@example.net,\r\n mal@example.net\r\nFrom: ann@example.test\r\nX-posthaste-Class: urgent\r\nX-POSTHASTE-Tags: a\r\nSubject: hi\r\nbcc : x@example.net\r\n\r\nBcc: in the body\r\n',
  )
  const [message] = rig.spool.committed
  assert.equal(message?.content.toString(), 'From: ann@example.test\r\nSubject: hi\r\n\r\nBcc: in the body\r\n')
  assert.deepEqual([message?.head.mailClass, message?.head.recipients], ['transactional', to])
})

test('lines that end in LF get their CR; a last line gets its end', async (t) => {
  const rig = await startHttpRig(t)
  await send(rig, 'From: ann@example.test\nSubject: hi\n\none\r\ntwo\nthree')
  await send(rig, 'From: ann@example.test\r\nSubject: hi')
  assert.deepEqual(
    rig.spool.committed.map(({ content }) => content.toString()),
    [
      'From: ann@example.test\r\nSubject: hi\r\n\r\none\r\ntwo\r\nthree\r\n',
      'From: ann@example.test\r\nSubject: hi\r\n\r\n',
    ],
  )
})

test('bytes above 127 are marked, so that they go only where they may', async (t) => {
  const rig = await startHttpRig(t)
  await send(rig, Buffer.from('From: ann@example.test\r\n\r\ngrüße\r\n'))
  await send(rig, Buffer.from('From: ann@example.test\r\nSubject: grüße\r\n\r\nhi\r\n'))
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => [head.eightBit, head.smtpUtf8]),
    [
      [true, false],
      [true, true],
    ],
  )
})

test('the return path may be another address that the client owns', async (t) => {
  const rig = await startHttpRig(t)
  assert.equal((await send(rig, whole, { from: 'bounces@example.test' })).status, 202)
  assert.equal(rig.spool.committed[0]?.head.returnPath, 'bounces@example.test')
  const answer = await send(rig, whole, { from: 'bounces@rival.test' })
  assert.deepEqual([answer.status, answer.body['code'], answer.body['pointer']], [403, 'sender_not_allowed', '/from'])
})

test('what SMTP refuses is refused, and pointed at', async (t) => {
  const rig = await startHttpRig(t)
  const cases: readonly (readonly [string, number, string])[] = [
    ['From: ann@example.test\r\n\r\na\rb\r\n', 422, 'bare_line_end'],
    ['From: ann@example.test\r\n\r\na\0b\r\n', 422, 'nul_byte'],
    [`From: ann@example.test\r\n\r\n${'x'.repeat(999)}\r\n`, 422, 'line_too_long'],
    [`From: ann@example.test\r\n${'X-A: b\r\n'.repeat(1_001)}\r\n`, 413, 'header_too_big'],
    [`From: ann@example.test\r\n${`X-A: ${'b'.repeat(900)}\r\n`.repeat(120)}\r\n`, 413, 'header_too_big'],
    [`From: ann@example.test\r\n${'Received: x\r\n'.repeat(51)}\r\n`, 422, 'too_many_hops'],
    ['From: ann@example.test\r\nno colon\r\n\r\n', 422, 'header_malformed'],
    ['Subject: hi\r\n\r\n', 422, 'from_missing'],
    ['', 422, 'from_missing'],
    ['From: ann@example.test\r\nFrom: ann@example.test\r\n\r\n', 422, 'from_repeated'],
    ['From: Ann\r\n\r\n', 422, 'from_malformed'],
    ['From: eve@rival.test\r\n\r\n', 403, 'sender_not_allowed'],
    ['From: ann@example.test, eve@rival.test\r\n\r\n', 403, 'sender_not_allowed'],
  ]
  for (const [raw, status, code] of cases) {
    const answer = await send(rig, raw)
    assert.deepEqual([answer.status, answer.body['code'], answer.body['pointer']], [status, code, '/raw'], answer.text)
  }
  assert.deepEqual([rig.spool.committed, rig.spool.open], [[], 0])
})

test('a header of the largest size goes, one octet more does not', async (t) => {
  const rig = await startHttpRig(t)
  for (const bytes of [headerBytesMax.value - 1, headerBytesMax.value, headerBytesMax.value + 1]) {
    const lines = Array.from({ length: 112 }, () => `X-A: ${'b'.repeat(900)}\r\n`).join('')
    const start = `From: ann@example.test\r\n${lines}`
    const rest = bytes - start.length - 'X-B: \r\n'.length - 2
    const answer = await send(rig, `${start}X-B: ${'c'.repeat(rest)}\r\n\r\nhi\r\n`)
    assert.equal(answer.status, bytes > headerBytesMax.value ? 413 : 202, `${bytes}: ${answer.text}`)
  }
})

test('a message that is MIME already has no parts to be described by', async (t) => {
  const rig = await startHttpRig(t)
  for (const field of ['text', 'subject', 'cc', 'html']) {
    const answer = await send(rig, whole, { [field]: 'bob@example.net' })
    assert.deepEqual([answer.status, answer.body['code'], answer.body['pointer']], [422, 'field_unknown', `/${field}`])
  }
  const answer = await rig.post({ raw: Buffer.from(whole).toString('base64') })
  assert.deepEqual([answer.body['code'], answer.body['pointer']], ['field_missing', '/to'])
})
