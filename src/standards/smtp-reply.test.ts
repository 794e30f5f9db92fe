import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { replyLineBytesMax, replyLinesMax } from './limits.ts'
import { ReplyParser } from './smtp-reply.ts'

type Read = { replies: { code: number; lines: string[] }[]; fault: string | null; empty: boolean }

function read(...chunks: (string | Buffer)[]): Read {
  const parser = new ReplyParser()
  const replies: Read['replies'] = []
  for (const chunk of chunks) {
    parser.feed(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)
    for (let reply = parser.take(); reply !== null; reply = parser.take()) {
      replies.push({ code: reply.code, lines: reply.lines() })
    }
  }
  return { replies, fault: parser.fault, empty: parser.empty }
}

test('a reply of one line, of several, and without text', () => {
  const { replies, fault, empty } = read('220 hello there\r\n250-a\r\n250-b c\r\n250 d\r\n250\r\n354 \r\n')
  assert.deepEqual(replies, [
    { code: 220, lines: ['hello there'] },
    { code: 250, lines: ['a', 'b c', 'd'] },
    { code: 250, lines: [''] },
    { code: 354, lines: [''] },
  ])
  assert.equal(fault, null)
  assert.equal(empty, true)
})

test('row 136: a 1yz code is a fault, whatever follows', () => {
  const { replies, fault } = read('100 hi\r\n250 ok\r\n')
  assert.deepEqual(replies, [])
  assert.match(fault ?? '', /200 to 599/)
})

test('row 137: a line without a code is a fault', () => {
  for (const line of ['abc', '', '25', '2500 hi', '25x hi', ' 250 ok', '650 no', '250_ok']) {
    assert.notEqual(read(`${line}\r\n`).fault, null, JSON.stringify(line))
  }
})

test('row 138: codes that differ inside one reply are a fault', () => {
  const { replies, fault } = read('250-ok\r\n550 no\r\n')
  assert.deepEqual(replies, [])
  assert.equal(fault, 'codes 250 and 550 in one reply')
})

test('row 139, limit reply.lines: a reply ends at its last permitted line, at the latest', () => {
  const lines = (count: number): string => '250-x\r\n'.repeat(count - 1)
  assert.equal(read(`${lines(replyLinesMax.value)}250 end\r\n`).replies.length, 1)
  assert.match(read(`${lines(replyLinesMax.value + 1)}250 end\r\n`).fault ?? '', /more than 128 lines/)
})

test('row 140, limit reply.line: it has at most 4 KiB, and no more than that is kept', () => {
  const line = (bytes: number): string => `250 ${'x'.repeat(bytes - 6)}\r\n`
  assert.equal(read(line(replyLineBytesMax.value - 1)).replies.length, 1)
  assert.equal(read(line(replyLineBytesMax.value)).replies.length, 1)
  assert.match(read(line(replyLineBytesMax.value + 1)).fault ?? '', /longer than 4096 bytes/)
  assert.match(read(`250 ${'x'.repeat(1_000_000)}`).fault ?? '', /longer than 4096 bytes/)
})

test('row 141: a lone LF ends a line', () => {
  assert.deepEqual(read('250-a\n250 b\n').replies, [{ code: 250, lines: ['a', 'b'] }])
})

test('bytes behind a reply, and a reply begun, are not "empty"', () => {
  assert.equal(read('250 a\r\n2').empty, false)
  assert.equal(read('250-a\r\n').empty, false)
})

const replyText = fc.string({ unit: fc.constantFrom('a', '-', ' ', '2', '\r', '\x00', '\xff'), maxLength: 12 })
const wire = fc
  .array(fc.oneof(fc.constantFrom('250 ', '250-', '550 ', '55', 'x'), replyText, fc.constantFrom('\r\n', '\n')), {
    maxLength: 30,
  })
  .map((parts) => parts.join(''))

test('any split of the bytes gives the same replies and the same fault', () => {
  fc.assert(
    fc.property(wire, fc.array(fc.nat(40), { maxLength: 10 }), (text, sizes) => {
      const whole = read(text)
      const chunks: string[] = []
      let at = 0
      for (const size of sizes) chunks.push(text.slice(at, (at += size)))
      chunks.push(text.slice(at))
      assert.deepEqual(read(...chunks), whole)
      assert.deepEqual(read(...text.split('')), whole)
    }),
  )
})
