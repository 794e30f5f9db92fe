import assert from 'node:assert/strict'
import { request, type IncomingHttpHeaders } from 'node:http'
import { after, before, test } from 'node:test'
import { PosthasteError } from '../../kernel/errors.ts'
import { engineView } from '../../../test/support/fake-engine-view.ts'
import { createAdminServer, type AdminServer } from './server.ts'

const problemType = 'application/problem+json; charset=utf-8'
const token = 'a-token-of-some-length'
const errors: Error[] = []
const engine = engineView()
let guarded: AdminServer
let open: AdminServer

before(async () => {
  const options = {
    address: '127.0.0.1',
    port: 0,
    names: ['Mail.example.com'],
    onError: (error: Error) => void errors.push(error),
  }
  guarded = createAdminServer(engine, { ...options, token })
  open = createAdminServer(engine, { ...options, token: null })
  await Promise.all([guarded.start(), open.start()])
})
after(async () => {
  await Promise.all([guarded.stop(), open.stop()])
})

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

const bearer = { authorization: `Bearer ${token}` }

/** Not fetch: it does not let a test lie about Host. */
function ask(
  server: AdminServer,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { ...server.address, host: server.address.address, path, method, headers, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

const codeOf = (answer: Answer): string => (JSON.parse(answer.body.toString()) as { code: string }).code

test('healthz lives, readyz says whether mail is accepted and why not; neither asks for the token', async () => {
  const health = await ask(guarded, '/healthz')
  assert.deepEqual([health.status, JSON.parse(health.body.toString())], [200, { status: 'ok' }])
  const ready = await ask(guarded, '/readyz')
  assert.deepEqual([ready.status, JSON.parse(ready.body.toString())], [200, { status: 'ready', reasons: [] }])
  engine.unready('the disk is full')
  const unready = await ask(guarded, '/readyz')
  assert.deepEqual(
    [unready.status, JSON.parse(unready.body.toString())],
    [503, { status: 'not_ready', reasons: ['the disk is full'] }],
  )
  engine.unready()
})

test('everything else asks for the token', async () => {
  for (const path of ['/metrics', '/api/v1/admin/status', '/api/v1/admin/sandbox/messages', '/nowhere', '/healthz/']) {
    const answer = await ask(guarded, path)
    assert.deepEqual(
      [path, answer.status, codeOf(answer), answer.headers['www-authenticate']],
      [path, 401, 'token_required', 'Bearer'],
    )
    assert.equal(answer.headers['content-type'], problemType)
  }
  for (const wrong of ['Bearer x', `Bearer ${token}x`, `Basic ${token}`, token]) {
    assert.equal((await ask(guarded, '/api/v1/admin/status', { authorization: wrong })).status, 401)
  }
  assert.equal((await ask(guarded, '/api/v1/admin/status', bearer)).status, 200)
  assert.equal((await ask(open, '/api/v1/admin/status')).status, 200)
})

test('a foreign Host is refused, also on loopback, also for health checks', async () => {
  for (const host of [
    'evil.example',
    'localhost.evil.example:8080',
    '127.0.0.1.evil.example',
    '[::2]',
    'localhost@evil',
  ]) {
    const answer = await ask(open, '/healthz', { host })
    assert.ok(answer.status === 421 || answer.status === 400, `${host}: ${answer.status}`)
  }
  for (const host of ['localhost', 'LOCALHOST:9000', '127.0.0.1:1', '[::1]:8080', 'mail.example.com']) {
    assert.equal((await ask(open, '/healthz', { host })).status, 200, host)
  }
})

test('a foreign Origin is refused, our own is not', async () => {
  const host = `127.0.0.1:${open.address.port}`
  for (const origin of ['http://evil.example', 'http://127.0.0.1:1', 'null', `http://${host}.evil.example`]) {
    assert.deepEqual(codeOf(await ask(open, '/api/v1/admin/status', { host, origin })), 'foreign_origin', origin)
  }
  assert.equal((await ask(open, '/api/v1/admin/status', { host, origin: `http://${host}` })).status, 200)
})

test('status and messages are snake_case JSON', async () => {
  const status = JSON.parse((await ask(open, '/api/v1/admin/status')).body.toString())
  assert.equal(status.uptime_ms, 273_600_000)
  assert.equal(status.rates.accepted_per_second_1m, 123.4)
  assert.equal(status.spool.logs[0].committed_position, 4_096)
  const message = JSON.parse((await ask(open, '/api/v1/admin/messages/known')).body.toString())
  assert.equal(message.recipients[0].may_be_duplicate, true)
  assert.equal(message.recipients[0].attempts[0].started_at, '2026-11-22T03:00:01Z')
  const unknown = await ask(open, '/api/v1/admin/messages/unknown')
  assert.deepEqual([unknown.status, codeOf(unknown)], [404, 'message_unknown'])
  const expired = await ask(open, '/api/v1/admin/messages/expired')
  assert.deepEqual([expired.status, codeOf(expired)], [410, 'message_expired'])
})

test('captured mail is listed, shown, and given byte for byte', async () => {
  const list = '/api/v1/admin/sandbox/messages'
  const page = JSON.parse((await ask(open, `${list}?limit=9999&to=ann%40example.net&before=c9`)).body.toString())
  assert.equal(page.messages[0].size_bytes, 300)
  assert.deepEqual(engine.queries.at(-1), { limit: 500, before: 'c9', to: 'ann@example.net' })
  await ask(open, list)
  assert.deepEqual(engine.queries.at(-1), { limit: 50, before: null, to: null })
  for (const bad of ['limit=0', 'limit=-1', 'limit=x', 'limit=1&limit=2', 'to=a&to=b']) {
    assert.equal((await ask(open, `${list}?${bad}`)).status, 400, bad)
  }
  assert.equal(JSON.parse((await ask(open, `${list}/c1`)).body.toString()).subject, 'Hello')
  const raw = await ask(open, `${list}/c1/raw`)
  assert.equal(raw.headers['content-type'], 'application/octet-stream')
  assert.deepEqual(raw.body, engine.raw)
  assert.equal((await ask(open, `${list}/c2/raw`)).status, 404)
  assert.equal((await ask(open, `${list}/c2`)).status, 404)
})

test('whoever asks an engine with real receivers for captured mail hears that it is no sandbox', async (t) => {
  const real = createAdminServer({ ...engine, sandbox: null }, { address: '127.0.0.1', port: 0, token: null })
  await real.start()
  t.after(() => real.stop())
  for (const path of ['messages', 'messages/1/raw', 'credentials']) {
    const answer = await ask(real, `/api/v1/admin/sandbox/${path}`)
    assert.deepEqual([answer.status, codeOf(answer)], [404, 'no_sandbox'])
  }
})

test('metrics are in the format of Prometheus, with labels escaped, and twice the same', async () => {
  const expected = [
    '# HELP posthaste_accepted_total Messages accepted.',
    '# TYPE posthaste_accepted_total counter',
    'posthaste_accepted_total{tenant="a"} 5',
    'posthaste_accepted_total{tenant="b\\"\\n"} 7',
    '',
    '# HELP posthaste_queue_recipients Recipients waiting.',
    '# TYPE posthaste_queue_recipients gauge',
    'posthaste_queue_recipients 3',
    '',
  ].join('\n')
  for (const _ of [1, 2]) assert.equal((await ask(guarded, '/metrics', bearer)).body.toString(), expected)
})

test('errors are problem details and keep our inside to ourselves', async () => {
  const missing = await ask(open, '/nowhere')
  assert.deepEqual(
    [missing.status, codeOf(missing), missing.headers['content-type']],
    [404, 'no_such_route', problemType],
  )
  const broken = await ask(open, '/api/v1/admin/messages/broken')
  assert.deepEqual([broken.status, codeOf(broken)], [500, 'internal'])
  assert.ok(!broken.body.toString().includes('a secret of the store'))
  assert.equal(errors.at(-1)?.message, 'a secret of the store')
  assert.equal((await ask(open, '/api/v1/admin/status', {}, 'POST', '{}')).status, 404)
  assert.equal((await ask(open, '/healthz', { 'x-flood': 'a'.repeat(20_000) })).status, 431)
  assert.ok((await ask(open, '/api/v1/admin/messages/%ZZ')).status < 500)
})

test('row 94: a port in use, or an address that is not ours, is an error that names it', async () => {
  const { port } = open.address
  const second = createAdminServer(engine, { address: '127.0.0.1', port, token })
  await assert.rejects(second.start(), (error: PosthasteError) => {
    assert.ok(error instanceof PosthasteError)
    assert.equal(error.message, `management cannot listen on 127.0.0.1:${port}: another program does`)
    assert.match(error.cure, /posthaste status.*management\.port/)
    assert.equal(error.exitCode, 69)
    return true
  })
  const foreign = createAdminServer(engine, { address: '192.0.2.1', port: 0, token })
  await assert.rejects(foreign.start(), /192\.0\.2\.1:0: this machine has no such address/)
})
