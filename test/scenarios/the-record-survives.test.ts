import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { folder, receiver, send, startRelay } from '../support/scenario.ts'
import { accountingLines, notices, toldOf } from '../support/told.ts'
import { until } from '../support/wait.ts'

/** From the refusal of the last mail to kill -9: nothing of it is written down, some of it, all but some notices. */
const killedAfterMs = [0, 300, 1_100]

test('kill -9 between bounce and notice: each message has one notice, and each line of the accounting log is there once', async (t) => {
  const directory = folder(t)
  const world = await receiver(t, { rules: [{ for: 'bad.test', rcpt: { reply: '550 5.1.1 no such user' } }] })
  const config = 'notices: { group_within: 1s }\n'
  const start = () => startRelay(t, { directory, receiver: world, config })
  const sent = new Map<string, readonly string[]>()
  let program = await start()
  for (const [round, afterMs] of killedAfterMs.entries()) {
    const refused = world.counters.refused
    // Alone, which is told of at once; and several, whose notice waits a second for company.
    const mails = [['a'], ['b', 'c', 'd']].map((locals) => locals.map((local) => `${local}${round}@bad.test`))
    for (const to of mails) sent.set(await send(program, { from: `ann${round}@example.com`, to }), to)
    await until(10_000, 'not refused', () => world.counters.refused >= refused + 4)
    await sleep(afterMs)
    await program.kill()
    program = await start()
  }

  // A copy may come twice, because the receiver's word for the first was lost with the process. It is the same notice.
  const told = async (): Promise<Map<string, Set<string>>> => {
    const ids = new Map<string, Set<string>>()
    for (const notice of await notices(world)) {
      const about = notice.blocks[0]?.get('x-posthaste-message') ?? ''
      ids.set(about, (ids.get(about) ?? new Set()).add(notice.headers.get('message-id') ?? ''))
      assert.deepEqual(
        toldOf(notice),
        sent.get(about)?.map((address) => [`rfc822; ${address}`, 'failed', '5.1.1']),
      )
    }
    return ids
  }
  await until(10_000, 'not all are told', async () => (await told()).size === sent.size)
  await program.stop()
  const ids = await told()
  assert.ok([...ids.values()].every((one) => one.size === 1))

  const lines = accountingLines(directory)
  const places = lines.map(({ log, position, index }) => `${log} ${position} ${index}`)
  assert.equal(new Set(places).size, places.length, 'a line is there twice')
  for (const [id, to] of sent) {
    for (const address of to) {
      const story = lines.filter((line) => line.id === id && line.recipient === address)
      assert.deepEqual(
        story.map(({ event }) => event),
        ['accepted', 'bounced'],
        address,
      )
    }
  }
  // The notices are messages, too: one each, whatever happened.
  const ours = lines.filter(({ id, event }) => event === 'accepted' && !sent.has(id))
  assert.equal(ours.length, sent.size)
  for (const { id } of ours)
    assert.equal(lines.filter((line) => line.id === id && line.event === 'delivered').length, 1)
})
