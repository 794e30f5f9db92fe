import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { logBytesMax } from './limits.ts'
import { LogSink, type Write } from './log-sink.ts'

type Fault = 'ENOSPC' | 'EAGAIN' | number

/** A file that takes what it is given, but for one fault after another: an error, or only so many bytes. */
function file(...faults: Fault[]) {
  let text = ''
  const held: (() => void)[] = []
  const write: Write = (_, bytes, offset, length, __, done) => {
    held.push(() => {
      const fault = faults.shift() ?? length
      if (typeof fault === 'string') return done(Object.assign(new Error(fault), { code: fault }), 0)
      text += bytes.toString('utf8', offset, offset + Math.min(fault, length))
      done(null, Math.min(fault, length))
    })
  }
  /** Until nothing is under way. */
  const settle = (): void => {
    for (let next = held.shift(); next !== undefined; next = held.shift()) next()
  }
  return { write, settle, faults, lines: () => text.split('\n').slice(0, -1) }
}

test('lines are written in order, those that came meanwhile in one piece, and a short write is gone on with', () => {
  const disk = file(3)
  const sink = new LogSink(2, new VirtualClock(), disk.write)
  for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line)
  disk.settle()
  assert.deepEqual(disk.lines(), ['one', 'two', 'three'])
})

test('what a full disk does not take is left out, and counted once it takes lines again', () => {
  const disk = file('ENOSPC', 'ENOSPC')
  const sink = new LogSink(2, new VirtualClock(Date.UTC(2026, 10, 22)), disk.write)
  sink.write('one\n')
  sink.write('two\n')
  disk.settle()
  disk.faults.push('ENOSPC')
  sink.write('three\n')
  disk.settle()
  sink.write('four\n')
  disk.settle()
  const [told = '', ...others] = disk.lines()
  assert.deepEqual(JSON.parse(told), {
    level: 'warn',
    time: '2026-11-22T00:00:00.000Z',
    lines: 3,
    msg: 'log lines could not be written',
  })
  sink.write('five\n')
  disk.settle()
  assert.deepEqual([...others, disk.lines().at(-1)], ['four', 'five'])
})

test('a line that was cut by a full disk is no part of the next one', () => {
  const disk = file(2, 'ENOSPC')
  const sink = new LogSink(2, new VirtualClock(), disk.write)
  sink.write('one\n')
  disk.settle()
  sink.write('two\n')
  disk.settle()
  const [cut, told = '', whole] = disk.lines()
  assert.deepEqual([cut, (JSON.parse(told) as { lines: number }).lines, whole], ['on', 1, 'two'])
})

test('a pipe whose reader is slow is tried again after a while, and nothing is lost', () => {
  const disk = file(2, 'EAGAIN')
  const clock = new VirtualClock()
  const sink = new LogSink(2, clock, disk.write)
  sink.write('one\n')
  sink.write('two\n')
  disk.settle()
  assert.deepEqual(disk.lines(), [])
  clock.advance(100)
  disk.settle()
  assert.deepEqual(disk.lines(), ['one', 'two'])
})

test('limit app.log-waiting: a mebibyte waits, and not a byte more', () => {
  const line = `${'x'.repeat(1_023)}\n`
  const lines = logBytesMax.value / line.length
  for (const [more, omitted] of [
    [-1, 0],
    [0, 0],
    [1, 1],
  ] as const) {
    const disk = file()
    const sink = new LogSink(2, new VirtualClock(), disk.write)
    sink.write('is being written\n')
    for (let i = 0; i < lines + more; i++) sink.write(line)
    disk.settle()
    sink.write('last\n')
    disk.settle()
    assert.equal(disk.lines().length, 1 + lines + Math.min(more, 0) + omitted + 1)
    assert.equal(
      disk.lines().some((text) => text.includes('could not be written')),
      omitted > 0,
    )
  }
})
