/** Clients that people have → the engine, configured as for production → a real Postfix, which keeps the mail in a folder. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createTransport } from 'nodemailer'
import { type Engine, freePort, startEngine } from '../support/engine.ts'
import type { FakeZone } from '../support/fake-dns.ts'
import { startPostfix } from '../support/postfix.ts'
import { until } from '../support/wait.ts'
import { makeKey } from './support/dkim-key.ts'
import { dkimverify, opendkimTestmsg } from './support/dkim-verifiers.ts'
import { type Mailboxes, startMailboxes } from './support/mailboxes.ts'
import { finished } from './support/resolving.ts'

const arrivalMsMax = 20_000
const directory = mkdtempSync(join(tmpdir(), 'posthaste-interop-'))
const zone: FakeZone = {}
let receiver: Mailboxes
let engine: Engine

before(async () => {
  // Postfix runs as users of its own, which must get through to their folders.
  chmodSync(directory, 0o755)
  receiver = await startReceiver(join(directory, 'receiver'))
  engine = await startEngine({
    directory: join(directory, 'engine'),
    port: await freePort(),
    config: `dkim:
  - { domain: example.com, selector: rsa, private_key_file: ${makeKey(directory, zone, 'example.com', 'rsa')} }
  - { domain: example.com, selector: ed25519, private_key_file: ${makeKey(directory, zone, 'example.com', 'ed25519')} }
routes:
  - { domain: example.net, host: 127.0.0.1, port: ${receiver.port} }
`,
  })
})

after(async () => {
  await engine?.stop()
  await receiver?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Takes all mail for example.net into one folder, over TLS if the client likes. */
async function startReceiver(home: string): Promise<Mailboxes> {
  mkdirSync(home, { recursive: true })
  const [key, certificate] = [join(home, 'tls.key'), join(home, 'tls.pem')]
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=postfix.test']
  const made = await finished('openssl', [...request, '-keyout', key, '-out', certificate], Buffer.alloc(0))
  assert.equal(made.exitCode, 0, made.output)
  return startMailboxes({
    directory: home,
    domain: 'example.net',
    maps: 'static:inbox/',
    settings: {
      smtpd_tls_security_level: 'may',
      smtpd_tls_received_header: 'yes',
      smtpd_tls_cert_file: certificate,
      smtpd_tls_key_file: key,
      smtputf8_enable: 'yes',
    },
  })
}

/** The message in the receiver's folder with this text in it. */
async function arrived(text: string): Promise<Buffer> {
  let found: Buffer | undefined
  await until(arrivalMsMax, `no mail with "${text}" arrived`, () => {
    found = receiver.mail('inbox').find((content) => content.includes(text))
    return found !== undefined
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n--- engine\n${engine.log()}\n--- receiver\n${receiver.log()}`)
  })
  return found as Buffer
}

/** Both signatures, by both verifiers as far as they know the algorithms. */
async function assertSigned(message: Buffer): Promise<void> {
  assert.equal(message.toString('latin1').match(/^DKIM-Signature:/gim)?.length, 2)
  for (const index of [0, 1]) assert.match((await dkimverify(message, zone, index)).output, /signature ok/)
  assert.deepEqual(await opendkimTestmsg(message, zone), { exitCode: 0, output: '' })
}

test('mail by swaks arrives over TLS, and both signatures verify', async () => {
  const swaks = [
    '--server',
    '127.0.0.1',
    '--port',
    String(engine.port),
    '--from',
    'ann@example.com',
    '--to',
    'ben@example.net',
  ]
  const sent = await finished(
    'swaks',
    [...swaks, '--header', 'Subject: by swaks', '--body', 'first line\n.\n.. two dots\nlast line'],
    Buffer.alloc(0),
  )
  assert.equal(sent.exitCode, 0, sent.output)

  const message = await arrived('Subject: by swaks')
  const text = message.toString('latin1')
  assert.match(text, /first line\r\n\.\r\n\.\. two dots\r\nlast line\r\n/)
  assert.match(text, /using TLSv1\.3/)
  await assertSigned(message)
})

test('mail by nodemailer, with text beyond ASCII and an attachment, arrives and verifies', async () => {
  const transport = createTransport({ host: '127.0.0.1', port: engine.port, secure: false, ignoreTLS: true })
  await transport.sendMail({
    from: 'Ann <ann@example.com>',
    to: 'ben@example.net',
    subject: 'by nodemailer',
    text: 'Grüße aus Zürich',
    attachments: [{ filename: 'bytes.bin', content: Buffer.from(Array.from({ length: 3_000 }, (_, i) => i & 255)) }],
  })
  transport.close()
  await assertSigned(await arrived('Subject: by nodemailer'))
})

test('what a sender asks to be told is passed on, and Postfix tells it: a notice of success with its ENVID and ORCPT', async () => {
  const transport = createTransport({ host: '127.0.0.1', port: engine.port, secure: false, ignoreTLS: true })
  await transport.sendMail({
    from: 'Ann <ann@example.net>',
    to: 'ben+news@example.net',
    subject: 'tell me when it is there',
    text: 'hello',
    dsn: { id: 'order+17', return: 'headers', notify: ['success', 'failure'], recipient: 'list+old@example.com' },
  })
  transport.close()
  const notice = (await arrived('Original-Envelope-Id: order+17')).toString('latin1')
  assert.match(notice, /^Return-Path: <>/m)
  assert.match(notice, /^Original-Recipient: rfc822; *list\+old@example\.com\r\nAction: delivered\r\nStatus: 2\./m)
  assert.match(notice, /^Final-Recipient: rfc822; *ben\+news@example\.net\r\n/m)
  assert.match(notice, /^Content-Type: text\/rfc822-headers/m)
})

test('Postfix as client: it passes on to us what its sender asked, and we to the next', async () => {
  const sender = await startPostfix({
    directory: join(directory, 'asker'),
    port: await freePort(),
    settings: {
      relayhost: `[127.0.0.1]:${engine.port}`,
      smtp_dns_support_level: 'disabled',
      smtpd_peername_lookup: 'no',
    },
  })
  try {
    const transport = createTransport({ host: '127.0.0.1', port: sender.port, secure: false, ignoreTLS: true })
    const dsn = { id: 'by=Postfix', return: 'full', notify: 'success', recipient: '"a b"@example.com' } as const
    await transport.sendMail({
      from: 'ann@example.net',
      to: 'ben@example.net',
      subject: 'asked of Postfix',
      text: 'hello',
      dsn,
    })
    transport.close()
    const notice = (await arrived('Original-Envelope-Id: by=Postfix')).toString('latin1')
    assert.match(notice, /^Original-Recipient: rfc822; *"a b"@example\.com\r\nAction: delivered\r\n/m)
  } finally {
    await sender.stop()
  }
})

test('Postfix as client: it hands us mail for a thousand messages, and every one arrives', async () => {
  const sender = await startPostfix({
    directory: join(directory, 'sender'),
    port: await freePort(),
    settings: {
      relayhost: `[127.0.0.1]:${engine.port}`,
      smtp_dns_support_level: 'disabled',
      smtpd_peername_lookup: 'no',
    },
  })
  try {
    const count = 1_000
    const before = receiver.count('inbox')
    const load = ['-s', '5', '-m', String(count), '-l', '2000', '-f', 'ann@example.com', '-t', 'ben@example.net']
    const sent = await finished('smtp-source', [...load, `127.0.0.1:${sender.port}`], Buffer.alloc(0))
    assert.equal(sent.exitCode, 0, sent.output)
    await until(60_000, `not all of ${count} messages arrived`, () => receiver.count('inbox') - before === count)
    assert.equal(sender.queued(), 0)
  } finally {
    await sender.stop()
  }
})
