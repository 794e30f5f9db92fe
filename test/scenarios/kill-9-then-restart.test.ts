import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, letter, receiver, send, settled, startRelay } from '../support/scenario.ts'

test('mail that was acknowledged before kill -9 is delivered after it, and what may have arrived twice is flagged', async (t) => {
  const directory = folder(t)
  const silent = await receiver(t, { rules: [{ for: 'ann@*', final: { ending: 'silence' } }] })
  const before = await startRelay(t, {
    directory,
    receiver: silent,
    config: 'delivery: { connections_per_site: 1 }\n',
  })
  const underWay = await send(before, { to: ['ann@example.net'], content: letter('one') })
  await silent.untilMessages(1)
  const waiting = await send(before, { to: ['bob@example.net'], content: letter('two') })
  await before.kill()

  silent.script({})
  const after = await startRelay(t, { directory, receiver: silent })

  const [ann] = await settled(after, underWay, directory)
  const [bob] = await settled(after, waiting, directory)
  assert.deepEqual([ann?.state, bob?.state], ['delivered', 'delivered'])
  const contents = silent.received.map(({ content }) => content?.toString() ?? '')
  assert.deepEqual(contents.map((content) => content.slice(content.indexOf('From: '))).sort(), [
    letter('one'),
    letter('one'),
    letter('two'),
  ])
  const copies = contents.filter((content) => content.endsWith(letter('one')))
  assert.equal(copies[0], copies[1], 'both copies are the same, Message-ID and all')
  assert.equal(ann?.may_be_duplicate, true)
})
