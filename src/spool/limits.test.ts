/** Bounds of the spool at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { headFor, openRig, smallSpool, type SpoolRig, submit } from '../../test/support/spool-rig.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { BufferPool } from '../kernel/buffer-pool.ts'
import { KiB, MiB } from '../kernel/units.ts'
import { isFailure, type Transaction } from '../ports/submissions.ts'
import { inLog, valueOf } from '../model/submission.ts'
import type { QueueSource } from '../ports/queue.ts'
import { Carrier } from './carry.ts'
import { Checkpointer } from './checkpointer.ts'
import { CheckpointPort, makeCheckpointMemory } from './checkpoint-files.ts'
import { formatVersion, segmentHeaderBytes, writeSegmentHeader } from './layout.ts'
import {
  carriedShareMax,
  commitsWaitingMax,
  openFilesMax,
  recycledSegmentsMax,
  stageBytes,
  stagePoolBytesMax,
} from './limits.ts'
import { Channel, makeChannelMemory } from './channel.ts'
import { LogSegments } from './pins.ts'
import { RecordReader } from './reader.ts'
import { type Arrival, spoolRoot } from './spool.ts'
import { stageBuffers } from './stage-buffers.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

const wide = { ...smallSpool, segmentBytes: MiB, windowBytes: MiB, commitBytesMax: 16 * MiB, checkpointAfterBytes: MiB }

function begin({ submissions }: SpoolRig): Transaction {
  const transaction = submissions.begin(0, 'acme')
  assert.ok(!isFailure(transaction))
  return transaction
}

const intakeOf = ({ spool }: SpoolRig): Channel =>
  spool.channels.find(({ name }) => name === 'intake-0') ?? assert.fail('there is no intake log')

test('limit spool.stage: a transaction with 64 KiB spills, with one octet less it does not', () => {
  for (const bytes of around(stageBytes.value)) {
    const rig = openRig({ config: wide })
    rig.settle()
    const before = intakeOf(rig).writtenTo
    begin(rig).append(Buffer.alloc(bytes), 0, bytes)
    assert.equal(intakeOf(rig).writtenTo > before, bytes >= stageBytes.value)
  }
})

test('limit spool.stage-pool: of either size so many buffers are kept, the next one is given back', () => {
  for (const { bytes, keptMax } of stageBuffers) {
    const pool = new BufferPool(stageBuffers)
    const given = Array.from({ length: keptMax + 1 }, () => pool.take(bytes))
    for (const buffer of given) pool.give(buffer)
    const taken = new Set(given.map(() => pool.take(bytes)))
    assert.equal(given.filter((buffer) => taken.has(buffer)).length, keptMax)
  }
  assert.equal(stagePoolBytesMax.value, (512 * 16 + 64 * 128) * KiB)
})

test('limit spool.commits-waiting: so many wait for the disk, the next transaction hears 452', () => {
  const rig = openRig({ config: { ...wide, segmentBytes: 16 * MiB, windowBytes: 16 * MiB } })
  const content = Buffer.from('a: b\r\n\r\n')
  for (let i = 1; i < commitsWaitingMax.value; i++) submit(rig, content, () => {})
  assert.equal(typeof submit(rig, content, () => {}), 'string')
  const refused = rig.submissions.begin(0, 'acme')
  assert.ok(isFailure(refused))
  assert.deepEqual([refused.code, refused.smtp], ['spool_busy', '452 4.3.1'])
})

test('limit spool.reserve: a disk with as much free takes mail, with one octet less it does not', () => {
  for (const freeBytes of around(10 * MiB)) {
    const disk = new SimulatedDisk()
    disk.free = freeBytes
    const rig = openRig({ disk, config: { ...smallSpool, reserveBytes: 10 * MiB } })
    const transaction = rig.submissions.begin(0, 'acme')
    assert.equal(isFailure(transaction) ? transaction.smtp : 'taken', freeBytes < 10 * MiB ? '452 4.3.1' : 'taken')
  }
})

test('limit spool.window_size: mail as old as the window is still in memory, one octet older it is not', () => {
  const rig = openRig({ config: wide })
  submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
  rig.settle()
  const { place, number } = rig.seen[0] as Arrival
  const position = valueOf(place)
  for (const ageBytes of around(wide.windowBytes)) {
    intakeOf(rig).announceWrite(position + ageBytes)
    assert.equal(rig.spool.records.fromWindow(place, number) !== null, ageBytes <= wide.windowBytes)
  }
})

test('limit spool.segment_size: a segment is filled to its last block, then the next one is begun', () => {
  const rig = openRig()
  const batches = (smallSpool.segmentBytes - 4 * KiB) / (4 * KiB)
  for (let i = 0; i <= batches; i++) {
    submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
    rig.settle()
  }
  const segments = rig.seen.map(({ place }) => Math.floor(valueOf(place) / smallSpool.segmentBytes))
  const [first = 0] = segments
  assert.equal(segments.at(-3), first)
  assert.equal(segments.at(-2), first)
  assert.equal(segments.at(-1), first + 1)
})

test('limit spool.commit_delay: a commit that waits for company goes out when its time is over, and not before', () => {
  const rig = openRig({ config: wide })
  rig.settle()
  begin(rig).append(Buffer.from('somebody else'), 0, 13)
  submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
  const before = intakeOf(rig).closedTo
  rig.clock.advance(wide.commitDelayMs - 1)
  assert.equal(intakeOf(rig).closedTo, before)
  rig.clock.advance(1)
  assert.ok(intakeOf(rig).closedTo > before)
})

test('limit spool.commit_size_max: a batch of that size does not wait for company, one octet less does', () => {
  const commitBytesMax = 16 * KiB
  /** How much goes out at once with a content of so many octets; 0: it waits. */
  const sent = (contentBytes: number): number => {
    const rig = openRig({ config: { ...wide, commitBytesMax } })
    submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
    rig.settle()
    begin(rig).append(Buffer.from('somebody else'), 0, 13)
    const before = intakeOf(rig).closedTo
    const transaction = begin(rig)
    transaction.append(Buffer.alloc(contentBytes), 0, contentBytes)
    transaction.commit(headFor(['ann@example.net']), () => {})
    return intakeOf(rig).closedTo - before
  }
  let [waits, goes] = [0, commitBytesMax]
  while (goes - waits > 1) {
    const middle = (waits + goes) >> 1
    if (sent(middle) === 0) waits = middle
    else goes = middle
  }
  // Batches are padded to 4 KiB: a whole one at the edge, and one block more for one octet more.
  assert.deepEqual([sent(waits), sent(goes), sent(goes + 1)], [0, commitBytesMax, commitBytesMax + 4 * KiB])
})

test('limit spool.checkpoint_after: the queue is written down when the logs have grown by so much, one octet less does not do', () => {
  for (const grownBytes of around(wide.checkpointAfterBytes)) {
    let [grown, begun] = [0, 0]
    const checkpointer = new Checkpointer({
      port: new CheckpointPort(makeCheckpointMemory(), new Int32Array(2)),
      logs: { positions: () => (begun++, []), grownBytes: () => grown, settled: () => true },
      source: noQueue,
      clock: new VirtualClock(),
      afterBytes: wide.checkpointAfterBytes,
      nextNumber: 1,
      lastBytes: 0,
      onWritten: () => {},
      onFailed: () => {},
    })
    grown = grownBytes
    checkpointer.step()
    assert.equal(begun, grownBytes < wide.checkpointAfterBytes ? 0 : 1)
  }
})

test('limit spool.recycled-segments: four files are kept for the next segments, the fifth is removed', () => {
  for (const free of around(recycledSegmentsMax.value)) {
    const rig = openRig()
    rig.settle()
    const flusher = rig.flushers.find((_, i) => rig.spool.channels[i] === intakeOf(rig)) ?? assert.fail()
    for (let i = 0; i < free; i++) {
      const segment = 1_000 + i
      rig.disk.create(`${spoolRoot}/intake-0/${String(segment).padStart(8, '0')}.seg`).close()
      intakeOf(rig).offerFree(segment)
    }
    while (flusher.step());
    const kept = rig.disk.list(`${spoolRoot}/intake-0`).filter((name) => name.startsWith('00001'))
    assert.equal(kept.length, Math.min(free, recycledSegmentsMax.value))
  }
})

test('limit spool.open-files: sixty-four segments are open for reading, another one costs the oldest its place', async () => {
  let [opened, closed] = [0, 0]
  const disk = new SimulatedDisk()
  disk.open = (path) => {
    opened += 1
    const header = Buffer.alloc(segmentHeaderBytes)
    writeSegmentHeader(header, {
      version: formatVersion,
      log: 'intake-0',
      segment: Number(/(\d+)\.seg$/.exec(path)?.[1]),
      segmentBytes: MiB,
      salt: 1,
      firstBatch: 1,
      createdAtMs: 0,
      previousEnd: 0,
    })
    return {
      size: () => MiB,
      readAt: (buffer, offset, length) => (header.copy(buffer, offset, 0, length), length),
      readAtLater: async () => 0,
      writeAt: () => {},
      dataSync: () => {},
      close: () => void (closed += 1),
    }
  }
  const reader = new RecordReader(disk, [], MiB)
  const read = (segment: number): Promise<void> => assert.rejects(reader.fromFile(inLog(0, segment * MiB), 1))
  for (let segment = 1; segment <= openFilesMax.value; segment++) await read(segment)
  assert.deepEqual([opened, closed], [openFilesMax.value, 0])
  await read(openFilesMax.value + 1)
  assert.deepEqual([opened, closed], [openFilesMax.value + 1, 1])
})

test('limit spool.carried-share: a segment with an eighth of living mail is emptied, one with an octet more is not', () => {
  for (const livingBytes of around(MiB * carriedShareMax.value)) {
    let looked = 0
    const segments = new LogSegments(new Channel(makeChannelMemory('intake-0', MiB, MiB)))
    segments.found([1], 2)
    segments.add(1, livingBytes)
    const carrier = new Carrier({
      source: { ...noQueue, slotsIn: () => (looked++, []) },
      records: new RecordReader(new SimulatedDisk(), [], MiB),
      writer: () => assert.fail('there is nothing to carry'),
      stragglers: 1,
      segmentBytes: MiB,
      logs: new Map([[0, segments]]),
    })
    carrier.start(new Map([[0, 2 * MiB]]))
    assert.equal(looked, livingBytes > MiB * carriedShareMax.value ? 0 : 1)
  }
})

const noQueue: QueueSource = {
  writeRows: () => ({ next: -1, bytes: 0 }),
  flows: () => [],
  learned: () => [],
  slotsUsed: 0,
  slotsIn: () => [],
  relocate: () => false,
}
