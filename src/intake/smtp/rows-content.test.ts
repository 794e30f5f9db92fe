/** The bad-input catalogue, rows 33–52 and 54: recipients, content, authentication. Each test is one row. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failures } from '../../model/failures.ts'
import { goodMessage, type SmtpRig, startRig } from '../../../test/support/smtp-rig.ts'
import type { SmtpClient } from '../../../test/support/smtp-client.ts'

/** Opens a transaction, sends the message with DATA, gives the final codes. */
async function sendData(client: SmtpClient, message: string): Promise<string> {
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'), '354')
  client.send(`${message}.\r\n`)
  return (await client.reply()).codes
}

async function rigAndClient(t: Parameters<typeof startRig>[0], options = {}): Promise<[SmtpRig, SmtpClient]> {
  const rig = await startRig(t, options)
  return [rig, await rig.hello()]
}

test('row 33: recipient 1,001 of 1,000: 452 4.5.3, and the earlier ones stay', async (t) => {
  const [rig, client] = await rigAndClient(t)
  await client.command('MAIL FROM:<a@b>')
  client.send(Array.from({ length: 1_001 }, (_, i) => `RCPT TO:<r${i}@x>\r\n`).join(''))
  for (let i = 0; i < 1_000; i++) assert.equal((await client.reply()).codes, '250 2.1.5')
  assert.equal((await client.reply()).codes, '452 4.5.3')
  await client.command('DATA')
  client.send(`${goodMessage}.\r\n`)
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(rig.spool.committed[0]?.head.recipients.length, 1_000)
  assert.doesNotMatch(rig.spool.committed[0].head.addedHeaders, / for </)
})

test('row 34: BDAT -1: 501 5.5.4, in sync', async (t) => {
  const [rig, client] = await rigAndClient(t)
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send('BDAT -1\r\nNOOP\r\n')
  assert.equal((await client.reply()).codes, '501 5.5.4')
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(await client.commands('DATA'), '503 5.5.1')
  assert.equal(rig.spool.open, 0)
})

test('row 35: BDAT 9e99: 501 5.5.4, in sync; a chunk that is far too big: 552 5.3.4 and close', async (t) => {
  const [, client] = await rigAndClient(t)
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  assert.equal(await client.commands('BDAT 9e99'), '501 5.5.4')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  assert.equal(await client.commands('BDAT 999999999999999 LAST'), '552 5.3.4')
  assert.equal(await client.closed(), '')
})

test('row 36: `BDAT 5 LAST x`: 501 5.5.4, its five octets read; over the limit 552 5.3.4, read', async (t) => {
  const [rig, client] = await rigAndClient(t)
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send('BDAT 5 LAST x\r\nNOOP\nNOOP\r\n')
  assert.equal((await client.reply()).codes, '501 5.5.4')
  assert.equal((await client.reply()).codes, '250 2.0.0')
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send(`BDAT 300000 LAST\r\n${'x'.repeat(300_000)}`)
  assert.equal((await client.reply()).codes, '552 5.3.4')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  assert.equal(rig.spool.committed.length, 0)
  assert.equal(rig.spool.open, 0)
})

test('row 37: BDAT after DATA began is content: 250', async (t) => {
  const [rig, client] = await rigAndClient(t)
  assert.equal(await sendData(client, `${goodMessage}BDAT 5 LAST\r\n`), '250 2.0.0')
  assert.ok(rig.spool.committed[0]?.content.toString().endsWith('\r\nBDAT 5 LAST\r\n'))
})

test('row 38: DATA after BDAT: 503 5.5.1, and BDAT goes on', async (t) => {
  const [rig, client] = await rigAndClient(t)
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send(`BDAT 6\r\n${goodMessage.slice(0, 6)}`)
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(await client.commands('DATA'), '503 5.5.1')
  assert.equal(await client.commands('RCPT TO:<e@f>'), '503 5.5.1')
  client.send(`BDAT ${goodMessage.length - 6}\r\n${goodMessage.slice(6)}BDAT 0 LAST\r\n`)
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(rig.spool.committed[0]?.content.toString(), goodMessage)
})

test('row 39: a disconnect in mid-DATA queues nothing; after the dot the message stays, 250 or not', async (t) => {
  const [rig, client] = await rigAndClient(t)
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(goodMessage)
  while (rig.spool.contentBytesPeak === 0) await new Promise((resolve) => setImmediate(resolve))
  client.reset()
  while (rig.spool.open > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(rig.spool.aborted, 1)

  rig.spool.holdCommits = true
  const impatient = await rig.hello()
  await impatient.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  impatient.send(`${goodMessage}.\r\n`)
  while (rig.spool.heldCommits === 0) await new Promise((resolve) => setImmediate(resolve))
  impatient.reset()
  while (rig.intake.connections > 0) await new Promise((resolve) => setImmediate(resolve))
  rig.spool.settle()
  assert.equal(rig.spool.committed.length, 1)
})

test('row 40: a line of 998 octets passes, of 999 and 1,000 not: 550 5.6.0', async (t) => {
  const [, client] = await rigAndClient(t)
  assert.equal(await sendData(client, `${goodMessage}${'x'.repeat(998)}\r\n`), '250 2.0.0')
  assert.equal(await sendData(client, `${goodMessage}..${'x'.repeat(997)}\r\n`), '250 2.0.0')
  for (const length of [999, 1_000])
    assert.equal(await sendData(client, `${goodMessage}${'x'.repeat(length)}\r\n`), '550 5.6.0')
})

test('row 41: a line of 10 MB: 550 5.6.0, and little memory', async (t) => {
  const [rig, client] = await rigAndClient(t, { messageBytesMax: 20_000_000 })
  rig.spool.keep = false
  assert.equal(await sendData(client, `${goodMessage}${'x'.repeat(10_000_000)}\r\n`), '550 5.6.0')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 42: no From: 550 5.6.0; Date and Message-ID are added', async (t) => {
  const [rig, client] = await rigAndClient(t)
  assert.equal(await sendData(client, 'To: b@c\r\n\r\nbody\r\n'), '550 5.6.0')
  assert.equal(await sendData(client, ''), '550 5.6.0')
  assert.equal(await sendData(client, goodMessage), '250 2.0.0')
  const { addedHeaders } = rig.spool.committed[0]?.head ?? { addedHeaders: '' }
  assert.match(
    addedHeaders,
    /^Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n\tby mail\.example\.test with ESMTP id [-0-9a-f]{36}\r\n\tfor <c@d>;\r\n\t\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\nDate: \w{3}, .* \+0000\r\nMessage-ID: <[-0-9a-f]{36}@mail\.example\.test>\r\n$/,
  )
  assert.equal(
    await sendData(client, `Date: Sat, 1 Jan 2028 00:00:00 +0000\r\nMessage-ID: <a@b>\r\n${goodMessage}`),
    '250 2.0.0',
  )
  assert.match(rig.spool.committed[1]?.head.addedHeaders ?? '', /^Received: [^\n]*\r\n(\t[^\n]*\r\n)+$/)
})

test('row 43: two From fields: 550 5.6.0', async (t) => {
  const [rig, client] = await rigAndClient(t)
  assert.equal(await sendData(client, `FROM: eve@example.test\r\n${goodMessage}`), '550 5.6.0')
  assert.equal(rig.events.at(-1)?.code, 'from_repeated')
})

test('row 44: a From that cannot be read: 550 5.6.0', async (t) => {
  const [rig, client] = await rigAndClient(t)
  for (const from of ['nobody', '', '<<a@b>', '=?utf-8?q?a=40b?=']) {
    assert.equal(await sendData(client, `From: ${from}\r\n\r\n`), '550 5.6.0', from)
  }
  assert.equal(await sendData(client, goodMessage), '250 2.0.0')
  assert.equal(rig.spool.committed[0]?.head.fromDomain, 'example.test')
})

test('row 45: a header line without a colon: 550 5.6.0', async (t) => {
  const [rig, client] = await rigAndClient(t)
  assert.equal(await sendData(client, `From: a@b\r\nno colon\r\n\r\nbody\r\n`), '550 5.6.0')
  assert.equal(rig.events.at(-1)?.code, 'header_malformed')
})

test('row 46: a header of 200 KiB: 552 5.3.4; 100 KiB pass, 1,001 fields do not', async (t) => {
  const [, client] = await rigAndClient(t, { messageBytesMax: 1_000_000 })
  const padding = (bytes: number): string =>
    `X: ${'x'.repeat(95)}\r\n`.repeat(Math.floor(bytes / 100) - 1) + `X: ${'y'.repeat((bytes % 100) + 95)}\r\n`
  const from = 'From: a@b\r\n'
  assert.equal(await sendData(client, `${from}${padding(200 * 1_024)}\r\nbody\r\n`), '552 5.3.4')
  const folded = (bytes: number): string => `X: ${'x'.repeat(95)}\r\n${padding(bytes - 100).replaceAll('X: ', ' xx')}`
  assert.equal(folded(500).length, 500)
  assert.equal(await sendData(client, `${from}${folded(102_400 - 13)}\r\nbody\r\n`), '250 2.0.0')
  assert.equal(await sendData(client, `${from}${folded(102_400 - 12)}\r\nbody\r\n`), '552 5.3.4')
  assert.equal(await sendData(client, `${from}${'X:\r\n'.repeat(999)}\r\nbody\r\n`), '250 2.0.0')
  assert.equal(await sendData(client, `${from}${'X:\r\n'.repeat(1_000)}\r\nbody\r\n`), '552 5.3.4')
})

test('row 47: 51 Received fields: 554 5.4.6; 50 pass', async (t) => {
  const [, client] = await rigAndClient(t)
  const hop = 'Received: from a by b;\r\n\tSat, 1 Jan 2028 00:00:00 +0000\r\n'
  assert.equal(await sendData(client, hop.repeat(50) + goodMessage), '250 2.0.0')
  assert.equal(await sendData(client, hop.repeat(51) + goodMessage), '554 5.4.6')
})

test('row 48: AUTH in the clear: 538 5.7.11', async (t) => {
  const [, client] = await rigAndClient(t)
  assert.equal(await client.commands('AUTH PLAIN AGEAYg=='), '538 5.7.11')
})

test('row 49: an unknown mechanism: 504 5.5.4', async (t) => {
  const [, client] = await rigAndClient(t, { authWithoutTlsOnLoopback: true })
  assert.equal(await client.commands('AUTH CRAM-MD5'), '504 5.5.4')
  assert.equal(await client.commands('AUTH'), '501 5.5.4')
})

test('row 50: `AUTH PLAIN ===` and other responses that are none: 501 5.5.2', async (t) => {
  const [, client] = await rigAndClient(t, { authWithoutTlsOnLoopback: true })
  const malformed = [
    '===',
    '=',
    'AGEAYg',
    'AGEA Yg==',
    'AGEAYh==',
    '!!!!',
    'YQ==',
    Buffer.from('\0\0x').toString('base64'),
    '/wBhAGI=',
  ]
  for (const response of malformed) {
    const codes = await client.commands(`AUTH PLAIN ${response}`)
    assert.equal(codes, response.includes(' ') ? '501 5.5.4' : '501 5.5.2', response)
  }
  assert.equal(await client.commands('AUTH LOGIN', '&&&'), '501 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 51: AUTH cancelled by `*`: 501 5.7.0', async (t) => {
  const [, client] = await rigAndClient(t, { authWithoutTlsOnLoopback: true })
  assert.equal(await client.commands('AUTH PLAIN', '*'), '501 5.7.0')
  assert.equal(await client.commands('AUTH LOGIN', 'YXBw', '*'), '501 5.7.0')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 52: an AUTH line of 12,289 octets: 500 5.5.6', async (t) => {
  const [, client] = await rigAndClient(t, { authWithoutTlsOnLoopback: true })
  assert.equal(await client.commands('AUTH PLAIN', 'A'.repeat(12_289 - 2)), '500 5.5.6')
  assert.equal(await client.commands('AUTH PLAIN', 'A'.repeat(12_288 - 2)), '501 5.5.2')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
})

test('row 54: relaying for a stranger: 550 5.7.1, or 530 5.7.0 where it may log in', async (t) => {
  const rig = await startRig(t)
  const stranger = await rig.hello({ localAddress: '127.0.0.2' })
  assert.equal(await stranger.commands('MAIL FROM:<a@b>'), '550 5.7.1')
  assert.equal(await stranger.commands('RCPT TO:<c@d>'), '550 5.7.1')
  assert.equal(await stranger.commands('DATA'), '503 5.5.1')
  assert.equal((await stranger.command('STARTTLS')).code, 220)
  await stranger.startTls()
  assert.equal(await stranger.commands('EHLO again', 'MAIL FROM:<a@b>'), '530 5.7.0')
  assert.equal(await stranger.commands('RCPT TO:<c@d>'), '530 5.7.0')
  assert.equal(rig.spool.expectedBytes.length, 0)
})

test('a stranger that goes on asking is sent away, and fills no log', async (t) => {
  const rig = await startRig(t)
  const stranger = await rig.hello({ localAddress: '127.0.0.2' })
  stranger.send('MAIL FROM:<a@b>\r\n'.repeat(1_000))
  assert.match(await stranger.closed(), /\r\n421 4\.7\.0 [^\r]+\r\n$/)
  assert.equal(rig.events.length, 20)
})

test('a last chunk without line end has no longer lines than any other', async (t) => {
  const [, client] = await rigAndClient(t)
  for (const [length, codes] of [
    [998, '250 2.0.0'],
    [999, '550 5.6.0'],
  ] as const) {
    const content = `From: a@b.example\r\n\r\n${'x'.repeat(length)}`
    await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
    client.send(`BDAT ${content.length} LAST\r\n${content}`)
    assert.equal((await client.reply()).codes, codes)
  }
})

test('the spool’s refusals are passed on, at DATA, at BDAT and at commit', async (t) => {
  const [rig, client] = await rigAndClient(t)
  rig.spool.beginFailure = failures.spoolFull
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'), '452 4.3.1')
  assert.equal(await client.commands('DATA'), '503 5.5.1')
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send('BDAT 5\r\nNOOP\nBDAT 5 LAST\r\nNOOP\nNOOP\r\n')
  for (const codes of ['452 4.3.1', '503 5.5.1', '250 2.0.0']) assert.equal((await client.reply()).codes, codes)
  rig.spool.beginFailure = null
  rig.spool.commitFailure = failures.spoolBroken
  assert.equal(await sendData(client, goodMessage), '451 4.3.0')
  rig.spool.commitFailure = null
  assert.equal(await sendData(client, goodMessage), '250 2.0.0')
  rig.spool.commitFailure = failures.draining
  assert.equal(await sendData(client, goodMessage), '421 4.3.2')
  assert.equal(await client.closed(), '')
  assert.deepEqual([rig.counters.messages, rig.counters.messagesRefused], [1, 2])
})
