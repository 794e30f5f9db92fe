/** Bounds of the sending API at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as tlsConnect } from 'node:tls'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { condition } from '../../../test/support/condition.ts'
import { type Answer, fixtureTls, goodEmail, type HttpRig, keys, startHttpRig } from '../../../test/support/http-rig.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { attachmentName } from './attachment-names.ts'
import { ContentWriter } from './content-writer.ts'
import { surveyJson } from './json.ts'
import * as limits from './limits.ts'
import { BodyMemory } from './memory.ts'
import { Problem } from './problem.ts'
import { Type } from 'typebox'
import { checkOf } from './validate.ts'
import { MemorySubmissions } from '../../../test/support/memory-submissions.ts'
import { isFailure } from '../../ports/submissions.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

/** The answer to these bytes, up to the end of the connection. */
async function answerTo(rig: HttpRig, request: string): Promise<string> {
  const socket = await rig.connect()
  let answer = ''
  socket.on('data', (text: string) => (answer += text))
  socket.write(request)
  await once(socket, 'close')
  return answer
}

const statusOf = (answer: string): number => Number(answer.split(' ')[1])

/** An email of exactly so many bytes as JSON. */
function emailOf(bytes: number): string {
  const empty = JSON.stringify({ ...goodEmail, text: '' })
  return JSON.stringify({ ...goodEmail, text: 'x'.repeat(bytes - empty.length) })
}

async function eachAround(
  value: number,
  ask: (count: number) => Promise<Answer>,
  over: number,
  pointer?: string,
): Promise<void> {
  for (const count of around(value)) {
    const answer = await ask(count)
    assert.equal(answer.status, count > value ? over : 202, `${count}: ${answer.text}`)
    if (count > value) assert.equal(answer.body['pointer'], pointer)
  }
}

test('limit http.body_size_max: a body of that size is read, one octet more is 413; unpacked or not', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax: 100_000 })
  await eachAround(100_000, (bytes) => rig.post(emailOf(bytes)), 413)
  await eachAround(100_000, (bytes) => rig.post(emailOf(bytes), { gzip: true }), 413)
})

test('limit http.connections_max: so many are open, one more is closed at once', async (t) => {
  const rig = await startHttpRig(t, { connectionsMax: 3 })
  const sockets = [await rig.connect(), await rig.connect(), await rig.connect()]
  await condition(() => rig.intake.connections === 3)
  const oneMore = await rig.connect()
  await once(oneMore.resume(), 'close')
  assert.deepEqual([rig.intake.connections, rig.counters.connectionsRefused], [3, 1])
  sockets[0]?.destroy()
  await condition(() => rig.intake.connections === 2)
  assert.equal((await rig.get('/healthz')).status, 200)
})

test('limit http.request_timeout: a request that is whole in its time is answered, another is 408', async (t) => {
  const rig = await startHttpRig(t, { requestMsMax: 150 })
  const [quick, slow] = [await rig.connect(), await rig.connect()]
  for (const socket of [quick, slow]) socket.write('GET /healthz HTTP/1.1\r\n')
  quick.write('Host: x\r\n\r\n')
  assert.equal(statusOf(String((await once(quick, 'data'))[0])), 200)
  assert.equal(statusOf(String((await once(slow, 'data'))[0])), 408)
})

test('limit http.header: one octet below 16 KiB it is read, at it is 431', async (t) => {
  const rig = await startHttpRig(t)
  // Counted are the path, and names and values of the fields; what reaches the bound is refused.
  const counted = '/healthz Host x Connection close X'.replaceAll(' ', '')
  for (const bytes of around(limits.headerBytesMax.value)) {
    const fields = `Host: x\r\nConnection: close\r\nX: ${'x'.repeat(bytes - counted.length)}\r\n`
    const answer = await answerTo(rig, `GET /healthz HTTP/1.1\r\n${fields}\r\n`)
    assert.equal(statusOf(answer), bytes < limits.headerBytesMax.value ? 200 : 431)
  }
})

test('limit http.parameter: an id of 200 characters is looked for, a longer one is 414', async (t) => {
  const rig = await startHttpRig(t)
  for (const characters of around(limits.parameterCharactersMax.value)) {
    const answer = await rig.get(`/api/v1/emails/${'x'.repeat(characters)}`)
    const isLong = characters > limits.parameterCharactersMax.value
    assert.deepEqual([answer.status, answer.body['code']], isLong ? [414, 'path_too_long'] : [404, 'message_unknown'])
  }
})

test('limit http.idle: a connection without a request is kept for its time, and a second of grace', async (t) => {
  const rig = await startHttpRig(t, { idleMsMax: 30 })
  const socket = await rig.connect()
  for (let i = 0; i < 2; i++) {
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal(statusOf(String((await once(socket, 'data'))[0])), 200)
  }
  await once(socket, 'close')
})

test('limit http.handshake: who does not speak TLS in time is closed', async (t) => {
  const rig = await startHttpRig(t, {
    tls: fixtureTls,
    listeners: [{ address: '127.0.0.1', port: 0, tls: 'implicit' }],
    handshakeMsMax: 50,
  })
  const quick = tlsConnect({ port: rig.port, host: '127.0.0.1', ca: fixtureTls.certificatePem })
  t.after(() => quick.destroy())
  await once(quick, 'secureConnect')
  const silent = await rig.connect()
  await once(silent.resume(), 'close')
  assert.equal(quick.destroyed, false)
})

test('limit http.oversize: a body that is too big is read on, up to four times the bound; then the connection is closed', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax: 70_000 })
  const max = 70_000 * limits.oversizeFactorMax.value
  for (const bytes of around(max)) {
    const socket = await rig.connect()
    socket.write(
      `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.acme}\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`,
    )
    if (bytes <= max) socket.write('x'.repeat(bytes))
    const answer = String((await once(socket, 'data'))[0])
    assert.equal(statusOf(answer), 413)
    assert.equal(/connection: close/i.test(answer), bytes > max)
  }
})

test('limit http.shared-memory: bodies hold so much together, one octet more is 503', () => {
  const memory = new BodyMemory(1_000)
  const { value } = limits.sharedBytesMin
  // Each of many tenants takes half of what is left, which its share allows; the last octets go to one that asks for less than it may.
  let left = value
  for (let tenant = 0; left > 3; tenant++) {
    const bytes = Math.floor(left / 2)
    assert.equal(memory.reserve(`t${tenant}`, bytes, 0), null)
    left -= bytes
  }
  assert.equal(memory.bytes, value - left)
  assert.equal(memory.reserve('late', left + 1, 0)?.code, 'intake_busy')
  assert.equal(memory.reserve('late', 1, 0), null)
  const oneBody = 64 * 1024 * 1024
  assert.ok(new BodyMemory(oneBody).bytesMax > 3 * oneBody)
})

test('limit http.tenant-share: a tenant’s bodies hold twice what is left for the others, one octet more is 429, and the others go on', () => {
  const memory = new BodyMemory(1_000)
  const share = Math.floor((memory.bytesMax * limits.tenantTimesLeftMax.value) / (1 + limits.tenantTimesLeftMax.value))
  const [below] = around(share)
  assert.equal(memory.reserve('loud', below, 0), null)
  assert.equal(memory.reserve('loud', 2, 0)?.code, 'tenant_busy')
  assert.equal(memory.reserve('loud', 1, 0), null)
  assert.equal(memory.reserve('loud', 1, 0)?.http, 429)
  assert.equal(memory.reserve('quiet', 1_000, 0), null, 'the others go on')
  const rest = Math.floor((memory.bytesMax - 1_000) / 2)
  assert.equal(memory.reserve('big', rest, 0)?.code, 'intake_busy', 'it holds nothing else that could end')
  memory.release('loud', share)
  assert.equal(memory.reserve('big', rest, 0), null)
  memory.release('big', rest)
  memory.release('quiet', 1_000)
  assert.deepEqual([memory.bytes, memory.tenants], [0, 0])
})

for (const bodyBytesMax of [64 * 1024, 25 * 1024 * 1024, 256 * 1024 * 1024])
  test(`a tenant that has nothing else under way may send a body of ${bodyBytesMax} octets, in gzip too, while it grows`, () => {
    const memory = new BodyMemory(bodyBytesMax)
    assert.equal(memory.reserve('one', limits.unpackerBytes.value, 0), null)
    assert.equal(memory.reserve('one', bodyBytesMax - 1, limits.unpackerBytes.value), null)
    assert.equal(memory.reserve('one', bodyBytesMax, limits.unpackerBytes.value + bodyBytesMax - 1), null)
  })

test('a tenant whose requests wait for a busy key hears 429 alone, and each of them is answered in the end', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax: 20 * 1024 * 1024 })
  const other = await rig.store.claim('acme', 'k-1', 'of another request')
  assert.ok(other.kind === 'new')
  const email = emailOf(12 * 1024 * 1024)
  const waiting: Promise<Answer>[] = []
  for (let i = 1; i <= 2; i++) {
    waiting.push(rig.post(email, { headers: { 'idempotency-key': 'k-1' } }))
    await condition(() => rig.store.waiting === i)
  }
  const refused = await rig.post(email, { headers: { 'idempotency-key': 'k-1' } })
  assert.deepEqual(
    [refused.status, refused.body['code'], refused.headers.get('retry-after')],
    [429, 'tenant_busy', '1'],
  )
  assert.match(String(refused.body['cure']), /at a time/)
  const rival = { ...goodEmail, from: 'ann@rival.test', text: 'x'.repeat(1024 * 1024) }
  assert.equal((await rig.post(rival, { key: keys.rival })).status, 202)
  rig.store.release(other.claim)
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ status }) => status),
    [202, 202],
  )
  assert.equal(rig.intake.memoryBytes, 0)
})

test('limit http.unpacker: a body in gzip reserves its unpacker, and gives it back', async (t) => {
  const rig = await startHttpRig(t)
  const body = gzipSync(JSON.stringify(goodEmail))
  const socket = await rig.connect()
  socket.write(
    `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.acme}\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
  )
  await condition(() => rig.intake.memoryBytes === limits.unpackerBytes.value)
  socket.write(body)
  assert.equal(statusOf(String((await once(socket, 'data'))[0])), 202)
  assert.equal(rig.intake.memoryBytes, 0)
})

test('limit http.json-depth: 16 levels are read, 17 are not', () => {
  for (const depth of around(limits.jsonDepthMax.value)) {
    const survey = (): boolean => surveyJson('['.repeat(depth) + ']'.repeat(depth))
    if (depth > limits.jsonDepthMax.value) assert.throws(survey, Problem)
    else assert.equal(survey(), false)
  }
})

test('limit http.json-values: 20,000 values are read, one more is not', () => {
  for (const values of around(limits.jsonValuesMax.value)) {
    // The list is one of them, and its first value has no comma in front.
    const survey = (): boolean => surveyJson(`[${Array.from({ length: values - 1 }, () => '1').join(',')}]`)
    if (values > limits.jsonValuesMax.value) assert.throws(survey, Problem)
    else assert.equal(survey(), false)
  }
})

test('limit http.subject: 2,000 characters are a subject, more are 422', async (t) => {
  const rig = await startHttpRig(t)
  const ask = (count: number) => rig.post({ ...goodEmail, subject: 'x'.repeat(count) })
  await eachAround(limits.subjectCharactersMax.value, ask, 422, '/subject')
})

test('limit http.address: 1,000 characters are an address with all around it, or a name; more are 422', async (t) => {
  const rig = await startHttpRig(t)
  const padded = (count: number) => 'ann@example.test'.padStart(count)
  const { value } = limits.addressCharactersMax
  await eachAround(value, (count) => rig.post({ ...goodEmail, from: padded(count) }), 422, '/from')
  const raw = Buffer.from('From: ann@example.test\r\n\r\nhello\r\n').toString('base64')
  const named = (count: number) => ({ email: 'ann@example.test', name: 'A'.repeat(count) })
  const ask = (count: number) => rig.post({ raw, to: 'bob@example.net', from: named(count) })
  await eachAround(value, ask, 422, '/from/name')
  // Twice a text of 1,000 characters, of up to three bytes each: far from the 64 KiB that a record gives to each.
  for (const { head } of rig.spool.committed) assert.ok(head.facts.from.length <= 2 * value + 3)
})

test('limit http.headers: a hundred further fields, one more is 422', async (t) => {
  const rig = await startHttpRig(t)
  const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, 'a']))
  await eachAround(
    limits.headersMax.value,
    (count) => rig.post({ ...goodEmail, headers: fields(count) }),
    422,
    '/headers',
  )
})

test('limit http.attachments: a hundred of them, one more is 422', async (t) => {
  const rig = await startHttpRig(t)
  const list = (count: number) => Array.from({ length: count }, () => ({ content: '' }))
  await eachAround(
    limits.attachmentsMax.value,
    (count) => rig.post({ ...goodEmail, attachments: list(count) }),
    422,
    '/attachments',
  )
})

test('limit http.filename: 255 characters stay, a longer name is cut in front of its ending', () => {
  for (const characters of around(limits.filenameCharactersMax.value)) {
    const name = `${'x'.repeat(characters - 4)}.pdf`
    const kept = attachmentName(name)
    assert.equal(kept.length, Math.min(characters, limits.filenameCharactersMax.value))
    assert.match(kept, /^x+\.pdf$/)
  }
  assert.equal(attachmentName(`${'x'.repeat(250)}😀😀.pdf`), `${'x'.repeat(250)}.pdf`)
})

test('limit http.page: a hundred messages are asked for at once, never more', async (t) => {
  const rig = await startHttpRig(t)
  for (const count of around(limits.pageMessagesMax.value)) {
    await rig.get(`/api/v1/emails?limit=${count}`)
    assert.equal(rig.store.queries.at(-1)?.limit, Math.min(count, limits.pageMessagesMax.value))
  }
})

test('limit http.problems: ten are told, an eleventh is not', async (t) => {
  const rig = await startHttpRig(t)
  for (const count of around(limits.problemsMax.value)) {
    const unknown = Object.fromEntries(Array.from({ length: count }, (_, i) => [`field${i}`, 1]))
    const errors = (await rig.post({ ...goodEmail, ...unknown })).body['errors'] as unknown[]
    assert.equal(errors.length, Math.min(count, limits.problemsMax.value))
  }
})

test('limit http.schema-errors: what comes behind a thousand complaints is told later', () => {
  const schema = Type.Object({ a: Type.Array(Type.Null()), b: Type.Null() })
  const check: (value: unknown) => void = checkOf(schema)
  for (const count of around(limits.schemaErrorsMax.value)) {
    const value = { a: Array.from({ length: count - 1 }, () => 1), b: 1 }
    assert.throws(
      () => check(value),
      (error) => error instanceof Problem && error.details.errors?.length === limits.problemsMax.value,
    )
  }
})

test('limit http.slice: after 1 MiB of content others have their turn', async () => {
  for (const bytes of around(limits.sliceBytes.value)) {
    const transaction = new MemorySubmissions().begin(0)
    assert.ok(!isFailure(transaction))
    let turns = 0
    const turn = setInterval(() => turns++, 0)
    const immediate = setImmediate(() => turns++)
    await new ContentWriter(transaction).write([Buffer.alloc(bytes, 'x')])
    clearInterval(turn)
    clearImmediate(immediate)
    assert.equal(turns > 0, bytes >= limits.sliceBytes.value, `${bytes}`)
    transaction.abort()
  }
})

test('time of a clock that stands still refills no tries of keys', async (t) => {
  const clock = new VirtualClock()
  const rig = await startHttpRig(t, { clock })
  for (let i = 0; i < 11; i++) await rig.get('/api/v1/emails', 'guess')
  assert.equal((await rig.get('/api/v1/emails', 'guess')).status, 429)
  clock.advance(6_000)
  assert.equal((await rig.get('/api/v1/emails', 'guess')).status, 401)
  assert.equal((await rig.get('/api/v1/emails', 'guess')).status, 429)
})
