/** Bad bodies, row by row of the catalogue. Nothing is accepted in any of them, and the answer says where and what to do. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, test, type TestContext } from 'node:test'
import { type Answer, goodEmail, type HttpRig, startHttpRig } from '../../../test/support/http-rig.ts'

let rig: HttpRig

async function start(t: TestContext, options: Parameters<typeof startHttpRig>[1] = {}): Promise<void> {
  rig = await startHttpRig(t, options)
}

afterEach(() => {
  assert.deepEqual(rig.spool.committed, [], 'nothing was accepted')
  assert.equal(rig.spool.open, 0, 'no transaction is left open')
})

function refused(answer: Answer, status: number, code: string, pointer?: string): void {
  assert.equal(answer.status, status, answer.text)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
  assert.deepEqual([answer.body['code'], answer.body['pointer']], [code, pointer], answer.text)
  for (const field of ['type', 'title', 'detail', 'cure']) assert.ok(answer.body[field], `${field} is there`)
  assert.notEqual(answer.body['cure'], 'Correct the request.', `${answer.text}: what is to be corrected?`)
}

test('row 65: what is not JSON is 400, with its place', async (t) => {
  await start(t)
  for (const body of [
    '',
    'hello',
    '{"from": }',
    '{"from": "a@example.test",}',
    '[1',
    '{"a":1}}',
    '\ufeff{}',
    "{'a':1}",
  ])
    refused(await rig.post(body), 400, 'not_json')
  assert.match(String((await rig.post('{"a":1\n "b":2}')).body['detail']), /line 2 column 2/)
})

test('row 66: invalid UTF-8 is 400', async (t) => {
  await start(t)
  refused(await rig.post(Buffer.from([0x22, 0xff, 0x22])), 400, 'not_utf8')
  refused(
    await rig.post(Buffer.concat([Buffer.from('{"subject":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])),
    400,
    'not_utf8',
  )
})

test('row 67: another Content-Type, or none, is 415', async (t) => {
  await start(t)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    '',
  ])
    refused(await rig.post(goodEmail, { headers: { 'content-type': type } }), 415, 'content_type_unknown')
})

test('row 68: an unknown field is 422 and pointed at', async (t) => {
  await start(t)
  refused(await rig.post({ ...goodEmail, colour: 'red' }), 422, 'field_unknown', '/colour')
  refused(await rig.post({ ...goodEmail, 'a/b~c': 1 }), 422, 'field_unknown', '/a~1b~0c')
  refused(
    await rig.post({ ...goodEmail, to: [{ email: 'bob@example.net', phone: '1' }] }),
    422,
    'field_unknown',
    '/to/0/phone',
  )
  refused(
    await rig.post('{"__proto__":{"from":"ann@example.test"},"from":"ann@example.test","to":"b@c.de"}'),
    422,
    'field_unknown',
    '/__proto__',
  )
})

test('row 69: a key that is twice in one object is 400', async (t) => {
  await start(t)
  for (const body of [
    '{"from":"a@example.test","from":"b@example.test","to":"c@d.ef"}',
    '{"from":"a@example.test","fr\\u006fm":"b@example.test","to":"c@d.ef"}',
    '{"from":"a@example.test","to":"c@d.ef","headers":{"X-A":"1","X-A":"1"}}',
  ])
    refused(await rig.post(body), 400, 'duplicate_key')
})

test('row 70: a value of the wrong type is 422 and pointed at', async (t) => {
  await start(t)
  const cases: readonly (readonly [object, string])[] = [
    [{ ...goodEmail, subject: 5 }, '/subject'],
    [{ ...goodEmail, to: 5 }, '/to'],
    [{ ...goodEmail, to: ['bob@example.net', null] }, '/to/1'],
    [{ ...goodEmail, to: { email: 5 } }, '/to/email'],
    [{ ...goodEmail, headers: { 'X-A': 1 } }, '/headers/X-A'],
    [{ ...goodEmail, tags: 'a' }, '/tags'],
    [{ ...goodEmail, metadata: { a: 1 } }, '/metadata/a'],
    [{ ...goodEmail, class: 'slow' }, '/class'],
    [{ ...goodEmail, attachments: {} }, '/attachments'],
    [{ ...goodEmail, expires_in: 1.5 }, '/expires_in'],
  ]
  for (const [body, pointer] of cases) refused(await rig.post(body), 422, 'field_invalid', pointer)
  refused(await rig.post([]), 422, 'field_invalid', '')
  refused(await rig.post({ to: 'bob@example.net' }), 422, 'field_missing', '/from')
})

test('row 70: several things that are wrong are all pointed at', async (t) => {
  await start(t)
  const answer = await rig.post({ to: 5, subject: 6, colour: 'red' })
  refused(answer, 422, 'several_problems')
  const errors = answer.body['errors'] as { pointer: string; code: string }[]
  assert.deepEqual(errors.map(({ pointer, code }) => `${pointer} ${code}`).sort(), [
    '/colour field_unknown',
    '/from field_missing',
    '/subject field_invalid',
    '/to field_invalid',
  ])
})

test('row 71: half a surrogate pair is 422, wherever it is', async (t) => {
  await start(t)
  const cases: readonly (readonly [string, string])[] = [
    ['"subject":"\\ud83d"', '/subject'],
    ['"subject":"\\ude00\\ud83d"', '/subject'],
    ['"html":"<p>\\uD83D \\ude00</p>"', '/html'],
    ['"tags":["ok","\\udc00"]', '/tags/1'],
    ['"metadata":{"\\ud800":"x"}', '/metadata'],
  ]
  for (const [field, pointer] of cases)
    refused(await rig.post(`{"from":"ann@example.test","to":"bob@example.net",${field}}`), 422, 'text_unfit', pointer)
})

test('row 72: NUL is 422, wherever it is', async (t) => {
  await start(t)
  for (const [field, pointer] of [
    ['subject', '/subject'],
    ['text', '/text'],
    ['from', '/from'],
  ] as const)
    refused(await rig.post({ ...goodEmail, [field]: 'ann@example.test\0' }), 422, 'text_unfit', pointer)
  refused(await rig.post(`{"from":"ann@example.test","to":"b@c.de","text":"\0"}`), 400, 'not_json')
})

test('row 73: 1,001 recipients are 422, counted over all lists', async (t) => {
  await start(t)
  const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `r${i}@example.net`)
  refused(await rig.post({ ...goodEmail, to: many(1_001) }), 422, 'too_many_recipients', '/to')
  const spread = { ...goodEmail, to: many(500), bcc: Array.from({ length: 501 }, (_, i) => `b${i}@example.net`) }
  refused(await rig.post(spread), 422, 'too_many_recipients', '/to')
  refused(await rig.post({ from: goodEmail.from, subject: 'for nobody' }), 422, 'recipients_missing', '/to')
  refused(await rig.post({ ...goodEmail, to: [] }), 422, 'recipients_missing', '/to')
})

test('a message without text, HTML and attachments is 422, as is one whose template came to nothing', async (t) => {
  await start(t)
  const { text: _, ...blank } = goodEmail
  refused(await rig.post(blank), 422, 'content_missing', '/text')
  refused(await rig.post({ ...blank, html: undefined, attachments: [] }), 422, 'content_missing', '/text')
})

test('row 74: a body of 30 MB is 413, announced or not', async (t) => {
  await start(t, { bodyBytesMax: 25 * 1024 * 1024 })
  const body = Buffer.alloc(30_000_000, 0x20)
  refused(await rig.post(body), 413, 'body_too_big')
  const socket = await rig.connect()
  let answer = ''
  socket.on('data', (text: string) => (answer += text))
  socket.write(
    'POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ph_acme\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n',
  )
  const chunk = Buffer.concat([Buffer.from('f4240\r\n'), Buffer.alloc(1_000_000, 0x20), Buffer.from('\r\n')])
  for (let i = 0; i < 30; i++) if (!socket.write(chunk)) await once(socket, 'drain')
  socket.write('0\r\n\r\n')
  await once(socket, 'close')
  assert.match(answer, /^HTTP\/1\.1 413 [^]*"code":"body_too_big"/)
})

test('row 75: gzip is unpacked as far as a body may go; a bomb is 413, what is no gzip 400, other packing 415', async (t) => {
  await start(t)
  refused(await rig.post(Buffer.alloc(50_000_000, 0x20), { gzip: true }), 413, 'body_too_big')
  refused(await rig.post('not gzip', { headers: { 'content-encoding': 'gzip' } }), 400, 'gzip_malformed')
  refused(await rig.post(goodEmail, { headers: { 'content-encoding': 'br' } }), 415, 'content_encoding_unknown')
  refused(await rig.post(goodEmail, { headers: { 'content-encoding': 'gzip, gzip' } }), 415, 'content_encoding_unknown')
  assert.equal(rig.intake.memoryBytes, 0, 'all memory was given back')
})

test('a transfer coding other than chunked is 415, and the end of the connection', async (t) => {
  await start(t)
  const socket = await rig.connect()
  let answer = ''
  socket.on('data', (text: string) => (answer += text))
  const body = JSON.stringify(goodEmail)
  socket.write(
    `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ph_acme\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  )
  await once(socket, 'close')
  assert.match(answer, /^HTTP\/1\.1 415 [^]*"code":"content_encoding_unknown"/)
})

test('row 85: an expiry that is negative, or none at all, is 422', async (t) => {
  await start(t)
  refused(await rig.post({ ...goodEmail, expires_in: -5 }), 422, 'field_invalid', '/expires_in')
  for (const expires_in of ['soon', '-2h', '2 fortnights', '1s', '31d', 59, 99_999_999])
    assert.equal((await rig.post({ ...goodEmail, expires_in })).body['pointer'], '/expires_in')
})

test('row 87: content that is not base64 is 422 and pointed at', async (t) => {
  await start(t)
  for (const content of ['a', 'YQ', 'YQ=', 'YR==', 'YQ==YQ==', 'YQ-_', 'ü', 'data:text/plain;base64,YQ=='])
    refused(
      await rig.post({ ...goodEmail, attachments: [{ content }] }),
      422,
      'base64_invalid',
      '/attachments/0/content',
    )
  refused(await rig.post({ raw: '!', to: 'bob@example.net' }), 422, 'base64_invalid', '/raw')
})

test('addresses that are none, literals, and names that would break a header are 422 and pointed at', async (t) => {
  await start(t)
  const cases: readonly (readonly [object, string, string])[] = [
    [{ to: 'bob' }, 'address_invalid', '/to'],
    [{ to: 'bob@example.net, eve@example.net' }, 'address_invalid', '/to'],
    [{ to: 'Bob <bob@example.net>, Eve <eve@example.net>' }, 'address_invalid', '/to'],
    [{ to: '"Bob" <bob@example.net>, "Eve" <eve@example.net>' }, 'address_invalid', '/to'],
    [{ cc: ['bob@example.net, Eve <eve@example.net>'] }, 'address_invalid', '/cc/0'],
    [{ bcc: 'bob@example.net; Eve <eve@example.net>' }, 'address_invalid', '/bcc'],
    [{ to: ['bob@example.net', 'Eve <eve@@example.net>'] }, 'address_invalid', '/to/1'],
    [{ cc: { email: '<bob@example.net>' } }, 'address_invalid', '/cc/email'],
    [{ bcc: [{ email: 'bob@exa mple.net', name: 'Bob' }] }, 'address_invalid', '/bcc/0/email'],
    [{ to: 'bob@[192.0.2.1]' }, 'address_literal', '/to'],
    [{ to: 'bob@example.net\r\nBcc: eve@example.net' }, 'address_invalid', '/to'],
    [{ to: { email: 'bob@example.net', name: 'Bob\r\nBcc: eve@example.net' } }, 'control_character', '/to/name'],
    [{ to: ['Bob\nX: 1 <bob@example.net>'] }, 'control_character', '/to/0'],
    [{ from: { email: 'ann@example.test', name: 'a\rb' } }, 'control_character', '/from/name'],
    [{ subject: 'a\r\nBcc: eve@example.net' }, 'control_character', '/subject'],
    [{ headers: { 'X-A': 'a\r\nBcc: eve@example.net' } }, 'control_character', '/headers/X-A'],
    [{ headers: { 'X-B': 'b', 'A/B:': 'a' } }, 'header_name_invalid', '/headers/A~1B:'],
    [{ headers: { Bcc: 'eve@example.net' } }, 'header_reserved', '/headers/Bcc'],
    [{ headers: { 'X-Posthaste-Class': 'urgent' } }, 'header_reserved', '/headers/X-Posthaste-Class'],
    [
      { attachments: [{ content: 'YQ==', content_type: 'multipart/mixed' }] },
      'content_type_invalid',
      '/attachments/0/content_type',
    ],
    [{ attachments: [{ content: 'YQ==', content_id: 'a b' }] }, 'content_id_invalid', '/attachments/0/content_id'],
  ]
  for (const [fields, code, pointer] of cases) refused(await rig.post({ ...goodEmail, ...fields }), 422, code, pointer)
})

test('headers that are larger than a header may be are 413, in one or in all, folded or encoded', async (t) => {
  await start(t)
  for (const word of ['a ', 'é ', 'a']) {
    refused(
      await rig.post({ ...goodEmail, headers: { 'X-A': word.repeat(104_000 / word.length) } }),
      413,
      'header_too_big',
    )
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`X-${i}`, word.repeat(1_040 / word.length)]))
    refused(await rig.post({ ...goodEmail, headers: many }), 413, 'header_too_big')
  }
})

test('options follow the rules that SMTP has for them', async (t) => {
  await start(t)
  const cases: readonly (readonly [object, string, string])[] = [
    [{ tags: ['ok', 'a,b'] }, 'option_invalid', '/tags/1'],
    [{ campaign: ' spring' }, 'option_invalid', '/campaign'],
    [{ metadata: { '1st': 'x' } }, 'option_invalid', '/metadata'],
    [{ stream: 'No Such' }, 'option_invalid', '/stream'],
    [{ stream: 'unknown' }, 'stream_unknown', '/stream'],
  ]
  for (const [fields, code, pointer] of cases) refused(await rig.post({ ...goodEmail, ...fields }), 422, code, pointer)
})
