/** Clients of the directory: what they may send as, and what becomes of their sessions when that ends. With rows 53 and 55 of the bad-input catalogue. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import type { SmtpClient } from '../../../test/support/smtp-client.ts'
import { fileClients, type SmtpRig, startRig } from '../../../test/support/smtp-rig.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { type Clients, DirectoryUnavailable } from '../../ports/clients.ts'
import type { IntakeTenant } from '../../ports/directory.ts'
import { clientsOf } from '../../tenancy/tenancy.ts'

const tenant: IntakeTenant = {
  id: 'tenant-1',
  name: 'shop',
  keys: [],
  logins: [
    { id: 'login-1', user: 'shop', passwordSha256: hash('sha256', 'secret', 'hex'), networks: [] },
    { id: 'login-2', user: 'elsewhere', passwordSha256: hash('sha256', 'secret', 'hex'), networks: ['192.0.2.0/24'] },
  ],
  domains: [{ domain: 'shop.example', subdomains: true }],
  senders: ['ann@freemail.example'],
  networks: [],
  streams: [
    { name: 'news', mailClass: 'bulk', defaults: { expiresInMs: 0, tags: [], campaign: '' } },
    { name: 'codes', mailClass: 'urgent', defaults: { expiresInMs: 600_000, tags: ['code'], campaign: 'security' } },
  ],
}

/** What the directory says can change under the sessions. */
class ChangingClients implements Clients {
  now = of(tenant)
  knowsNetwork(address: string) {
    return this.now.knowsNetwork(address)
  }
  bySource(address: string, sender: string) {
    return this.now.bySource(address, sender)
  }
  byLogin(user: string, password: string, address?: string) {
    return this.now.byLogin(user, password, address)
  }
  byKey(secret: string, address: string) {
    return this.now.byKey(secret, address)
  }
  isCurrent(client: Parameters<Clients['isCurrent']>[0]) {
    return this.now.isCurrent(client)
  }
  stream(client: Parameters<Clients['isCurrent']>[0], name: string) {
    return this.now.stream(client, name)
  }
  maySendAs(client: Parameters<Clients['isCurrent']>[0], address: string) {
    return this.now.maySendAs(client, address)
  }
}

function of(...intake: IntakeTenant[]): Clients {
  return clientsOf([], { intake }, { anySender: false, clock: new VirtualClock() })
}

const plain = (user: string): string => `AUTH PLAIN ${Buffer.from(`\0${user}\0secret`).toString('base64')}`

async function loggedIn(t: Parameters<typeof startRig>[0]): Promise<[SmtpRig, SmtpClient, ChangingClients]> {
  const clients = new ChangingClients()
  const rig = await startRig(t, { clients, authWithoutTlsOnLoopback: true })
  const client = await rig.hello()
  assert.equal(await client.commands(plain('shop')), '235 2.7.0')
  return [rig, client, clients]
}

async function send(client: SmtpClient, returnPath: string, from: string): Promise<string> {
  const mail = await client.commands(`MAIL FROM:<${returnPath}>`)
  if (mail !== '250 2.1.0') return mail
  assert.equal(await client.commands('RCPT TO:<c@d>', 'DATA'), '354')
  client.send(`From: ${from}\r\n\r\nx\r\n.\r\n`)
  return (await client.reply()).codes
}

test('row 53: AUTH while the directory is not to be had: 454 4.7.0, and not counted as a failed login', async (t) => {
  const clients: Clients = {
    ...fileClients,
    byLogin: () => {
      throw new DirectoryUnavailable()
    },
  }
  const rig = await startRig(t, { clients, authWithoutTlsOnLoopback: true })
  const client = await rig.hello()
  for (let i = 0; i < 25; i++) assert.equal(await client.commands(plain('app')), '454 4.7.0')
  assert.equal(await client.commands('AUTH LOGIN', 'YXBw', 'c2VjcmV0'), '454 4.7.0')
  assert.equal(rig.counters.loginsFailed, 0)
  assert.equal(rig.events[0]?.code, 'directory_unavailable')
  // Who is known by the file is known all the same.
  assert.equal(await send(client, 'a@b', 'a@b'), '250 2.0.0')
})

test('row 55: a sender that is not the tenant’s, in MAIL or in From: 550 5.7.1', async (t) => {
  const [rig, client] = await loggedIn(t)
  for (const [returnPath, from, codes] of [
    ['ann@shop.example', 'Ann <ann@shop.example>', '250 2.0.0'],
    ['', 'ann@mail.SHOP.example', '250 2.0.0'],
    ['bounce@a.shop.example', 'ann@freemail.example', '250 2.0.0'],
    ['ann@shop.example', 'ann@shop.example, Ann@freemail.example', '250 2.0.0'],
    ['ann@other.example', 'ann@shop.example', '550 5.7.1'],
    ['ben@freemail.example', 'ann@shop.example', '550 5.7.1'],
    ['ann@shop.example', 'ann@other.example', '550 5.7.1'],
    ['ann@shop.example', 'ben@freemail.example', '550 5.7.1'],
    ['ann@shop.example', '"ann@shop.example" <ann@other.example>', '550 5.7.1'],
    ['ann@shop.example', 'ann@shop.example, ben@other.example', '550 5.7.1'],
    ['ann@shop.example', '<ann@shop.example> <ben@other.example>', '550 5.7.1'],
    ['ann@shop.example', 'ann@shop.example, <ben', '550 5.7.1'],
    ['ann@shop.example', 'ann@shop.example.other.example', '550 5.7.1'],
    ['ann@shop.example', '', '550 5.6.0'],
  ] as const) {
    assert.equal(await send(client, returnPath, from), codes, `${returnPath} ${from}`)
  }
  assert.equal(rig.spool.committed.length, 4)
  assert.equal(rig.spool.open, 0)
  const heads = rig.spool.committed.map(({ head }) => [head.tenant, head.facts.credentialId, head.facts.from])
  assert.deepEqual(heads[0], ['tenant-1', 'login-1', 'ann@shop.example'])
  assert.deepEqual(heads[1], ['tenant-1', 'login-1', 'ann@mail.shop.example'])
})

test('a client of the file sends as anybody, and no From is too odd for it that was not before', async (t) => {
  const rig = await startRig(t)
  const client = await rig.hello()
  assert.equal(await send(client, 'a@any.example', 'b@other.example, c@[192.0.2.1]'), '250 2.0.0')
  assert.equal(rig.spool.committed[0]?.head.facts.credentialId, '')
})

test('a login is bound to its networks', async (t) => {
  const rig = await startRig(t, { clients: new ChangingClients(), authWithoutTlsOnLoopback: true })
  assert.equal(await (await rig.hello()).commands(plain('elsewhere')), '535 5.7.8')
})

test('a login that is revoked hands nothing over any more: 421 4.7.0 at MAIL, and the session is closed', async (t) => {
  const [rig, client, clients] = await loggedIn(t)
  assert.equal(await send(client, 'ann@shop.example', 'ann@shop.example'), '250 2.0.0')
  clients.now = of({ ...tenant, logins: [] })
  assert.equal(await client.commands('MAIL FROM:<ann@shop.example>'), '421 4.7.0')
  assert.equal(await client.closed(), '')
  assert.equal(rig.events.at(-1)?.code, 'authentication_revoked')
  assert.equal(await (await rig.hello()).commands(plain('shop')), '535 5.7.8')
})

test('nor does it at the end of content that had begun', async (t) => {
  const [rig, client, clients] = await loggedIn(t)
  await client.commands('MAIL FROM:<ann@shop.example>', 'RCPT TO:<c@d>', 'DATA')
  clients.now = of()
  client.send('From: ann@shop.example\r\n\r\nx\r\n.\r\n')
  assert.equal((await client.reply()).codes, '421 4.7.0')
  assert.equal(await client.closed(), '')
  assert.deepEqual([rig.spool.committed.length, rig.spool.open, rig.counters.messagesRefused], [0, 0, 1])
})

test('a stream is the client’s own, and gives its class unless the message has one', async (t) => {
  const [rig, client] = await loggedIn(t)
  const from = 'ann@shop.example'
  assert.equal(await send(client, from, `${from}\r\nX-Posthaste-Stream: news`), '250 2.0.0')
  assert.equal(
    await send(client, from, `${from}\r\nX-Posthaste-Stream: news\r\nX-Posthaste-Class: urgent`),
    '250 2.0.0',
  )
  assert.equal(await send(client, from, `${from}\r\nX-Posthaste-Stream: other`), '550 5.6.0')
  assert.equal(rig.events.at(-1)?.code, 'stream_unknown')
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => [head.facts.stream, head.mailClass]),
    [
      ['news', 'bulk'],
      ['news', 'urgent'],
    ],
  )
})

test('what a stream has by default counts where the message says nothing; its tags are added as far as there is room', async (t) => {
  const [rig, client] = await loggedIn(t)
  const from = 'ann@shop.example'
  const stream = `${from}\r\nX-Posthaste-Stream: codes`
  const own = 'X-Posthaste-Campaign: mine\r\nX-Posthaste-Expires-In: 2h\r\nX-Posthaste-Tag: a, code'
  const ten = Array.from({ length: 10 }, (_, n) => `t${n}`)
  for (const fields of [stream, `${stream}\r\n${own}`, `${stream}\r\nX-Posthaste-Tag: ${ten.join(', ')}`, from])
    assert.equal(await send(client, from, fields), '250 2.0.0')
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => {
      const leftMs = head.expiresAtMs === 0 ? 0 : head.expiresAtMs - rig.clock.nowMs()
      return [head.mailClass, leftMs, head.facts.tags, head.facts.campaign]
    }),
    [
      ['urgent', 600_000, ['code'], 'security'],
      ['urgent', 7_200_000, ['a', 'code'], 'mine'],
      ['urgent', 600_000, ten, 'security'],
      ['transactional', 0, [], ''],
    ],
  )
})

const other: IntakeTenant = {
  ...tenant,
  id: 'tenant-2',
  logins: [],
  domains: [{ domain: 'other.example', subdomains: false }],
  senders: [],
}
const here = (id: string): IntakeTenant['networks'] => [{ id, cidr: '127.0.0.0/8' }]

test('a tenant needs no password from its own network, and nobody else can use it', async (t) => {
  const clients = new ChangingClients()
  clients.now = of({ ...tenant, networks: [{ id: 'net-1', cidr: '127.0.0.1/32' }] })
  const rig = await startRig(t, { clients, authWithoutTlsOnLoopback: true })
  const client = await rig.hello()
  assert.equal(await client.commands('RCPT TO:<c@d>'), '503 5.5.1')
  assert.equal(await send(client, 'ann@shop.example', 'ann@shop.example'), '250 2.0.0')
  assert.equal(await send(client, 'ann@other.example', 'ann@shop.example'), '550 5.7.1')
  assert.equal(await send(client, 'ann@shop.example', 'ann@other.example'), '550 5.7.1')
  assert.equal(await send(client, '', 'ann@shop.example'), '250 2.0.0')
  const heads = rig.spool.committed.map(({ head }) => [head.tenant, head.facts.credentialId])
  assert.deepEqual(heads, [
    ['tenant-1', 'net-1'],
    ['tenant-1', 'net-1'],
  ])
  const stranger = await rig.hello({ localAddress: '127.0.0.2' })
  assert.equal(await send(stranger, 'ann@shop.example', 'ann@shop.example'), '530 5.7.0')
})

test('on a network that tenants share, each message is of the one whose sender it has, and a login says it for all', async (t) => {
  const clients = new ChangingClients()
  clients.now = of({ ...tenant, networks: here('net-1') }, { ...other, networks: here('net-2') })
  const rig = await startRig(t, { clients, authWithoutTlsOnLoopback: true })
  const client = await rig.hello()
  assert.equal(await send(client, 'ann@shop.example', 'ann@shop.example'), '250 2.0.0')
  assert.equal(await send(client, 'ann@other.example', 'ann@other.example'), '250 2.0.0')
  // One tenant's return path does not open another's From.
  assert.equal(await send(client, 'ann@other.example', 'ann@shop.example'), '550 5.7.1')
  for (const returnPath of ['', 'ann@nobody.example']) {
    assert.equal(await client.commands(`MAIL FROM:<${returnPath}>`), '550 5.7.1')
    assert.equal(rig.events.at(-1)?.code, 'sender_of_nobody')
  }
  assert.equal(await client.commands('RCPT TO:<c@d>', 'DATA'), '503 5.5.1')
  assert.equal(await client.commands(plain('shop')), '235 2.7.0')
  assert.equal(await send(client, '', 'ann@shop.example'), '250 2.0.0')
  assert.equal(await send(client, 'ann@other.example', 'ann@other.example'), '550 5.7.1')
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => [head.tenant, head.facts.credentialId]),
    [
      ['tenant-1', 'net-1'],
      ['tenant-2', 'net-2'],
      ['tenant-1', 'login-1'],
    ],
  )
})

test('a network that is removed makes a stranger of who is there, at the next MAIL and at the end of content', async (t) => {
  const clients = new ChangingClients()
  const known = of({ ...tenant, networks: here('net-1') })
  clients.now = known
  const rig = await startRig(t, { clients })
  const [idle, sending] = [await rig.hello(), await rig.hello()]
  assert.equal(await send(idle, 'ann@shop.example', 'ann@shop.example'), '250 2.0.0')
  assert.equal(await sending.commands('MAIL FROM:<ann@shop.example>', 'RCPT TO:<c@d>', 'DATA'), '354')
  clients.now = of({ ...tenant, networks: [] })
  assert.equal(await idle.commands('MAIL FROM:<ann@shop.example>'), '550 5.7.1')
  sending.send('From: ann@shop.example\r\n\r\nx\r\n.\r\n')
  assert.equal((await sending.reply()).codes, '421 4.7.0')
  assert.equal(await sending.closed(), '')
  assert.equal(rig.spool.committed.length, 1)
  // Known again, the session that stayed open goes on.
  clients.now = known
  assert.equal(await send(idle, 'ann@shop.example', 'ann@shop.example'), '250 2.0.0')
})

test('what the network said is forgotten with the message: no client outlives RSET, EHLO or STARTTLS', async (t) => {
  const clients = new ChangingClients()
  clients.now = of({ ...tenant, networks: here('net-1') }, { ...other, networks: here('net-2') })
  const rig = await startRig(t, { clients })
  const client = await rig.hello()
  for (const between of ['RSET', 'EHLO again']) {
    assert.equal(await client.commands('MAIL FROM:<ann@shop.example>', 'RCPT TO:<c@d>'), '250 2.1.5')
    await client.command(between)
    assert.equal(await client.commands('MAIL FROM:<>'), '550 5.7.1')
  }
  assert.equal(await send(client, 'ann@shop.example', 'ann@shop.example'), '250 2.0.0')
  assert.equal((await client.command('STARTTLS')).code, 220)
  await client.startTls()
  assert.equal(await client.commands('EHLO again', 'MAIL FROM:<>'), '550 5.7.1')
  assert.equal(await send(client, 'ann@other.example', 'ann@other.example'), '250 2.0.0')
  assert.equal(rig.spool.committed[1]?.head.tenant, 'tenant-2')
})
