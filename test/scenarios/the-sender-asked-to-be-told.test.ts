import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, letter, receiver, send, settled, startRelay } from '../support/scenario.ts'
import { type ArrivedNotice, toldOf, untilLines, untilNotices } from '../support/told.ts'

const config = `notices: { delay_after: 1s, group_within: 1s, from: help@example.org }
retry: { delays: [1s], jitter: 0 }
`

test('who asks is told of success and delay as it asked, gets back as much as it asked, and never what it did not want', async (t) => {
  const directory = folder(t)
  const world = await receiver(t, {
    rules: [
      { for: 'gone@*', rcpt: { reply: '550 5.1.1 no such user' } },
      { for: 'full@*', final: { reply: '552 5.2.2 the mailbox is full' } },
      { for: 'later@*', rcpt: { reply: '451 4.3.2 not now', times: 3 } },
    ],
  })
  const program = await startRelay(t, { directory, receiver: world, config })
  const content = letter('as you wish', 'the body\r\n')

  // First those of whom nobody is to hear; by the time that the others are told of, they would be.
  const never = await send(program, { from: 'never@example.com', to: ['gone@a.test NOTIFY=NEVER'] })
  const other = await send(program, { from: 'other@example.com', to: ['gone@a.test NOTIFY=SUCCESS,DELAY'] })
  const usual = await send(program, { from: 'usual@example.com', to: ['ben@a.test'] })
  const nobody = await send(program, { from: '', to: ['gone@a.test'] })
  for (const id of [never, other, usual, nobody]) await settled(program, id, directory)

  await send(program, {
    from: 'success@example.com ENVID=order+2B17',
    to: ['ben@a.test NOTIFY=SUCCESS ORCPT=rfc822;list+2Bold@b.test', 'cid@a.test'],
  })
  const delayed = await send(program, { from: 'delay@example.com', to: ['later@a.test NOTIFY=DELAY,FAILURE'] })
  await send(program, { from: 'whole@example.com RET=FULL', to: ['full@a.test'], content })
  await send(program, { from: 'header@example.com RET=HDRS', to: ['full@b.test'], content })

  const arrived = await untilNotices(world, 4)
  const by = (from: string): ArrivedNotice =>
    arrived.find(({ to }) => to[0] === `${from}@example.com`) ?? assert.fail(`no notice to ${from}`)
  assert.deepEqual(arrived.map(({ to }) => String(to[0]?.split('@')[0])).sort(), [
    'delay',
    'header',
    'success',
    'whole',
  ])

  const success = by('success')
  assert.deepEqual(toldOf(success), [['rfc822; ben@a.test', 'relayed', '2.0.0']])
  assert.equal(success.blocks[0]?.get('original-envelope-id'), 'order+17')
  assert.equal(success.blocks[1]?.get('original-recipient'), 'rfc822; list+old@b.test')
  assert.match(success.headers.get('from') ?? '', /<help@example\.org>/)

  const delay = by('delay')
  assert.deepEqual(toldOf(delay), [['rfc822; later@a.test', 'delayed', '4.3.2']])
  assert.ok(Date.parse(delay.blocks[1]?.get('will-retry-until') ?? '') > Date.now())

  assert.deepEqual(by('whole').partTypes[1], 'message/rfc822')
  assert.match(by('whole').original, /Subject: as you wish\r?\n\r?\nthe body/)
  assert.deepEqual(toldOf(by('whole')), [['rfc822; full@a.test', 'failed', '5.2.2']])
  assert.deepEqual(by('header').partTypes[1], 'text/rfc822-headers')
  assert.match(by('header').original, /Subject: as you wish/)
  assert.doesNotMatch(by('header').original, /the body/)

  // It was put off several times after that, and arrived: a delay is told of once.
  const [later] = await settled(program, delayed, directory)
  assert.deepEqual([later?.state, later?.attempts.length], ['delivered', 4])
  assert.equal((await untilNotices(world, 4)).length, 4)
})

test('five recipients of one message that are refused within a second share a notice; another message has its own', async (t) => {
  const directory = folder(t)
  const world = await receiver(t, { rules: [{ for: 'bad.test', rcpt: { reply: '550 5.1.1 no such user' } }] })
  const program = await startRelay(t, { directory, receiver: world, config })
  const to = ['a', 'b', 'c', 'd', 'e'].map((local) => `${local}@bad.test`)

  const grouped = await send(program, { from: 'ann@example.com', to: [...to, 'good@example.net'] })
  const single = await send(program, { from: 'ann@example.com', to: ['f@bad.test'] })
  await untilLines(directory, grouped, 12)

  const arrived = await untilNotices(world, 2)
  const about = (id: string): (readonly (string | undefined)[])[] =>
    toldOf(arrived.find(({ blocks }) => blocks[0]?.get('x-posthaste-message') === id) ?? assert.fail())
  assert.deepEqual(
    about(grouped),
    to.map((address) => [`rfc822; ${address}`, 'failed', '5.1.1']),
  )
  assert.deepEqual(about(single), [['rfc822; f@bad.test', 'failed', '5.1.1']])
})
