/** How the API closes: what is under way ends well, what is new is sent elsewhere. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import { goodEmail, keys, startHttpRig } from '../../../test/support/http-rig.ts'
import { PosthasteError } from '../../kernel/errors.ts'

const post = (body: string): string =>
  `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.acme}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

test('while it drains, requests under way finish, new ones hear 503 with Retry-After, and idle connections close', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.holdCommits = true
  const [busy, idle, half] = [await rig.connect(), await rig.connect(), await rig.connect()]
  let [busySaid, halfSaid] = ['', '']
  busy.on('data', (text: string) => (busySaid += text))
  half.on('data', (text: string) => (halfSaid += text))
  const idleClosed = once(idle.resume(), 'close')
  idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  await condition(() => rig.counters.requests === 1)
  const request = post(JSON.stringify(goodEmail))
  busy.write(request)
  half.write(request.slice(0, 40))
  await condition(() => rig.spool.heldCommits === 1)

  const stopped = rig.intake.stop(10_000)
  await idleClosed
  half.write(request.slice(40))
  await condition(() => halfSaid !== '')
  assert.equal(busySaid, '')
  rig.spool.settle()
  await stopped

  assert.match(halfSaid, /^HTTP\/1\.1 503 [^]*"code":"draining"/)
  for (const field of [/^retry-after: \d+$/im, /^connection: close$/im]) assert.match(halfSaid, field)
  await condition(() => busySaid !== '')
  assert.match(busySaid, /^HTTP\/1\.1 202 /)
  assert.equal(rig.spool.committed.length, 1)
  await condition(() => rig.intake.connections === 0)
})

test('a message whose client has hung up is waited for as well', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.holdCommits = true
  const socket = await rig.connect()
  socket.write(post(JSON.stringify(goodEmail)))
  await condition(() => rig.spool.heldCommits === 1)
  socket.destroy()
  await condition(() => rig.intake.connections === 0)
  let isStopped = false
  const stopped = rig.intake.stop(10_000).then(() => (isStopped = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isStopped, false)
  rig.spool.settle()
  await stopped
  assert.equal(rig.spool.committed.length, 1)
})

test('after its deadline it closes by force', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.holdCommits = true
  const socket = await rig.connect()
  socket.write(post(JSON.stringify(goodEmail)))
  await condition(() => rig.spool.heldCommits === 1)
  const closed = once(socket.resume(), 'close')
  await rig.intake.stop(20)
  await closed
  rig.spool.settle()
})

test('a port that is taken, and a certificate that is missing, are errors that name the cure; and nothing listens then', async (t) => {
  const rig = await startHttpRig(t)
  const taken = { address: '127.0.0.1', port: rig.port, tls: 'none' } as const
  const cases = [
    [[{ ...taken, port: 0 }, taken], 'http_listen_failed'],
    [[{ ...taken, port: 0, tls: 'implicit' as const }], 'tls_certificate_missing'],
  ] as const
  for (const [listeners, code] of cases) {
    await assert.rejects(
      startHttpRig(t, { listeners }),
      (error) => error instanceof PosthasteError && error.code === code && error.cure !== '',
    )
  }
})

test('without listeners nothing is started', async (t) => {
  const rig = await startHttpRig(t, { listeners: [] })
  assert.deepEqual(rig.intake.addresses, [])
  await rig.intake.stop(1)
})

test('health is answered without a key: alive as long as it runs, ready as long as mail is taken', async (t) => {
  const rig = await startHttpRig(t)
  assert.equal((await rig.get('/healthz', null)).status, 200)
  assert.deepEqual((await rig.get('/readyz', null)).body, { status: 'ready', reasons: [] })
  rig.health = { ready: false, reasons: ['the disk is full'] }
  const answer = await rig.get('/readyz', null)
  assert.deepEqual([answer.status, answer.body], [503, { status: 'not_ready', reasons: ['the disk is full'] }])
  assert.equal((await rig.get('/healthz', null)).status, 200)
})

test('the root tells where to begin; what is not there is 404, another method 405', async (t) => {
  const rig = await startHttpRig(t)
  assert.deepEqual((await rig.get('/', null)).body, {
    name: 'Posthaste',
    version: '0.0.0',
    reference: '/reference',
    openapi: '/openapi.json',
  })
  assert.deepEqual((await rig.get('/api/v2/emails')).body['code'], 'route_unknown')
  const put = await fetch(`${rig.url}/api/v1/emails`, { method: 'PUT', body: '{}' })
  assert.deepEqual([put.status, put.headers.get('allow')], [405, 'POST, GET, HEAD'])
  assert.equal((await fetch(`${rig.url}/%ff`)).status, 400)
})
