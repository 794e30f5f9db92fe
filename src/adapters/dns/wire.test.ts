import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encode } from 'dns-packet'
import * as fc from 'fast-check'

import { seededRandom } from '../../kernel/random.ts'
import { recordsPerReplyMax } from './limits.ts'
import { readReply, type SentQuestion, writeQuestion } from './wire.ts'

const sent = writeQuestion({ name: 'example.com', type: 'MX' }, seededRandom(1), { edns: true, mixCase: true })

const reply = (question: SentQuestion): Buffer =>
  encode({
    type: 'response',
    id: question.id,
    flags: 0x180,
    questions: [{ type: question.type, name: question.name, class: 'IN' }],
    answers: [
      { type: 'CNAME', name: 'example.com', ttl: 60, data: 'Example.NET' },
      { type: 'MX', name: 'example.net', ttl: 60, data: { preference: 10, exchange: 'MX.example.net' } },
      { type: 'A', name: 'example.net', ttl: 60, data: '192.0.2.1' },
      { type: 'AAAA', name: 'example.net', ttl: 60, data: '2001:db8::1' },
      { type: 'TXT', name: 'example.net', ttl: 60, data: ['v=spf1 ', '-all'] },
      { type: 'PTR', name: 'example.net', ttl: 60, data: 'left.out' },
    ],
    authorities: [{ type: 'SOA', name: 'net', ttl: 300, data: { mname: 'ns.net', rname: 'root.net', minimum: 60 } }],
  })

test('a reply is read, its names in lower case', () => {
  assert.deepEqual(readReply(reply(sent), sent), {
    kind: 'message',
    message: {
      rcode: 0,
      caseKept: true,
      answers: [
        { type: 'CNAME', name: 'example.com', ttlMs: 60_000, target: 'example.net' },
        { type: 'MX', name: 'example.net', ttlMs: 60_000, preference: 10, exchange: 'mx.example.net' },
        { type: 'A', name: 'example.net', ttlMs: 60_000, address: '192.0.2.1' },
        { type: 'AAAA', name: 'example.net', ttlMs: 60_000, address: '2001:db8::1' },
        { type: 'TXT', name: 'example.net', ttlMs: 60_000, text: 'v=spf1 -all' },
      ],
      negativeTtlMs: 60_000,
    },
  })
})

test('a question mixes the case of letters only when told, and repeats its seed', () => {
  const plain = writeQuestion({ name: 'example.com', type: 'MX' }, seededRandom(1), { edns: false, mixCase: false })
  assert.equal(plain.name, 'example.com')
  assert.notEqual(sent.name, 'example.com')
  assert.equal(sent.name.toLowerCase(), 'example.com')
  assert.ok(sent.bytes.length > plain.bytes.length)
})

test('a query, another opcode or another id is foreign', () => {
  assert.equal(readReply(sent.bytes, sent).kind, 'foreign')
  const update = reply(sent)
  update.writeUInt16BE(0xa800, 2)
  assert.equal(readReply(update, sent).kind, 'foreign')
  assert.equal(readReply(reply(sent), { ...sent, id: sent.id ^ 1 }).kind, 'foreign')
  assert.equal(readReply(Buffer.alloc(0), sent).kind, 'foreign')
})

test('limit dns.records: records are counted before room is made for them', () => {
  for (const [count, reason] of [
    [recordsPerReplyMax.value, 'cannot be decoded'],
    [recordsPerReplyMax.value + 1, 'has too many records'],
  ] as const) {
    const bytes = reply(sent)
    bytes.writeUInt16BE(count, 6)
    bytes.writeUInt16BE(0, 8)
    assert.deepEqual(readReply(bytes, sent), { kind: 'unusable', reason })
  }
})

test('fuzz: random bytes never throw and are never a message with records', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const random = Buffer.from(bytes)
      if (random.length >= 4) random.writeUInt32BE(sent.id * 0x10000 + 0x8180, 0)
      const reading = readReply(random, sent)
      assert.ok(reading.kind !== 'message' || reading.message.answers.length === 0)
    }),
    { numRuns: 3_000 },
  )
})

test('fuzz: mutated replies never throw, and what is read is of the expected form', () => {
  const original = reply(sent)
  const mutation = fc.record({ at: fc.nat(original.length - 1), value: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 8 }), fc.nat(original.length), (mutations, length) => {
      const bytes = Buffer.from(original.subarray(0, length === 0 ? original.length : length))
      for (const { at, value } of mutations) if (at > 3 && at < bytes.length) bytes[at] = value
      const reading = readReply(bytes, sent)
      if (reading.kind !== 'message') return
      for (const record of reading.message.answers) {
        assert.ok(record.ttlMs >= 0 && record.ttlMs < 2 ** 31 * 1_000)
        assert.ok(record.name === record.name.toLowerCase())
      }
    }),
    { numRuns: 5_000 },
  )
})

test('fuzz: names that point backwards in long chains are read in bounded time', () => {
  // 2,000 pointers, each to the one before, and records that all begin with the last of them.
  const chain = Buffer.alloc(4_000)
  const header = reply(sent).subarray(0, 12)
  header.writeUInt16BE(0, 4)
  header.writeUInt16BE(recordsPerReplyMax.value, 6)
  header.writeUInt16BE(0, 8)
  for (let i = 0; i < 2_000; i++) chain.writeUInt16BE(0xc000 + 12 + Math.max(0, 2 * i - 2), 2 * i)
  assert.deepEqual(readReply(Buffer.concat([header, chain]), sent), { kind: 'unusable', reason: 'cannot be decoded' })
})
