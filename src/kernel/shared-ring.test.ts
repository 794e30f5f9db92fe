import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import fc from 'fast-check'
import { systemClock, VirtualClock } from './clock.ts'
import { makeRingMemory, RingReader, RingSender, RingWriter } from './shared-ring.ts'

const messages = 5_000

/** Length and content of message i follow from its number, so that the other side can tell what it should have got. */
function fill(into: Buffer, i: number): number {
  const length = 4 + ((i * 7919) % 300)
  into.fill(i & 0xff, 0, length)
  into.writeUInt32LE(i, 0)
  return length
}

if (isMainThread) {
  test('a ring is a queue with a bound in bytes: nothing is lost, doubled, reordered or torn', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ push: fc.uint8Array({ maxLength: 120 }) }) },
      { weight: 1, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 6 }) }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const memory = makeRingMemory(256)
        const writer = new RingWriter(memory)
        const reader = new RingReader(memory)
        const expected: string[] = []
        const got: string[] = []
        for (const one of steps) {
          if ('take' in one) {
            const before = expected.length - got.length
            const taken = reader.drain(
              (bytes, at, length) => got.push(bytes.toString('hex', at, at + length)),
              one.take,
            )
            assert.equal(taken, Math.min(before, one.take))
          } else if (writer.push(Buffer.from(one.push))) expected.push(Buffer.from(one.push).toString('hex'))
          else assert.ok(expected.length > got.length, 'an empty ring has room')
        }
        reader.drain((bytes, at, length) => got.push(bytes.toString('hex', at, at + length)))
        assert.deepEqual(got, expected)
        assert.ok(reader.empty)
      }),
    )
  })

  test('a message that can never fit is a bug, not a wait', () => {
    const writer = new RingWriter(makeRingMemory(256))
    assert.ok(writer.push(Buffer.alloc(124)))
    assert.throws(() => writer.push(Buffer.alloc(125)), /too long/)
  })

  test('positions run over 2³² and go on', () => {
    const memory = makeRingMemory(64)
    new Int32Array(memory, 0, 2).fill(-64)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    for (let i = 0; i < 20; i++) {
      assert.ok(writer.push(Buffer.from([i, 1, 2, 3, 4])))
      let seen = -1
      reader.drain((bytes, at) => (seen = bytes[at] as number))
      assert.equal(seen, i)
    }
  })

  test('what a sender finds no room for goes out later, in order', () => {
    const memory = makeRingMemory(64)
    const clock = new VirtualClock()
    const sender = new RingSender(memory, clock)
    const reader = new RingReader(memory)
    const seen: number[] = []
    for (let i = 0; i < 50; i++) sender.send(Buffer.from([i]), 1)
    for (let turn = 0; turn < 50; turn++) {
      reader.drain((bytes, at) => seen.push(bytes[at] as number))
      clock.advance(1)
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 50 }, (_, i) => i),
    )
  })

  test('two threads: everything arrives once, in order and whole, through a ring that is far too small for it', async () => {
    const memory = makeRingMemory(4096)
    const reader = new RingReader(memory)
    const expected = Buffer.alloc(512)
    let next = 0
    const writer = new Worker(new URL(import.meta.url), { workerData: memory })
    await new Promise<void>((resolve, reject) => {
      writer.once('error', reject)
      reader.watch((bytes, at, length) => {
        const wanted = fill(expected, next)
        if (length !== wanted || bytes.compare(expected, 0, wanted, at, at + length) !== 0)
          reject(new Error(`message ${next} is not what was written`))
        next += 1
        if (next === messages) resolve()
      })
    })
    reader.close()
    await writer.terminate()
    assert.ok(reader.empty)
  })
} else {
  const sender = new RingSender(workerData as SharedArrayBuffer, systemClock)
  const message = Buffer.alloc(512)
  setInterval(() => {}, 1_000)
  for (let i = 0; i < messages; i++) sender.send(message, fill(message, i))
}
