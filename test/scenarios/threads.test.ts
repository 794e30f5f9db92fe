import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, letter, managementToken, receiver, send, settled, startRelay } from '../support/scenario.ts'

const bodyOf = (content: Buffer): Buffer => content.subarray(content.indexOf('\r\n\r\n'))
const threads = 'threads: { intake: 2, deliver: 2 }\n'

test('with two threads that accept and two that deliver, 5 MB and 100 recipients arrive as from one', async (t) => {
  const directory = folder(t)
  const site = await receiver(t, {})
  const program = await startRelay(t, { directory, receiver: site, config: threads })
  const content = letter('large', `${'x'.repeat(74)}\r\n`.repeat(70_000))
  const to = Array.from({ length: 100 }, (_, i) => `reader${i}@example.net`)

  const ids = await Promise.all([
    send(program, { to: ['ann@example.net'], content }),
    send(program, { to }),
    ...Array.from({ length: 20 }, (_, i) => send(program, { to: [`u${i}@example.net`] })),
  ])

  for (const id of ids) {
    const recipients = await settled(program, id, directory)
    assert.ok(
      recipients.every(({ state }) => state === 'delivered'),
      JSON.stringify(recipients[0]),
    )
  }
  const bodies = new Set(site.received.map((message) => hash('sha256', bodyOf(message.content as Buffer))))
  assert.deepEqual(bodies, new Set([content, letter('hello')].map((one) => hash('sha256', bodyOf(Buffer.from(one))))))
  assert.equal(new Set(readdirSync(join(directory, 'data/spool')).filter((name) => name.startsWith('intake'))).size, 2)
  const answer = await fetch(`http://127.0.0.1:${program.managementPort}/api/v1/admin/status`, {
    headers: { authorization: `Bearer ${managementToken(directory)}` },
  })
  const status = (await answer.json()) as {
    threads: { name: string }[]
    totals: { delivered: number; accepted: number }
  }
  assert.deepEqual(status.threads.map(({ name }) => name).sort(), [
    'deliver-0',
    'deliver-1',
    'events',
    'intake-0',
    'intake-1',
    'log',
    'main',
    'scheduler',
  ])
  assert.equal(status.totals.accepted, 22)
  assert.equal(status.totals.delivered, 121)
  assert.equal(await program.stop(), 0)
})
