import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'

test('one message for 95 to a receiver that takes ten at once: all of them have it at once, in ten transactions', async (t) => {
  const directory = folder(t)
  const site = await receiver(t, { session: { recipientsPerMessageMax: 10 } })
  const program = await startRelay(t, { directory, receiver: site })
  const to = Array.from({ length: 95 }, (_, i) => `reader${i}@example.net`)

  const id = await send(program, { to })

  // The first delay of a retry is a minute: nobody waits for it.
  const recipients = await settled(program, id, directory)
  assert.deepEqual(
    recipients.map(({ attempts }) => attempts.map(({ outcome }) => outcome)),
    to.map(() => ['delivered']),
  )
  assert.equal(site.counters.messages, 10)
  assert.deepEqual(
    site.received.map(({ envelope }) => envelope.to.length).sort((a, b) => b - a),
    [...Array<number>(9).fill(10), 5],
  )
  assert.deepEqual(site.received.flatMap(({ envelope }) => envelope.to).sort(), to.sort())
})
