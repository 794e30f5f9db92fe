import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, letter, receiver, send, settled, startRelay } from '../support/scenario.ts'

test('a receiver that goes away in mid-content is tried again, and gets the whole message once', async (t) => {
  const directory = folder(t)
  const leaving = await receiver(t, {
    rules: [{ for: '*', content: { ending: 'reset', afterBytes: 20_000, times: 1 } }],
  })
  const program = await startRelay(t, { directory, receiver: leaving, config: 'retry: { delays: [1s], jitter: 0 }\n' })
  // Far more than the sockets between them hold, so that the rest of it is still here when the receiver goes.
  const content = letter('long', `${'x'.repeat(998)}\r\n`.repeat(24_000))

  const id = await send(program, { to: ['ann@example.net'], content })

  const [ann] = await settled(program, id, directory)
  assert.deepEqual(
    ann?.attempts.map(({ outcome, code }) => `${outcome} ${code}`),
    ['deferred 0', 'delivered 250'],
  )
  assert.match(ann?.attempts[0]?.text ?? '', /^the connection was lost/)
  assert.equal(ann?.may_be_duplicate, false, 'the final dot was never sent')
  assert.equal(leaving.counters.dropped, 1)
  assert.equal(leaving.received.length, 1)
  assert.ok(leaving.received[0]?.content?.toString().endsWith(content))
})
