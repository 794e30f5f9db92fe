/** What one session and all of them may hold: at the bound, one below, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SessionRig, sessionRig } from '../../../test/support/session-rig.ts'
import { goodMessage } from '../../../test/support/smtp-rig.ts'
import {
  headerBytesMax,
  sharedBytesMin,
  sharedBytesPerConnection,
  heldInputBytesMax,
  recipientOverheadBytes,
  repliesBytesMax,
  stuckSessionBytes,
} from './limits.ts'
import { SessionMemory } from './memory.ts'

const say = (session: { input(chunk: Buffer): void }, text: string): void => session.input(Buffer.from(text, 'latin1'))

/** Leaves `bytes` of what all sessions may hold. */
function leave({ server }: SessionRig, bytes: number): void {
  const { memory } = server
  assert.ok(memory.reserve(Math.max(sharedBytesMin.value, 100 * sharedBytesPerConnection.value) - memory.bytes - bytes))
}

const recipient = 'bob@example.test'
const recipientBytes = recipient.length + recipientOverheadBytes.value

const few = [10, sharedBytesMin.value] as const
const many = [10_000, 10_000 * sharedBytesPerConnection.value] as const

for (const [name, [connectionsMax, bytesMax]] of [
  ['limit smtp.shared-memory-least: it is there however few may come', few],
  ['limit smtp.shared-memory: so much is there for each who may come', many],
] as const) {
  test(name, () => {
    const memory = new SessionMemory(connectionsMax)
    assert.equal(memory.reserve(bytesMax - 1), true)
    assert.equal(memory.reserve(2), false)
    assert.equal(memory.reserve(1), true)
    assert.equal(memory.reserve(1), false)
    memory.release(bytesMax)
    assert.equal(memory.bytes, 0)
  })
}

test('limit smtp.recipient-overhead: a recipient that no memory is left for hears 452 4.3.1, and the others are sent to', () => {
  const rig = sessionRig()
  const { session, link } = rig.open()
  say(session, 'EHLO a\r\n')
  leave(rig, 2 * recipientBytes)
  link.take()
  say(session, `MAIL FROM:<a@b>\r\n${`RCPT TO:<${recipient}>\r\n`.repeat(3)}`)
  assert.deepEqual(link.take(), ['250 2.1.0', '250 2.1.5', '250 2.1.5', '452 4.3.1'])
  say(session, 'DATA\r\n')
  say(session, `${goodMessage}.\r\n`)
  rig.spool.settle()
  assert.deepEqual(link.take(), ['354', '250 2.0.0'])
  assert.deepEqual(rig.spool.committed[0]?.head.recipients, [recipient, recipient])

  say(session, `MAIL FROM:<a@b>\r\n${`RCPT TO:<${recipient}>\r\n`.repeat(2)}`)
  assert.deepEqual(link.take(), ['250 2.1.0', '250 2.1.5', '250 2.1.5'], 'what a message held is free after it')
})

test('a header in pieces that no memory is left for: 452 4.3.1 at the end of the content', () => {
  const begin = `EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<${recipient}>\r\n`
  for (const [spareBytes, code] of [
    [4_097, '250 2.0.0'],
    [4_096, '250 2.0.0'],
    [4_095, '452 4.3.1'],
  ] as const) {
    const rig = sessionRig()
    const { session, link } = rig.open()
    for (const line of begin.split(/(?<=\n)/)) say(session, line)
    say(session, 'DATA\r\n')
    leave(rig, spareBytes)
    link.take()
    say(session, goodMessage.slice(0, 20))
    say(session, goodMessage.slice(20))
    say(session, '.\r\n')
    rig.spool.settle()
    assert.deepEqual(link.take(), [code])
    assert.equal(rig.spool.open, 0)
  }
})

test('a header in many pieces is gathered up to its limit, and its memory is given back', () => {
  const field = `X-Filler: ${'x'.repeat(388)}\r\n`
  const rig = sessionRig()
  const { session, link } = rig.open()
  for (const [bytes, code] of [
    [headerBytesMax.value, '250 2.0.0'],
    [headerBytesMax.value + 1, '552 5.3.4'],
  ] as const) {
    const from = 'From: a@b.example\r\n'
    const fields = Math.floor((bytes - from.length - 2) / field.length) - 1
    const last = bytes - from.length - 2 - fields * field.length - 'Y: \r\n'.length
    const content = `${from}${field.repeat(fields)}Y: ${'y'.repeat(last)}\r\n\r\nbody\r\n.\r\n`
    for (const line of ['EHLO a', 'MAIL FROM:<a@b>', `RCPT TO:<${recipient}>`, 'DATA']) say(session, `${line}\r\n`)
    for (let at = 0; at < content.length; at += 1_460) say(session, content.slice(at, at + 1_460))
    rig.spool.settle()
    assert.equal(link.take().at(-1), code)
    assert.equal(rig.server.memory.bytes, 0)
  }
})

test('limit smtp.replies: they go out in pieces, however much is asked in one read', () => {
  const { session, link } = sessionRig().open()
  say(session, 'HELP\r\n'.repeat(10_000))
  const reply = '214 2.0.0 see RFC 5321\r\n'
  const largest = Math.max(...link.writes)
  assert.ok(largest >= repliesBytesMax.value && largest < repliesBytesMax.value + reply.length, `${largest} bytes`)
  assert.equal(link.sent.length, '220 mail.example.test ESMTP\r\n'.length + 10_000 * reply.length)
})

test('input that waits for a commit pauses the socket at its bound and not before, and is answered then', () => {
  for (const [bytes, pauses] of [
    [heldInputBytesMax.value - 1, false],
    [heldInputBytesMax.value, true],
    [heldInputBytesMax.value + 1, true],
  ] as const) {
    const rig = sessionRig()
    const { session, link } = rig.open()
    for (const line of ['EHLO a', 'MAIL FROM:<a@b>', `RCPT TO:<${recipient}>`, 'DATA']) say(session, `${line}\r\n`)
    say(session, `${goodMessage}.\r\n`)
    link.take()
    const padding = `VRFY ${'x'.repeat(bytes % 6)}`
    const noops = Math.floor(bytes / 6) - 2
    say(session, 'NOOP\r\n'.repeat(noops))
    assert.equal(link.paused, false)
    say(session, `${padding}${'y'.repeat(bytes - 6 * noops - padding.length - 2)}\r\n`)
    assert.equal(link.paused, pauses, `${bytes} bytes`)
    rig.spool.settle()
    assert.equal(link.paused, false)
    assert.equal(link.take().length, noops + 2)
  }
})

test('limit smtp.stuck-session: who does not fetch replies is waited for while there is memory, and dropped when there is none', () => {
  for (const [spareBytes, dropped] of [
    [stuckSessionBytes.value, false],
    [stuckSessionBytes.value - 1, true],
  ] as const) {
    const rig = sessionRig()
    const { session, link } = rig.open()
    leave(rig, spareBytes)
    const before = rig.server.memory.bytes
    link.fetches = false
    say(session, 'NOOP\r\nNOOP\r\n')
    assert.equal(link.ended, dropped)
    say(session, 'NOOP\r\n'.repeat(1_000))
    assert.equal(link.paused, !dropped)
    link.fetches = true
    if (!dropped) session.sendReady()
    assert.equal(rig.server.memory.bytes, before)
    assert.equal(session.closed, dropped)
    assert.equal(link.take().length, dropped ? 3 : 1_003)
  }
})
