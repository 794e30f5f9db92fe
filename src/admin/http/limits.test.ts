/** Bounds of the management listener at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import { adminRig } from '../../../test/support/admin-rig.ts'
import { engineView } from '../../../test/support/fake-engine-view.ts'
import type { TextAnswer } from '../../ports/dns.ts'
import * as limits from '../limits.ts'
import { type AdminServer, type AdminServerOptions, createAdminServer } from './server.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

async function serve(t: TestContext, options: Partial<AdminServerOptions> = {}) {
  const engine = engineView()
  const server = createAdminServer(engine, { address: '127.0.0.1', port: 0, token: null, ...options })
  await server.start()
  t.after(() => server.stop())
  return { engine, server }
}

function connectTo(t: TestContext, server: AdminServer): Socket {
  const socket = connect(server.address.port, '127.0.0.1').setEncoding('latin1')
  t.after(() => socket.destroy())
  // What is cut off is looked for by 'close'.
  socket.on('error', () => {})
  return socket
}

/** Sends the bytes; the answer up to its end, or to that of the connection. */
async function answerTo(t: TestContext, server: AdminServer, request: string): Promise<string> {
  const socket = connectTo(t, server)
  let answer = ''
  socket.on('data', (text: string) => (answer += text))
  socket.end(request)
  await once(socket, 'close')
  return answer
}

const statusOf = (answer: string): number => Number(answer.split(' ')[1])

test('limit admin.body: 64 KiB are read, one octet more is 413', async (t) => {
  const { server } = await serve(t)
  for (const bytes of around(limits.bodyBytesMax.value)) {
    const body = `"${'x'.repeat(bytes - 2)}"`
    const head = `POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n`
    const answer = await answerTo(t, server, `${head}Content-Length: ${bytes}\r\n\r\n${body}`)
    const isOver = bytes > limits.bodyBytesMax.value
    assert.equal(statusOf(answer), isOver ? 413 : 404)
    assert.equal(/"code":"body_too_big","detail":"the body is larger than 64 KiB"/.test(answer), isOver)
  }
})

test('limit admin.header: one octet below 16 KiB it is read, at it is 431', async (t) => {
  const { server } = await serve(t)
  // Counted are the path, and names and values of the fields; what reaches the bound is refused.
  const counted = '/healthz Host 127.0.0.1 Connection close X'.replaceAll(' ', '')
  for (const bytes of around(limits.headerBytesMax.value)) {
    const fields = `Host: 127.0.0.1\r\nConnection: close\r\nX: ${'x'.repeat(bytes - counted.length)}\r\n`
    const answer = await answerTo(t, server, `GET /healthz HTTP/1.1\r\n${fields}\r\n`)
    assert.equal(statusOf(answer), bytes < limits.headerBytesMax.value ? 200 : 431)
  }
})

test('limit admin.parameter: an id of 200 characters is looked for, a longer one is 414', async (t) => {
  const { server } = await serve(t)
  for (const characters of around(limits.parameterCharactersMax.value)) {
    const path = `/api/v1/admin/messages/${'x'.repeat(characters)}`
    const answer = await answerTo(t, server, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
    assert.match(
      answer,
      characters > limits.parameterCharactersMax.value ? /^HTTP\/1\.1 414 [^]*\n\{.*path_too_long/ : /message_unknown/,
    )
  }
})

test('limit admin.page: five hundred messages are asked for at once, never more', async (t) => {
  const { server, engine } = await serve(t)
  for (const limit of around(limits.pageMessagesMax.value)) {
    const path = `/api/v1/admin/sandbox/messages?limit=${limit}`
    await answerTo(t, server, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
    assert.equal(engine.queries.at(-1)?.limit, Math.min(limit, limits.pageMessagesMax.value))
  }
})

test('limit admin.request: a request that is not whole in its time is 408 and the end', async (t) => {
  const { server } = await serve(t, { requestMsMax: 150 })
  const [quick, slow, body] = [connectTo(t, server), connectTo(t, server), connectTo(t, server)]
  for (const socket of [quick, slow]) socket.write('GET /healthz HTTP/1.1\r\n')
  body.write('POST /api/v1/admin/tenants HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n\r\n{')
  quick.end('Host: 127.0.0.1\r\nConnection: close\r\n\r\n')
  assert.equal(statusOf(String((await once(quick, 'data'))[0])), 200)
  assert.equal(statusOf(String((await once(slow, 'data'))[0])), 408)
  await once(slow, 'close')
  body.resume()
  if (!body.destroyed) await once(body, 'close')
})

test('limit admin.idle: a connection without a request is kept for its time, and a second of grace', async (t) => {
  const { server } = await serve(t, { idleMsMax: 50 })
  const socket = connectTo(t, server)
  const request = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
  for (let i = 0; i < 2; i++) {
    socket.write(request)
    assert.equal(statusOf(String((await once(socket, 'data'))[0])), 200)
  }
  await once(socket, 'close')
})

test('limit admin.connections: 256 are open, one more is closed at once', async (t) => {
  const { server } = await serve(t)
  const max = limits.connectionsMax.value
  const isOpen = async (socket: Socket): Promise<boolean> => {
    socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    return await Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)])
  }
  const sockets = Array.from({ length: max }, () => connectTo(t, server))
  assert.deepEqual(new Set(await Promise.all(sockets.map(isOpen))), new Set([true]))
  const oneMore = connectTo(t, server)
  assert.equal(await isOpen(oneMore), false)
  sockets[0]?.destroy()
  let again = false
  await condition(() => sockets[0]?.closed === true)
  for (let tries = 0; tries < 100 && !again; tries++) again = await isOpen(connectTo(t, server))
  assert.equal(again, true)
})

test('limit admin.dns: an answer in time counts, and without one the state of a record is unknown', async (t) => {
  for (const afterMs of around(limits.dnsAnswerMsMax.value)) {
    const { directory, clock, call, txt } = await adminRig(t)
    const { id } = await directory.createTenant('acme')
    const { record } = await directory.addDomain(id, { domain: 'example.com' })
    let asked = false
    const late = (): Promise<TextAnswer> => {
      asked = true
      const answer = { kind: 'txt', records: [record.value], ttlMs: 1 } as const
      return new Promise((resolve) => void clock.after(afterMs, () => resolve(answer)))
    }
    txt.set(record.name, late)
    const shown = call('GET', '/tenants/acme/domains/example.com')
    await condition(() => asked)
    clock.advance(afterMs)
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1)
    const inTime = afterMs < limits.dnsAnswerMsMax.value
    assert.equal((await shown).body.records[0].state, inTime ? 'found' : 'unknown')
  }
})
