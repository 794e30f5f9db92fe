/** Whatever a server does while envelopes ride ahead: the bytes of each message are its own, and each grant has one truthful report. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { condition } from '../../test/support/condition.ts'
import { both, contentOf, contents, named, once as answers, pair } from '../../test/support/deliver-ahead.ts'
import { deliverRig, type MessageSpec } from '../../test/support/deliver-rig.ts'
import type { Answer, Conversation } from '../../test/support/scripted-server.ts'
import { BufferPool } from '../kernel/buffer-pool.ts'
import { type Random, seededRandom } from '../kernel/random.ts'
import { KiB } from '../kernel/units.ts'

interface Seen {
  opened: number
  ended: number
  released: number
}

/** A message in pooled memory, which is spoilt the moment it is given back. */
function pooled(pool: BufferPool, name: string, text: string, seen: Seen): MessageSpec {
  const { returnPath = '', recipients = [] } = named(name)
  return {
    returnPath,
    recipients,
    open() {
      seen.opened++
      const memory = pool.take(text.length)
      const blocks = [memory.subarray(0, memory.write(text, 'latin1'))]
      return {
        id: name,
        tenant: 'acme',
        returnPath,
        recipients,
        sizeBytes: text.length,
        eightBit: false,
        smtpUtf8: false,
        dsn: null,
        read() {
          const block = blocks.shift() ?? null
          if (block === null) seen.ended++
          return block
        },
        release() {
          seen.released++
          pool.give(memory.fill('!'))
        },
      }
    },
  }
}

test('replies split at every byte mean the same', async (t) => {
  const refusals = { 'first .': '250-2.0.0 it is\r\n250 2.0.0 taken', 'second RCPT': '450-4.2.1 a\r\n450 4.2.1 b' }
  const change = { second: { recipients: ['r@second.example', 's@second.example'] } }
  const whole = await pair(t, { answer: answers(refusals) }, change)
  const split = await pair(
    t,
    { answer: (line, conversation) => (slow(conversation, 1), answer(line, conversation)) },
    change,
  )
  const answer = answers(refusals)
  assert.deepEqual(await both(split), await both(whole))
  assert.deepEqual(contents(split), contents(whole))
  assert.deepEqual(contents(split), [[contentOf('first'), contentOf('second')]])
})

const slowed = new WeakSet<Socket>()

/** From now on the conversation's replies leave in pieces of this many bytes, one at each turn of the event loop. */
function slow({ socket }: Conversation, pieceBytes: number): void {
  if (slowed.has(socket)) return
  slowed.add(socket)
  const write = socket.write.bind(socket)
  let left = Buffer.alloc(0)
  const next = (): void => {
    if (socket.destroyed) return
    write(left.subarray(0, pieceBytes))
    left = left.subarray(pieceBytes)
    if (left.length > 0) setImmediate(next)
  }
  socket.write = (text: string) => {
    if (left.length === 0) setImmediate(next)
    left = Buffer.concat([left, Buffer.from(text, 'latin1')])
    return true
  }
}

/** A server that answers without reading: what it takes, it takes from the kernel's memory once `listen` is called. */
async function deafServer(t: TestContext) {
  let received = ''
  let socket: Socket | null = null
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
    socket = accepted
    accepted.on('error', () => {}).on('data', (bytes) => (received += bytes.toString('latin1')))
    accepted.pause()
    accepted.write('220 deaf\r\n250-deaf\r\n250 PIPELINING\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    socket?.destroy()
    server.close()
  })
  return {
    port: (server.address() as { port: number }).port,
    say: (text: string) => socket?.write(text),
    listen: () => socket?.resume(),
    received: () => received,
  }
}

test('a server that answers before it has read is never sent the bytes of another message', async (t) => {
  const rig = deliverRig(t)
  const server = await deafServer(t)
  const site = rig.site(server.port)
  const pool = new BufferPool([{ bytes: 64 * KiB, keptMax: 10 }])
  const seen = { opened: 0, ended: 0, released: 0 }
  const text = (i: number): string => `Subject: n${i}\r\n\r\n${`${i} `.repeat(20_000)}\r\n`
  const spec = (i: number): MessageSpec => pooled(pool, `n${i}`, text(i), seen)
  const messagesMax = 99
  for (let i = 1; i < messagesMax; i++) void rig.follow(site, spec(i))
  void rig.send(site, spec(0))
  await condition(() => seen.opened > 0)

  // As many as the kernel's memory holds are answered unread; the one after them waits in our own.
  let answered = 0
  for (; answered < messagesMax; answered++) {
    server.say('250 sender\r\n250 recipient\r\n354 go\r\n')
    for (let turns = 0; turns < 300 && seen.ended === answered; turns++) await turn()
    if (seen.ended === answered) break
    server.say('250 taken\r\n')
    await condition(() => rig.reports.length === answered + 1)
  }
  assert.ok(answered > 2 && answered < messagesMax, `${answered} messages fit into the kernel`)
  assert.ok(seen.released < answered, 'what has not left is not given back')

  server.listen()
  await condition(() => server.received().endsWith('DATA\r\n') && seen.ended === answered + 1)
  for (let i = 0; i <= answered; i++) assert.ok(server.received().includes(`DATA\r\n${text(i)}.\r\n`), `message ${i}`)
  assert.ok(!server.received().includes('!!'))
})

/** What happened to one message at a server that does as it likes. */
interface Fate {
  contents: number
  accepted: number
  refused: number
}

/** Answers at random, and writes down what it did; content that is not the message's own is written into `wrong`. */
function moodyServer(random: Random, texts: ReadonlyMap<string, string>, fates: Map<string, Fate>, wrong: string[]) {
  const nameOf = ({ commands }: Conversation): string =>
    /<(\w+)@/.exec(commands.findLast((line) => line.startsWith('MAIL')) ?? '')?.[1] ?? ''
  return (command: string, conversation: Conversation): Answer | Promise<Answer> => {
    slow(conversation, 1 + Math.floor(random.fraction() * 40))
    const name = nameOf(conversation)
    const fate = fates.get(name)
    if (fate === undefined || conversation.socket.destroyed) return undefined
    const verb = command.split(' ')[0]
    if (verb === 'RCPT' && command !== `RCPT TO:<r@${name}.example>`) wrong.push(`${command} for ${name}`)
    const content = conversation.contents.at(-1)
    // 354 after no recipient was taken.
    if (verb === '.' && content === '.\r\n') return undefined
    if (verb === '.') {
      fate.contents++
      if (content !== `${texts.get(name)}.\r\n`) wrong.push(`content of ${name}`)
    }
    const mood = random.fraction()
    if (mood < 0.04) return 'close'
    if (mood < 0.06) return new Promise(() => {}) // silence, on this connection for good
    if (mood < 0.08) return '250-2.0.0 yes\r\n550 5.0.0 no'
    if (mood < 0.11) return '421 4.3.2 going'
    if (mood < 0.15) return '451 4.3.0 later'
    if (mood < 0.21) {
      fate.refused++
      return mood < 0.17 && verb === 'MAIL' ? '501 5.1.7 bad' : '550 5.7.1 never'
    }
    if (verb === '.') fate.accepted++
    return mood < 0.3 ? new Promise((resolve) => setImmediate(() => resolve(undefined))) : undefined
  }
}

test('one truthful report per grant, each content once and whole, whatever the server does', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 4 }), async (seed, abreast) => {
      const rig = deliverRig(t)
      const random = seededRandom(seed)
      const pool = new BufferPool([{ bytes: 4 * KiB, keptMax: 10 }])
      const seen = { opened: 0, ended: 0, released: 0 }
      const texts = new Map<string, string>()
      const fates = new Map<string, Fate>()
      const wrong: string[] = []
      const server = await rig.server({ answer: moodyServer(random, texts, fates, wrong) })
      const site = rig.site(server.port)
      const left = { following: 0, direct: 0 }
      const compose = (): MessageSpec => {
        const name = `n${texts.size}`
        texts.set(name, `Subject: ${name}\r\n\r\n${`${name} `.repeat(1 + Math.floor(random.fraction() * 500))}\r\n`)
        fates.set(name, { contents: 0, accepted: 0, refused: 0 })
        return pooled(pool, name, texts.get(name) as string, seen)
      }
      const send = (): void => {
        left.direct++
        void rig.send(site, compose()).then(() => left.direct--)
      }
      for (let i = 0; i < 12; i++) {
        left.following++
        void rig.follow(site, compose()).then(() => left.following--)
      }
      for (let i = 0; i < abreast; i++) send()

      for (let turns = 0, reports = 0; left.following > 0 || left.direct > 0; turns++) {
        await turn()
        // Connections ask for those that follow; somebody must go first.
        if (left.direct === 0 && left.following > 0) send()
        if (rig.reports.length > reports) turns = 0
        reports = rig.reports.length
        if (turns > 300) rig.clock.advance(700_000)
        if (turns > 300) turns = 0
      }
      const stopped = rig.deliverer.stop(0)
      rig.clock.advance(1)
      await stopped

      assert.deepEqual(wrong, [])
      assert.equal(rig.reports.length, texts.size)
      assert.equal(new Set(rig.reports.map(({ grant }) => grant.id)).size, texts.size)
      for (const { grant, outcomes } of rig.reports) {
        const name = `n${grant.id - 1}`
        const fate = fates.get(name) as Fate
        const kind = outcomes[0]?.kind ?? ''
        const told = `seed ${seed}: ${name} is ${JSON.stringify(outcomes[0])}, ${JSON.stringify(fate)}`
        assert.ok(fate.contents <= 1, told)
        if (kind === 'delivered') assert.equal(fate.accepted, 1, told)
        else if (kind === 'bounced') assert.ok(fate.refused > 0 && fate.accepted === 0, told)
        else if (kind === 'deferred') assert.equal(fate.accepted, 0, told)
        else assert.equal(kind, 'uncertain', told)
      }
    }),
    { numRuns: 40 },
  )
})
