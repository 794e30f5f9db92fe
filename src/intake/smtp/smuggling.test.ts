/** What attackers have made mail servers do: two messages out of one, commands through TLS, state left over from an error. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SmtpClient } from '../../../test/support/smtp-client.ts'
import { goodMessage, startRig } from '../../../test/support/smtp-rig.ts'

/** Endings that other servers have taken for the end of content. */
const endings = [
  '\n\n',
  '\r\r',
  '\n\r',
  '\n\r\n',
  '\r\n\n',
  '\r\n\r',
  '\r\r\n', // of smtpsmug: these stand in front of and behind the dot
].flatMap((mark) => [`${mark}.${mark}`, `${mark}.\r\n`, `\r\n.${mark}`])
const named = [
  '\n.\n',
  '\r.\r',
  '\r\n.\n',
  '\r\n.\r',
  '\n.\r\n',
  '\r.\r\n',
  '\r\n.\r\r\n',
  '\r\r\n.\r\r\n',
  '\r\n\0.\r\n',
  '\r\n.\0\r\n',
  '\r\n.\r\0\n',
  '\n.\r',
  '\r.\n',
  '\r\n .\r\n',
  '\r\n. \r\n',
  '\n\n.\r\n',
  '\r\n.\n\r\n',
]
// "CRLF . CRLF CR" and the like do hold the one true end; what follows it is then a command, and not an honest one.
const holdsTheEnd = (ending: string): boolean => ending.includes('\r\n.\r\n')

for (const ending of new Set([...endings, ...named])) {
  if (holdsTheEnd(ending)) continue
  test(`${JSON.stringify(ending)} does not end content`, async (t) => {
    const rig = await startRig(t)
    const client = await rig.hello()
    await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
    const smuggled = 'MAIL FROM:<evil@b>\r\nRCPT TO:<victim@d>\r\nDATA\r\nFrom: evil@b\r\n\r\nsmuggled'
    client.send(`${goodMessage}text${ending}${smuggled}\r\n.\r\n`)
    const { codes } = await client.reply()
    assert.equal(await client.commands('NOOP'), '250 2.0.0')
    const clean = !/\r(?!\n)|(?<!\r)\n|\0/.test(ending)
    assert.equal(codes, clean ? '250 2.0.0' : ending.replaceAll('\r\n', '').match(/[\r\n]/) ? '550 5.5.2' : '550 5.6.0')
    assert.equal(rig.spool.committed.length, clean ? 1 : 0)
  })
}

test('BDAT refuses a lone CR or LF like DATA does, across chunks too', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  for (const [one, two, codes] of [
    ['text\r', '\nmore\r\n', '250 2.0.0'],
    ['text\r', 'more\r\n', '550 5.5.2'],
    ['text', '\nmore\r\n', '550 5.5.2'],
    ['text\r\n.', '\r\n', '250 2.0.0'],
    ['text', ' without an end', '250 2.0.0'],
    ['text', ' and a CR\r', '550 5.5.2'],
  ] as const) {
    await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
    client.send(`BDAT ${goodMessage.length + one.length}\r\n${goodMessage}${one}`)
    assert.equal((await client.reply()).codes, '250 2.0.0')
    client.send(`BDAT ${two.length} LAST\r\n${two}`)
    assert.equal((await client.reply()).codes, codes, JSON.stringify([one, two]))
  }
  const [first, dotted, unended] = rig.spool.committed
  assert.equal(first?.content.toString(), `${goodMessage}text\r\nmore\r\n`)
  assert.equal(dotted?.content.toString(), `${goodMessage}text\r\n.\r\n`)
  assert.equal(dotted?.head.dotLines, true)
  assert.equal(unended?.content.toString(), `${goodMessage}text without an end\r\n`)
})

test('who speaks before the greeting is out of turn: 554 5.5.0 and close', async (t) => {
  const rig = await startRig(t)
  const client = await SmtpClient.connect(rig.port, { early: 'EHLO a\r\nMAIL FROM:<a@b>\r\n' })
  assert.equal((await client.reply()).codes, '554 5.5.0')
  assert.equal(await client.closed(), '')
  assert.equal(rig.counters.outOfTurn, 1)
})

test('input behind EHLO, DATA, AUTH and STARTTLS is out of turn: 554 5.5.0 and close', async (t) => {
  const rig = await startRig(t, { authWithoutTlsOnLoopback: true })
  for (const [before, line] of [
    [[], 'EHLO b\r\nNOOP\r\n'],
    [[], 'STARTTLS\r\nRSET\r\n'],
    [[], 'AUTH PLAIN\r\nAGFwcAB4\r\n'],
    [['AUTH LOGIN'], 'YXBw\r\nQUIT\r\n'],
    [['MAIL FROM:<a@b>', 'RCPT TO:<c@d>'], `DATA\r\n${goodMessage}.\r\n`],
  ] as const) {
    const client = await rig.hello()
    await client.commands(...before)
    client.send(line)
    assert.equal((await client.reply()).codes, '554 5.5.0', line)
    assert.equal(await client.closed(), '')
  }
  assert.equal(rig.spool.committed.length, 0)
})

test('a group is answered in one write, and the next MAIL may stand behind the final dot', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  client.send('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e..f@g>\r\nDATA\r\n')
  for (const codes of ['250 2.1.0', '250 2.1.5', '501 5.1.3', '354']) assert.equal((await client.reply()).codes, codes)
  rig.spool.holdCommits = true
  client.send(`${goodMessage}.\r\nMAIL FROM:<second@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n`)
  while (rig.spool.heldCommits === 0) await new Promise((resolve) => setImmediate(resolve))
  rig.spool.settle()
  for (const codes of ['250 2.0.0', '250 2.1.0', '250 2.1.5', '354']) assert.equal((await client.reply()).codes, codes)
  client.send(`${goodMessage}.\r\nQUIT\r\n`)
  while (rig.spool.heldCommits === 0) await new Promise((resolve) => setImmediate(resolve))
  rig.spool.settle()
  for (const codes of ['250 2.0.0', '221 2.0.0']) assert.equal((await client.reply()).codes, codes)
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => head.returnPath),
    ['a@b', 'second@b'],
  )
})

test('STARTTLS forgets everything, and plain text behind it reaches nobody', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.equal(await client.commands('STARTTLS x'), '501 5.5.4')
  assert.equal((await client.command('STARTTLS')).code, 220)
  await client.startTls()
  assert.equal(await client.commands('MAIL FROM:<a@b>'), '503 5.5.1')
  const ehlo = await client.command('EHLO again')
  assert.ok(ehlo.lines.includes('250-AUTH PLAIN LOGIN'))
  assert.ok(!ehlo.lines.join().includes('STARTTLS'))
  assert.equal(await client.commands('STARTTLS'), '503 5.5.1')
  assert.equal(await client.commands(`AUTH PLAIN ${Buffer.from('\0app\0open sesame').toString('base64')}`), '235 2.7.0')
  assert.equal(await client.commands('AUTH LOGIN'), '503 5.5.1')
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(`${goodMessage}.\r\n`)
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.match(rig.spool.committed[0]?.head.addedHeaders ?? '', /with ESMTPSA id/)

  const injector = await rig.hello()
  assert.equal((await injector.command('STARTTLS')).code, 220)
  injector.send('RSET\r\nMAIL FROM:<evil@b>\r\n')
  assert.equal(await injector.closed(), '')
  while (rig.counters.tlsFailures === 0) await new Promise((resolve) => setImmediate(resolve))
})

test('TLS that ends in mid-content ends the transaction, in DATA and in BDAT', async (t) => {
  const rig = await startRig(t, { listener: 'implicit' })
  for (const begin of [
    ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'],
    ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>'],
  ]) {
    const client = await rig.hello({ tls: true })
    await client.commands(...begin)
    client.send(begin.length === 2 ? `BDAT 1000 LAST\r\n${goodMessage}` : goodMessage)
    while (rig.spool.open === 0) await new Promise((resolve) => setImmediate(resolve))
    client.end()
    await client.closed()
    while (rig.spool.open > 0) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(rig.spool.committed.length, 0)
  assert.equal(rig.spool.aborted, 2)
})

test('a handshake of garbage, or none, harms nobody', async (t) => {
  const rig = await startRig(t, { listener: 'implicit' })
  const garbage = await SmtpClient.connect(rig.port)
  garbage.send('EHLO in the clear\r\n')
  await garbage.closed()
  const silent = await SmtpClient.connect(rig.port)
  while (rig.intake.connections === 0) await new Promise((resolve) => setImmediate(resolve))
  rig.clock.advance(30_000)
  await silent.closed()
  const client = await rig.hello({ tls: true })
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  assert.equal(rig.counters.tlsFailures, 2)
})

// Regressions that Postfix found in itself in 2026: state that outlived an error.

test('MAIL, RCPT, a bad BDAT, then DATA: 503', async (t) => {
  const rig = await startRig(t)
  for (const bad of ['BDAT', 'BDAT x', 'BDAT 0 FIRST', 'BDAT 1 LAST LAST\r\nx']) {
    const client = await rig.hello()
    await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
    assert.equal(await client.commands(bad), '501 5.5.4')
    if (bad.includes('\n')) await client.reply()
    assert.equal(await client.commands('DATA'), '503 5.5.1', bad)
  }
})

test('a message refused at its end, then RCPT and DATA without MAIL: 503 503', async (t) => {
  const client = await (await startRig(t)).hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  assert.equal(await client.commands('no header\r\n.'), '550 5.6.0')
  assert.equal(await client.commands('RCPT TO:<c@d>'), '503 5.5.1')
  assert.equal(await client.commands('DATA'), '503 5.5.1')
})

test('VRFY with UTF-8 in a transaction leaves it whole', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  assert.equal(await client.commands(Buffer.from('VRFY jürgen').toString('latin1')), '553 5.6.7')
  assert.equal(await client.commands('DATA'), '354')
  assert.equal(await client.commands(`${goodMessage}.`), '250 2.0.0')
  assert.deepEqual(rig.spool.committed[0]?.head.recipients, ['c@d'])
})

test('thousands of `BDAT 1` are bounded: 421', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send('BDAT 1\r\nx'.repeat(10_001))
  let last = ''
  for (let i = 0; i <= 10_000; i++) last = (await client.reply()).codes
  assert.equal(last, '421 4.7.0')
  assert.equal(rig.spool.open, 0)
})

test('replies never repeat what the client wrote', async (t) => {
  const client = await (await startRig(t)).hello()
  const lines = [
    'XMARK',
    'EHLO xmark(',
    'MAIL FROM:xmark',
    'MAIL FROM:<a@b> XMARK=1',
    'VRFY xmark',
    'HELP xmark',
    'AUTH XMARK',
    'BDAT xmark',
  ]
  for (const line of lines) assert.doesNotMatch((await client.command(line)).lines.join('\n'), /xmark/i, line)
})
