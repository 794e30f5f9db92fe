import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'

test('mail that several threads had accepted is delivered by one after kill -9, and by several again', async (t) => {
  const directory = folder(t)
  const site = await receiver(t, {
    rules: [{ for: '*', final: { reply: '451 4.7.1 not yet', times: 1, per: 'recipient' } }],
  })
  const layouts = [
    [4, 2],
    [0, 0],
    [2, 1],
  ] as const
  const start = ([intake, deliver]: readonly [number, number]): ReturnType<typeof startRelay> =>
    startRelay(t, {
      directory,
      receiver: site,
      config: `threads: { intake: ${intake}, deliver: ${deliver} }\nretry: { delays: [1s] }\n`,
    })
  const ids: string[] = []
  let program = await start(layouts[0])
  for (const layout of layouts.slice(1)) {
    const more = Array.from({ length: 12 }, (_, i) => send(program, { to: [`u${ids.length + i}@example.net`] }))
    ids.push(...(await Promise.all(more)))
    await program.kill()
    program = await start(layout)
  }
  for (const id of ids) {
    const recipients = await settled(program, id, directory)
    assert.ok(recipients.every(({ state }) => state === 'delivered'))
  }
  const arrived = site.received.flatMap(({ envelope }) => envelope.to)
  assert.equal(new Set(arrived).size, ids.length)
  assert.equal(await program.stop(), 0)
})
