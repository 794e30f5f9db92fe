/** The next envelope rides behind the content (RFC 2920 §3.1): what happens to the second message whatever becomes of the first. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { condition } from '../../test/support/condition.ts'
import { both, contentOf, contents, named, once, outcomes, pair } from '../../test/support/deliver-ahead.ts'
import { deliverRig } from '../../test/support/deliver-rig.ts'
import type { Answer } from '../../test/support/scripted-server.ts'
import { MessageDamaged } from '../ports/messages.ts'

const fixture = (name: string): string =>
  readFileSync(new URL(`../../test/fixtures/deliver/${name}`, import.meta.url), 'utf8')
const tls = { cert: fixture('cert.pem'), key: fixture('key.pem') }

const delivered = 'delivered final 250'

test('the second envelope arrives in the same read as the first content', async (t) => {
  const p = await pair(t)
  assert.deepEqual(await both(p), [delivered, delivered])
  assert.deepEqual(contents(p), [[contentOf('first'), contentOf('second')]])
  const reports = [await p.first, await p.second]
  assert.deepEqual(
    reports.map(({ attempt }) => attempt.reusedConnection),
    [false, true],
  )
  for (const { attempt } of reports) {
    assert.equal(attempt.host, '127.0.0.1')
    assert.ok(attempt.envelopeMs >= 0 && attempt.connectedMs >= 0)
  }
  // EHLO, the first envelope, the first content with the second envelope, the second content.
  assert.equal(p.server.conversations[0]?.reads, 4)
  assert.deepEqual(p.rig.deliverer.connections(), { active: 0, idle: 1 })
})

test('a row of messages costs one read each', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  const site = rig.site(server.port)
  const names = Array.from({ length: 30 }, (_, i) => `n${i}`)
  const followers = names.slice(1).map((name) => rig.follow(site, named(name)))
  const kinds = await Promise.all([rig.send(site, named('n0')), ...followers].map(outcomes))
  assert.deepEqual(new Set(kinds), new Set([delivered]))
  assert.deepEqual(server.conversations[0]?.contents, names.map(contentOf))
  assert.equal(server.conversations[0]?.reads, 2 + names.length)
})

for (const [reply, expected] of [
  ['451 4.3.0 later', 'deferred final 451'],
  ['554 5.7.1 never', 'bounced final 554'],
] as const) {
  test(`the first content is answered with ${reply}: the second goes on`, async (t) => {
    const p = await pair(t, { answer: once({ 'first .': reply }) })
    assert.deepEqual(await both(p), [expected, delivered])
    assert.deepEqual(contents(p), [[contentOf('first'), contentOf('second')]])
  })
}

test('421 to the first content ends the connection: the second gets a new one', async (t) => {
  const p = await pair(t, { answer: once({ 'first .': '421 4.3.2 enough' }) })
  assert.deepEqual(await both(p), ['deferred final 421', delivered])
  assert.deepEqual(contents(p), [[contentOf('first')], [contentOf('second')]])
  assert.equal(p.rig.counters.transactionsRetried, 1)
})

test('lost before the first final reply: the first is uncertain, the second goes once more', async (t) => {
  const p = await pair(t, { answer: once({ 'first .': 'close' }) })
  assert.deepEqual(await both(p), ['uncertain final 0', delivered])
  assert.deepEqual(contents(p), [[contentOf('first')], [contentOf('second')]])
  assert.equal((await p.second).attempt.reusedConnection, false)
})

test('a first final reply that makes no sense is uncertain, and nothing behind it is believed', async (t) => {
  const p = await pair(t, { answer: once({ 'first .': '250-ok\r\n550 no' }) })
  assert.deepEqual(await both(p), ['uncertain final 0', delivered])
  assert.deepEqual(contents(p), [[contentOf('first')], [contentOf('second')]])
})

test('lost after the first final reply, before a word about the second', async (t) => {
  const p = await pair(t, { answer: once({ 'second MAIL': 'close' }) })
  assert.deepEqual(await both(p), [delivered, delivered])
  assert.deepEqual(contents(p), [[contentOf('first')], [contentOf('second')]])
  assert.equal(p.rig.counters.transactionsRetried, 1)
})

test('lost after a word about the second: that was its attempt', async (t) => {
  const p = await pair(t, { answer: once({ 'second RCPT': 'close' }) })
  assert.deepEqual(await both(p), [delivered, 'deferred rcpt 0'])
  assert.equal(p.rig.counters.transactionsRetried, 0)
})

test('lost twice before a word about the second: the second time counts', async (t) => {
  const p = await pair(t, { answer: (line) => (line.startsWith('MAIL FROM:<second') ? 'close' : undefined) })
  assert.deepEqual(await both(p), [delivered, 'deferred mail 0'])
  assert.equal(p.server.conversations.length, 2)
})

test('"421 4.4.2" to the second MAIL is a connection that timed out, any other 421 is an answer', async (t) => {
  const timedOut = await pair(t, { answer: once({ 'second MAIL': '421 4.4.2 timeout' }) })
  assert.deepEqual(await both(timedOut), [delivered, delivered])
  const busy = await pair(t, { answer: once({ 'second MAIL': '421 4.7.0 too many' }) })
  assert.deepEqual(await both(busy), [delivered, 'deferred mail 421'])
})

for (const [command, reply, expected] of [
  ['MAIL', '451 4.3.0 later', 'deferred mail 451'],
  ['MAIL', '550 5.7.1 no', 'bounced mail 550'],
  ['RCPT', '450 4.2.0 later', 'deferred rcpt 450'],
  ['RCPT', '550 5.1.1 nobody', 'bounced rcpt 550'],
  ['DATA', '451 4.3.0 later', 'deferred data 451'],
  ['DATA', '554 5.5.1 no', 'bounced data 554'],
] as const) {
  test(`the second ${command} is answered with ${reply}, and a third follows it`, async (t) => {
    // As servers do: what follows a refusal is refused.
    const p = await pair(t, {
      answer: (line, { commands }) => {
        if (!commands.at(-1)?.includes('second') && !commands.at(-2)?.includes('second')) return undefined
        if (line.startsWith(command)) return reply
        return line === 'DATA' ? '503 5.5.1 nothing to send' : undefined
      },
    })
    assert.deepEqual(await both(p), [delivered, expected])
    assert.equal(await outcomes(p.rig.send(p.site, named('third'))), delivered)
    assert.deepEqual(contents(p), [[contentOf('first'), contentOf('third')]])
    assert.ok(p.server.conversations[0]?.commands.includes('RSET'))
  })
}

test('no recipient of the second is taken, and DATA is all the same: an empty content, then RSET', async (t) => {
  const p = await pair(t, { answer: once({ 'second RCPT': '550 5.1.1 nobody' }) })
  assert.deepEqual(await both(p), [delivered, 'bounced rcpt 550'])
  assert.deepEqual(contents(p), [[contentOf('first'), '.\r\n']])
  assert.equal(p.server.conversations[0]?.commands.at(-1), 'RSET')
})

test('some recipients of the second are refused: each has its own outcome', async (t) => {
  const recipients = ['a@second.example', 'b@second.example', 'c@second.example', 'd@second.example']
  const refusals: Record<string, string> = { a: '550 5.1.1 no', c: '450 4.2.1 later' }
  const answer = (line: string): Answer => refusals[line.match(/^RCPT TO:<(.)@second/)?.[1] ?? '']
  const p = await pair(t, { answer }, { second: { recipients } })
  assert.deepEqual(await both(p), [delivered, `bounced rcpt 550, ${delivered}, deferred rcpt 450, ${delivered}`])
  assert.deepEqual(contents(p), [[contentOf('first'), contentOf('second')]])
})

for (const [name, second, expected] of [
  ['8BITMIME', { eightBit: true }, 'bounced mail 0'],
  ['SMTPUTF8', { smtpUtf8: true }, 'bounced mail 0'],
  ['a larger SIZE', { sizeBytes: 1_001 }, 'bounced mail 0'],
  ['an address without line breaks', { recipients: ['a@b.example>\r\nRSET'] }, 'bounced mail 0'],
] as const) {
  test(`the second needs ${name}: not a word is said of it, and the connection stays`, async (t) => {
    const p = await pair(t, { extensions: ['PIPELINING', 'SIZE 1000'] }, { second })
    assert.deepEqual(await both(p), [delivered, expected])
    assert.doesNotMatch(p.server.conversations[0]?.received ?? '', /second|RSET/)
    assert.equal(await outcomes(p.rig.send(p.site, named('third'))), delivered)
    assert.equal(p.server.conversations.length, 1)
  })
}

for (const refused of ['a', 'b']) {
  test(`a server that answers the first content twice: nobody is bounced for the answer meant for ${refused}`, async (t) => {
    const answer = once({ 'first .': '250 2.0.0 taken\r\n250 2.0.0 taken' })
    const p = await pair(
      t,
      { answer: (line, told) => (line.startsWith(`RCPT TO:<${refused}@`) ? '550 5.1.1 no' : answer(line, told)) },
      { second: { recipients: ['a@second.example', 'b@second.example'] } },
    )
    const [first, second] = await both(p)
    assert.equal(first, delivered)
    assert.match(second, /^deferred \w+ 0, deferred \w+ 0$/)
  })
}

test('the second message comes from a slow disk: it is opened once, and goes its usual way', async (t) => {
  let opened = 0
  let give: () => void = () => {}
  const blocks = [Buffer.from('late\r\n')]
  const open = (): Promise<never> => {
    opened++
    return new Promise((resolve) => {
      const message = {
        id: '2',
        returnPath: 'second@example.com',
        recipients: ['r@second.example'],
        sizeBytes: 6,
        eightBit: false,
        smtpUtf8: false,
        dsn: null,
        read: () => blocks.shift() ?? null,
        release() {},
      }
      give = () => resolve(message as never)
    })
  }
  const p = await pair(t, {}, { second: { open } })
  assert.equal(await outcomes(p.first), delivered)
  assert.deepEqual(p.rig.deliverer.connections(), { active: 1, idle: 0 })
  give()
  assert.deepEqual(await both(p), [delivered, delivered])
  assert.equal(opened, 1)
  assert.deepEqual(contents(p), [[contentOf('first'), 'late\r\n.\r\n']])
})

for (const [how, open] of [
  ['rejects', () => Promise.reject(new MessageDamaged('bad sum'))],
  [
    'throws',
    () => {
      throw new MessageDamaged('bad sum')
    },
  ],
] as const) {
  test(`the second message is damaged, and opening it ${how}: it is set aside, and the connection stays`, async (t) => {
    const p = await pair(t, {}, { second: { open } })
    assert.deepEqual(await both(p), [delivered, 'bounced content 0'])
    assert.equal(await outcomes(p.rig.send(p.site, named('third'))), delivered)
    assert.deepEqual(contents(p), [[contentOf('first'), contentOf('third')]])
  })
}

test('lost while the second message is still on its way from the disk: it goes once more', async (t) => {
  let opened = 0
  const message = {
    id: '2',
    returnPath: 'second@example.com',
    recipients: ['r@second.example'],
    sizeBytes: 6,
    eightBit: false,
    smtpUtf8: false,
    dsn: null,
    release() {},
  }
  const open = (): Promise<never> => {
    const blocks = [Buffer.from('late\r\n')]
    if (++opened === 1) return new Promise(() => {})
    return Promise.resolve({ ...message, read: () => blocks.shift() ?? null } as never)
  }
  const p = await pair(t, { answer: once({ 'first .': 'close' }) }, { second: { open } })
  assert.deepEqual(await both(p), ['uncertain final 0', delivered])
})

test('the second content fails half way: the receiver never sees its end', async (t) => {
  const parts = [Buffer.from('half\r\n')]
  const read = (): Buffer => {
    const part = parts.shift()
    if (part === undefined) throw new MessageDamaged('bad sum')
    return part
  }
  const p = await pair(t, {}, { second: { read } })
  assert.deepEqual(await both(p), [delivered, 'bounced content 0'])
  assert.deepEqual(contents(p), [[contentOf('first')]])
})

test('a server that does not offer PIPELINING is asked one thing at a time', async (t) => {
  const p = await pair(t, { extensions: [] })
  assert.equal(await outcomes(p.first), delivered)
  assert.doesNotMatch(p.server.conversations[0]?.received ?? '', /second/)
})

test('the last message of a connection has none behind it', async (t) => {
  const p = await pair(t, {}, { messagesPerConnection: 1 })
  assert.equal(await outcomes(p.first), delivered)
  assert.doesNotMatch(p.server.conversations[0]?.received ?? '', /second/)

  const two = await pair(t, {}, { messagesPerConnection: 2 })
  const third = two.rig.follow(two.site, named('third'))
  assert.deepEqual(await both(two), [delivered, delivered])
  await condition(() => two.server.conversations[0]?.commands.at(-1) === 'QUIT')
  assert.deepEqual(contents(two), [[contentOf('first'), contentOf('second')]])
  assert.equal(await outcomes(two.rig.send(two.site, named('fourth'))), delivered)
  assert.equal(await outcomes(third), delivered)
  assert.deepEqual(contents(two)[1], [contentOf('fourth'), contentOf('third')])
})

test('over TLS it is the same', async (t) => {
  const p = await pair(t, { tls, extensions: ['STARTTLS'] }, { site: { tls: 'opportunistic' } })
  assert.deepEqual(await both(p), [delivered, delivered])
  assert.deepEqual(contents(p), [[contentOf('first'), contentOf('second')]])
  assert.match((await p.second).attempt.tls, /^TLSv1\.3/)
})
