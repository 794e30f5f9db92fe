import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/sandbox/${name}`, import.meta.url), 'utf8')

test('mail goes to the smart host with its password, over TLS; a route of its own takes precedence', async (t) => {
  const directory = folder(t)
  const account = { user: 'posthaste', password: 'secret words' }
  const smartHost = await receiver(
    t,
    { auth: { ...account, required: true } },
    { tls: { certificatePem: fixture('receiver-certificate.pem'), keyPem: fixture('receiver-key.pem') } },
  )
  const own = await receiver(t, {})
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, `${account.password}\n`, { mode: 0o600 })
  const program = await startRelay(t, {
    directory,
    routes: `
  - { domain: '*', host: 127.0.0.1, port: ${smartHost.port}, user: ${account.user}, password_file: ${passwordFile} }
  - { domain: '*.example.org', host: 127.0.0.1, port: ${own.port} }`,
  })

  const id = await send(program, { to: ['ann@example.net', 'bob@lists.example.org', 'cy@example.org'] })

  const recipients = await settled(program, id, directory)
  assert.deepEqual(
    recipients.map(({ state }) => state),
    ['delivered', 'delivered', 'delivered'],
  )
  const addressees = smartHost.received.flatMap(({ envelope }) => envelope.to).sort()
  assert.deepEqual(addressees, ['ann@example.net', 'cy@example.org'])
  assert.ok(smartHost.received.every(({ tls, login }) => tls?.startsWith('TLSv1.3') === true && login === account.user))
  assert.deepEqual(
    own.received.map(({ envelope }) => envelope.to),
    [['bob@lists.example.org']],
  )
})
