/** Messages that are accepted: what is stored of them, and when the client hears of it. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { request } from 'node:https'
import { test } from 'node:test'
import PostalMime from 'postal-mime'
import { condition } from '../../../test/support/condition.ts'
import {
  codesDefaults,
  fixtureTls,
  goodEmail,
  type HttpRig,
  keys,
  startHttpRig,
} from '../../../test/support/http-rig.ts'
import { systemClock } from '../../kernel/clock.ts'
import { hourMs } from '../../kernel/units.ts'

/** The one message that was accepted, and its content as a reader sees it. */
async function onlyMessage(rig: HttpRig) {
  const [message, ...others] = rig.spool.committed
  assert.ok(message !== undefined && others.length === 0, 'one message was accepted')
  return { ...message, text: message.content.toString(), read: await PostalMime.parse(message.content) }
}

test('a message is accepted with its id once it is on disk, and never before', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.holdCommits = true
  let answered = false
  const posting = rig.post(goodEmail).finally(() => (answered = true))
  await condition(() => rig.spool.heldCommits === 1)
  assert.equal(answered, false)
  rig.spool.settle()

  const answer = await posting

  assert.equal(answer.status, 202, answer.text)
  const { id, head } = await onlyMessage(rig)
  assert.deepEqual(answer.body, { id })
  assert.equal(answer.headers.get('location'), `/api/v1/emails/${id}`)
  assert.deepEqual(head.recipients, ['bob@example.net'])
  assert.equal(head.returnPath, 'ann@example.test')
  assert.deepEqual([rig.counters.messages, rig.counters.recipients, rig.intake.memoryBytes], [1, 1, 0])
})

test('everything that a message may say of itself is kept with it', async (t) => {
  const rig = await startHttpRig(t)
  const email = {
    ...goodEmail,
    from: { name: 'Ann Lee', email: 'ann@example.test' },
    tags: ['welcome', 'eu'],
    metadata: { order: '1001', __proto_: 'x', p: '' },
    stream: 'news',
    campaign: 'spring 2026',
    expires_in: '2h',
    subject: 'Grüße',
  }
  const before = systemClock.nowMs()
  const answer = await rig.post({ ...email, metadata: { order: '1001' } }, { headers: { 'idempotency-key': 'k-1' } })
  assert.equal(answer.status, 202, answer.text)

  const { head } = await onlyMessage(rig)
  assert.equal(head.mailClass, 'bulk', 'as the stream has it')
  assert.ok(Math.abs(head.expiresAtMs - before - 2 * hourMs) < 60_000)
  assert.deepEqual([head.tenant, head.fromDomain, head.client], ['acme', 'example.test', '127.0.0.1 key k1'])
  assert.deepEqual([head.eightBit, head.smtpUtf8, head.dotLines, head.cuts], [false, false, false, []])
  assert.deepEqual(head.facts, {
    via: 'http',
    from: 'Ann Lee <ann@example.test>',
    subject: 'Grüße',
    stream: 'news',
    campaign: 'spring 2026',
    tags: ['welcome', 'eu'],
    metadata: '{"order":"1001"}',
    credentialId: 'k1',
    idempotencyKey: 'k-1',
    requestSha256: hash('sha256', JSON.stringify({ ...email, metadata: { order: '1001' } })),
  })
})

test('the class that is given beats that of the stream', async (t) => {
  const rig = await startHttpRig(t)
  await rig.post({ ...goodEmail, stream: 'news', class: 'urgent' })
  await rig.post({ ...goodEmail, expires_in: 3_600 })
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => head.mailClass),
    ['urgent', 'transactional'],
  )
})

test('text, HTML, headers and attachments become one message', async (t) => {
  const rig = await startHttpRig(t)
  const answer = await rig.post({
    from: 'Änne <ann@example.test>',
    to: ['Bob <bob@example.net>', { email: 'cy@example.net' }],
    cc: '"Lee, Dee" <dee@example.net>',
    bcc: ['eve@example.net', 'bob@EXAMPLE.net'],
    reply_to: ['help@example.test', 'more@example.test'],
    subject: 'Grüße aus Köln',
    text: 'Schöne Grüße\n.punkt\n',
    html: '<p>Schöne Grüße <img src="cid:logo"></p>',
    headers: { 'X-Order': '1001', 'List-Unsubscribe': '<https://example.test/u>' },
    attachments: [
      { filename: 'logo.png', content: Buffer.from('png').toString('base64'), content_id: 'logo' },
      { filename: 'Übersicht.pdf', content: Buffer.from('%PDF').toString('base64') },
    ],
  })
  assert.equal(answer.status, 202, answer.text)

  const { id, head, text, read } = await onlyMessage(rig)
  assert.deepEqual(head.recipients, ['bob@example.net', 'cy@example.net', 'dee@example.net', 'eve@example.net'])
  assert.equal(head.dotLines, true)
  assert.doesNotMatch(text + head.addedHeaders, /eve@/i, 'nobody is told of bcc')
  assert.deepEqual(read.from, { name: 'Änne', address: 'ann@example.test' })
  assert.deepEqual(
    [read.to, read.cc, read.replyTo].map((list) => list?.map(({ name, address }) => `${name}<${address}>`)),
    [
      ['Bob<bob@example.net>', '<cy@example.net>'],
      ['Lee, Dee<dee@example.net>'],
      ['<help@example.test>', '<more@example.test>'],
    ],
  )
  assert.deepEqual([read.subject, read.messageId], ['Grüße aus Köln', `<${id}@mail.example.test>`])
  assert.deepEqual(
    [read.text?.trim(), read.html?.trim()],
    ['Schöne Grüße\n.punkt', '<p>Schöne Grüße <img src="cid:logo"></p>'],
  )
  assert.equal(read.headers.find(({ key }) => key === 'x-order')?.value, '1001')
  assert.deepEqual(
    read.attachments.map(({ filename, mimeType, disposition, contentId }) => [
      filename,
      mimeType,
      disposition,
      contentId,
    ]),
    [
      ['logo.png', 'image/png', 'inline', '<logo>'],
      ['Übersicht.pdf', 'application/pdf', 'attachment', undefined],
    ],
  )
})

test('the Received field says by whom and when, and names a recipient only when there is no other', async (t) => {
  const rig = await startHttpRig(t)
  await rig.post(goodEmail)
  await rig.post({ ...goodEmail, bcc: 'eve@example.net' })
  const [one, two] = rig.spool.committed
  const form = (id: string | undefined, rest: string): RegExp =>
    new RegExp(
      `^Received: from \\[127\\.0\\.0\\.1\\] \\(\\[127\\.0\\.0\\.1\\]\\)\r\n\tby mail\\.example\\.test with HTTP id ${id}${rest};\r\n\t.* \\+0000\r\n$`,
    )
  assert.match(one?.head.addedHeaders ?? '', form(one?.id, '\r\n\tfor <bob@example\\.net>'))
  assert.match(two?.head.addedHeaders ?? '', form(two?.id, ''))
})

test('addresses beyond ASCII are sent where they can be', async (t) => {
  const rig = await startHttpRig(t)
  await rig.post({ ...goodEmail, to: 'jörg@example.net' })
  await rig.post({ ...goodEmail, to: 'bob@bücher.example' })
  await rig.post({ ...goodEmail, bcc: 'jörg@example.net' })
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => [head.recipients.at(-1), head.smtpUtf8, head.eightBit]),
    [
      ['jörg@example.net', true, true],
      // Its domain goes out in A-labels.
      ['bob@bücher.example', false, false],
      ['jörg@example.net', true, false],
    ],
  )
})

test('row 86: names of attachments are made harmless, and travel whole', async (t) => {
  const rig = await startHttpRig(t)
  const content = 'YQ=='
  const answer = await rig.post({
    ...goodEmail,
    attachments: [
      { content, filename: '../../etc/passwd' },
      { content, filename: 'C:\\temp\\rechnung.pdf' },
      { content, filename: `${'x'.repeat(300)}.pdf` },
      { content, filename: 'invoice\u202efdp.exe' },
      { content, filename: 'a\r\nX-Evil: 1.txt' },
      { content, filename: '..' },
      { content, filename: 'größe "1".txt' },
    ],
  })
  assert.equal(answer.status, 202, answer.text)
  const { read, text } = await onlyMessage(rig)
  assert.deepEqual(
    read.attachments.map(({ filename }) => filename),
    ['passwd', 'rechnung.pdf', `${'x'.repeat(251)}.pdf`, 'invoicefdp.exe', 'aX-Evil: 1.txt', null, 'größe "1".txt'],
  )
  assert.doesNotMatch(text, /^X-Evil/m)
  assert.match(text, /filename\*=utf-8''gr%C3%B6%C3%9Fe/)
})

test('gzip is unpacked', async (t) => {
  const rig = await startHttpRig(t)
  const answer = await rig.post({ ...goodEmail, text: 'words '.repeat(10_000) }, { gzip: true })
  assert.equal(answer.status, 202, answer.text)
  assert.ok((await onlyMessage(rig)).content.length > 60_000)
  assert.equal(rig.intake.memoryBytes, 0)
})

test('content goes to the spool at its own pace', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.full = true
  const content = Buffer.alloc(120_000, 'x').toString('base64')
  const posting = rig.post({ ...goodEmail, attachments: [{ content }] })
  await condition(() => rig.spool.open === 1)
  const before = rig.spool.contentBytesPeak
  assert.ok(before < 80_000, `${before} bytes were forced on a spool that was full`)
  rig.spool.drain()
  assert.equal((await posting).status, 202)
  assert.ok(rig.spool.contentBytesPeak > 160_000)
})

test('a long text goes to the spool in pieces, and waits for it', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax: 2_000_000 })
  rig.spool.full = true
  const text = 'It takes its time to store this.\n'.repeat(50_000)
  const posting = rig.post({ ...goodEmail, text })
  await condition(() => rig.spool.open === 1)
  assert.ok(
    rig.spool.contentBytesPeak < 80_000,
    `${rig.spool.contentBytesPeak} bytes were forced on a spool that was full`,
  )
  rig.spool.drain()
  const answer = await posting
  assert.equal(answer.status, 202, answer.text)
  assert.ok(rig.spool.appendBytesPeak <= 65_536, `${rig.spool.appendBytesPeak} bytes in one piece`)
  const { content } = await onlyMessage(rig)
  assert.ok(content.toString('latin1').endsWith(text.replaceAll('\n', '\r\n')))
})

test('over TLS the Received field says HTTPS', async (t) => {
  const rig = await startHttpRig(t, {
    tls: fixtureTls,
    listeners: [{ address: '127.0.0.1', port: 0, tls: 'implicit' }],
  })
  const status = await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${keys.acme}`, 'content-type': 'application/json' }
    const asking = request(
      {
        host: '127.0.0.1',
        port: rig.port,
        path: '/api/v1/emails',
        method: 'POST',
        headers,
        ca: fixtureTls.certificatePem,
      },
      (response) => resolve(response.resume().statusCode),
    )
    asking.on('error', reject).end(JSON.stringify(goodEmail))
  })
  assert.equal(status, 202)
  assert.match((await onlyMessage(rig)).head.addedHeaders, /with HTTPS id/)
})

test('what was accepted can be asked for at once', async (t) => {
  const rig = await startHttpRig(t)
  const { id } = (await rig.post({ ...goodEmail, tags: ['a'], metadata: { order: '1' } })).body as { id: string }

  const whole = await rig.get(`/api/v1/emails/${id}`)
  const status = await rig.get(`/api/v1/emails/${id}/status`)
  const list = await rig.get('/api/v1/emails?tag=a')

  assert.equal(whole.status, 200, whole.text)
  assert.deepEqual(
    [whole.body['id'], whole.body['subject'], whole.body['from'], whole.body['metadata']],
    [id, 'hello', 'Ann <ann@example.test>', { order: '1' }],
  )
  assert.deepEqual([status.body['status'], status.body['recipient_count']], ['queued', 1])
  assert.equal((list.body['data'] as unknown[]).length, 1)
})

test('what a stream has by default counts where the message says nothing, in either form', async (t) => {
  const rig = await startHttpRig(t)
  const codes = { ...goodEmail, stream: 'codes' }
  const raw = Buffer.from('From: ann@example.test\r\n\r\nx\r\n').toString('base64')
  for (const body of [
    codes,
    { ...codes, tags: ['a', 'code'], campaign: 'mine', expires_in: '2h', class: 'bulk' },
    { ...codes, tags: Array.from({ length: 9 }, (_, n) => `t${n}`) },
    { raw, to: ['bob@example.net'], stream: 'codes' },
    { ...goodEmail, stream: 'news' },
  ]) {
    const sent = await rig.post(body)
    assert.equal(sent.status, 202, sent.text)
  }
  const kept = rig.spool.committed.map(({ head }) => {
    const leftMs = head.expiresAtMs === 0 ? 0 : Math.round((head.expiresAtMs - systemClock.nowMs()) / 60_000) * 60_000
    return [head.mailClass, leftMs, head.facts.tags, head.facts.campaign, head.facts.stream]
  })
  const { expiresInMs, tags, campaign } = codesDefaults
  assert.deepEqual(kept, [
    ['urgent', expiresInMs, tags, campaign, 'codes'],
    ['bulk', 7_200_000, ['a', 'code', 'login'], 'mine', 'codes'],
    ['urgent', expiresInMs, [...Array.from({ length: 9 }, (_, n) => `t${n}`), 'code'], campaign, 'codes'],
    ['urgent', expiresInMs, tags, campaign, 'codes'],
    ['bulk', 0, [], '', 'news'],
  ])
})
