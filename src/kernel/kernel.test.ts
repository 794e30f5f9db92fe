import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BoundedQueue } from './bounded-queue.ts'
import { BufferPool } from './buffer-pool.ts'
import { systemClock, VirtualClock } from './clock.ts'
import { uuidBytes, uuidText, uuidTimeMs, uuidV7 } from './ids.ts'
import { seededRandom, systemRandom } from './random.ts'
import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.ts'

test('a bounded queue is an array with a limit', () => {
  const command = fc.oneof(fc.constant('push'), fc.constant('push'), fc.constant('shift'))
  fc.assert(
    fc.property(fc.nat({ max: 40 }), fc.array(command, { maxLength: 200 }), (sizeMax, commands) => {
      const queue = new BoundedQueue<number>(sizeMax)
      const model: number[] = []
      for (const [i, what] of commands.entries()) {
        if (what === 'push') {
          assert.equal(queue.push(i), model.length < sizeMax)
          if (model.length < sizeMax) model.push(i)
        } else assert.equal(queue.shift(), model.shift())
        assert.deepEqual([queue.size, queue.peek()], [model.length, model[0]])
      }
    }),
  )
})

test('an id is a version 7 UUID whose text, bytes and time agree', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.nat(), (atMs, seed) => {
      const text = uuidV7(new VirtualClock(atMs), seededRandom(seed))
      assert.match(text, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      const bytes = uuidBytes(text)
      assert.ok(bytes)
      assert.equal(uuidText(bytes, 0), text)
      assert.equal(uuidTimeMs(bytes), atMs)
    }),
  )
})

test('ids sort by time, and a thousand of the same millisecond differ', () => {
  const clock = new VirtualClock()
  const sorted: string[] = []
  for (let i = 0; i < 1_000; i++) {
    sorted.push(uuidV7(clock, systemRandom))
    clock.advance(1)
  }
  assert.deepEqual(sorted.toSorted(), sorted)
  assert.equal(new Set(Array.from({ length: 1_000 }, () => uuidV7(clock, systemRandom))).size, 1_000)
})

test('what is not a UUID is null', () => {
  for (const text of [
    '',
    'x',
    '0190a1b2-0000-7000-8000-00000000000',
    '0190a1b2-0000-7000-8000-00000000000g',
    '../0190a1b2',
  ])
    assert.equal(uuidBytes(text), null)
  assert.equal(uuidBytes('0190A1B2-0000-7000-8000-0000000000FF')?.toString('hex'), '0190a1b20000700080000000000000ff')
})

test('sizes and durations need a unit, and come back as people write them', () => {
  for (const [text, bytes] of [
    ['50MiB', 50 * 2 ** 20],
    ['1.5 GB', 1.5e9],
    ['4096B', 4096],
    ['0B', 0],
  ] as const)
    assert.equal(parseBytes(text), bytes)
  for (const text of ['50', '', 'MiB', '-1MiB', '1  MiB', '1mib', '1MiB ', '1e3B', '1.MiB'])
    assert.equal(parseBytes(text), null)
  for (const [text, ms] of [
    ['1500ms', 1_500],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['72h', 259_200_000],
    ['7 d', 604_800_000],
  ] as const)
    assert.equal(parseDuration(text), ms)
  for (const text of ['30', '', 's', '-1s', '1 week', '1m30s']) assert.equal(parseDuration(text), null)
  assert.deepEqual([0, 1023, 1024, 1536, 64 * 2 ** 20, 2 ** 40].map(formatBytes), [
    '0 B',
    '1023 B',
    '1 KiB',
    '1.5 KiB',
    '64 MiB',
    '1024 GiB',
  ])
  assert.deepEqual([0, 999, 1_000, 90_000, 3_600_000, 259_200_000].map(formatDuration), [
    '0ms',
    '999ms',
    '1s',
    '1.5m',
    '1h',
    '3d',
  ])
})

test('the virtual clock fires in order of due time, each at its own moment', () => {
  const clock = new VirtualClock(1_000)
  const fired: string[] = []
  const at = (name: string) => () => void fired.push(`${name}@${clock.monotonicMs()}`)
  clock.after(30, at('c'))
  clock.after(10, at('a'))
  clock.after(10, at('b'))
  const cancelled = clock.after(20, at('never'))
  const refreshed = clock.after(15, at('refreshed'))
  clock.after(12, () => clock.after(5, at('nested')))
  cancelled.cancel()
  clock.advance(10)
  refreshed.refresh()
  clock.advance(40)
  assert.deepEqual(fired, ['a@10', 'b@10', 'nested@17', 'refreshed@25', 'c@30'])
  assert.deepEqual([clock.monotonicMs(), clock.nowMs()], [50, 1_050])
})

test('a jump of the wall clock moves no timer', () => {
  const clock = new VirtualClock(1_000_000)
  let fired = 0
  clock.after(100, () => (fired += 1))
  clock.jumpWall(-500_000)
  assert.equal(clock.nowMs(), 500_000)
  clock.jumpWall(86_400_000)
  clock.advance(99)
  assert.equal(fired, 0)
  clock.advance(1)
  assert.equal(fired, 1)
})

test('a timer that refreshes or repeats itself while it fires ends with the time given', () => {
  const clock = new VirtualClock()
  let fired = 0
  const timer = clock.after(10, () => {
    fired += 1
    timer.refresh()
  })
  clock.advance(100)
  assert.equal(fired, 10)
})

test('the system clock fires once, and its monotonic time never runs backwards', async () => {
  const before = systemClock.monotonicMs()
  await new Promise<void>((resolve) => {
    const alive = setInterval(() => {}, 1_000)
    systemClock.after(1, () => {
      clearInterval(alive)
      resolve()
    })
  })
  assert.ok(systemClock.monotonicMs() >= before + 0.5)
})

test('the same seed gives the same numbers, spread evenly', () => {
  const [one, other] = [seededRandom(42), seededRandom(42)]
  const numbers = Array.from({ length: 1_000 }, () => one.uint32())
  assert.deepEqual(
    Array.from({ length: 1_000 }, () => other.uint32()),
    numbers,
  )
  for (const random of [one, systemRandom]) {
    const tenths = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < 10_000; i++) {
      const fraction = random.fraction()
      assert.ok(fraction >= 0 && fraction < 1)
      tenths[Math.floor(fraction * 10)] = (tenths[Math.floor(fraction * 10)] as number) + 1
    }
    for (const count of tenths) assert.ok(count > 800 && count < 1_200, tenths.join(' '))
  }
})

test('a buffer pool lends each buffer to one at a time, and keeps no more than it may', () => {
  const pool = new BufferPool([
    { bytes: 16, keptMax: 2 },
    { bytes: 64, keptMax: 1 },
  ])
  const buffers = [pool.take(1), pool.take(16), pool.take(16)]
  assert.deepEqual(
    buffers.map(({ length }) => length),
    [16, 16, 16],
  )
  assert.equal(new Set(buffers).size, 3)
  for (const buffer of buffers) pool.give(buffer)
  const again = [pool.take(16), pool.take(16), pool.take(16)]
  assert.equal(again.filter((buffer) => buffers.includes(buffer)).length, 2)
  const large = pool.take(65)
  assert.equal(large.length, 65)
  pool.give(large)
  assert.notEqual(pool.take(64), large)
})
