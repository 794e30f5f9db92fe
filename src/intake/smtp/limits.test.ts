/** Every bound of the SMTP server at its edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import { sessionRig } from '../../../test/support/session-rig.ts'
import { SmtpClient } from '../../../test/support/smtp-client.ts'
import { goodMessage, type RigOptions, type SmtpRig, startRig } from '../../../test/support/smtp-rig.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { HeldInput } from './held-input.ts'
import * as limits from './limits.ts'
import { LineReader } from './line-reader.ts'
import { LoginGuard } from './login-guard.ts'

async function rigAndClient(t: TestContext, options: RigOptions = {}): Promise<[SmtpRig, SmtpClient]> {
  const rig = await startRig(t, options)
  return [rig, await rig.hello()]
}

/** Opens a transaction, sends the message with DATA, gives the final codes. */
async function sendData(client: SmtpClient, message: string): Promise<string> {
  assert.equal(await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'), '354')
  client.send(`${message}.\r\n`)
  return (await client.reply()).codes
}

/** A text of exactly so many octets, its CRLF included. */
const padded = (start: string, bytes: number): string => start + 'x'.repeat(bytes - start.length - 2) + '\r\n'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

test('limit smtp.command-line: 512 octets pass, 513 are refused', async (t) => {
  const [, client] = await rigAndClient(t)
  const [below, at, above] = around(limits.commandBytesMax.value)
  for (const bytes of [below, at]) assert.equal(await client.commands(padded('NOOP ', bytes).slice(0, -2)), '250 2.0.0')
  assert.equal(await client.commands(padded('NOOP ', above).slice(0, -2)), '500 5.5.2')
})

test('limit smtp.envelope-line: 2,048 octets are read, 2,049 are refused', async (t) => {
  const [, client] = await rigAndClient(t)
  const [below, at, above] = around(limits.envelopeCommandBytesMax.value)
  const line = (bytes: number): string => padded('MAIL FROM:<a@b> ', bytes).slice(0, -2)
  for (const bytes of [below, at]) assert.equal(await client.commands(line(bytes)), '555 5.5.4')
  assert.equal(await client.commands(line(above)), '500 5.5.2')
})

test('limit smtp.auth-line: 12,288 octets are read, 12,289 are refused', async (t) => {
  const [, client] = await rigAndClient(t, { authWithoutTlsOnLoopback: true })
  const [below, at, above] = around(limits.authLineBytesMax.value)
  const answer = async (bytes: number): Promise<string> => client.commands('AUTH PLAIN', 'A'.repeat(bytes - 2))
  for (const bytes of [below, at]) assert.equal(await answer(bytes), '501 5.5.2')
  assert.equal(await answer(above), '500 5.5.6')
})

test('limit smtp.refused-line: 65,536 octets are skipped, 65,537 end the session', () => {
  for (const bytes of around(limits.refusedLineBytesMax.value)) {
    const lines = new LineReader()
    assert.equal(lines.read(Buffer.alloc(limits.commandBytesMax.value + 1, 'x'), 0, false), 'too-long')
    const rest = Buffer.alloc(bytes - limits.commandBytesMax.value - 1, 'x')
    assert.equal(lines.read(rest, 0, false), bytes > limits.refusedLineBytesMax.value ? 'endless' : 'incomplete')
  }
})

test('limit smtp.content-line: 1,000 octets with CRLF pass, 1,001 are refused', async (t) => {
  const [, client] = await rigAndClient(t)
  const [below, at, above] = around(limits.contentLineBytesMax.value)
  for (const bytes of [below, at]) assert.equal(await sendData(client, goodMessage + padded('', bytes)), '250 2.0.0')
  assert.equal(await sendData(client, goodMessage + padded('', above)), '550 5.6.0')
})

test('limit smtp.header: 102,400 octets pass, one more is refused', async (t) => {
  const [, client] = await rigAndClient(t)
  const folded = (bytes: number): string => {
    const start = 'From: a@b\r\nX: y\r\n'
    const rest = bytes - start.length - 2
    return `${start}${padded(' ', 100).repeat(Math.floor(rest / 100) - 1)}${padded(' ', (rest % 100) + 100)}\r\n`
  }
  for (const bytes of around(limits.headerBytesMax.value)) {
    assert.equal(folded(bytes).length, bytes)
    const passes = bytes <= limits.headerBytesMax.value
    assert.equal(await sendData(client, `${folded(bytes)}body\r\n`), passes ? '250 2.0.0' : '552 5.3.4')
  }
})

test('limit smtp.header-fields: 1,000 pass, 1,001 are refused', async (t) => {
  const [, client] = await rigAndClient(t)
  for (const fields of around(limits.headerFieldsMax.value)) {
    const message = `From: a@b\r\n${'X:\r\n'.repeat(fields - 1)}\r\nbody\r\n`
    const passes = fields <= limits.headerFieldsMax.value
    assert.equal(await sendData(client, message), passes ? '250 2.0.0' : '552 5.3.4')
  }
})

test('limit smtp.received-fields: 50 pass, 51 look like a loop', async (t) => {
  const [, client] = await rigAndClient(t)
  for (const hops of around(limits.receivedFieldsMax.value)) {
    const message = 'Received: from a by b; now\r\n'.repeat(hops) + goodMessage
    const passes = hops <= limits.receivedFieldsMax.value
    assert.equal(await sendData(client, message), passes ? '250 2.0.0' : '554 5.4.6')
  }
})

test('limit smtp.chunks: 10,000 are taken, one more ends the session', async (t) => {
  const [rig, client] = await rigAndClient(t)
  const [, at] = around(limits.chunksPerMessageMax.value)
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
  client.send('BDAT 0\r\n'.repeat(at))
  for (let i = 0; i < at; i++) assert.equal((await client.reply()).codes, '250 2.0.0')
  assert.equal(await client.commands('BDAT 0'), '421 4.7.0')
  assert.equal(await client.closed(), '')
  assert.equal(rig.counters.badCommands, 0)
})

test('limit smtp.oversize: four times the largest message are read, one octet more ends the session', async (t) => {
  const messageBytesMax = 1_000
  const [, client] = await rigAndClient(t, { messageBytesMax })
  const [below, at, above] = around(limits.oversizeFactorMax.value * messageBytesMax)
  for (const bytes of [below, at]) {
    await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
    client.send(`BDAT ${bytes}\r\n${'x'.repeat(bytes)}`)
    assert.equal((await client.reply()).codes, '552 5.3.4')
    assert.equal(await client.commands('NOOP'), '250 2.0.0')
  }
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send('x'.repeat(above))
  assert.equal((await client.reply()).codes, '552 5.3.4')
  assert.equal(await client.closed(), '')
})

test('limit smtp.held-input: one octet below it input flows, at it the socket is paused', () => {
  for (const bytes of around(limits.heldInputBytesMax.value)) {
    let paused = 0
    const held = new HeldInput({ pause: () => paused++, resume: () => {} })
    held.push(Buffer.alloc(bytes))
    assert.equal(paused, bytes < limits.heldInputBytesMax.value ? 0 : 1)
  }
})

test('limit smtp.socket: so much waits in Node for a client that does not fetch, then no more is made', async (t) => {
  const accepted: Socket[] = []
  t.mock.method(Socket.prototype, 'setNoDelay', function (this: Socket) {
    accepted.push(this)
    return this
  })
  const rig = await startRig(t)
  const client = connect({ port: rig.port, host: '127.0.0.1' })
  t.after(() => client.destroy())
  await once(client, 'data')
  const [socket, ...others] = accepted
  assert.ok(socket !== undefined && others.length === 0)
  assert.equal(socket.readableHighWaterMark, limits.socketBytesMax.value)
  socket.cork()
  assert.equal(socket.write(Buffer.alloc(limits.socketBytesMax.value - 1)), true)
  assert.equal(socket.write(Buffer.alloc(1)), false)
})

test('limit smtp.bad-commands: nineteen are answered, the twentieth ends the session', async (t) => {
  const [, client] = await rigAndClient(t)
  for (let i = 1; i < limits.badCommandsMax.value; i++) assert.equal(await client.commands('XYZZY'), '500 5.5.1')
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  assert.equal(await client.commands('XYZZY'), '421 4.7.0')
  assert.equal(await client.closed(), '')
})

test('limit smtp.auth-failures: after nine another try is free, after ten one comes back every six seconds', async (t) => {
  const clock = new VirtualClock()
  const guard = new LoginGuard(clock)
  const everyMs = 60_000 / limits.authFailuresMax.value
  for (let i = 1; i < limits.authFailuresMax.value; i++) guard.failed('192.0.2.1')
  assert.equal(guard.allows('192.0.2.1'), true)
  guard.failed('192.0.2.1')
  assert.equal(guard.allows('192.0.2.1'), false)
  clock.advance(everyMs - 1)
  assert.equal(guard.allows('192.0.2.1'), false)
  clock.advance(1)
  assert.equal(guard.allows('192.0.2.1'), true)

  // In one session nothing comes back.
  const [rig, client] = await rigAndClient(t, { authWithoutTlsOnLoopback: true })
  for (let i = 0; i < limits.authFailuresMax.value; i++) {
    assert.equal(await client.commands('AUTH PLAIN AGEAYg=='), '535 5.7.8')
    rig.clock.advance(everyMs)
  }
  assert.equal(await client.commands('AUTH PLAIN AGEAYg=='), '421 4.7.0')
})

test('limit smtp.auth-addresses: ten thousand are remembered, one more costs the longest unused its place', () => {
  const guard = new LoginGuard(new VirtualClock())
  for (let i = 0; i < limits.authFailuresMax.value; i++) guard.failed('first')
  for (let i = 0; i < limits.authBucketsMax.value - 2; i++) guard.failed(`192.0.2.${i}`)
  assert.equal(guard.allows('first'), false)
  guard.failed('the last that fits')
  assert.equal(guard.allows('first'), false)
  guard.failed('one more')
  assert.equal(guard.allows('first'), true)
})

test('limit smtp.greeting-delay: who speaks before it is over is sent away, who waits for it is greeted', () => {
  const rig = sessionRig()
  const { link } = rig.connect()
  rig.clock.advance(limits.greetingDelayMs.value - 1)
  assert.equal(link.sent, '')
  rig.clock.advance(1)
  assert.match(link.sent, /^220 /)

  const early = rig.connect()
  rig.clock.advance(limits.greetingDelayMs.value - 1)
  early.session.input(Buffer.from('EHLO me\r\n'))
  assert.match(early.link.sent, /^554 5\.5\.0 /)
  assert.equal(early.link.ended, true)
})

test('limit smtp.handshake: a client may take 30 s for it, and not a millisecond more', async (t) => {
  const rig = await startRig(t, { listener: 'implicit' })
  const client = await SmtpClient.connect(rig.port)
  await condition(() => rig.intake.connections === 1)
  rig.clock.advance(limits.handshakeMsMax.value - 1)
  assert.equal(rig.intake.connections, 1)
  rig.clock.advance(1)
  assert.equal(await client.closed(), '')
})

test('limit smtp.linger: the last reply can be fetched for 5 s, then the connection is gone', async (t) => {
  const rig = await startRig(t)
  const socket = connect({ port: rig.port, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  await once(socket, 'data')
  socket.write('QUIT\r\n')
  await once(socket, 'end')
  rig.clock.advance(limits.lingerMsMax.value - 1)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(rig.intake.connections, 1)
  rig.clock.advance(1)
  await condition(() => rig.intake.connections === 0)
})

test('limit smtp.connections_max: as many as it says are inside, one more hears 421', async (t) => {
  const rig = await startRig(t, { connectionsMax: 3 })
  for (let i = 0; i < 3; i++) await rig.hello()
  const refused = await SmtpClient.connect(rig.port)
  assert.equal((await refused.reply()).codes, '421 4.3.2')
  assert.equal(await refused.closed(), '')
  assert.equal(rig.intake.connections, 3)
})

test('limit smtp.connections_per_address_max: of one address as many as it says are inside, one more hears 421', async (t) => {
  const rig = await startRig(t, { connectionsPerAddressMax: 3 })
  // Loopback is not counted, and tests come from nowhere else: Node asks the system for the peer by this method.
  const inside = Socket.prototype as Socket & { _getpeername(): { address: string } }
  t.mock.method(inside, '_getpeername', () => ({ address: '192.0.2.7' }))
  for (let i = 0; i < 3; i++) await rig.hello()
  const refused = await SmtpClient.connect(rig.port)
  assert.equal((await refused.reply()).codes, '421 4.3.2')
  assert.equal(await refused.closed(), '')
  assert.equal(rig.intake.connections, 3)
})

test('limit smtp.message_size_max: a message of that size passes, one octet more does not, at MAIL or at its end', async (t) => {
  const messageBytesMax = 1_000
  const [, client] = await rigAndClient(t, { messageBytesMax })
  for (const bytes of around(messageBytesMax)) {
    const passes = bytes <= messageBytesMax
    assert.equal(await client.commands(`MAIL FROM:<a@b> SIZE=${bytes}`, 'RSET'), '250 2.0.0')
    assert.equal(await client.commands(`MAIL FROM:<a@b> SIZE=${bytes}`), passes ? '250 2.1.0' : '552 5.3.4')
    await client.commands('RSET')
    const message = goodMessage + padded('', bytes - goodMessage.length)
    assert.equal(await sendData(client, message), passes ? '250 2.0.0' : '552 5.3.4')
  }
})

test('limit smtp.recipients_max: as many as it says are taken, one more hears 452', async (t) => {
  const [, client] = await rigAndClient(t, { recipientsMax: 3 })
  await client.command('MAIL FROM:<a@b>')
  for (const address of ['c@d', 'e@f', 'g@h']) assert.equal(await client.commands(`RCPT TO:<${address}>`), '250 2.1.5')
  assert.equal(await client.commands('RCPT TO:<i@j>'), '452 4.5.3')
})

test('limit smtp.idle_timeout: a command in its last millisecond is in time, silence until then is not', async (t) => {
  const [rig, client] = await rigAndClient(t, { idleMsMax: 300_000 })
  rig.clock.advance(299_999)
  assert.equal(await client.commands('NOOP'), '250 2.0.0')
  rig.clock.advance(300_000)
  assert.equal((await client.reply()).codes, '421 4.4.2')
  assert.equal(await client.closed(), '')
})

test('limit smtp.content_rate_min: content at that rate goes on, content one octet slower does not', async (t) => {
  const [rate, seconds] = [100, 300]
  const rig = await startRig(t, { contentBytesPerSecondMin: rate, idleMsMax: seconds * 1_000 })
  for (const bytes of around(rate * seconds)) {
    const client = await rig.hello()
    await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
    rig.spool.contentBytesPeak = 0
    client.send(goodMessage + padded('', 500).repeat(Math.floor(bytes / 500) - 2))
    const sent = goodMessage.length + 500 * (Math.floor(bytes / 500) - 2)
    client.send(padded('', 500) + padded('', bytes - sent - 500))
    await condition(() => rig.spool.contentBytesPeak === bytes)
    rig.clock.advance(seconds * 1_000)
    if (bytes >= rate * seconds) client.send('.\r\n')
    assert.equal((await client.reply()).codes, bytes < rate * seconds ? '421 4.4.2' : '250 2.0.0')
  }
})
