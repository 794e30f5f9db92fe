import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, managementToken, operator, receiver, send, settled, startRelay } from '../support/scenario.ts'
import { toldOf, untilLines, untilNotices } from '../support/told.ts'
import { until } from '../support/wait.ts'

interface Suppressions {
  readonly suppressions: readonly {
    readonly address: string
    readonly reason: string
    readonly detail: string
  }[]
  readonly total: number
}

test('a mailbox that is not there: the sender is told, the next mail is not sent, and it is when the address is taken off the list', async (t) => {
  const directory = folder(t)
  const world = await receiver(t, { rules: [{ for: 'gone@*', rcpt: { reply: '550 5.1.1 no such user' } }] })
  const program = await startRelay(t, { directory, receiver: world })
  const run = operator(program, directory)
  const list = async (): Promise<Suppressions> => JSON.parse(await run('suppression', 'list', '--json')) as Suppressions

  const first = await send(program, { from: 'ann@example.com', to: ['gone@example.net'] })
  const [notice] = await untilNotices(world, 1)
  assert.deepEqual(notice?.to, ['ann@example.com'])
  assert.deepEqual(toldOf(notice), [['rfc822; gone@example.net', 'failed', '5.1.1']])
  assert.equal(notice.blocks[0]?.get('x-posthaste-message'), first)
  const lines = await untilLines(directory, first, 2)
  assert.deepEqual(
    lines.map(({ event, recipient, code }) => [event, recipient, code]),
    [
      ['accepted', 'gone@example.net', undefined],
      ['bounced', 'gone@example.net', 550],
    ],
  )

  await until(5_000, 'the address is not suppressed', async () => (await list()).total === 1)
  const { suppressions } = await list()
  assert.deepEqual(
    suppressions.map(({ address, reason }) => [address, reason]),
    [['gone@example.net', 'hard_bounce']],
  )
  assert.match(suppressions[0]?.detail ?? '', /^550 5\.1\.1 no such user/)

  // From now on it would be taken.
  world.script({})
  const second = await send(program, { from: 'ann@example.com', to: ['Gone@Example.net', 'bob@example.net'] })
  const [gone, bob] = await settled(program, second, directory)
  assert.deepEqual([gone?.state, bob?.state], ['suppressed', 'delivered'])
  assert.match(
    await run('message', 'show', second),
    /Gone@Example\.net: suppressed\n(.*\n)*bob@example\.net: delivered/,
  )
  const suppressed = (await untilLines(directory, second, 4)).find(({ event }) => event === 'suppressed')
  assert.deepEqual(
    [suppressed?.recipient, suppressed?.enhanced, suppressed?.code],
    ['Gone@Example.net', '5.7.1', undefined],
  )

  assert.match(await run('suppression', 'remove', 'gone@example.net'), /^1 address removed\./)
  const third = await send(program, { from: 'ann@example.com', to: ['gone@example.net'] })
  assert.deepEqual(
    (await settled(program, third, directory)).map(({ state }) => state),
    ['delivered'],
  )
  const reached = world.received.filter(({ envelope }) => envelope.from !== '').map(({ envelope }) => envelope.to)
  assert.deepEqual(reached, [['bob@example.net'], ['gone@example.net']])
  // Who is on the sender's own list is nothing to be told of.
  assert.equal((await untilNotices(world, 1)).length, 1)
})

test('mail that waits is not sent any more to somebody who is put on the list meanwhile', async (t) => {
  const directory = folder(t)
  // The second time it would be taken.
  const world = await receiver(t, { rules: [{ for: 'later@*', rcpt: { reply: '451 4.2.1 not now', times: 1 } }] })
  const config = 'retry: { delays: [2s], jitter: 0 }\n'
  const program = await startRelay(t, { directory, receiver: world, config })

  const id = await send(program, { to: ['later@example.net'] })
  const [, deferred] = await untilLines(directory, id, 2)
  assert.deepEqual([deferred?.event, deferred?.code], ['deferred', 451])
  // Not by the command, which may take longer to start than the mail waits.
  const answer = await fetch(`http://127.0.0.1:${program.managementPort}/api/v1/admin/suppressions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${managementToken(directory)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ addresses: ['LATER@example.net'] }),
  })
  assert.equal(answer.status, 201)

  const [later] = await settled(program, id, directory)
  assert.deepEqual(
    later?.attempts.map(({ outcome, code }) => [outcome, code]),
    [
      ['deferred', 451],
      ['suppressed', 0],
    ],
  )
  const lines = await untilLines(directory, id, 3)
  assert.deepEqual(
    lines.map(({ event }) => event),
    ['accepted', 'deferred', 'suppressed'],
  )
  assert.equal(world.received.length, 0)
})
