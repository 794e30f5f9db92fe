/** Bounds of the spool at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { headFor, openRig, smallSpool, type SpoolRig, submit } from '../../test/support/spool-rig.ts'
import { KiB, MiB } from '../kernel/units.ts'
import { isFailure, type Transaction } from '../ports/submissions.ts'
import { commitsWaitingMax, stageBytes } from './limits.ts'
import type { Channel } from './spool.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

const wide = { ...smallSpool, segmentBytes: MiB, windowBytes: MiB, commitBytesMax: 16 * MiB }

function begin({ spool }: SpoolRig): Transaction {
  const transaction = spool.submissions.begin(0)
  assert.ok(!isFailure(transaction))
  return transaction
}

const intakeOf = ({ spool }: SpoolRig): Channel => spool.channels[0] as Channel

test('limit spool.stage: a transaction with 64 KiB spills, with one octet less it does not', () => {
  for (const bytes of around(stageBytes.value)) {
    const rig = openRig({ config: wide })
    rig.settle()
    const before = intakeOf(rig).writtenTo
    begin(rig).append(Buffer.alloc(bytes), 0, bytes)
    assert.equal(intakeOf(rig).writtenTo > before, bytes >= stageBytes.value)
  }
})

test('limit spool.commits-waiting: so many wait for the disk, the next transaction hears 452', () => {
  const rig = openRig({ config: { ...wide, segmentBytes: 16 * MiB, windowBytes: 16 * MiB } })
  const content = Buffer.from('a: b\r\n\r\n')
  for (let i = 1; i < commitsWaitingMax.value; i++) submit(rig, content, () => {})
  assert.equal(typeof submit(rig, content, () => {}), 'string')
  const refused = rig.spool.submissions.begin(0)
  assert.ok(isFailure(refused))
  assert.deepEqual([refused.code, refused.smtp], ['spool_busy', '452 4.3.1'])
})

test('limit spool.reserve: a disk with as much free takes mail, with one octet less it does not', () => {
  for (const freeBytes of around(10 * MiB)) {
    const disk = new SimulatedDisk()
    disk.free = freeBytes
    const rig = openRig({ disk, config: { ...smallSpool, reserveBytes: 10 * MiB } })
    const transaction = rig.spool.submissions.begin(0)
    assert.equal(isFailure(transaction) ? transaction.smtp : 'taken', freeBytes < 10 * MiB ? '452 4.3.1' : 'taken')
  }
})

test('limit spool.window_size: mail as old as the window is still in memory, one octet older it is not', () => {
  const rig = openRig({ config: wide })
  submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
  rig.settle()
  const { position, sequence } = rig.seen[0] as SpoolRig['seen'][number]
  for (const ageBytes of around(wide.windowBytes)) {
    intakeOf(rig).announceWrite(position + ageBytes)
    assert.equal(rig.spool.records.fromWindow(position, sequence) !== null, ageBytes <= wide.windowBytes)
  }
})

test('limit spool.segment_size: a segment is filled to its last block, then the next one is begun', () => {
  const rig = openRig()
  const batches = (smallSpool.segmentBytes - 4 * KiB) / (4 * KiB)
  for (let i = 0; i <= batches; i++) {
    submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
    rig.settle()
  }
  const segments = rig.seen.map(({ position }) => Math.floor(position / smallSpool.segmentBytes))
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
