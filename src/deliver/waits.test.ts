/** How long a server may be silent, in every state of the dialogue: a millisecond before its time nothing happens, at its time it is over. */
import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import test from 'node:test'
import { openNet } from '../adapters/net/net.ts'
import { condition } from '../../test/support/condition.ts'
import { addressesAre, deliverRig, type MessageSpec } from '../../test/support/deliver-rig.ts'
import type { Script, ScriptedServer } from '../../test/support/scripted-server.ts'
import type { Site } from '../model/site.ts'
import type { Net } from '../ports/net.ts'
import { waitLimits } from './waits.ts'

interface Silence {
  /** What the server does until it falls silent. */
  readonly script?: Script
  readonly message?: MessageSpec
  /** Follows in the same write. */
  readonly ahead?: MessageSpec
  readonly site?: Partial<Site>
  readonly messagesPerConnection?: number
  /** The server has what it will not answer. */
  readonly reached: (server: ScriptedServer) => boolean
  /** "deferred 4.4.2", or what stood when the silence began. */
  readonly outcome: string
  /** Instead of the server. */
  readonly connect?: () => Socket
}

const heard =
  (text: string) =>
  ({ conversations }: ScriptedServer): boolean =>
    conversations[0]?.received.includes(text) === true

const silentAt = (command: string, extensions: readonly string[] = ['PIPELINING']): Script => ({
  extensions,
  answer: (line) => (line.startsWith(command) ? null : undefined),
})

const password = { credentials: { user: 'app', password: 'open sesame' } }
const verified: Partial<Site> = { tls: 'verified' }
const refuseAll = (answers: Record<string, string | null>): Script => ({
  answer: (line) => (line.startsWith('RCPT') ? '550 5.1.1 no' : answers[line]),
})

/** By the title of the test. */
const silences: Record<string, Silence> = {
  'limit deliver.wait-connect': {
    connect: () => new Socket(),
    reached: () => true,
    outcome: 'deferred 4.4.1',
  },
  'limit deliver.wait-greeting': {
    script: { greeting: null },
    reached: ({ conversations }) => conversations.length === 1,
    outcome: 'deferred 4.4.2',
  },
  'limit deliver.wait-ehlo': { script: silentAt('EHLO'), reached: heard('EHLO'), outcome: 'deferred 4.4.2' },
  'limit deliver.wait-helo': {
    script: { answer: (line) => (line.startsWith('EHLO') ? '502 no' : line.startsWith('HELO') ? null : undefined) },
    reached: heard('HELO'),
    outcome: 'deferred 4.4.2',
  },
  'limit deliver.wait-starttls': {
    script: silentAt('STARTTLS', ['STARTTLS']),
    site: verified,
    reached: heard('STARTTLS\r\n'),
    outcome: 'deferred 4.7.5',
  },
  'limit deliver.wait-handshake': {
    script: { extensions: ['STARTTLS'] },
    site: verified,
    reached: heard('STARTTLS\r\n\x16'),
    outcome: 'deferred 4.7.5',
  },
  'limit deliver.wait-auth': {
    script: silentAt('AUTH', ['AUTH PLAIN']),
    site: password,
    reached: heard('AUTH PLAIN'),
    outcome: 'deferred 4.4.2',
  },
  'limit deliver.wait-auth-user': {
    script: { extensions: ['AUTH LOGIN'], answer: (line) => loginAnswers.get(line) },
    site: password,
    reached: heard('YXBw\r\n'),
    outcome: 'deferred 4.4.2',
  },
  'limit deliver.wait-auth-password': {
    script: { extensions: ['AUTH LOGIN'], answer: (line) => (line === 'YXBw' ? '334 p' : loginAnswers.get(line)) },
    site: password,
    reached: heard('b3BlbiBzZXNhbWU=\r\n'),
    outcome: 'deferred 4.4.2',
  },
  'limit deliver.wait-prepare': {
    message: { open: () => new Promise(() => {}) },
    reached: heard('EHLO'),
    outcome: 'deferred 4.3.0',
  },
  'limit deliver.wait-envelope': { script: silentAt('MAIL', []), reached: heard('MAIL'), outcome: 'deferred 4.4.2' },
  'limit deliver.wait-content': {
    script: { stopReadingAfter: 'DATA' },
    message: { read: () => Buffer.alloc(1 << 20, 'line\r\n') },
    reached: heard('DATA'),
    outcome: 'deferred 4.4.2',
  },
  'limit deliver.wait-final': {
    script: silentAt('.'),
    reached: ({ conversations }) => conversations[0]?.contents.length === 1,
    outcome: 'uncertain 4.4.2',
  },
  'limit deliver.wait-ahead': {
    script: {
      answer: (_, { commands }) => (commands.some((line) => line.includes('<second@')) ? null : undefined),
    },
    ahead: { returnPath: 'second@example.com' },
    reached: heard('MAIL FROM:<second'),
    outcome: 'delivered 2.0.0',
  },
  'limit deliver.wait-void': {
    script: refuseAll({ DATA: '354 go ahead', '.': null }),
    reached: ({ conversations }) => conversations[0]?.contents.length === 1,
    outcome: 'bounced 5.1.1',
  },
  'limit deliver.wait-reset': {
    script: refuseAll({ DATA: '554 no valid recipients', RSET: null }),
    reached: heard('RSET'),
    outcome: 'bounced 5.1.1',
  },
  'limit deliver.wait-quit': {
    messagesPerConnection: 1,
    script: { answer: (line, { socket }) => void (line === '.' && socket.pause()) },
    reached: ({ conversations }) => conversations[0]?.contents.length === 1,
    outcome: 'delivered 2.0.0',
  },
}

const loginAnswers = new Map<string, string | null>([
  ['AUTH LOGIN', '334 u'],
  ['YXBw', null],
  ['b3BlbiBzZXNhbWU=', null],
])

const config = {
  ehloName: 'sender.example',
  connectionsPerSite: 20,
  connectionsMax: 100,
  recipientsPerTransaction: 100,
  messagesPerConnection: 100,
  idleConnectionMs: 3_600_000,
  tls: 'opportunistic',
  port: 25,
} as const

/** Loopback for every address, and the first socket to look at. */
function watchedNet(port: () => number, connect?: () => Socket): { net: Net; socket: () => Socket | undefined } {
  const net = openNet({ loopbackOnly: true })
  const sockets: Socket[] = []
  return {
    socket: () => sockets[0],
    net: {
      connect(target) {
        const socket = connect?.() ?? net.connect({ ...target, address: '127.0.0.1', port: port() })
        sockets.push(socket)
        return socket
      },
      secure: (socket, options) => net.secure(socket, options),
    },
  }
}

const timeOf = (title: string): number => {
  const found = waitLimits().find(({ name }) => title === `limit ${name}`)
  assert.ok(found !== undefined, title)
  return found.value
}

for (const [title, silence] of Object.entries(silences)) {
  test(`${title}: nothing a millisecond before its time, all over at it`, async (t) => {
    let port = 0
    const { net, socket } = watchedNet(() => port, silence.connect)
    const { messagesPerConnection = config.messagesPerConnection } = silence
    const rig = deliverRig(t, { net, config: { ...config, messagesPerConnection } })
    const server = await rig.server(silence.script)
    port = server.port
    rig.addresses.set('mx.example.net', addressesAre('192.0.2.1'))
    const hosts = [{ host: '127.0.0.1', preference: 0 }]
    const site = rig.site(server.port, { hosts, ...silence.site })
    if (silence.ahead !== undefined) void rig.follow(site, silence.ahead)
    const report = rig.send(site, silence.message)
    const settled = silence.outcome.startsWith('delivered')
    await condition(() => silence.reached(server) && (!settled || rig.reports.length === 1))
    await stillness(server)
    rig.clock.advance(timeOf(title) - 1)
    assert.equal(socket()?.destroyed, false)
    assert.equal(rig.reports.length, settled ? 1 : 0)
    rig.clock.advance(1)
    assert.equal(socket()?.destroyed, true)
    const [outcome] = (await report).outcomes
    assert.equal(`${outcome?.kind} ${outcome?.enhanced}`, silence.outcome)
  })
}

test('limit deliver.wait-idle: a connection rests for five minutes at most, whatever is configured', async (t) => {
  const rig = deliverRig(t, { config })
  const server = await rig.server()
  await rig.send(rig.site(server.port))
  rig.clock.advance(timeOf('limit deliver.wait-idle') - 1)
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 1 })
  rig.clock.advance(1)
  assert.deepEqual(rig.deliverer.connections(), { active: 0, idle: 0 })
})

/** Until the server has had nothing new for some turns of the event loop, so that our side has come to its wait as well. */
async function stillness({ conversations }: ScriptedServer): Promise<void> {
  let reads = -1
  for (let turns = 0; turns < 10; turns++) {
    const now = conversations.reduce((sum, conversation) => sum + conversation.reads, 0)
    if (now !== reads) turns = 0
    reads = now
    await new Promise((resolve) => setImmediate(resolve))
  }
}
