/** What we send: envelope, content and its end; rows 27–28, damage, and bytes that must never be taken for commands. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { condition } from '../../test/support/condition.ts'
import { deliverRig } from '../../test/support/deliver-rig.ts'
import { MessageDamaged } from '../ports/messages.ts'
import type { Outcome } from '../model/outcome.ts'

const brief = ({ kind, scope, stage, code, enhanced }: Outcome): string =>
  `${kind} ${scope} ${stage} ${code} ${enhanced}`

const all = ['PIPELINING', 'SIZE 1000', '8BITMIME', 'SMTPUTF8']

test('with PIPELINING a message is two writes: the envelope, then the content with its end', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  await rig.send(site)
  const [conversation] = server.conversations
  const before = conversation?.reads ?? 0
  await rig.send(site, { blocks: [`${'0123456789'.repeat(1_000)}\r\n`] })
  assert.equal((conversation?.reads ?? 0) - before, 2)
})

test('without PIPELINING every command waits for the reply before it', async (t) => {
  const rig = deliverRig(t)
  let outstanding = 0
  const server = await rig.server({
    extensions: [],
    answer: (line, conversation) => {
      if (line !== '.') assert.equal(++outstanding, 1, `${line} came before the last reply`)
      setImmediate(() => {
        outstanding = 0
        conversation.socket.write(line === 'DATA' ? '' : '250 ok\r\n')
      })
      return line === 'DATA' ? '354 go' : null
    },
  })
  const recipients = ['a@x', 'b@x', 'c@x']
  assert.equal((await rig.outcome(rig.site(server.port), { recipients })).kind, 'delivered')
})

test('without PIPELINING a refused sender ends the envelope at once', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: [],
    answer: (line) => (line.startsWith('MAIL') ? '550 5.7.1 not you' : undefined),
  })
  const { outcomes } = await rig.send(rig.site(server.port), { recipients: ['a@x', 'b@x'] })
  assert.deepEqual(outcomes.map(brief), Array(2).fill('bounced message mail 550 5.7.1'))
  assert.deepEqual(server.conversations[0]?.commands.slice(1), ['MAIL FROM:<ann@example.com>', 'RSET'])
})

test('a refused sender decides for every recipient, whatever the server says of them', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    answer: (line) =>
      line.startsWith('MAIL')
        ? '451 4.7.1 later'
        : line.startsWith('RCPT') || line === 'DATA'
          ? '503 5.5.1 MAIL first'
          : undefined,
  })
  const report = await rig.send(rig.site(server.port), { recipients: ['a@x', 'b@x'] })
  assert.deepEqual(report.outcomes.map(brief), Array(2).fill('deferred message mail 451 4.7.1'))
})

test('parameters are given where they are offered', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ extensions: all })
  const site = rig.site(server.port)
  await rig.send(site, {
    sizeBytes: 999,
    eightBit: true,
    smtpUtf8: true,
    returnPath: 'j\u00fcrgen@x',
    recipients: ['\u00e9@x'],
  })
  await rig.send(site, { returnPath: '' })
  const mails = server.conversations[0]?.commands.filter((command) => /^(MAIL|RCPT)/.test(command)) ?? []
  const utf8 = mails.map((command) => Buffer.from(command, 'latin1').toString('utf8'))
  assert.deepEqual(utf8, [
    'MAIL FROM:<j\u00fcrgen@x> SIZE=999 BODY=8BITMIME SMTPUTF8',
    'RCPT TO:<\u00e9@x>',
    'MAIL FROM:<> SIZE=22',
    'RCPT TO:<bob@example.net>',
  ])
})

test('a message at the size limit is sent, one above bounces unsent, and the connection stays', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ extensions: all })
  const site = rig.site(server.port)
  assert.equal((await rig.outcome(site, { sizeBytes: 999 })).kind, 'delivered')
  assert.equal((await rig.outcome(site, { sizeBytes: 1_000 })).kind, 'delivered')
  assert.equal(brief(await rig.outcome(site, { sizeBytes: 1_001 })), 'bounced message mail 0 5.3.4')
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.equal(server.conversations.length, 1)
  assert.equal(server.conversations[0]?.contents.length, 3)
})

test('rows 27–28: SMTPUTF8 and 8-bit content to a peer that lacks them bounce unsent', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  assert.equal(brief(await rig.outcome(site, { smtpUtf8: true })), 'bounced message mail 0 5.6.7')
  assert.equal(brief(await rig.outcome(site, { eightBit: true })), 'bounced message mail 0 5.6.3')
  assert.deepEqual(server.conversations[0]?.commands, ['EHLO sender.example'])
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 1 })
})

test('an address with a line break never reaches the wire', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ extensions: all })
  const site = rig.site(server.port)
  const evil = 'a@x>\r\nRCPT TO:<b@x'
  for (const message of [
    { returnPath: evil },
    { recipients: ['ok@x', evil] },
    { recipients: [evil], smtpUtf8: true },
    { recipients: ['\u00e9@x'] },
    { recipients: ['a\0@x'] },
  ]) {
    assert.equal(brief(await rig.outcome(site, message)), 'bounced message mail 0 5.1.3')
  }
  assert.deepEqual(server.conversations[0]?.commands, ['EHLO sender.example'])
})

test('content leaves byte by byte as it was read, and ends exactly once, in any blocks', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  const line = fc.constantFrom('', 'x', '..', '..x', 'From y', 'é'.repeat(40), '0123456789'.repeat(99))
  const cases = fc.tuple(
    fc.array(line, { maxLength: 400 }),
    fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 8 }),
    fc.boolean(),
  )
  await fc.assert(
    fc.asyncProperty(cases, async ([lines, cuts, later]) => {
      const content = Buffer.from(lines.map((text) => `${text}\r\n`).join(''), 'latin1')
      const places = [...cuts.filter((cut) => cut < content.length).sort((a, b) => a - b), content.length]
      const blocks = places.map((end, i) => content.subarray(places[i - 1] ?? 0, end))
      const before = server.conversations[0]?.contents.length ?? 0
      const outcome = await rig.outcome(site, {
        read: () => (later ? Promise.resolve(blocks.shift() ?? null) : (blocks.shift() ?? null)),
      })
      assert.equal(outcome.kind, 'delivered')
      assert.equal(server.conversations.at(-1)?.contents.at(-1), `${content.toString('latin1')}.\r\n`)
      assert.equal(server.conversations[0]?.contents.length, before + 1)
      assert.equal(server.conversations.length, 1)
    }),
    { numRuns: 60 },
  )
})

test('a message larger than every buffer arrives whole', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const block = Buffer.from(`${'0123456789'.repeat(6_000)}\r\n`.repeat(5))
  let left = 12
  const outcome = await rig.outcome(rig.site(server.port), { read: () => (left-- > 0 ? block : null) })
  assert.equal(outcome.kind, 'delivered')
  assert.equal(server.conversations[0]?.contents[0], `${block.toString().repeat(12)}.\r\n`)
})

test('a damaged message bounces without a word to the receiver, which gets the next one', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  const damaged = new MessageDamaged('checksum of record 7 is wrong')
  const opens = [
    () => Promise.reject(damaged),
    () => {
      throw damaged
    },
  ]
  for (const open of opens) {
    const outcome = await rig.outcome(site, { open })
    assert.equal(brief(outcome), 'bounced message content 0 5.3.0')
    assert.match(outcome.text, /checksum of record 7 is wrong/)
  }
  assert.deepEqual(server.conversations[0]?.commands, ['EHLO sender.example'])
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.equal(server.conversations.length, 1)
})

test('damage found in the middle of the content: the receiver never sees an end', async (t) => {
  for (const fail of [
    () => Promise.reject(new MessageDamaged('block 2')),
    (): never => {
      throw new MessageDamaged('block 2')
    },
  ]) {
    const rig = deliverRig(t)
    const server = await rig.server()
    let reads = 0
    const outcome = await rig.outcome(rig.site(server.port), {
      read: () => (reads++ === 0 ? Buffer.alloc(500_000, 'line\r\n') : fail()),
    })
    assert.equal(brief(outcome), 'bounced message content 0 5.3.0')
    await condition(() => server.conversations[0]?.socket.destroyed === true)
    assert.deepEqual(server.conversations[0]?.contents, [])
  }
})

test('content that does not end its last line is damage, not a message', async (t) => {
  for (const blocks of [['no line end'], ['ends in CR\r'], ['a\r\n', 'b\n'], ['a\r\n\n']]) {
    const rig = deliverRig(t)
    const server = await rig.server()
    const outcome = await rig.outcome(rig.site(server.port), { blocks })
    assert.equal(brief(outcome), 'deferred message content 0 4.3.0')
    assert.deepEqual(server.conversations[0]?.contents, [])
  }
})

test('a message that cannot be read now waits', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const outcome = await rig.outcome(rig.site(server.port), { open: () => Promise.reject(new Error('EIO: read error')) })
  assert.equal(brief(outcome), 'deferred message content 0 4.3.0')
})

test('a reply in the middle of the content decides, and the receiver never sees an end', async (t) => {
  for (const [reply, expected] of [
    ['552 5.3.4 too big', 'bounced message content 552 5.3.4'],
    ['421 4.3.2 bye', 'deferred site content 421 4.3.2'],
    ['250 done already', 'deferred message content 0 4.5.0'],
  ] as const) {
    const rig = deliverRig(t)
    const server = await rig.server()
    let reads = 0
    const outcome = await rig.outcome(rig.site(server.port), {
      read: async () => {
        if (reads++ === 1) server.conversations[0]?.socket.write(`${reply}\r\n`)
        await new Promise((resolve) => void setImmediate(resolve))
        return Buffer.from('line\r\n')
      },
    })
    assert.equal(brief(outcome), expected)
    assert.deepEqual(server.conversations[0]?.contents, [])
  }
})

test('the stored message is read only when the envelope was not refused', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ answer: (line) => (line.startsWith('RCPT') ? '550 5.1.1 no' : undefined) })
  let reads = 0
  await rig.send(rig.site(server.port), {
    read: () => {
      reads++
      return null
    },
  })
  assert.equal(reads, 0)
})
