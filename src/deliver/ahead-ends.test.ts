/** The second envelope is out, and then somebody stops, retires or falls silent. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { condition } from '../../test/support/condition.ts'
import { both, contentOf, contents, named, once, outcomes, pair, type Pair } from '../../test/support/deliver-ahead.ts'
import type { Answer, Script } from '../../test/support/scripted-server.ts'

const delivered = 'delivered final 250'

/** A server that keeps the answer to `key` back until `give`; nothing behind it is answered before. */
function withheld(key: string): { script: Script; give: (answer: Answer) => void } {
  let give: (answer: Answer) => void = () => {}
  const answer = new Promise<Answer>((resolve) => (give = resolve))
  return { script: { answer: once({ [key]: answer }) }, give: (reply) => give(reply) }
}

const mailsSeen = ({ server }: Pair): number =>
  server.conversations.reduce((count, { received }) => count + received.split('MAIL FROM').length - 1, 0)

test('the site is forgotten while the second envelope is out: it is finished, then the connection leaves', async (t) => {
  const { script, give } = withheld('first .')
  const p = await pair(t, script)
  await condition(() => mailsSeen(p) === 2)
  p.rig.deliverer.forget(p.site.id)
  give('250 ok')
  assert.deepEqual(await both(p), [delivered, delivered])
  await condition(() => p.server.conversations[0]?.commands.at(-1) === 'QUIT')
  assert.deepEqual(contents(p), [[contentOf('first'), contentOf('second')]])
})

test('a connection that is to leave asks for nothing more', async (t) => {
  const { script, give } = withheld('first DATA')
  const p = await pair(t, script)
  await condition(() => p.server.conversations[0]?.commands.at(-1) === 'DATA')
  p.rig.deliverer.forget(p.site.id)
  give('354 go')
  assert.equal(await outcomes(p.first), delivered)
  assert.equal(mailsSeen(p), 1)
  assert.equal(p.rig.reports.length, 1)
})

test('a connection that another site waits for asks for nothing more', async (t) => {
  const { script, give } = withheld('first DATA')
  const p = await pair(t, script, { connectionsMax: 1 })
  await condition(() => p.server.conversations[0]?.commands.at(-1) === 'DATA')
  const other = p.rig.send(p.rig.site(p.server.port), named('other'))
  give('354 go')
  assert.deepEqual([await outcomes(p.first), await outcomes(other)], [delivered, delivered])
  assert.equal(p.rig.reports.length, 2)
})

test('the site is forgotten while the second message is read from the disk: it takes a new connection', async (t) => {
  const { script, give } = withheld('first .')
  const block = [Buffer.from('late\r\n')]
  const message = {
    id: '2',
    tenant: 'acme',
    returnPath: 'second@example.com',
    recipients: ['r@second.example'],
    sizeBytes: 6,
    eightBit: false,
    smtpUtf8: false,
    dsn: null,
    read: () => block.shift() ?? null,
    release() {},
  }
  const p = await pair(t, script, { second: { open: () => Promise.resolve(message) } })
  await condition(() => p.server.conversations[0]?.received.includes(contentOf('first')) === true)
  p.rig.deliverer.forget(p.site.id)
  give('250 ok')
  assert.deepEqual(await both(p), [delivered, delivered])
  assert.deepEqual(contents(p), [[contentOf('first')], ['late\r\n.\r\n']])
})

test('a polite stop lets the second be finished, too', async (t) => {
  const { script, give } = withheld('first .')
  const p = await pair(t, script)
  void p.rig.follow(p.site, named('third'))
  await condition(() => mailsSeen(p) === 2)
  const stopped = p.rig.deliverer.stop(10_000)
  give('250 ok')
  assert.deepEqual(await both(p), [delivered, delivered])
  await stopped
  assert.deepEqual(contents(p), [[contentOf('first'), contentOf('second')]])
  assert.equal(p.rig.reports.length, 2)
})

test('cut off by a stop: the first may have arrived, the second certainly has not', async (t) => {
  const p = await pair(t, withheld('first .').script)
  await condition(() => mailsSeen(p) === 2)
  const stopped = p.rig.deliverer.stop(1_000)
  p.rig.clock.advance(1_001)
  assert.deepEqual(await both(p), ['uncertain final 0', 'deferred mail 0'])
  await stopped
})

test('cut off by a stop while the second envelope waits for its answer', async (t) => {
  const { script } = withheld('second MAIL')
  const p = await pair(t, script)
  assert.equal(await outcomes(p.first), delivered)
  const stopped = p.rig.deliverer.stop(1_000)
  p.rig.clock.advance(1_001)
  assert.deepEqual(await both(p), [delivered, 'deferred mail 0'])
  await stopped
})

test('the first final reply is lost during a stop: the second is not begun anew', async (t) => {
  const { script, give } = withheld('first .')
  const p = await pair(t, script)
  await condition(() => mailsSeen(p) === 2)
  const stopped = p.rig.deliverer.stop(10_000)
  give('close')
  assert.deepEqual(await both(p), ['uncertain final 0', 'deferred mail 0'])
  await stopped
  assert.equal(p.server.conversations.length, 1)
})

test('421 to the first content during a stop says nothing of the second', async (t) => {
  const { script, give } = withheld('first .')
  const p = await pair(t, script)
  await condition(() => mailsSeen(p) === 2)
  const stopped = p.rig.deliverer.stop(10_000)
  give('421 4.3.2 closing')
  assert.deepEqual(await both(p), ['deferred final 421', 'deferred mail 0'])
  await stopped
})

test('no final reply for ten minutes: the first is uncertain, the second takes a new connection', async (t) => {
  const p = await pair(t, withheld('first .').script)
  await condition(() => mailsSeen(p) === 2)
  p.rig.clock.advance(599_000)
  assert.equal(p.rig.reports.length, 0)
  p.rig.clock.advance(2_000)
  assert.deepEqual(await both(p), ['uncertain final 0', delivered])
  assert.deepEqual(contents(p), [[contentOf('first')], [contentOf('second')]])
})

test('a server that throws away what stands behind the content costs one wait, not one per message', async (t) => {
  let deaf = true
  const p = await pair(t, {
    answer: (line) => (deaf && line.startsWith('MAIL FROM:<second') ? new Promise(() => {}) : undefined),
  })
  assert.equal(await outcomes(p.first), delivered)
  p.rig.clock.advance(299_000)
  assert.equal(p.rig.reports.length, 1)
  deaf = false
  p.rig.clock.advance(2_000)
  assert.deepEqual(await both(p), [delivered, delivered])

  void p.rig.follow(p.site, named('fourth'))
  assert.equal(await outcomes(p.rig.send(p.site, named('third'))), delivered)
  assert.doesNotMatch(p.server.conversations[1]?.received ?? '', /fourth/)
  assert.equal(await outcomes(p.rig.send(p.site, named('fifth'))), delivered)
  assert.equal(p.rig.reports.length, 4)
})
