import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startFakeDns } from '../support/fake-dns.ts'
import type { Posthaste } from '../support/posthaste.ts'
import { folder, managementToken, receiver, startRelay } from '../support/scenario.ts'
import { SmtpClient } from '../support/smtp-client.ts'

async function mailFrom(t: TestContext, { smtpPort }: Posthaste, sender: string): Promise<string> {
  const client = await SmtpClient.hello(smtpPort)
  t.after(() => client.destroy())
  const answer = await client.commands(`MAIL FROM:<${sender}>`)
  client.destroy()
  return answer
}

test('two tenants behind one address need no password, each for its own senders, until the network is removed', async (t) => {
  const directory = folder(t)
  const dns = await startFakeDns({})
  t.after(() => dns.close())
  const config = `dns: { servers: ["${dns.server}"] }\nthreads: { intake: 3, deliver: 1 }\n`
  const program = await startRelay(t, { directory, receiver: await receiver(t, {}), config })
  const token = managementToken(directory)
  const admin = async (method: string, path: string, body: unknown = {}): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${program.managementPort}/api/v1/admin/tenants${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
    return await answer.json()
  }
  for (const name of ['one', 'two']) {
    await admin('POST', '', { name })
    const added = (await admin('POST', `/${name}/domains`, { domain: `${name}.example` })) as {
      readonly records: readonly { readonly name: string; readonly value: string }[]
    }
    for (const record of added.records) dns.zone.set(record.name, { TXT: [record.value] })
    await admin('POST', `/${name}/domains/${name}.example/verify`)
    // The configuration file has 127.0.0.0/8: what is named more exactly counts before it.
    await admin('POST', `/${name}/networks`, { cidr: '127.0.0.1' })
  }
  // As many connections as it takes to meet all three threads: the kernel spreads them.
  for (let n = 0; n < 8; n++) {
    assert.equal(await mailFrom(t, program, 'ann@one.example'), '250 2.1.0')
    assert.equal(await mailFrom(t, program, 'ann@two.example'), '250 2.1.0')
    assert.equal(await mailFrom(t, program, n % 2 === 0 ? 'ann@other.example' : ''), '550 5.7.1')
  }
  await admin('DELETE', '/two/networks/127.0.0.1')
  for (let n = 0; n < 8; n++) assert.equal(await mailFrom(t, program, 'ann@two.example'), '550 5.7.1')
  assert.equal(await mailFrom(t, program, 'ann@one.example'), '250 2.1.0')
  assert.equal(await program.stop(), 0)
})
