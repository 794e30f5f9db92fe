import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { RawClient } from '../../test/support/raw-client.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { seededRandom } from '../kernel/random.ts'
import { readMessage } from './capture/read-message.ts'
import { type CaptureSink, type CaptureSinkOptions, openCaptured, startCaptureSink } from './sandbox.ts'

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'posthaste-capture-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

async function capture(
  t: TestContext,
  options: Partial<CaptureSinkOptions> = {},
): Promise<CaptureSink & { clock: VirtualClock }> {
  const clock = new VirtualClock()
  const sink = await startCaptureSink({ directory: directory(t), clock, random: seededRandom(1), ...options })
  t.after(() => sink.close())
  return { ...sink, clock }
}

async function client(sink: Pick<CaptureSink, 'port'>): Promise<RawClient> {
  const connected = await RawClient.connect(sink.port)
  await connected.hello()
  return connected
}

/** Delivers like a client that comes back after a lost connection; the codes of all tries, '' where no reply came. */
async function tries(sink: CaptureSink, to: string, messageId: string, count: number): Promise<string[]> {
  const codes: string[] = []
  for (let i = 0; i < count; i++) {
    const one = await client(sink)
    codes.push((await one.mail(to, `Message-ID: <${messageId}>\r\nSubject: s\r\n\r\nhello\r\n`)).slice(0, 3))
    one.socket.destroy()
  }
  return codes
}

test('what was captured is in files that only we may read, also one that others could read before', async (t) => {
  const folder = directory(t)
  writeFileSync(join(folder, 'captured.db'), '')
  chmodSync(join(folder, 'captured.db'), 0o644)
  const sink = await startCaptureSink({ directory: folder, clock: new VirtualClock(), random: seededRandom(1) })
  t.after(() => sink.close())
  assert.match(await (await client(sink)).mail('a@b', 'From: a@b\r\n\r\nx\r\n'), /^250/)
  for (const name of readdirSync(folder).filter((file) => file.startsWith('captured.db')))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

test('any address anywhere is captured, once the client has its 250', async (t) => {
  const sink = await capture(t)
  const one = await client(sink)
  const content = 'From: a@b\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMessage-ID: <1@x>\r\n\r\n..hello\r\n'
  assert.match(await one.mail('Ann@Example.COM', content), /^250/)
  const [summary] = sink.list({ to: 'ann@example.com' })
  assert.deepEqual(
    { ...summary },
    {
      id: 1,
      from: 's@client.test',
      to: ['Ann@Example.COM'],
      subject: 'café',
      messageId: '<1@x>',
      sizeBytes: content.length - 1,
      receivedMs: sink.clock.nowMs(),
      tls: null,
      duplicateOf: null,
      replyLost: false,
    },
  )
  const shown = sink.show(1)
  assert.equal(shown?.text, '.hello\r\n')
  assert.equal(shown?.helo, 'client.test')
  assert.deepEqual(shown?.headers[1], { name: 'Subject', value: 'café' })
  assert.equal(sink.raw(1)?.toString(), content.replace('..', '.'))
  assert.equal(sink.show(2), null)
  assert.equal(sink.raw(2), null)
})

test('bounce@ is refused at RCPT, at sandbox.test and below, and nowhere else', async (t) => {
  const sink = await capture(t)
  const one = await client(sink)
  assert.match(
    await one.codes('MAIL FROM:<a@b>', 'RCPT TO:<Bounce@sandbox.test>', 'RCPT TO:<bounce@a.Sandbox.test>'),
    /^250 550 550$/,
  )
  assert.match(await one.ask('RCPT TO:<bounce@example.com>'), /^250/)
  assert.match(await one.ask('RCPT TO:<bounce@notsandbox.test>'), /^250/)
})

test('defer3@ defers each message three times, then takes it', async (t) => {
  const sink = await capture(t)
  assert.deepEqual(await tries(sink, 'defer3@sandbox.test', '1@x', 5), ['451', '451', '451', '250', '250'])
  assert.deepEqual(await tries(sink, 'defer3@sandbox.test', '2@x', 2), ['451', '451'])
  assert.equal(sink.list().length, 2)
})

test('slow@ takes the message at once and says so after 5 s', async (t) => {
  const sink = await capture(t)
  const one = await client(sink)
  const reply = one.mail('slow@sandbox.test')
  while (sink.list().length === 0) await new Promise(setImmediate)
  sink.clock.advance(4_999)
  const other = await client(sink)
  await other.ask('NOOP')
  assert.equal(one.pending, '')
  sink.clock.advance(1)
  assert.match(await reply, /^250/)
})

test('drop@ breaks off in mid-content the first time and keeps nothing of it', async (t) => {
  const sink = await capture(t)
  assert.deepEqual(await tries(sink, 'drop@sandbox.test', '1@x', 2), ['', '250'])
  assert.deepEqual(await tries(sink, 'drop@sandbox.test', '2@x', 1), [''])
  assert.equal(sink.list().length, 1)
})

test('lost@ takes the message, loses the reply, and flags the second copy', async (t) => {
  const sink = await capture(t)
  assert.deepEqual(await tries(sink, 'lost@mx.sandbox.test', '1@x', 2), ['', '250'])
  const flags = sink.list().map(({ id, replyLost, duplicateOf }) => ({ id, replyLost, duplicateOf }))
  assert.deepEqual(flags, [
    { id: 2, replyLost: false, duplicateOf: 1 },
    { id: 1, replyLost: true, duplicateOf: null },
  ])
})

test('one Message-ID for different recipients is no duplicate', async (t) => {
  const sink = await capture(t)
  await tries(sink, 'ann@x', '1@x', 1)
  await tries(sink, 'bob@x', '1@x', 1)
  assert.deepEqual(
    sink.list().map((one) => one.duplicateOf),
    [null, null],
  )
})

test('a misbehaving recipient shares its message with nobody', async (t) => {
  const sink = await capture(t)
  const one = await client(sink)
  assert.equal(
    await one.codes('MAIL FROM:<a@b>', 'RCPT TO:<ann@x>', 'RCPT TO:<lost@sandbox.test>', 'RCPT TO:<bob@x>'),
    '250 250 452 250',
  )
  assert.equal(
    await one.codes('RSET', 'MAIL FROM:<a@b>', 'RCPT TO:<lost@sandbox.test>', 'RCPT TO:<bob@x>'),
    '250 250 250 452',
  )
})

test('limit sandbox.messages, limit sandbox.content: the oldest go when there are too many, or too many bytes', async (t) => {
  const path = directory(t)
  const few = await capture(t, { directory: path, messagesMax: 3 })
  for (let i = 1; i <= 5; i++) await tries(few, 'ann@x', `${i}@x`, 1)
  assert.deepEqual(
    few.list().map((one) => one.id),
    [5, 4, 3],
  )
  assert.equal(few.raw(2), null)
  assert.deepEqual(
    few.list({ limit: 1, before: 5 }).map((one) => one.id),
    [4],
  )
  assert.equal(few.list({ to: 'ann@x' }).length, 3)
  const { sizeBytes } = few.list()[0] as { sizeBytes: number }
  await few.close()

  const small = await capture(t, { directory: path, bytesMax: 2 * sizeBytes })
  assert.deepEqual(
    small.list().map((one) => one.id),
    [5, 4],
  )
  await tries(small, 'bob@x', '6@x', 1)
  assert.deepEqual(
    small.list().map((one) => one.id),
    [6, 5],
  )
  await tries(small, 'bob@x', 'a'.repeat(3 * sizeBytes), 1)
  assert.deepEqual(small.list(), [])
})

test('another reader sees what was captured, and a missing file is explained', async (t) => {
  const path = directory(t)
  assert.throws(() => openCaptured(path), { code: 'nothing_captured' })
  const sink = await capture(t, { directory: path })
  await tries(sink, 'ann@x', '1@x', 1)
  const reader = openCaptured(path)
  t.after(() => reader.close())
  assert.equal(reader.list()[0]?.subject, 's')
  await tries(sink, 'ann@x', '2@x', 1)
  assert.equal(reader.show(2)?.text, 'hello\r\n')
})

test('messages that arrive together are all kept', async (t) => {
  const sink = await capture(t)
  await Promise.all(Array.from({ length: 20 }, (_, i) => tries(sink, `u${i}@x`, `${i}@x`, 3)))
  assert.equal(sink.list({ limit: 100 }).length, 60)
})

test('a multipart message is shown as its reader would see it', () => {
  const raw = [
    'Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?IGF1cw==?= =?utf-8?q?_K=C3=B6ln?=',
    'Content-Type: multipart/mixed;',
    ' boundary="out er"',
    '',
    'preamble',
    '--out er',
    'Content-Type: multipart/alternative; boundary=in',
    '',
    '--in',
    'Content-Type: text/plain; charset=iso-8859-1',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Stra=DFe is=',
    ' long',
    '--in',
    'Content-Type: text/html',
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from('<p>hi</p>').toString('base64'),
    '--in--',
    '--out er',
    "Content-Disposition: attachment; filename*=utf-8''caf%C3%A9.txt",
    '',
    'abc',
    '--out er--',
    'epilogue',
    '',
  ].join('\r\n')
  const { headers, text, html, attachments, bareLineEnds } = readMessage(Buffer.from(raw))
  assert.deepEqual(headers[0], { name: 'Subject', value: 'Grüße aus Köln' })
  assert.equal(text, 'Straße is long')
  assert.equal(html, '<p>hi</p>')
  assert.deepEqual(attachments, [{ name: 'café.txt', type: 'text/plain', sizeBytes: 3 }])
  assert.equal(bareLineEnds, false)
  assert.equal(readMessage(Buffer.from('A: b\r\n\r\nx\ny')).bareLineEnds, true)
})

test('whatever arrives can be shown', () => {
  const piece = fc.constantFrom(
    '\r\n',
    '--b',
    '--',
    'Content-Type: multipart/mixed; boundary=b',
    'x',
    '=?utf-8?q?=E?=',
    '\r\n\r\n',
    '"',
    ';',
    '=',
  )
  fc.assert(fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => void readMessage(Buffer.from(pieces.join('')))))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readMessage(Buffer.from(bytes))))
})
