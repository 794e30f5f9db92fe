import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { SmtpClient } from '../../../test/support/smtp-client.ts'
import { fileClients, goodMessage, smallSmtpConfig, startRig } from '../../../test/support/smtp-rig.ts'
import { MemorySubmissions } from '../../../test/support/memory-submissions.ts'
import { systemClock } from '../../kernel/clock.ts'
import { newIntakeCounters, refuseConnections, startSmtpIntake } from '../intake.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function options(
  listeners: (typeof smallSmtpConfig)['listeners'],
  tls: { certificatePem: string; keyPem: string } | null = null,
) {
  return {
    config: { ...smallSmtpConfig, listeners },
    hostname: 'mail.example.test',
    tls,
    submissions: new MemorySubmissions(),
    clients: fileClients,
    store: null,
    clock: systemClock,
    counters: newIntakeCounters(),
    log: () => {},
  }
}

test('EHLO offers what there is, HELO nothing', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.deepEqual((await client.command('EHLO a')).lines, [
    '250-mail.example.test',
    '250-PIPELINING',
    '250-SIZE 200000',
    '250-8BITMIME',
    '250-SMTPUTF8',
    '250-DSN',
    '250-STARTTLS',
    '250-ENHANCEDSTATUSCODES',
    '250 CHUNKING',
  ])
  assert.deepEqual((await client.command('HELO a')).lines, ['250 mail.example.test'])
  assert.equal(await client.commands('AUTH PLAIN'), '503 5.5.1')
  const plain = await (await startRig(t, { tls: null, authWithoutTlsOnLoopback: true })).hello()
  const { lines } = await plain.command('EHLO a')
  assert.ok(lines.includes('250-AUTH PLAIN LOGIN') && !lines.includes('250-STARTTLS'))
  assert.equal(await plain.commands('STARTTLS'), '502 5.5.1')
})

test('a port that is taken is named, with the cure, and nothing stays open', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number }
  const listeners = [
    { address: '127.0.0.1', port: 0, tls: 'none' },
    { address: '127.0.0.1', port, tls: 'none' },
  ] as const
  await assert.rejects(startSmtpIntake(options(listeners)), (error: Error & { cure: string; exitCode: number }) => {
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`))
    assert.match(error.cure, /smtp\.listeners/)
    assert.equal(error.exitCode, 69)
    return true
  })
  taken.close()
})

test('a certificate that is missing or broken stops the start', async () => {
  const implicit = [{ address: '127.0.0.1', port: 0, tls: 'implicit' }] as const
  await assert.rejects(startSmtpIntake(options(implicit)), { code: 'tls_certificate_missing', exitCode: 78 })
  await assert.rejects(startSmtpIntake(options(implicit, { certificatePem: 'x', keyPem: 'y' })), {
    code: 'tls_certificate_unusable',
  })
})

test('the cap per address does not bind loopback', async (t) => {
  const rig = await startRig(t, { connectionsPerAddressMax: 1 })
  await rig.hello()
  await rig.hello()
  assert.equal(rig.counters.connectionsRefused, 0)
})

test('stop by force after the deadline', async (t) => {
  const rig = await startRig(t)
  const busy = await rig.hello()
  await busy.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  const stopped = rig.intake.stop(1_000)
  await turn()
  rig.clock.advance(1_000)
  await stopped
  assert.equal(rig.spool.open, 0)
  await busy.closed()
})

test('refusing everyone: the line, and the end', async () => {
  const refusing = await refuseConnections([{ address: '127.0.0.1', port: 0 }], '421 4.3.0 no mail now')
  const client = await SmtpClient.connect(refusing.addresses[0]?.port ?? 0)
  assert.equal((await client.reply()).codes, '421 4.3.0')
  assert.equal(await client.closed(), '')
  await refusing.stop()
  await assert.rejects(SmtpClient.connect(refusing.addresses[0]?.port ?? 0))
})

test('failed logins are bounded per address: the eleventh gets 421 4.7.0, whoever it is, until a minute has passed', async (t) => {
  const rig = await startRig(t, { authWithoutTlsOnLoopback: true })
  const response = (user: string, password: string): string =>
    `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`
  for (let i = 0; i < 10; i++) {
    const client = await rig.hello()
    assert.equal(await client.commands(response(i % 2 === 0 ? 'app' : 'nobody', 'wrong')), '535 5.7.8')
    client.destroy()
  }
  const right = await rig.hello()
  assert.equal(await right.commands(response('app', 'open sesame')), '421 4.7.0')
  assert.equal(await right.closed(), '')
  rig.clock.advance(6_000)
  const again = await rig.hello()
  assert.equal(await again.commands(response('app', 'open sesame')), '235 2.7.0')
  assert.equal(rig.counters.loginsFailed, 10)
  assert.equal(rig.events.filter(({ code }) => code === 'authentication_failed').length, 10)
})

test('LOGIN works, and nobody logs in as somebody else', async (t) => {
  const rig = await startRig(t, { authWithoutTlsOnLoopback: true })
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const client = await rig.hello()
  assert.equal(await client.commands(`AUTH PLAIN ${base64('root\0app\0open sesame')}`), '535 5.7.8')
  assert.equal(await client.commands('AUTH LOGIN', base64('app'), base64('open sesame')), '235 2.7.0')
})

test('a message that turns out malformed while the spool is full does not wait for the spool', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  rig.spool.full = true
  // One read holds both: a run that the full spool takes with a no, and what spoils the message.
  client.send('From: a@sender.example\r\n\r\nfine\r\n..stuffed\r\nbare\nline feed\r\nmore\r\n')
  for (let i = 0; i < 20; i++) await turn()
  client.send('.\r\n')
  assert.equal((await client.reply()).codes, '550 5.5.2')
})

test('a spool that is full pauses the client, and goes on when it is not', async (t) => {
  const rig = await startRig(t, { messageBytesMax: 30_000_000 })
  const client = await rig.hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  rig.spool.full = true
  client.send(`${goodMessage}${`${'x'.repeat(98)}\r\n`.repeat(100_000)}.\r\n`)
  const seen = async (): Promise<number> => {
    for (let i = 0; i < 50; i++) await turn()
    return rig.spool.contentBytesPeak
  }
  const before = await seen()
  assert.ok(before > 0 && before < 500_000, `${before} bytes were taken`)
  assert.equal(await seen(), before)
  rig.clock.advance(1_000_000)
  rig.spool.drain()
  assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(rig.spool.committed[0]?.content.length, 10_000_000 + goodMessage.length)
})

test('a client that does not read its replies is not read either, and is dropped in time', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  client.pause()
  client.send('NOOP\r\n'.repeat(2_000_000))
  for (let i = 0; i < 300; i++) await turn()
  rig.clock.advance(300_000)
  while (rig.intake.connections > 0) await turn()
  assert.equal(rig.counters.timeouts, 1)
})

test('20 MB without a line end stay in bounded memory: 500 and close', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  const before = process.memoryUsage().arrayBuffers
  client.send(Buffer.alloc(20_000_000, 'x'))
  assert.equal((await client.reply()).codes, '500 5.5.2')
  await client.closed()
  client.destroy()
  assert.ok(process.memoryUsage().arrayBuffers - before < 30_000_000) // 20 MB are the test's own
})

test('a client that half-closes behind its last command still gets every reply', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  rig.spool.holdCommits = true
  client.send(`${goodMessage}.\r\nNOOP\r\n`)
  client.end()
  while (rig.spool.heldCommits === 0) await turn()
  for (let i = 0; i < 5; i++) await turn()
  rig.spool.settle()
  assert.match(await client.closed(), /^250 2\.0\.0 accepted as [-0-9a-f]{36}\r\n250 2\.0\.0 ok\r\n$/)
})
