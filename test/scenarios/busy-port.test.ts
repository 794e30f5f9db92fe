import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { folder, posthaste, sandboxConfig } from '../support/scenario.ts'

async function busyPort(t: TestContext): Promise<number> {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  return (other.address() as AddressInfo).port
}

for (const [flag, where, cure] of [
  ['--smtp-port', 'cannot listen for SMTP on', 'choose another port in smtp.listeners or with --smtp-port'],
  ['--management-port', 'management cannot listen on', 'set management.port or --management-port'],
] as const) {
  test(`a port of another program (${flag}) is named, with the way out`, async (t) => {
    const port = await busyPort(t)
    const free = flag === '--smtp-port' ? '--management-port' : '--smtp-port'
    const { code, stdout, stderr } = await posthaste(
      'start',
      '--config',
      sandboxConfig(folder(t)),
      flag,
      String(port),
      free,
      '0',
    )
    assert.equal(code, 69, stderr)
    assert.equal(stdout.toString(), '')
    assert.ok(stderr.includes(`${where} 127.0.0.1:${port}: another program`), stderr)
    assert.ok(stderr.includes(cure), stderr)
  })
}
