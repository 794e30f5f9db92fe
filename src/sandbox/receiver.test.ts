import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { RawClient } from '../../test/support/raw-client.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { checkScript } from './receiver/check-script.ts'
import { Content, fieldOf } from './receiver/content.ts'
import { type Receiver, type ReceiverOptions, type ReceiverScript, startReceiver } from './sandbox.ts'

const fixtures = new URL('../../test/fixtures/sandbox/', import.meta.url)
const tls = {
  certificatePem: readFileSync(new URL('receiver-certificate.pem', fixtures), 'utf8'),
  keyPem: readFileSync(new URL('receiver-key.pem', fixtures), 'utf8'),
}

async function receiver(t: TestContext, script: ReceiverScript, options: ReceiverOptions = {}): Promise<Receiver> {
  const started = await startReceiver(script, options)
  t.after(() => started.close())
  return started
}

async function greeted(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  await client.hello()
  return client
}

test('a whole conversation in one write is answered in order', async (t) => {
  const { port, received } = await receiver(t, {})
  const client = await RawClient.connect(port)
  assert.match(await client.reply(), /^220 receiver\.test/)
  client.send(
    'EHLO c\r\nMAIL FROM:<> SIZE=40 BODY=8BITMIME\r\nRCPT TO:<"a b>"@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n',
  )
  const codes: string[] = []
  for (let i = 0; i < 5; i++) codes.push((await client.reply()).slice(0, 3))
  assert.deepEqual(codes, ['250', '250', '250', '250', '354'])
  client.send('A: 1\r\n\r\n..dot\r\n.x\r\n.\r\nRSET\r\nNOOP\r\nVRFY a\r\nQUIT\r\n')
  assert.match(await client.reply(), /^250 2\.0\.0 taken as 1-1$/)
  assert.deepEqual(
    [await client.reply(), await client.reply(), await client.reply()].map((r) => r.slice(0, 3)),
    ['250', '250', '252'],
  )
  assert.match(await client.reply(), /^221/)
  assert.equal(await client.end(), 'end')
  const [message] = received
  assert.deepEqual(message?.envelope, {
    from: '',
    to: ['"a b>"@x.test', 'c@x.test'],
    mailParameters: ['SIZE=40', 'BODY=8BITMIME'],
    rcptParameters: [[], []],
  })
  assert.equal(message?.content?.toString(), 'A: 1\r\n\r\n.dot\r\nx\r\n')
})

test('only CRLF ends a line and only CRLF.CRLF ends content', async (t) => {
  const { port, received } = await receiver(t, {})
  const client = await greeted(port)
  assert.match(await client.ask('NOOP\nNOOP'), /^500 5\.5\.2 bare line end/)
  const smuggled = 'a\n.\nb\r\n.\nc\n.\r\nd\r.\re\r\n'
  assert.match(await client.mail('ann@x.test', smuggled), /^250/)
  // ".\n" begins a line after CRLF, so its dot is stuffing.
  assert.equal(received[0]?.content?.toString(), 'a\n.\nb\r\n\nc\n.\r\nd\r.\re\r\n')
})

test('content is the same however it is cut', () => {
  const piece = fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', 'x', '\r\n..')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(60), { maxLength: 8 }), (pieces, cuts) => {
      const bytes = Buffer.from(`${pieces.join('')}\r\n.\r\nNOOP\r\n`, 'latin1')
      // The model: what DATA's own CRLF and the content say together, up to the first CRLF.CRLF.
      const text = `\r\n${bytes.toString('latin1')}`
      const expectedEnd = text.indexOf('\r\n.\r\n') + 3
      const expected = text.slice(2, expectedEnd - 1).replace(/(^|\r\n)\./g, '$1')

      const content = new Content(1_000, true)
      const bounds = [...new Set([...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b)
      let [from, end] = [0, -1]
      for (const to of bounds) {
        const at = content.take(bytes.subarray(0, to), from)
        from = to
        if (at === -1) continue
        end = at
        break
      }
      assert.equal(end, expectedEnd)
      assert.equal(content.dotted().toString('latin1'), expected.length === 0 ? '' : expected)
    }),
    { numRuns: 500 },
  )
})

test('a field is found and unfolded, and only at the start of a line', () => {
  const header = 'X: Message-ID: <no>\r\nmessage-id:\r\n <a\r\n\t@b>\r\nSubject: s'
  assert.equal(fieldOf(header, 'Message-ID'), '<a\t@b>')
  assert.equal(fieldOf(header, 'Subject'), 's')
  assert.equal(fieldOf(header, 'From'), '')
})

test('out of order, malformed and unoffered commands are refused', async (t) => {
  const { port } = await receiver(t, { hide: ['8BITMIME', 'SIZE'], sizeBytesMax: 20 })
  const client = await RawClient.connect(port)
  await client.reply()
  assert.equal(await client.codes('MAIL FROM:<a@b>', 'DATA', 'RCPT TO:<a@b>', 'EHLO', 'HUH'), '503 503 503 501 500')
  const ehlo = await client.ask('EHLO c')
  assert.doesNotMatch(ehlo, /8BITMIME|SIZE|CHUNKING|STARTTLS|AUTH/)
  assert.equal(
    await client.codes('MAIL FROM: <a@b>', 'MAIL FROM:a@b', 'MAIL FROM:<a@b> BODY=8BITMIME', 'MAIL FROM:<a@b> SIZE=1'),
    '501 501 555 555',
  )
  assert.equal(
    await client.codes(
      'BDAT 3',
      'STARTTLS',
      'AUTH PLAIN x',
      'MAIL FROM:<a@b>',
      'MAIL FROM:<a@b>',
      'RCPT TO:<>',
      'DATA',
    ),
    '500 503 503 250 503 501 554',
  )
  assert.equal(await client.codes('RSET'), '250')
  assert.match(await client.mail('ann@x.test', `${'x'.repeat(30)}\r\n`), /^552 5\.3\.4/)
  client.send('x'.repeat(5_000))
  assert.match(await client.reply(), /^500 5\.5\.2 line too long/)
  assert.equal(await client.end(), 'end')
})

test('parameters of DSN are taken where they are offered and rightly written, and kept by recipient', async (t) => {
  const world = await receiver(t, { offer: ['DSN'] })
  const client = await greeted(world.port)
  const bad = ['NOTIFY=NEVER', 'RET=full', 'RET=BODY', 'ENVID=', 'ENVID=a+b', `ENVID=${'x'.repeat(101)}`]
  assert.equal(await client.codes(...bad.map((parameter) => `MAIL FROM:<a@b> ${parameter}`)), '555 501 501 501 501 501')
  assert.equal(await client.codes(`MAIL FROM:<a@b> RET=HDRS ENVID=${'x'.repeat(97)}+2B`), '250')
  const worse = ['RET=FULL', 'NOTIFY=', 'NOTIFY=NEVER,DELAY', 'ORCPT=a@b', 'ORCPT=rfc822;a+b', 'ORCPT=rfc822;a+2b@c']
  assert.equal(await client.codes(...worse.map((parameter) => `RCPT TO:<c@d> ${parameter}`)), '555 501 501 501 501 501')
  const good = ['<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;"a+20b"@c', '<e@f>', '<g@h> ORCPT=utf-8;j\\x{FC}@c']
  assert.equal(await client.codes(...good.map((rcpt) => `RCPT TO:${rcpt}`), 'DATA'), '250 250 250 354')
  client.send('x\r\n.\r\n')
  assert.match(await client.reply(), /^250/)
  assert.deepEqual(world.received[0]?.envelope.rcptParameters, [
    ['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;"a+20b"@c'],
    [],
    ['ORCPT=utf-8;j\\x{FC}@c'],
  ])
})

test('a client that groups commands though PIPELINING is hidden is sent away', async (t) => {
  const { port } = await receiver(t, { hide: ['PIPELINING'] })
  const client = await greeted(port)
  client.send('NOOP\r\nNOOP\r\n')
  assert.match(await client.reply(), /^421 5\.5\.0/)
  assert.equal(await client.end(), 'end')
})

test('BDAT takes exactly the bytes it names, dots and all', async (t) => {
  const { port, received } = await receiver(t, { offer: ['CHUNKING'] })
  const client = await greeted(port)
  client.send('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 9\r\n.\r\n.\r\nMAIBDAT 0\r\nBDAT 3 LAST\r\nL\r\nNOOP\r\n')
  const codes: string[] = []
  for (let i = 0; i < 6; i++) codes.push((await client.reply()).slice(0, 3))
  assert.deepEqual(codes, ['250', '250', '250', '250', '250', '250'])
  assert.equal(received[0]?.content?.toString(), '.\r\n.\r\nMAIL\r\n')
  client.send('BDAT 4\r\nQUIT')
  assert.match(await client.reply(), /^503/)
})

test('rules match address, domain, children, local part and everything, the first one wins', async (t) => {
  const { port } = await receiver(t, {
    rules: [
      { for: 'ann@x.test', rcpt: { reply: '551 a' } },
      { for: 'x.test', rcpt: { reply: '552 b' } },
      { for: ['*.x.test', 'y.test'], rcpt: { reply: '553 c' } },
      { for: 'bob@*', rcpt: { reply: '554 d' } },
      { for: '*', rcpt: { reply: '450 4.2.0 line one\nline two' } },
    ],
  })
  const client = await greeted(port)
  const to = ['Ann@X.test', 'bob@x.test', 'a@deep.sub.x.test', 'a@y.test', 'bob@z.test', 'eve@z.test', 'eve@xx.test']
  const codes = await client.codes('MAIL FROM:<a@b>', ...to.map((address) => `RCPT TO:<${address}>`))
  assert.equal(codes, '250 551 552 553 553 554 450 450')
  assert.equal(await client.ask('RCPT TO:<eve@z.test>'), '450-4.2.0 line one\n450 line two')
})

test('times count together, by recipient and by message; a new script counts anew', async (t) => {
  const world = await receiver(t, {
    rules: [
      { for: 'all@*', rcpt: { reply: '450 no', times: 2 } },
      { for: 'each@*', rcpt: { reply: '450 no', times: 1, per: 'recipient' } },
      { for: 'message@*', final: { reply: '451 no', times: 1, per: 'message' } },
    ],
  })
  const client = await greeted(world.port)
  const codes = async (...to: string[]): Promise<string> => {
    const got = await client.codes('MAIL FROM:<a@b>', ...to.map((address) => `RCPT TO:<${address}>`), 'RSET')
    return got.slice(4, -4)
  }
  assert.equal(await codes('all@1', 'all@2', 'all@1'), '450 450 250')
  assert.equal(await codes('each@1', 'each@2', 'each@1', 'each@2'), '450 450 250 250')
  const one = 'Message-ID: <1@x>\r\n\r\nx\r\n'
  const two = 'Message-ID: <2@x>\r\n\r\nx\r\n'
  const finals: string[] = []
  for (const content of [one, two, one, two]) finals.push((await client.mail('message@x', content)).slice(0, 3))
  assert.deepEqual(finals, ['451', '451', '250', '250'])

  world.script({ rules: [{ for: 'all@*', rcpt: { reply: '550 gone', times: 1 } }] })
  assert.equal(await codes('all@1', 'all@1', 'each@3'), '550 250 250')
})

test('probability follows the seed', async (t) => {
  const script: ReceiverScript = { seed: 7, session: { mail: { reply: '451 4.3.0 bad luck', probability: 0.5 } } }
  const runs: string[] = []
  for (let run = 0; run < 2; run++) {
    const { port } = await receiver(t, script)
    const client = await greeted(port)
    const codes: string[] = []
    for (let i = 0; i < 20; i++) codes.push(await client.codes('MAIL FROM:<a@b>', 'RSET'))
    runs.push(codes.join(','))
  }
  assert.equal(runs[0], runs[1])
  assert.match(runs[0] as string, /451/)
  assert.match(runs[0] as string, /250 250/)
})

test('latency holds the answer and what follows it, and lets other sessions go on', async (t) => {
  const clock = new VirtualClock()
  const { port } = await receiver(
    t,
    { rules: [{ for: 'slow@*', rcpt: { latencyMs: { min: 200, max: 300 } } }] },
    { clock },
  )
  const slow = await greeted(port)
  const quick = await greeted(port)
  assert.equal(await slow.codes('MAIL FROM:<a@b>'), '250')
  slow.send('RCPT TO:<slow@x>\r\nRCPT TO:<other@x>\r\n')
  assert.match(await quick.mail('other@x'), /^250/)
  clock.advance(199)
  assert.match(await quick.mail('other@x'), /^250/)
  assert.equal(slow.pending, '')
  clock.advance(101)
  assert.match(await slow.reply(), /^250/)
  assert.match(await slow.reply(), /^250/)
})

test('throttles: connections, messages per connection and per second', async (t) => {
  const clock = new VirtualClock()
  const session = { connectionsMax: 2, messagesPerConnectionMax: 2, messagesPerSecondMax: 3 }
  const { port, counters } = await receiver(
    t,
    { session, rules: [{ for: 'few@*', messagesPerSecondMax: 1, throttleReply: '450 4.7.28 unusual rate' }] },
    { clock },
  )
  const first = await greeted(port)
  const second = await greeted(port)
  const third = await RawClient.connect(port)
  assert.match(await third.reply(), /^421 4\.7\.0/)
  assert.equal(await third.end(), 'end')

  assert.match(await first.mail('a@x'), /^250/)
  assert.match(await first.mail('a@x'), /^250/)
  assert.match(await first.ask('MAIL FROM:<a@b>'), /^421/)
  assert.equal(await first.end(), 'end')

  assert.match(await second.mail('a@x'), /^250/)
  assert.match(await second.ask('MAIL FROM:<a@b>'), /^451 4\.7\.1/)
  clock.advance(1_000)
  assert.equal(await second.codes('MAIL FROM:<a@b>', 'RCPT TO:<few@x>', 'RCPT TO:<few@x>'), '250 250 450')
  assert.equal(counters.connections, 3)
  assert.equal(counters.messages, 3)
})

test('so many recipients of a message are taken, the next one is too many, and a new message has as many again', async (t) => {
  const { port } = await receiver(t, {
    session: { recipientsPerMessageMax: 2 },
    rules: [{ for: 'no@*', rcpt: { reply: '550 5.1.1 no' } }],
  })
  const client = await greeted(port)
  const rcpt = (name: string): string => `RCPT TO:<${name}@x>`
  const asked = ['MAIL FROM:<a@b>', rcpt('a'), rcpt('no'), rcpt('b'), rcpt('c'), rcpt('d'), 'RSET'] as const
  assert.equal(await client.codes(...asked), '250 250 550 250 452 452 250')
  assert.equal(await client.codes('MAIL FROM:<a@b>', rcpt('c'), rcpt('d')), '250 250 250')
})

test('greets with 421, with 554, with nothing, or not in SMTP at all', async (t) => {
  const world = await receiver(t, { session: { connect: { reply: '421 4.3.2 not now' } } })
  const busy = await RawClient.connect(world.port)
  assert.equal(await busy.reply(), '421 4.3.2 not now')
  assert.equal(await busy.end(), 'end')

  world.script({ session: { connect: { raw: '554-go\r\n451 away\r\n' } } })
  assert.equal(await (await RawClient.connect(world.port)).reply(), '554-go\n451 away')

  world.script({ session: { connect: { ending: 'reset' } } })
  assert.equal(await (await RawClient.connect(world.port)).end(), 'reset')

  world.script({ session: { connect: { ending: 'silence' }, idleMsMax: 30 } })
  const silent = await RawClient.connect(world.port)
  silent.send('EHLO c\r\n')
  assert.equal(await silent.end(), 'end')
  assert.equal(silent.pending, '')
  assert.equal(world.counters.dropped, 3)
})

test('an endless reply is sent at the pace of the reader, a trickled one byte by byte', async (t) => {
  const clock = new VirtualClock()
  const world = await receiver(t, { session: { ehlo: { raw: '250-more\r\n', rawTimes: 1e12 } } }, { clock })
  const endless = await RawClient.connect(world.port)
  await endless.reply()
  endless.send('EHLO c\r\n')
  await endless.until(() => endless.pending.length > 1_000_000)
  endless.socket.destroy()

  world.script({ session: { ehlo: { raw: '250 ok\r\n', byteEveryMs: 10_000 } } })
  const slow = await RawClient.connect(world.port)
  await slow.reply()
  slow.send('EHLO c\r\n')
  await slow.until(() => slow.pending === '2')
  clock.advance(10_000)
  await slow.until(() => slow.pending === '25')
  clock.advance(60_000)
  assert.equal(await slow.reply(), '250 ok')
})

test('354 with no recipient left, 250 in place of 354, and EHLO refused with HELO taken', async (t) => {
  const world = await receiver(t, {
    session: { ehlo: { reply: '502 5.5.1 what is that' } },
    rules: [
      { for: 'none@*', rcpt: { reply: '550 5.1.1 no' }, data: { reply: '354 all the same' } },
      { for: 'odd@*', data: { reply: '250 odd' } },
    ],
  })
  const client = await RawClient.connect(world.port)
  await client.reply()
  assert.equal(
    await client.codes('EHLO c', 'HELO c', 'MAIL FROM:<a@b>', 'RCPT TO:<none@x>', 'DATA', '.'),
    '502 250 250 550 354 554',
  )
  assert.equal(await client.codes('MAIL FROM:<a@b>', 'RCPT TO:<odd@x>', 'DATA', 'RSET'), '250 250 250 250')
})

test('the connection breaks in mid-content, or the final reply is lost though the message was taken', async (t) => {
  const world = await receiver(t, {
    rules: [
      { for: 'rst@*', content: { ending: 'reset', afterBytes: 10 } },
      { for: 'lost@*', final: { ending: 'close', times: 1, per: 'message' } },
    ],
  })
  const broken = await greeted(world.port)
  assert.equal(await broken.codes('MAIL FROM:<a@b>', 'RCPT TO:<rst@x>', 'DATA'), '250 250 354')
  broken.send('123456789')
  broken.send('0123456789\r\n')
  assert.equal(await broken.end(), 'reset')
  assert.equal(world.counters.messages, 0)

  const content = 'Message-ID: <1@x>\r\n\r\nx\r\n'
  const lost = await greeted(world.port)
  assert.equal(await lost.mail('lost@x', content), '')
  assert.equal(lost.ended, 'end')
  const again = await greeted(world.port)
  assert.match(await again.mail('lost@x', content), /^250/)
  assert.deepEqual(
    world.received.map((message) => message.replyLost),
    [true, false],
  )
})

test('a receiver that stops reading closes the window', async (t) => {
  const { port } = await receiver(t, { rules: [{ for: 'tar@*', content: { readBytesPerSecond: 0 } }] })
  const client = await greeted(port)
  assert.equal(await client.codes('MAIL FROM:<a@b>', 'RCPT TO:<tar@x>', 'DATA'), '250 250 354')
  const block = 'x'.repeat(1_000_000)
  let written = 0
  while (client.socket.write(block) || (client.socket.writableLength < 8_000_000 && written < 64_000_000))
    written += block.length
  assert.ok(client.socket.writableLength > 0)
  client.socket.destroy()
})

test('STARTTLS, resumption, injected and missing bytes', async (t) => {
  const world = await receiver(t, {}, { tls })
  const client = await greeted(world.port)
  assert.match(await client.ask('STARTTLS'), /^220/)
  let ticket: Buffer | undefined
  const secured = client.secure()
  client.socket.on('session', (session: Buffer) => (ticket = session))
  assert.equal((await secured).authorized, false)
  assert.doesNotMatch(await client.ask('EHLO c'), /STARTTLS/)
  assert.match(await client.mail('ann@x'), /^250/)
  assert.match(world.received[0]?.tls ?? '', /^TLSv1\.3 /)

  const resumed = await greeted(world.port)
  await resumed.ask('STARTTLS')
  assert.equal((await resumed.secure(ticket)).isSessionReused(), true)
  assert.equal(await resumed.codes('MAIL FROM:<a@b>'), '503')
  assert.deepEqual([world.counters.tls, world.counters.tlsResumed], [2, 1])

  const injecting = await greeted(world.port)
  injecting.send('STARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@x>\r\n')
  assert.match(await injecting.reply(), /^220/)
  await injecting.secure()
  assert.equal(await injecting.codes('RCPT TO:<a@b>'), '503')

  world.script({ session: { starttls: { raw: '220 go\r\n250 injected\r\n' } } })
  const tricked = await greeted(world.port)
  tricked.send('STARTTLS\r\n')
  await tricked.until(() => tricked.pending === '220 go\r\n250 injected\r\n')

  world.script({ session: { starttls: { reply: '220 go', ending: 'close' } } })
  const dropped = await greeted(world.port)
  assert.equal(await dropped.ask('STARTTLS'), '220 go')
  assert.equal(await dropped.end(), 'end')
})

test('implicit TLS greets inside', async (t) => {
  const { port } = await receiver(t, {}, { tls: { ...tls, implicit: true } })
  const client = await RawClient.connect(port)
  await client.secure()
  assert.match(await client.reply(), /^220/)
  assert.doesNotMatch(await client.ask('EHLO c'), /STARTTLS/)
})

test('AUTH PLAIN and LOGIN, right and wrong', async (t) => {
  const { port, received } = await receiver(t, { auth: { user: 'u', password: 'p', required: true } })
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const plain = await greeted(port)
  assert.equal(await plain.codes('MAIL FROM:<a@b>', 'AUTH CRAM-MD5', `AUTH PLAIN ${base64('\0u\0x')}`), '530 504 535')
  assert.equal(await plain.codes('AUTH PLAIN', base64('\0u\0p')), '334 235')
  assert.match(await plain.mail('a@x'), /^250/)
  assert.equal(received[0]?.login, 'u')
  const login = await greeted(port)
  assert.equal(await login.codes('AUTH LOGIN', base64('u'), base64('p'), 'MAIL FROM:<a@b>'), '334 334 235 250')
})

test('an idle session is told 421', async (t) => {
  const clock = new VirtualClock()
  const { port } = await receiver(t, { session: { idleMsMax: 1_000 } }, { clock })
  const client = await greeted(port)
  clock.advance(1_000)
  assert.match(await client.reply(), /^421 4\.4\.2/)
  assert.equal(await client.end(), 'end')
})

test('a message that its owner could not record is answered 451', async (t) => {
  const { port } = await receiver(t, {}, { onMessage: async () => Promise.reject(new Error('disk full')) })
  assert.match(await (await greeted(port)).mail('a@x'), /^451 4\.3\.0/)
})

test('listens on loopback only, and says what is wrong with a script', async () => {
  await assert.rejects(startReceiver({}, { address: '0.0.0.0' }), { code: 'not_loopback' })
  await assert.rejects(startReceiver({}, { address: 'example.com' }), { code: 'not_loopback' })
  const wrong = {
    hostnam: 'x',
    rules: [{ rcpt: { reply: 'no' } }, { for: 'a', final: { latencyMs: { min: 1 }, per: 'messages' }, content: [] }],
  }
  assert.throws(
    () => checkScript(wrong, 'world.yaml'),
    (error: Error) => {
      for (const part of [
        'world.yaml',
        'hostnam must',
        'rules[0].rcpt.reply',
        'rules[0].for must be there',
        'latencyMs.max',
        'final.per',
      ]) {
        assert.ok(error.message.includes(part), `${part} in ${error.message}`)
      }
      return true
    },
  )
  const right = {
    session: { connect: [{ latencyMs: 5 }] },
    rules: [{ for: '*', final: { ending: 'close', times: 1, per: 'message' } }],
  }
  assert.deepEqual(checkScript(right, 'x'), right)
})
