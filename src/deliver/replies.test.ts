/** What a remote server may say, and what we make of it: rows 133–160 of the bad-input catalogue. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { addressesAre, deliverRig } from '../../test/support/deliver-rig.ts'
import { condition } from '../../test/support/condition.ts'
import type { Outcome } from '../model/outcome.ts'

const brief = ({ kind, scope, stage, code, enhanced }: Outcome): string =>
  `${kind} ${scope} ${stage} ${code} ${enhanced}`

/** Grants one message to a server that answers `command` with `answer`, everything else politely. */
async function outcomeWhen(
  t: test.TestContext,
  command: string,
  answer: string | null,
  message = {},
): Promise<Outcome> {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line.startsWith(command) ? answer : undefined) })
  return rig.outcome(rig.site(server.port), message)
}

test('row 133: greeted with 421, the message goes to the next exchanger, or waits when there is none', async (t) => {
  const rig = deliverRig(t)
  const busy = await rig.server({ greeting: '421 4.3.2 too busy' })
  const good = await rig.server()
  rig.addresses.set('mx1.test', addressesAre('192.0.2.1')).set('mx2.test', addressesAre('192.0.2.2'))
  rig.reach.set('192.0.2.1', busy.port).set('192.0.2.2', good.port)
  const hosts = [
    { host: 'mx1.test', preference: 10 },
    { host: 'mx2.test', preference: 20 },
  ]
  const report = await rig.send(rig.site(25, { hosts, trusted: false }))
  assert.equal(report.outcomes[0]?.kind, 'delivered')
  assert.equal(report.attempt.host, 'mx2.test')
  assert.equal(brief(await rig.outcome(rig.site(busy.port))), 'deferred site greeting 421 4.3.2')
})

test('row 134: greeted with 554, the message waits', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ greeting: '554 5.7.1 you are on a list' })
  const outcome = await rig.outcome(rig.site(server.port))
  assert.equal(brief(outcome), 'deferred site greeting 554 5.7.1')
  assert.equal(outcome.text, 'you are on a list')
})

test('row 135: no greeting for five minutes', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ greeting: null })
  const outcome = rig.outcome(rig.site(server.port))
  await condition(() => server.conversations.length === 1 && rig.counters.connectionsOpened === 1)
  rig.clock.advance(299_000)
  assert.equal(rig.reports.length, 0)
  rig.clock.advance(2_000)
  assert.equal(brief(await outcome), 'deferred site greeting 0 4.4.2')
})

for (const [row, bad] of [
  ['row 136', '100 hi'],
  ['row 137', 'abc'],
  ['row 138', '250-ok\r\n550 no'],
  ['row 139', `${'250-x\r\n'.repeat(200)}250 end`],
  ['row 140', `250 ${'x'.repeat(1_000_000)}`],
] as const) {
  for (const [command, expected] of [
    ['EHLO', 'deferred site ehlo 0 4.5.0'],
    ['MAIL', 'deferred message mail 0 4.5.0'],
    ['RCPT', 'deferred message rcpt 0 4.5.0'],
    ['DATA', 'deferred message data 0 4.5.0'],
    ['.', 'uncertain message final 0 4.4.2'],
  ] as const) {
    test(`${row}: ${JSON.stringify(bad.slice(0, 12))} in reply to ${command} is a protocol error, never a success`, async (t) => {
      assert.equal(brief(await outcomeWhen(t, command, bad)), expected)
    })
  }
}

test('row 141: replies that end in LF alone are understood', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    greeting: Buffer.from('220 hi\n'),
    answer: (line) =>
      Buffer.from(line === 'DATA' ? '354 go\n' : line.startsWith('EHLO') ? '250-x\n250 y\n' : '250 ok\n'),
  })
  assert.equal((await rig.outcome(rig.site(server.port))).kind, 'delivered')
})

test('row 142: a server that refuses EHLO is greeted with HELO', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line.startsWith('EHLO') ? '502 what?' : undefined) })
  assert.equal((await rig.outcome(rig.site(server.port))).kind, 'delivered')
  assert.deepEqual(server.conversations[0]?.commands.slice(0, 3), [
    'EHLO sender.example',
    'HELO sender.example',
    'MAIL FROM:<ann@example.com>',
  ])
})

test('row 143: extensions offered twice are one, and those that are refused are forgotten for an hour', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['PIPELINING', 'SIZE 100000', 'size 100000', 'PIPELINING', 'SIZE=7'],
    answer: (line) => (line.includes('SIZE=') && line.startsWith('MAIL') ? '555 5.5.4 no parameters' : undefined),
  })
  const site = rig.site(server.port)
  const report = await rig.send(site)
  assert.equal(report.outcomes[0]?.kind, 'delivered')
  assert.equal(server.conversations.length, 2)
  assert.equal(server.conversations[1]?.commands[1], 'MAIL FROM:<ann@example.com>')
  assert.equal(rig.counters.transactionsRetried, 1)

  rig.clock.advance(3_700_000) // idle connections are gone, too
  await rig.send(site)
  assert.match(server.conversations[2]?.commands[1] ?? '', /SIZE=/)
})

test('row 143: one sender that is refused takes no extension from the mail of others', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['PIPELINING', '8BITMIME'],
    answer: (line) => (line.startsWith('MAIL FROM:<bad@') ? '501 5.1.7 bad sender' : undefined),
  })
  const site = rig.site(server.port)
  assert.equal(brief(await rig.outcome(site, { returnPath: 'bad@example.com' })), 'bounced message mail 501 5.1.7')
  assert.equal((await rig.outcome(site, { eightBit: true })).kind, 'delivered')
})

test('row 143: a message that cannot do without the extension has its answer, and nobody else is concerned', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['PIPELINING', '8BITMIME'],
    answer: (line) => (line.startsWith('MAIL FROM:<bad@') ? '501 5.1.7 bad sender' : undefined),
  })
  const site = rig.site(server.port)
  const refused = await rig.outcome(site, { returnPath: 'bad@example.com', eightBit: true })
  assert.equal(brief(refused), 'bounced message mail 501 5.1.7')
  assert.equal((await rig.outcome(site, { eightBit: true })).kind, 'delivered')
  assert.equal(server.conversations.length, 1)
})

test('row 143: a refusal that has nothing to do with extensions is believed the second time', async (t) => {
  const outcome = await outcomeWhen(t, 'MAIL', '501 5.1.7 bad sender')
  assert.equal(brief(outcome), 'bounced message mail 501 5.1.7')
})

for (const [command, stage] of [
  ['MAIL', 'mail'],
  ['RCPT', 'rcpt'],
  ['DATA', 'data'],
  ['.', 'final'],
] as const) {
  test(`rows 147–149: 421 in reply to ${command} keeps the message and speaks of the site`, async (t) => {
    assert.equal(brief(await outcomeWhen(t, command, '421 4.7.0 slow down')), `deferred site ${stage} 421 4.7.0`)
  })
}

test('rows 150–151: each recipient has its own outcome', async (t) => {
  const rig = deliverRig(t)
  const replies = new Map([
    ['RCPT TO:<b@x>', '550 5.1.1 unknown'],
    ['RCPT TO:<c@x>', '450 4.2.1 greylisted'],
    ['RCPT TO:<d@x>', '452 4.5.3 too many'],
    ['RCPT TO:<e@x>', '452 too many'],
    ['RCPT TO:<f@x>', '552 5.5.3 too many'],
    ['RCPT TO:<g@x>', '452 4.3.1 disk full'],
  ])
  for (const extensions of [['PIPELINING'], []]) {
    const server = await rig.server({ extensions, answer: (line) => replies.get(line) })
    const recipients = ['a@x', 'b@x', 'c@x', 'd@x', 'e@x', 'f@x', 'g@x', 'h@x']
    const { outcomes } = await rig.send(rig.site(server.port), { recipients })
    assert.deepEqual(outcomes.map(brief), [
      'delivered message final 250 2.0.0',
      'bounced recipient rcpt 550 5.1.1',
      'deferred recipient rcpt 450 4.2.1',
      'deferred recipient rcpt 452 4.5.3',
      'deferred recipient rcpt 452 4.5.3',
      'deferred recipient rcpt 552 4.5.3',
      'deferred recipient rcpt 452 4.3.1',
      'delivered message final 250 2.0.0',
    ])
  }
})

test('452 for the first recipient does not mean too many', async (t) => {
  assert.equal(brief(await outcomeWhen(t, 'RCPT', '452 no')), 'deferred recipient rcpt 452 4.3.1')
})

test('421 in the middle of the recipients: the refused one stays refused, the others wait', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line) => (line.includes('<b@x>') ? '550 5.1.1 no' : line.includes('<c@x>') ? '421 4.3.2 bye' : undefined),
  })
  const { outcomes } = await rig.send(rig.site(server.port), { recipients: ['a@x', 'b@x', 'c@x'] })
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['deferred', 'bounced', 'deferred'],
  )
})

test('row 152: 354 although every recipient was refused gets a lone dot, and the connection stays in use', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line.includes('<bad@x>') ? '550 5.1.1 no' : undefined) })
  const site = rig.site(server.port)
  const outcome = await rig.outcome(site, { recipients: ['bad@x'] })
  assert.equal(brief(outcome), 'bounced recipient rcpt 550 5.1.1')
  assert.deepEqual(server.conversations[0]?.contents, ['.\r\n'])
  assert.equal(server.conversations[0].commands.at(-1), 'RSET')
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.equal(server.conversations.length, 1)
})

test('row 153: 250 instead of 354 ends the conversation and the message waits', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line === 'DATA' ? '250 fine' : undefined) })
  assert.equal(brief(await rig.outcome(rig.site(server.port))), 'deferred message data 0 4.5.0')
  assert.equal(server.conversations[0]?.received.includes('hello'), false)
})

test('row 154: the reply to the final dot is lost', async (t) => {
  const outcome = await outcomeWhen(t, '.', 'close')
  assert.equal(brief(outcome), 'uncertain message final 0 4.4.2')
})

test('row 154: the reply to the final dot comes later than ten minutes', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line === '.' ? null : undefined) })
  const outcome = rig.outcome(rig.site(server.port))
  await condition(() => server.conversations[0]?.contents.length === 1)
  rig.clock.advance(599_000)
  assert.equal(rig.reports.length, 0)
  rig.clock.advance(2_000)
  assert.equal(brief(await outcome), 'uncertain message final 0 4.4.2')
})

test('row 154: recipients refused before keep their refusal when the final reply is lost', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line) => (line === '.' ? 'close' : line.includes('<b@x>') ? '550 5.1.1 no' : undefined),
  })
  const { outcomes } = await rig.send(rig.site(server.port), { recipients: ['a@x', 'b@x'] })
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['uncertain', 'bounced'],
  )
})

test('row 155: reset in the middle of the content', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  let reads = 0
  const outcome = await rig.outcome(rig.site(server.port), {
    read: () => {
      if (reads++ === 3) server.conversations[0]?.socket.resetAndDestroy()
      return Buffer.alloc(1 << 20, 'x\r\n')
    },
  })
  assert.equal(brief(outcome), 'deferred message content 0 4.4.2')
})

test('row 156: a receiver that takes nothing for three minutes', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ stopReadingAfter: 'DATA' })
  let reads = 0
  const outcome = rig.outcome(rig.site(server.port), { read: () => Buffer.alloc(1 << 20, `line ${reads++}\r\n`) })
  await condition(() => reads > 0)
  let before = -1
  await condition(() => reads === before || ((before = reads), false))
  rig.clock.advance(179_000)
  assert.equal(rig.reports.length, 0)
  rig.clock.advance(2_000)
  assert.equal(brief(await outcome), 'deferred message content 0 4.4.2')
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 0 })
})

test('row 157: 550 with a 4.x.x code bounces', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line) => (line.startsWith('RCPT') ? '550 4.2.2 mailbox full' : undefined),
  })
  const outcome = await rig.outcome(rig.site(server.port))
  assert.equal(brief(outcome), 'bounced recipient rcpt 550 5.0.0')
  assert.equal(outcome.text, '4.2.2 mailbox full')
  assert.equal(rig.counters.statusMismatches, 1)
})

test('row 158: 250 with a 5.x.x code is delivered', async (t) => {
  assert.equal(brief(await outcomeWhen(t, '.', '250 5.0.0 queued')), 'delivered message final 250 2.0.0')
})

test('a reply without an enhanced code never inherits one', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line) => (line.includes('<a@x>') ? '550 5.1.1 no' : line.includes('<b@x>') ? '550 no' : undefined),
  })
  const { outcomes } = await rig.send(rig.site(server.port), { recipients: ['a@x', 'b@x'] })
  assert.deepEqual(
    outcomes.map(({ enhanced }) => enhanced),
    ['5.1.1', '5.0.0'],
  )
})

test('row 159: what is not printable ASCII is escaped, and the text has an end', async (t) => {
  const text = `a\x1b[31m\u0000\x85\xff <img onerror=x> ${'é'.repeat(600)}`
  const outcome = await outcomeWhen(t, 'RCPT', `550-5.1.1 ${text}\r\n550 5.1.1 more`)
  assert.match(outcome.text, /^a\\x1b\[31m\\x00\\x85\\xff <img onerror=x> (?:\\xe9)+$/)
  assert.ok(outcome.text.length <= 512 && outcome.text.length > 500)
})

test('a reply of several lines reads as one text without its repeated code', async (t) => {
  const outcome = await outcomeWhen(t, 'RCPT', '550-5.7.1 see\r\n550-5.7.1 https://example.net\r\n550 5.7.1 thanks')
  assert.equal(outcome.text, 'see https://example.net thanks')
})

test('row 160: an idle connection that was closed is no attempt', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line, { number, commands }) =>
      number === 0 && line.startsWith('MAIL') && commands.filter((command) => command.startsWith('MAIL')).length === 2
        ? 'close'
        : undefined,
  })
  const site = rig.site(server.port)
  await rig.send(site)
  const report = await rig.send(site)
  assert.equal(report.outcomes[0]?.kind, 'delivered')
  assert.equal(report.attempt.reusedConnection, false)
  assert.equal(server.conversations.length, 2)
  assert.equal(rig.reports.length, 2)
  assert.equal(rig.counters.transactionsRetried, 1)
})

test('row 160: and it is retried only once', async (t) => {
  const rig = deliverRig(t)
  let mails = 0
  const server = await rig.server({ answer: (line) => (line.startsWith('MAIL') && ++mails > 1 ? 'close' : undefined) })
  const site = rig.site(server.port)
  await rig.send(site)
  assert.equal(brief(await rig.outcome(site)), 'deferred message mail 0 4.4.2')
  assert.equal(server.conversations.length, 2)
})

test('row 160: the retry takes a new connection, not another that died with the first', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line, { contents }) => (line.startsWith('MAIL') && contents.length === 1 ? 'close' : undefined),
  })
  const site = rig.site(server.port)
  await Promise.all([rig.send(site), rig.send(site), rig.send(site)])
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.equal(server.conversations.length, 4)
})

test('row 160: a "timeout exceeded" that crossed our command is the same', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line, { number, contents }) =>
      number === 0 && contents.length === 1 && line.startsWith('MAIL') ? '421 4.4.2 timeout exceeded' : undefined,
  })
  const site = rig.site(server.port)
  await rig.send(site)
  assert.equal((await rig.outcome(site)).kind, 'delivered')
})
