/** Bounds of a log and of the memory around it at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { openRig, smallSpool } from '../../test/support/spool-rig.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { seededRandom } from '../kernel/random.ts'
import { KiB, MiB } from '../kernel/units.ts'
import { makeChannelMemory } from './channel.ts'
import { batchHeaderBytes, recordHeaderBytes, recordTypes } from './layout.ts'
import {
  batchBytesMax,
  freeRingMax,
  outcomeCommitMsMax,
  recordBytesMax,
  segmentRingMax,
  segmentsPerWindowMax,
} from './limits.ts'
import { OutcomeLog } from './outcome-log.ts'
import { Channel, makeSpoolMemory, type StoredOutcome } from './spool.ts'
import { LogWriter } from './writer.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

const broken = { name: 'InvariantBroken' }

const channelOf = (bytes: number): Channel => new Channel(makeChannelMemory('intake-0', bytes, bytes))

function writerOf(bytes: number): LogWriter {
  return new LogWriter({
    channel: channelOf(bytes),
    wake: new Int32Array(new SharedArrayBuffer(8)),
    clock: new VirtualClock(),
    random: seededRandom(1),
    start: { nextSegment: 1, nextBatch: 1, previousEnd: 0 },
  })
}

const outcome: StoredOutcome = {
  log: 0,
  place: 0,
  atMs: 1,
  attempt: {
    startedAtMs: 1,
    host: '',
    address: '',
    source: '',
    tls: '',
    reusedConnection: false,
    connectedMs: -1,
    envelopeMs: -1,
    finishedMs: 0,
  },
  recipients: [],
}

test('limit spool.record: a record of 2 MiB is written, one octet more is a broken invariant', () => {
  for (const bytes of around(recordBytesMax.value)) {
    const writer = writerOf(16 * MiB)
    const write = (): void => {
      writer.start(recordTypes.chunk, 1, bytes)
      writer.finish()
      writer.closeBatch()
    }
    if (bytes > recordBytesMax.value) assert.throws(write, broken)
    else {
      write()
      assert.ok(writer.channel.closedTo - writer.channel.beganAt > bytes)
    }
  }
})

test('limit spool.batch: records up to 4 MiB share a batch, with one octet more the last one begins the next', () => {
  for (const bytes of around(batchBytesMax.value)) {
    const writer = writerOf(16 * MiB)
    const write = (payloadBytes: number): void => {
      writer.start(recordTypes.chunk, 1, payloadBytes)
      writer.finish()
    }
    write(2 * MiB)
    write(MiB)
    write(bytes - 3 * MiB - batchHeaderBytes - 3 * recordHeaderBytes)
    const { closedTo, beganAt } = writer.channel
    assert.equal(closedTo > beganAt, bytes > batchBytesMax.value)
  }
})

test('limit spool.segments-per-window: a window of sixteen segments is made, one of seventeen is refused with a cure', () => {
  for (const segments of around(segmentsPerWindowMax.value)) {
    const config = { ...smallSpool, segmentBytes: 8 * KiB, windowBytes: segments * 8 * KiB }
    const make = (): unknown => makeSpoolMemory(new SimulatedDisk(), config, 1)
    if (segments > segmentsPerWindowMax.value) assert.throws(make, { code: 'spool_sizes', exitCode: 78 })
    else make()
  }
})

test('limit spool.segment-ring: sixty-four plans are known, the next one costs the oldest its place', () => {
  for (const planned of around(segmentRingMax.value)) {
    const channel = channelOf(64 * KiB)
    for (let segment = 1; segment <= planned; segment++)
      channel.planSegment({ segment, salt: segment, firstBatch: 1, createdAtMs: 0, previousEnd: 0 })
    assert.equal(channel.segmentPlan(planned).salt, planned)
    assert.equal(channel.segmentPlan(2).salt, 2)
    if (planned > segmentRingMax.value) assert.throws(() => channel.segmentPlan(1), broken)
    else assert.equal(channel.segmentPlan(1).salt, 1)
  }
})

test('limit spool.free-ring: sixty-four free segments wait for the log thread, the next one is offered again later', () => {
  const channel = channelOf(64 * KiB)
  for (let segment = 1; segment <= freeRingMax.value; segment++) assert.equal(channel.offerFree(segment), true)
  assert.equal(channel.offerFree(100), false)
  assert.equal(channel.takeFree(), 1)
  assert.deepEqual([channel.offerFree(100), channel.offerFree(101)], [true, false])
  for (let segment = 2; segment <= freeRingMax.value; segment++) assert.equal(channel.takeFree(), segment)
  assert.deepEqual([channel.takeFree(), channel.takeFree()], [100, null])
})

test('limit spool.outcomes-waiting: as many as are allowed wait for room in the window, the next is a broken invariant', () => {
  const waitingMax = 3
  const log = new OutcomeLog({ writer: writerOf(64 * KiB), clock: new VirtualClock(), commitDelayMs: 10, waitingMax })
  let number = 1
  while (!log.waiting) log.append(number++, outcome)
  for (let waiting = 2; waiting <= waitingMax; waiting++) log.append(number++, outcome)
  assert.throws(() => log.append(number, outcome), broken)
})

test('limit spool.outcome-delay: outcomes go out 10 ms after the first of them, and not a millisecond before', () => {
  const rig = openRig()
  rig.settle()
  const channel = rig.spool.channels.find(({ name }) => name === 'outcome-0') ?? assert.fail('there is no outcome log')
  const before = channel.closedTo
  rig.spool.outcomes.append(1, outcome)
  rig.clock.advance(outcomeCommitMsMax.value - 1)
  rig.spool.outcomes.append(2, outcome)
  assert.equal(channel.closedTo, before)
  rig.clock.advance(1)
  assert.ok(channel.closedTo > before)
  assert.equal(rig.spool.outcomes.onDisk, false)
  rig.pump()
  assert.equal(rig.spool.outcomes.onDisk, true)
})
