import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'

test('one message for 1,000 recipients of one site goes there in ten transactions', async (t) => {
  const directory = folder(t)
  const site = await receiver(t, {})
  const program = await startRelay(t, { directory, receiver: site })
  const to = Array.from({ length: 1_000 }, (_, i) => `reader${i}@example.net`)

  const id = await send(program, { to })

  const recipients = await settled(program, id, directory)
  assert.ok(recipients.every(({ state }) => state === 'delivered'))
  assert.equal(site.counters.messages, 10)
  assert.deepEqual(site.received.flatMap(({ envelope }) => envelope.to).sort(), to.sort())
})
