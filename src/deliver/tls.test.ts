/** STARTTLS and AUTH: rows 144–146, and what a password or a resumed session may never do. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { condition } from '../../test/support/condition.ts'
import { addressesAre, deliverRig, type Rig } from '../../test/support/deliver-rig.ts'
import type { Conversation, Script } from '../../test/support/scripted-server.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Site, TlsPolicy } from '../model/site.ts'

const brief = ({ kind, scope, stage, code, enhanced }: Outcome): string =>
  `${kind} ${scope} ${stage} ${code} ${enhanced}`

const fixture = (name: string): string =>
  readFileSync(new URL(`../../test/fixtures/deliver/${name}`, import.meta.url), 'utf8')
const tls = { cert: fixture('cert.pem'), key: fixture('key.pem') }
const withTls: Script = { tls, extensions: ['PIPELINING', 'STARTTLS'] }

/** A site whose one exchanger has this name; the certificate of the fixtures is for localhost and mx.example.net. */
function named(rig: Rig, host: string, port: number, policy: TlsPolicy): Site {
  rig.addresses.set(host, addressesAre('192.0.2.1'))
  rig.reach.set('192.0.2.1', port)
  return rig.site(port, { hosts: [{ host, preference: 0 }], trusted: false, tls: policy })
}

const mails = ({ commands }: Conversation): string[] => commands.filter((command) => command.startsWith('MAIL'))

test('an opportunistic site takes TLS from anybody, and what was offered before it is forgotten', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ ...withTls, extensions: ['SIZE 1', 'STARTTLS'], extensionsInTls: ['PIPELINING'] })
  const report = await rig.send(named(rig, 'other.test', server.port, 'opportunistic'))
  assert.equal(report.outcomes[0]?.kind, 'delivered')
  assert.match(report.attempt.tls, /^TLSv1\.3 TLS_/)
  assert.deepEqual(server.conversations[0]?.commands, [
    'EHLO sender.example',
    'STARTTLS',
    'EHLO sender.example',
    'MAIL FROM:<ann@example.com>',
    'RCPT TO:<bob@example.net>',
    'DATA',
  ])
})

test('a verified site takes TLS with a certificate for the name of its exchanger', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server(withTls)
  const report = await rig.send(named(rig, 'mx.example.net', server.port, 'verified'))
  assert.equal(report.outcomes[0]?.kind, 'delivered')
  assert.equal(server.conversations[0]?.secured, true)
})

test('an exchanger given by its address is verified by its address', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server(withTls)
  assert.equal((await rig.outcome(rig.site(server.port, { tls: 'verified' }))).kind, 'delivered')
})

test('row 145: a certificate for another name keeps the mail of a verified site waiting', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server(withTls)
  const outcome = await rig.outcome(named(rig, 'mx.other.test', server.port, 'verified'))
  assert.equal(brief(outcome), 'deferred site starttls 0 4.7.5')
  assert.match(outcome.text, /mx\.other\.test/)
  assert.equal(server.conversations.flatMap(mails).length, 0)
})

test('a verified site whose server offers no STARTTLS, or takes it back, gets nothing in the clear', async (t) => {
  const rig = deliverRig(t)
  const without = await rig.server()
  assert.equal(
    brief(await rig.outcome(named(rig, 'mx.example.net', without.port, 'verified'))),
    'deferred site ehlo 0 4.7.4',
  )
  const refusing = await rig.server({ ...withTls, answer: (line) => (line === 'STARTTLS' ? '454 not now' : undefined) })
  assert.equal(
    brief(await rig.outcome(named(rig, 'mx.example.net', refusing.port, 'verified'))),
    'deferred site starttls 0 4.7.4',
  )
  assert.equal([...without.conversations, ...refusing.conversations].flatMap(mails).length, 0)
})

test('an opportunistic site goes on in plain text when STARTTLS is refused', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ ...withTls, answer: (line) => (line === 'STARTTLS' ? '454 not now' : undefined) })
  const report = await rig.send(named(rig, 'other.test', server.port, 'opportunistic'))
  assert.equal(report.outcomes[0]?.kind, 'delivered')
  assert.equal(report.attempt.tls, '')
  assert.equal(server.conversations.length, 1)
})

/** Says 220 to STARTTLS and hangs up. */
const breaking: Script = {
  extensions: ['PIPELINING', 'STARTTLS'],
  answer: (line, { socket }) => {
    if (line !== 'STARTTLS') return undefined
    socket.end('220 begin\r\n')
    return null
  },
}

test('row 144: TLS that breaks gives way to plain text on a new connection, and is not tried again for an hour', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server(breaking)
  const site = named(rig, 'other.test', server.port, 'opportunistic')
  const tried = (): string[] => server.conversations.map(({ commands }) => String(commands.includes('STARTTLS')))
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.deepEqual(tried(), ['true', 'false'])
  assert.equal(rig.counters.tlsFallbacks, 1)

  rig.clock.advance(20_000) // the idle connection is left
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.deepEqual(tried(), ['true', 'false', 'false'])

  rig.clock.advance(3_600_000)
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.deepEqual(tried(), ['true', 'false', 'false', 'true', 'false'])
})

test('row 144: TLS that breaks keeps the mail of a verified site waiting', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server(breaking)
  const outcome = await rig.outcome(named(rig, 'mx.example.net', server.port, 'verified'))
  assert.equal(brief(outcome), 'deferred site starttls 0 4.7.5')
  assert.equal(server.conversations.length, 1)
})

test('a handshake that never ends gives way to plain text after a minute', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ extensions: ['STARTTLS'] })
  const outcome = rig.outcome(named(rig, 'other.test', server.port, 'opportunistic'))
  await condition(() => server.conversations[0]?.received.includes('STARTTLS\r\n\x16') === true)
  rig.clock.advance(61_000)
  assert.equal((await outcome).kind, 'delivered')
  assert.equal(server.conversations.length, 2)
})

test('row 146: bytes in the clear behind the reply to STARTTLS are not read, and the connection ends', async (t) => {
  for (const policy of ['opportunistic', 'verified'] as const) {
    const rig = deliverRig(t)
    const server = await rig.server({
      extensions: ['STARTTLS'],
      answer: (line) => (line === 'STARTTLS' ? '220 begin\r\n250-injected\r\n250 AUTH PLAIN' : undefined),
    })
    const outcome = await rig.outcome(named(rig, 'mx.example.net', server.port, policy))
    assert.equal(brief(outcome), 'deferred site starttls 0 4.5.0')
    assert.equal(server.conversations.flatMap(mails).length, 0)
  }
})

test('a later connection resumes the session, and a verified site never resumes an unverified one', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server(withTls)
  const site = named(rig, 'mx.other.test', server.port, 'opportunistic')
  await rig.send(site)
  rig.clock.advance(20_000)
  assert.equal((await rig.outcome(site)).kind, 'delivered')
  assert.equal(rig.counters.tlsHandshakes, 2)
  assert.equal(rig.counters.tlsResumed, 1)

  const verified = named(rig, 'mx.other.test', server.port, 'verified')
  assert.equal(brief(await rig.outcome(verified)), 'deferred site starttls 0 4.7.5')
})

const credentials = { user: 'ann', password: 'p\u00e4ss' }

test('AUTH PLAIN before the first envelope, once per connection', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['AUTH LOGIN PLAIN', 'PIPELINING'],
    answer: (line) => (line.startsWith('AUTH') ? '235 2.7.0 welcome' : undefined),
  })
  const site = rig.site(server.port, { credentials })
  await rig.send(site)
  await rig.send(site)
  const [conversation] = server.conversations
  assert.equal(conversation?.commands[1], `AUTH PLAIN ${Buffer.from('\0ann\0p\u00e4ss').toString('base64')}`)
  assert.equal(conversation?.commands.filter((command) => command.startsWith('AUTH')).length, 1)
})

test('AUTH LOGIN where PLAIN is not offered', async (t) => {
  const rig = deliverRig(t)
  const replies = new Map([
    ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
    [Buffer.from('ann').toString('base64'), '334 UGFzc3dvcmQ6'],
    [Buffer.from('p\u00e4ss').toString('base64'), '235 2.7.0 welcome'],
  ])
  const server = await rig.server({ extensions: ['AUTH=LOGIN'], answer: (line) => replies.get(line) })
  assert.equal((await rig.outcome(rig.site(server.port, { credentials }))).kind, 'delivered')
})

test('a wrong password keeps the mail waiting', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['AUTH PLAIN'],
    answer: (line) => (line.startsWith('AUTH') ? '535 5.7.8 no' : undefined),
  })
  assert.equal(brief(await rig.outcome(rig.site(server.port, { credentials }))), 'deferred site auth 535 5.7.8')
})

test('a password is never sent in the clear to another machine, nor mail without it', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ extensions: ['AUTH PLAIN LOGIN'] })
  const site = { ...named(rig, 'relay.test', server.port, 'opportunistic'), credentials, trusted: true }
  assert.equal(brief(await rig.outcome(site)), 'deferred site auth 0 4.7.11')
  assert.deepEqual(server.conversations[0]?.commands, ['EHLO sender.example'])
})

test('a server without AUTH keeps the mail of a route with a password waiting', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server()
  assert.equal(brief(await rig.outcome(rig.site(server.port, { credentials }))), 'deferred site auth 0 4.7.4')
})
