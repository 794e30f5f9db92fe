/** Clients that people have → the engine, configured as for production → a real Postfix, which keeps the mail in a folder. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createTransport } from 'nodemailer'
import { type Engine, freePort, startEngine } from '../support/engine.ts'
import type { FakeZone } from '../support/fake-dns.ts'
import { accountOf, type Postfix, startPostfix } from '../support/postfix.ts'
import { until } from '../support/wait.ts'
import { dkimverify, opendkimTestmsg } from './support/dkim-verifiers.ts'
import { finished } from './support/resolving.ts'

const arrivalMsMax = 20_000
const directory = mkdtempSync(join(tmpdir(), 'posthaste-interop-'))
const inbox = join(directory, 'receiver', 'mail', 'inbox', 'new')
const zone: FakeZone = {}
let receiver: Postfix
let engine: Engine

before(async () => {
  // Postfix runs as users of its own, which must get through to their folders.
  chmodSync(directory, 0o755)
  receiver = await startReceiver(join(directory, 'receiver'))
  engine = await startEngine({
    directory: join(directory, 'engine'),
    port: await freePort(),
    config: `dkim:
  - { domain: example.com, selector: rsa, private_key_file: ${makeKey('rsa')} }
  - { domain: example.com, selector: ed, private_key_file: ${makeKey('ed25519')} }
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
async function startReceiver(home: string): Promise<Postfix> {
  const { uid, gid } = accountOf('nobody')
  const mail = join(home, 'mail')
  mkdirSync(mail, { recursive: true })
  chownSync(mail, uid, gid)
  const [key, certificate] = [join(home, 'tls.key'), join(home, 'tls.pem')]
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=postfix.test']
  const made = await finished('openssl', [...request, '-keyout', key, '-out', certificate], Buffer.alloc(0))
  assert.equal(made.exitCode, 0, made.output)
  return startPostfix({
    directory: home,
    port: await freePort(),
    settings: {
      virtual_mailbox_domains: 'example.net',
      virtual_mailbox_base: mail,
      virtual_mailbox_maps: 'static:inbox/',
      virtual_minimum_uid: '1',
      virtual_uid_maps: `static:${uid}`,
      virtual_gid_maps: `static:${gid}`,
      smtpd_peername_lookup: 'no',
      smtpd_tls_security_level: 'may',
      smtpd_tls_received_header: 'yes',
      smtpd_tls_cert_file: certificate,
      smtpd_tls_key_file: key,
      smtputf8_enable: 'yes',
    },
  })
}

function makeKey(kind: 'rsa' | 'ed25519'): string {
  const file = join(directory, `${kind}.pem`)
  const { privateKey, publicKey } =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const selector = kind === 'rsa' ? 'rsa' : 'ed'
  Object.assign(zone, {
    [`${selector}._domainkey.example.com`]: { TXT: [`v=DKIM1; k=${kind}; p=${publishedKey(publicKey, kind)}`] },
  })
  return file
}

/** RFC 6376 §3.6.1: RSA as SubjectPublicKeyInfo; RFC 8463 §4: Ed25519 as its bare 32 bytes, which end that structure. */
function publishedKey(key: KeyObject, kind: 'rsa' | 'ed25519'): string {
  const info = key.export({ type: 'spki', format: 'der' })
  return (kind === 'rsa' ? info : info.subarray(-32)).toString('base64')
}

/** The message in the receiver's folder with this text in it, its lines ended by CRLF again. */
async function arrived(text: string): Promise<Buffer> {
  let found: Buffer | undefined
  await until(arrivalMsMax, `no mail with "${text}" arrived`, () => {
    found = filesIn(inbox)
      .map((name) => readFileSync(join(inbox, name)))
      .find((content) => content.includes(text))
    return found !== undefined
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n--- engine\n${engine.log()}\n--- receiver\n${receiver.log()}`)
  })
  return Buffer.from((found as Buffer).toString('latin1').replaceAll('\n', '\r\n'), 'latin1')
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
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
    const before = filesIn(inbox).length
    const load = ['-s', '5', '-m', String(count), '-l', '2000', '-f', 'ann@example.com', '-t', 'ben@example.net']
    const sent = await finished('smtp-source', [...load, `127.0.0.1:${sender.port}`], Buffer.alloc(0))
    assert.equal(sent.exitCode, 0, sent.output)
    await until(60_000, `not all of ${count} messages arrived`, () => filesIn(inbox).length - before === count)
    assert.equal(sender.queued(), 0)
  } finally {
    await sender.stop()
  }
})
