import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { passes, plainVerify } from '../fixtures/sign/plain-verifier.ts'
import { startFakeDns } from '../support/fake-dns.ts'
import { folder, posthaste, receiver, startRelay } from '../support/scenario.ts'
import { until } from '../support/wait.ts'

interface Report {
  readonly verified: boolean
  readonly records: readonly { readonly purpose: string; readonly name: string; readonly value: string }[]
}

test('a tenant proves its domain, sends as it and as nothing else, signed; revoked, its key opens nothing', async (t) => {
  const directory = folder(t)
  const dns = await startFakeDns({})
  t.after(() => dns.close())
  const world = await receiver(t, {})
  const config = `dns: { servers: ["${dns.server}"] }\n`
  const program = await startRelay(t, { directory, receiver: world, config })
  const run = async (...args: readonly string[]): Promise<{ code: number | null; json: unknown }> => {
    const where = ['--config', join(directory, 'posthaste.yaml'), '--management-port', String(program.managementPort)]
    const { code, stdout, stderr } = await posthaste(...args, '--json', ...where)
    return { code, json: JSON.parse(stdout.length === 0 ? stderr : stdout.toString()) }
  }
  const sendAs = async (key: string, from: string): Promise<number> => {
    const { status } = await fetch(`http://127.0.0.1:${program.httpPort}/api/v1/emails`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ from, to: ['ann@example.net'], subject: 'Hello', text: 'It works.' }),
    })
    return status
  }

  await run('tenant', 'add', 'acme')
  const key = (await run('key', 'add', 'acme', 'shop')).json as { readonly id: string; readonly secret: string }
  const added = (await run('domain', 'add', 'acme', 'acme.example')).json as Report
  assert.equal(await sendAs(key.secret, 'shop@acme.example'), 403)
  assert.equal((await run('domain', 'verify', 'acme', 'acme.example')).code, 1)

  for (const { name, value } of added.records) dns.zone.set(name, { TXT: [value] })
  const verified = await run('domain', 'verify', 'acme', 'acme.example')
  assert.deepEqual([verified.code, (verified.json as Report).verified], [0, true])
  assert.equal(await sendAs(key.secret, 'shop@acme.example'), 202)
  assert.equal(await sendAs(key.secret, 'shop@other.example'), 403)

  await until(10_000, 'nothing arrived', () => world.received.length === 1)
  const dkim = added.records.find(({ purpose }) => purpose === 'dkim')
  const [selector = ''] = dkim?.name.split('.') ?? []
  const der = Buffer.from(dkim?.value.replace(/.*p=/, '') ?? '', 'base64')
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
  const content = world.received[0]?.content?.toString('latin1') ?? ''
  const verdicts = plainVerify(content, new Map([[selector, publicKey]]))
  assert.deepEqual(
    verdicts.map((verdict) => [verdict.tags.get('d'), passes(verdict)]),
    [['acme.example', true]],
  )

  assert.equal((await run('key', 'revoke', 'acme', key.id)).code, 0)
  assert.equal(await sendAs(key.secret, 'shop@acme.example'), 401)
  assert.equal(await program.stop(), 0)
})
