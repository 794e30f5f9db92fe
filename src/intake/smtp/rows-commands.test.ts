/** The bad-input catalogue, rows 1–32 and 56–63: commands, addresses, sessions. Each test is one row: what comes in, what must come back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodMessage, startRig } from '../../../test/support/smtp-rig.ts'
import { SmtpClient } from '../../../test/support/smtp-client.ts'

test('row 1: a command line of 513 octets, its end still out: 500 5.5.2, session lives', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  client.send(`NOOP ${'x'.repeat(508)}`)
  assert.equal((await client.reply()).codes, '500 5.5.2')
  client.send('xxxx\r\n')
  assert.equal(await client.commands(`NOOP ${'x'.repeat(505)}`), '250 2.0.0')
  assert.equal(await client.commands(`NOOP ${'x'.repeat(506)}`), '500 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 2: a line of more than 2 KiB: 500 5.5.2, beyond 64 KiB close', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.equal(await client.commands(`MAIL FROM:<a@b> ${'X'.repeat(2_048 - 18)}`), '555 5.5.4')
  assert.equal(await client.commands(`MAIL FROM:<a@b> ${'X'.repeat(2_048 - 17)}`), '500 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  client.send('x'.repeat(70_000))
  assert.equal((await client.reply()).codes, '500 5.5.2')
  assert.equal(await client.closed(), '')
})

test('row 3: NUL in a command: 500 5.5.2, session lives', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('NO\0OP'), '500 5.5.2')
  assert.equal(await client.commands('MAIL FROM:<a\0@b>'), '500 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 4: bytes 0x80–FF that are not UTF-8: 500 5.5.2, session lives', async (t) => {
  const client = await (await startRig(t)).hello()
  for (const bytes of ['\x80', '\xff\xfe', '\xc3', '\xed\xa0\x80'])
    assert.equal(await client.commands(`NOOP ${bytes}`), '500 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 5: a line that ends in a bare LF: 500 5.5.2, session lives', async (t) => {
  const client = await (await startRig(t)).hello()
  client.send('NOOP\n')
  assert.equal((await client.reply()).codes, '500 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 6: a bare CR in a command: 500 5.5.2; in DATA 550 5.5.2 at the true end', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.equal(await client.commands('NO\rOP'), '500 5.5.2')
  assert.equal(await client.commands('NOOP\r'), '500 5.5.2')
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(`${goodMessage}one\rtwo\r\n.\r\n`)
  assert.equal((await client.reply()).codes, '550 5.5.2')
  assert.equal(rig.spool.committed.length, 0)
})

test('row 7: EHLO without a name, with 255 letters, with control characters: 501 5.5.4', async (t) => {
  const rig = await startRig(t)
  const client = await SmtpClient.connect(rig.port)
  await client.reply()
  for (const line of ['EHLO', 'EHLO ', `EHLO ${'x'.repeat(255)}`, 'EHLO a(b', 'EHLO a b', 'HELO', 'EHLO bücher']) {
    const codes = await client.commands(Buffer.from(line).toString('latin1'))
    assert.equal(codes, '501 5.5.4', line)
  }
  assert.equal(await client.commands('EHLO a\x1b[2Jb'), '500 5.5.2')
  assert.equal(await client.commands(`EHLO ${'x'.repeat(254)}`), '250')
  client.destroy()
})

test('row 8: a second EHLO resets: 250', async (t) => {
  const client = await (await startRig(t)).hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  assert.equal(await client.commands('EHLO again'), '250')
  assert.equal(await client.commands('RCPT TO:<c@d>'), '503 5.5.1')
})

test('row 9: MAIL before EHLO: 503 5.5.1', async (t) => {
  const rig = await startRig(t)
  const client = await SmtpClient.connect(rig.port)
  await client.reply()
  assert.equal(await client.commands('MAIL FROM:<a@b>'), '503 5.5.1')
  client.destroy()
})

test('row 10: RCPT before MAIL: 503 5.5.1', async (t) => {
  assert.equal(await (await (await startRig(t)).hello()).commands('RCPT TO:<a@b>'), '503 5.5.1')
})

test('row 11: DATA without an accepted recipient: 503 5.5.1 or 554 5.5.1', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('DATA'), '503 5.5.1')
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<a..b@c>', 'DATA'), '554 5.5.1')
})

test('row 12: a second MAIL: 503 5.5.1, and the first one stands', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'MAIL FROM:<c@d>'), '503 5.5.1')
  assert.equal(await client.commands('RCPT TO:<c@d>'), '250 2.1.5')
})

test('row 13: STARTTLS and AUTH in a transaction: 503 5.5.1', async (t) => {
  const client = await (await startRig(t, { authWithoutTlsOnLoopback: true })).hello()
  await client.command('MAIL FROM:<a@b>')
  assert.equal(await client.commands('STARTTLS'), '503 5.5.1')
  assert.equal(await client.commands('AUTH PLAIN AGEAYg=='), '503 5.5.1')
  assert.equal(await client.commands('RCPT TO:<c@d>'), '250 2.1.5')
})

test('row 14: `MAIL FROM: <a@b>` with a space is accepted: 250', async (t) => {
  assert.equal(await (await (await startRig(t)).hello()).commands('MAIL FROM: <a@b>', 'RCPT TO:  <c@d>'), '250 2.1.5')
})

test('row 15: no brackets: 501 5.1.7 and 501 5.1.3', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('MAIL FROM:a@b'), '501 5.1.7')
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'RCPT TO:c@d'), '501 5.1.3')
})

test('row 16: a source route is ignored: 250', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  await client.commands('MAIL FROM:<@x.example:a@b>', 'RCPT TO:<@x.example,@y.example:c@d>', 'DATA')
  client.send(`${goodMessage}.\r\n`)
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(rig.spool.committed[0]?.head.returnPath, 'a@b')
  assert.deepEqual(rig.spool.committed[0].head.recipients, ['c@d'])
})

test('row 17: an unknown parameter: 555 5.5.4', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('MAIL FROM:<a@b> FOO=BAR'), '555 5.5.4')
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d> FOO=BAR'), '555 5.5.4')
})

test('row 18: SIZE given twice: 501 5.5.4', async (t) => {
  assert.equal(await (await (await startRig(t)).hello()).commands('MAIL FROM:<a@b> SIZE=1 SIZE=2'), '501 5.5.4')
})

test('row 19: SIZE=abc: 501 5.5.4', async (t) => {
  assert.equal(await (await (await startRig(t)).hello()).commands('MAIL FROM:<a@b> SIZE=abc'), '501 5.5.4')
})

test('row 20: SIZE over the limit: 552 5.3.4 at MAIL; at the limit it passes', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('MAIL FROM:<a@b> SIZE=200001'), '552 5.3.4')
  assert.equal(await client.commands('MAIL FROM:<a@b> SIZE=99999999999999999999'), '552 5.3.4')
  assert.equal(await client.commands('MAIL FROM:<a@b> SIZE=200000'), '250 2.1.0')
})

test('row 21: a body over the limit behind a small SIZE: 552 5.3.4 after the dot, all of it read', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  for (const [surplus, codes] of [
    [0, '250 2.0.0'],
    [1, '552 5.3.4'],
    [300_000, '552 5.3.4'],
  ] as const) {
    await client.commands('MAIL FROM:<a@b> SIZE=10', 'RCPT TO:<c@d>', 'DATA')
    const line = `${'x'.repeat(98)}\r\n`
    const size = 200_000 + surplus - goodMessage.length
    client.send(`${goodMessage}${line.repeat(Math.floor(size / 100) - 1)}${'y'.repeat((size % 100) + 98)}\r\n.\r\n`)
    assert.equal((await client.reply()).codes, codes)
    assert.equal(await client.commands('NOOP'), '250 2.0.0')
  }
  assert.equal(rig.spool.committed[0]?.content.length, 200_000)
  assert.ok(rig.spool.contentBytesPeak <= 200_000)
  assert.equal(rig.spool.open, 0)
})

test('row 22: BODY=BINARYMIME, then DATA: 503 5.5.1', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('MAIL FROM:<a@b> BODY=BINARYMIME'), '501 5.5.4')
  assert.equal(await client.commands('RCPT TO:<c@d>', 'DATA'), '503 5.5.1')
})

test('row 23: BODY=FOO: 501 5.5.4', async (t) => {
  assert.equal(await (await (await startRig(t)).hello()).commands('MAIL FROM:<a@b> BODY=FOO'), '501 5.5.4')
})

test('row 24: a local part of 65 octets: 501 5.1.3 and 501 5.1.7', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands(`MAIL FROM:<${'x'.repeat(65)}@b>`), '501 5.1.7')
  assert.equal(await client.commands(`MAIL FROM:<${'x'.repeat(64)}@b>`, `RCPT TO:<${'x'.repeat(65)}@b>`), '501 5.1.3')
  assert.equal(await client.commands(`RCPT TO:<${'x'.repeat(64)}@b>`), '250 2.1.5')
})

test('row 25: a domain of 256 octets: 501 5.1.3 and 501 5.1.7', async (t) => {
  const client = await (await startRig(t)).hello()
  const domain = `${'d'.repeat(63)}.`.repeat(4).slice(0, 255) + 'e'
  assert.equal(domain.length, 256)
  assert.equal(await client.commands(`MAIL FROM:<a@${domain}>`), '501 5.1.7')
  assert.equal(await client.commands('MAIL FROM:<>', `RCPT TO:<a@${domain}>`), '501 5.1.3')
})

test('row 26: a path of 257 octets: 501 5.1.3 and 501 5.1.7; 256 pass', async (t) => {
  const client = await (await startRig(t)).hello()
  const path = (octets: number): string => `<a@${`${'d'.repeat(60)}.`.repeat(5).slice(0, octets - 5)}e>`
  assert.equal(path(257).length, 257)
  assert.equal(await client.commands(`MAIL FROM:${path(257)}`), '501 5.1.7')
  assert.equal(await client.commands(`MAIL FROM:${path(256)}`, `RCPT TO:${path(257)}`), '501 5.1.3')
  assert.equal(await client.commands(`RCPT TO:${path(256)}`), '250 2.1.5')
})

const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

test('row 27: a UTF-8 address without SMTPUTF8: 553 5.6.7', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands(utf8('MAIL FROM:<jürgen@b>')), '553 5.6.7')
  assert.equal(await client.commands('MAIL FROM:<a@b>', utf8('RCPT TO:<a@bücher.example>')), '553 5.6.7')
  assert.equal(
    await client.commands('RSET', utf8('MAIL FROM:<jürgen@b> SMTPUTF8'), utf8('RCPT TO:<a@bücher.example>')),
    '250 2.1.5',
  )
})

test('row 28: a submission that needs SMTPUTF8 is marked, so that a peer without it gives 5.6.7', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  const [plain, umlaut] = ['RCPT TO:<c@d>', 'RCPT TO:<ç@d>']
  const cases: [string, string, boolean, string?][] = [
    ['MAIL FROM:<jürgen@b> SMTPUTF8', goodMessage, true],
    ['MAIL FROM:<a@b> SMTPUTF8', goodMessage, true, umlaut],
    // These go out in A-labels.
    ['MAIL FROM:<a@bücher.example> SMTPUTF8', goodMessage, false, 'RCPT TO:<c@bücher.example>'],
    ['MAIL FROM:<a@b> SMTPUTF8', goodMessage, false],
    ['MAIL FROM:<a@b> SMTPUTF8', `Subject: grün\r\n${goodMessage}`, true],
    ['MAIL FROM:<a@b>', `Subject: grün\r\n${goodMessage}`, false],
  ]
  for (const [mail, message, needed, rcpt = plain] of cases) {
    await client.commands(utf8(mail), utf8(rcpt), 'DATA')
    client.send(`${utf8(message)}.\r\n`)
    assert.equal((await client.reply()).codes, '250 2.0.0')
    assert.equal(rig.spool.committed.at(-1)?.head.smtpUtf8, needed, mail)
  }
  assert.match(rig.spool.committed[0]?.head.addedHeaders ?? '', /with UTF8SMTP id/)
})

test('row 29: quoted local parts are kept byte-exact: 250', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  const odd = ['""@x', '"a b"@x', '"a\\@b"@x', '"a@evil.test x"@good.test', '"<>"@x']
  await client.command(`MAIL FROM:<${odd[1]}>`)
  for (const address of odd) assert.equal(await client.commands(`RCPT TO:<${address}>`), '250 2.1.5')
  await client.command('DATA')
  client.send(`${goodMessage}.\r\n`)
  await client.reply()
  assert.deepEqual(rig.spool.committed[0]?.head.recipients, odd)
  assert.equal(rig.spool.committed[0].head.returnPath, '"a b"@x')
})

test('row 30: a..b@x: 501 5.1.3', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('MAIL FROM:<a..b@x>'), '501 5.1.7')
  assert.equal(await client.commands('MAIL FROM:<>', 'RCPT TO:<a..b@x>'), '501 5.1.3')
  assert.equal(await client.commands('RCPT TO:<"a\x01b"@x>'), '500 5.5.2')
})

test('row 31: address literals: 550 5.7.1', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.equal(await client.commands('MAIL FROM:<a@[127.0.0.1]>'), '550 5.7.1')
  assert.equal(await client.commands('MAIL FROM:<>', 'RCPT TO:<a@[127.0.0.1]>'), '550 5.7.1')
  assert.equal(await client.commands('RCPT TO:<a@[IPv6:::1]>'), '550 5.7.1')
  assert.equal(rig.events.at(-1)?.code, 'address_literal')
})

test('row 32: domains that are none: 501 5.1.3', async (t) => {
  const client = await (await startRig(t)).hello()
  await client.command('MAIL FROM:<> SMTPUTF8')
  for (const domain of ['x..y', '-x.y', 'a_b.c', '0x7f.1', '127.0.0.1', 'exa\u200bmple.com', 'x.']) {
    assert.equal(await client.commands(utf8(`RCPT TO:<a@${domain}>`)), '501 5.1.3', domain)
  }
})

test('row 56: VRFY 252 2.0.0, EXPN 502 5.5.1', async (t) => {
  const client = await (await startRig(t)).hello()
  assert.equal(await client.commands('VRFY ann@example.test'), '252 2.0.0')
  assert.equal(await client.commands('VRFY'), '501 5.5.4')
  assert.equal(await client.commands('EXPN list'), '502 5.5.1')
})

test('row 57: an unknown verb 20 times: 500 5.5.1, then 421 4.7.0 and close', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  for (let i = 0; i < 19; i++) assert.equal(await client.commands('XYZZY'), '500 5.5.1')
  assert.equal(await client.commands('XYZZY'), '421 4.7.0')
  assert.equal(await client.closed(), '')
  assert.equal(rig.counters.badCommands, 20)
})

test('row 58: 300 s idle: 421 4.4.2 and close', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  rig.clock.advance(299_999)
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  rig.clock.advance(299_999)
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  rig.clock.advance(300_000)
  assert.equal((await client.reply()).codes, '421 4.4.2')
  assert.equal(await client.closed(), '')
  assert.equal(rig.counters.timeouts, 1)
})

test('row 59: one byte per 10 s: 421 4.4.2 and close, in a command and in content', async (t) => {
  const rig = await startRig(t)
  const slow = async (client: SmtpClient): Promise<string> => {
    const reply = client.reply()
    for (let second = 0; second < 400; second += 10) {
      client.send('x')
      await new Promise((resolve) => setImmediate(resolve))
      rig.clock.advance(10_000)
    }
    return (await reply).codes
  }
  assert.equal(await slow(await rig.hello()), '421 4.4.2')
  const inContent = await rig.hello()
  await inContent.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  assert.equal(await slow(inContent), '421 4.4.2')
  assert.equal(rig.spool.open, 0)
})

test('row 60: HTTP on our port: closed at once, without a reply', async (t) => {
  const rig = await startRig(t)
  for (const request of [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'POST /a HTTP/1.1\r\n\r\nMAIL FROM:<a@b>\r\n',
    'CONNECT x:25 HTTP/1.1\r\n\r\n',
  ]) {
    const client = await SmtpClient.connect(rig.port)
    await client.reply()
    client.send(request)
    assert.equal(await client.closed(), '')
  }
})

test('row 61: a TLS hello on a plain port: closed at once, without a reply', async (t) => {
  const rig = await startRig(t)
  const hello = Buffer.from('16030100f8010000f40303', 'hex')
  const early = await SmtpClient.connect(rig.port)
  early.send(hello)
  assert.doesNotMatch(await early.closed(), /^(4|5)/m)
  const late = await SmtpClient.connect(rig.port)
  await late.reply()
  late.send(hello)
  assert.equal(await late.closed(), '')
})

test('row 62: one connection more than the cap: 421 4.3.2 and close', async (t) => {
  const rig = await startRig(t, { connectionsMax: 3 })
  const inside = await Promise.all([rig.hello(), rig.hello(), rig.hello()])
  const refused = await SmtpClient.connect(rig.port)
  assert.equal((await refused.reply()).codes, '421 4.3.2')
  assert.equal(await refused.closed(), '')
  assert.equal(rig.intake.connections, 3)
  await inside[0]?.command('QUIT')
  await inside[0]?.closed()
  inside[0]?.destroy()
  while (rig.intake.connections === 3) await new Promise((resolve) => setImmediate(resolve))
  await rig.hello()
  assert.equal(rig.counters.connectionsRefused, 1)
})

test('row 63: draining: idle sessions get 421 4.3.2, open transactions finish', async (t) => {
  const rig = await startRig(t)
  const idle = await rig.hello()
  const busy = await rig.hello()
  const committing = await rig.hello()
  await busy.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  rig.spool.holdCommits = true
  await committing.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  committing.send(`${goodMessage}.\r\n`)
  while (rig.spool.heldCommits === 0) await new Promise((resolve) => setImmediate(resolve))

  const stopped = rig.intake.stop(60_000)
  assert.equal((await idle.reply()).codes, '421 4.3.2')
  await assert.rejects(SmtpClient.connect(rig.port))
  rig.spool.settle()
  rig.spool.holdCommits = false
  busy.send(`${goodMessage}.\r\n`)
  for (const client of [busy, committing]) {
    assert.equal((await client.reply()).codes, '250 2.0.0')
    assert.equal((await client.reply()).codes, '421 4.3.2')
    await client.closed()
    client.destroy()
  }
  idle.destroy()
  await stopped
  assert.equal(rig.spool.committed.length, 2)
})
