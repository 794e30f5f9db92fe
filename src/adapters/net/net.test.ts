import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import test from 'node:test'
import type { ConnectTarget } from '../../ports/net.ts'
import { openNet } from './net.ts'

async function errorOf(loopbackOnly: boolean, target: Partial<ConnectTarget>): Promise<string> {
  const socket = openNet({ loopbackOnly }).connect({ address: '127.0.0.1', port: 9, source: null, ...target })
  const [error] = (await once(socket, 'error')) as [Error & { code: string }]
  return error.code
}

test('the sandbox connects to loopback only, in whatever spelling', async () => {
  for (const address of [
    '192.0.2.1',
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '2001:db8::1',
    '::ffff:192.0.2.1',
    '127.0.0.1.example',
    '169.254.1.1',
  ]) {
    assert.equal(await errorOf(true, { address }), address.endsWith('example') ? 'EADDRNOTAVAIL' : 'EPOLICY', address)
  }
})

test('names are not resolved here, and a source must be an address', async () => {
  assert.equal(await errorOf(false, { address: 'localhost' }), 'EADDRNOTAVAIL')
  assert.equal(await errorOf(false, { source: 'eth0' }), 'EADDRNOTAVAIL')
})

test('a connection to loopback, without delay for small writes', async (t) => {
  const server = createServer((peer) => peer.end('hi')).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const socket = openNet({ loopbackOnly: true }).connect({
    address: '127.0.0.1',
    port: address.port,
    source: '127.0.0.2',
  })
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  assert.equal(bytes.toString(), 'hi')
  assert.equal(socket.localAddress, '127.0.0.2')
})
