import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'

/** As the client of the tests writes bytes. */
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

test('mail for a domain with an umlaut reaches a server that knows nothing of SMTPUTF8, in A-labels', async (t) => {
  const directory = folder(t)
  const site = await receiver(t, { hide: ['SMTPUTF8'] })
  const program = await startRelay(t, { directory, receiver: site })

  const id = await send(program, {
    from: utf8('news@grün.example SMTPUTF8'),
    to: [utf8('ann@bücher.example'), 'ben@example.net'],
  })

  assert.deepEqual(
    (await settled(program, id, directory)).map(({ address, state }) => [address, state]),
    [
      ['ann@bücher.example', 'delivered'],
      ['ben@example.net', 'delivered'],
    ],
  )
  assert.deepEqual(site.received.map(({ envelope }) => [envelope.from, ...envelope.to].join(' ')).sort(), [
    'news@xn--grn-ioa.example ann@xn--bcher-kva.example',
    'news@xn--grn-ioa.example ben@example.net',
  ])
})

test('an address whose local part has an umlaut is refused there, because no other form of it means the same', async (t) => {
  const directory = folder(t)
  const site = await receiver(t, { hide: ['SMTPUTF8'] })
  const program = await startRelay(t, { directory, receiver: site })
  const id = await send(program, { from: 'news@example.com SMTPUTF8', to: [utf8('änn@bücher.example')] })
  const [recipient] = await settled(program, id, directory)
  assert.equal(recipient?.state, 'bounced')
  assert.equal(site.received.length, 0)
})
