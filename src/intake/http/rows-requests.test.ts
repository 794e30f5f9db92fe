/** Keys, repetition, pressure and bad connections, row by row of the catalogue. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import { type Answer, goodEmail, keys, startHttpRig } from '../../../test/support/http-rig.ts'
import { failures } from '../../model/failures.ts'

function refused(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body['code']], [status, code], answer.text)
}

const withKey = (key: string) => ({ headers: { 'idempotency-key': key } })

/** Everything that it says until it closes. */
async function allOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (part: string) => (text += part))
  await once(socket, 'close')
  return text
}

test('row 76: the same request with the same key is answered with the same id, and is one message', async (t) => {
  const rig = await startHttpRig(t)

  const first = await rig.post(goodEmail, withKey('k-1'))
  const again = await rig.post(goodEmail, withKey('k-1'))
  const packed = await rig.post(goodEmail, { ...withKey('k-1'), gzip: true })
  const other = await rig.post({ ...goodEmail, from: 'r@rival.test' }, { ...withKey('k-1'), key: keys.rival })

  assert.deepEqual([first.status, again.status, packed.status, other.status], [202, 202, 202, 202])
  assert.deepEqual(again.body, first.body)
  assert.deepEqual(packed.body, first.body)
  assert.notDeepEqual(other.body, first.body)
  assert.equal(first.headers.get('idempotent-replayed'), null)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.equal(rig.spool.committed.length, 2)
  assert.equal(rig.store.open.size, 0)
})

test('row 76: requests that race for one key make one message', async (t) => {
  const rig = await startHttpRig(t)
  const answers = await Promise.all(Array.from({ length: 8 }, () => rig.post(goodEmail, withKey('race'))))
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
  assert.equal(rig.spool.committed.length, 1)
})

test('row 77: another body under the same key is 409', async (t) => {
  const rig = await startHttpRig(t)
  await rig.post(goodEmail, withKey('k-1'))
  refused(await rig.post({ ...goodEmail, subject: 'other' }, withKey('k-1')), 409, 'idempotency_conflict')
  assert.equal(rig.spool.committed.length, 1)
})

test('row 78: a client that hung up before its reply finds the same message by its key', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.holdCommits = true
  const body = JSON.stringify(goodEmail)
  const socket = await rig.connect()
  socket.write(
    `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.acme}\r\nContent-Type: application/json\r\nIdempotency-Key: k-1\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  await condition(() => rig.spool.heldCommits === 1)
  socket.destroy()
  const again = rig.post(goodEmail, withKey('k-1'))
  await condition(() => rig.counters.requests === 2)
  rig.spool.settle()

  const answer = await again

  assert.equal(rig.spool.committed.length, 1)
  assert.deepEqual([answer.status, answer.body], [202, { id: rig.spool.committed[0]?.id }])
  assert.equal(answer.headers.get('idempotent-replayed'), 'true')
})

test('row 79: a key whose request failed is free again, whatever it failed of', async (t) => {
  const rig = await startHttpRig(t)
  refused(await rig.post({ ...goodEmail, from: 'eve@rival.test' }, withKey('k-1')), 403, 'sender_not_allowed')
  rig.spool.commitFailure = failures.spoolBroken
  refused(await rig.post(goodEmail, withKey('k-1')), 503, 'spool_broken')
  rig.spool.commitFailure = null
  assert.equal((await rig.post(goodEmail, withKey('k-1'))).status, 202)
  assert.equal(rig.store.open.size, 0)
})

test('row 79: when nobody can say whether a key was used, nothing is accepted', async (t) => {
  const rig = await startHttpRig(t)
  rig.store.unavailable = true
  const answer = await rig.post(goodEmail, withKey('k-1'))
  refused(answer, 503, 'store_unavailable')
  assert.ok(Number(answer.headers.get('retry-after')) > 0)
  assert.equal((await rig.post(goodEmail)).status, 202, 'without a key it does not matter')
})

test('a key that is revoked while its request waits for another one hands nothing over', async (t) => {
  const rig = await startHttpRig(t)
  const other = await rig.store.claim('acme', 'k-1', 'of another request')
  assert.ok(other.kind === 'new')
  const posting = rig.post(goodEmail, withKey('k-1'))
  await condition(() => rig.store.waiting === 1)
  rig.clients.revoke(keys.acme)
  rig.store.release(other.claim)
  refused(await posting, 401, 'authentication_failed')
  assert.deepEqual([rig.spool.committed.length, rig.store.open.size, rig.intake.memoryBytes], [0, 0, 0])
})

test('a key of idempotency that cannot be one is 400', async (t) => {
  const rig = await startHttpRig(t)
  for (const key of ['', 'a b', 'ü'])
    refused(
      await rig.post(goodEmail, { headers: { 'idempotency-key': Buffer.from(key).toString('latin1') } }),
      400,
      'idempotency_key_invalid',
    )
})

test('a key of idempotency may have 256 characters, as clients of other APIs are used to', async (t) => {
  const rig = await startHttpRig(t)
  for (const length of [255, 256]) assert.equal((await rig.post(goodEmail, withKey('x'.repeat(length)))).status, 202)
  refused(await rig.post(goodEmail, withKey('x'.repeat(257))), 400, 'idempotency_key_invalid')
})

test('row 80: without a key, or with one that is not known, it is 401; a body is not even read', async (t) => {
  const rig = await startHttpRig(t)
  refused(await rig.post(goodEmail, { key: null }), 401, 'authentication_required')
  refused(await rig.post(goodEmail, { key: 'ph_wrong' }), 401, 'authentication_failed')
  for (const authorization of ['Basic YTpi', 'Bearer', `Token ${keys.acme}`, `Bearer ${keys.acme} x`])
    refused(await rig.post(goodEmail, { key: null, headers: { authorization } }), 401, 'authentication_failed')
  const answer = await rig.get('/api/v1/emails', null)
  refused(answer, 401, 'authentication_required')
  assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
  rig.clients.revoke(keys.acme)
  refused(await rig.post(goodEmail), 401, 'authentication_failed')
  assert.deepEqual(rig.spool.committed, [])
})

test('row 80: a key opens what it is for and nothing else', async (t) => {
  const rig = await startHttpRig(t)
  refused(await rig.post(goodEmail, { key: keys.acmeReadOnly }), 403, 'scope_missing')
  refused(await rig.get('/api/v1/emails', keys.acmeSendOnly), 403, 'scope_missing')
  assert.equal((await rig.post(goodEmail, { key: keys.acmeSendOnly })).status, 202)
})

test('row 80: whoever tries keys is told to wait, and those with a right one are not', async (t) => {
  const rig = await startHttpRig(t)
  for (let i = 0; i < 10; i++) refused(await rig.post(goodEmail, { key: `guess${i}` }), 401, 'authentication_failed')
  const answer = await rig.post(goodEmail, { key: 'guess' })
  refused(answer, 429, 'too_many_auth_failures')
  assert.ok(Number(answer.headers.get('retry-after')) > 0)
  assert.equal((await rig.post(goodEmail)).status, 202)
})

test("row 81: another tenant's message is as unknown as one that never was", async (t) => {
  const rig = await startHttpRig(t)
  const { id } = (await rig.post(goodEmail)).body as { id: string }
  const never = '00000000-0000-7000-8000-0000000000ff'
  for (const path of ['', '/status']) {
    const other = await rig.get(`/api/v1/emails/${id}${path}`, keys.rival)
    refused(other, 404, 'message_unknown')
    assert.equal(other.text, (await rig.get(`/api/v1/emails/${never}${path}`, keys.rival)).text)
    refused(await rig.get(`/api/v1/emails/not-an-id${path}`), 404, 'message_unknown')
    assert.equal((await rig.get(`/api/v1/emails/${id.toUpperCase()}${path}`)).status, 200)
  }
  assert.deepEqual((await rig.get('/api/v1/emails', keys.rival)).body['data'], [])
})

test('row 82: a tenant whose share is full is 429 with a time to wait; row 83: a spool that takes nothing is 503, never 202', async (t) => {
  const rig = await startHttpRig(t)
  const cases = [
    [failures.tenantShareFull, 429],
    [failures.spoolFull, 503],
    [failures.spoolBusy, 503],
    [failures.spoolBroken, 503],
    [failures.draining, 503],
  ] as const
  for (const [failure, status] of cases) {
    rig.spool.beginFailure = failure
    const atBegin = await rig.post(goodEmail)
    rig.spool.beginFailure = null
    rig.spool.commitFailure = failure
    const atCommit = await rig.post(goodEmail)
    rig.spool.commitFailure = null
    for (const answer of [atBegin, atCommit]) {
      refused(answer, status, failure.code)
      assert.ok(Number(answer.headers.get('retry-after')) > 0)
    }
  }
  rig.store.unavailable = true
  refused(await rig.get('/api/v1/emails'), 503, 'store_unavailable')
  refused(await rig.get('/api/v1/emails/00000000-0000-7000-8000-0000000000ff'), 503, 'store_unavailable')
  assert.deepEqual(rig.spool.committed, [])
})

test('row 88: a cursor that was tampered with is 400, and a page is no larger than it may be', async (t) => {
  const rig = await startHttpRig(t)
  for (let i = 0; i < 3; i++) await rig.post({ ...goodEmail, subject: `no ${i}` })
  refused(await rig.get('/api/v1/emails?cursor=tampered'), 400, 'cursor_invalid')
  await rig.get('/api/v1/emails?limit=1000000000')
  assert.equal(rig.store.queries.at(-1)?.limit, 100)
  await rig.get('/api/v1/emails')
  assert.equal(rig.store.queries.at(-1)?.limit, 20)
  const first = await rig.get('/api/v1/emails?limit=2')
  assert.deepEqual([first.body['has_more'], (first.body['data'] as unknown[]).length], [true, 2])
  const second = await rig.get(`/api/v1/emails?limit=2&cursor=${String(first.body['next_cursor'])}`)
  assert.deepEqual(
    [second.body['has_more'], second.body['next_cursor'], (second.body['data'] as unknown[]).length],
    [false, null, 1],
  )
})

test('row 88: parameters that are unknown, twice or no values are 400 and pointed at', async (t) => {
  const rig = await startHttpRig(t)
  for (const [query, pointer] of [
    ['limit=0', '/limit'],
    ['limit=-1', '/limit'],
    ['limit=1e9', '/limit'],
    ['limit=1&limit=2', '/limit'],
    ['status=lost', '/status'],
    ['after=yesterday', '/after'],
    ['before=2026-13-01T00:00:00Z', '/before'],
    ['colour=red', '/colour'],
  ] as const) {
    const answer = await rig.get(`/api/v1/emails?${query}`)
    refused(answer, 400, 'parameter_invalid')
    assert.equal(answer.body['pointer'], pointer)
  }
  const good =
    '?recipient=Bob%40example.net&sender=ann%40example.test&status=queued&tag=a&after=2026-11-22T10:00:00Z&before=2026-11-22T12:00:00+01:00'
  assert.equal((await rig.get(`/api/v1/emails${good}`)).status, 200)
  assert.deepEqual(rig.store.queries.at(-1), {
    limit: 20,
    recipient: 'Bob@example.net',
    sender: 'ann@example.test',
    status: 'queued',
    tag: 'a',
    fromMs: Date.UTC(2026, 10, 22, 10),
    toMs: Date.UTC(2026, 10, 22, 11),
  })
})

test('row 89: a body that comes too slowly is 408', async (t) => {
  const rig = await startHttpRig(t, { requestMsMax: 150 })
  const socket = await rig.connect()
  socket.write(
    `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.acme}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"from":`,
  )
  const text = await allOf(socket)
  assert.match(text, /^HTTP\/1\.1 408 [^]*\r\nContent-Type: application\/problem\+json\r\n[^]*"code":"timed_out"/)
  assert.equal(rig.counters.timeouts, 1)
  await condition(() => rig.intake.memoryBytes === 0)
})

test('row 89: a flood of header fields is 431', async (t) => {
  const rig = await startHttpRig(t)
  const socket = await rig.connect()
  socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n${'X-Flood: 0123456789\r\n'.repeat(2_000)}\r\n`)
  assert.match(await allOf(socket), /^HTTP\/1\.1 431 [^]*"code":"request_header_too_big"/)
})

test('row 89: what is not HTTP is 400 and the end', async (t) => {
  const rig = await startHttpRig(t)
  for (const words of ['EHLO client.example\r\n\r\n', '\x16\x03\x01\x02\x00\x01\r\n\r\n']) {
    const socket = await rig.connect()
    socket.write(words)
    assert.match(await allOf(socket), /^HTTP\/1\.1 400 [^]*"code":"malformed_request"/)
  }
})

test('row 89: connections that idle are reaped', async (t) => {
  // Node gives a second of grace on top.
  const rig = await startHttpRig(t, { idleMsMax: 20 })
  const sockets = await Promise.all(Array.from({ length: 50 }, () => rig.connect()))
  for (const socket of sockets) {
    socket.resume()
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  }
  await condition(() => rig.counters.requests === 50)
  assert.equal(rig.intake.connections, 50)
  await condition(() => rig.intake.connections === 0)
})
