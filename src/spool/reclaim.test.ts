/** Checkpoints, what may be used again behind them, and what a start makes of them when they are damaged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { VirtualClock } from '../kernel/clock.ts'
import { seededRandom } from '../kernel/random.ts'
import { KiB } from '../kernel/units.ts'
import { logOf } from '../model/submission.ts'
import { isFailure } from '../ports/submissions.ts'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import {
  deliverOne,
  headFor,
  openRig,
  pendingOf,
  smallSpool,
  submit,
  type SpoolRig,
} from '../../test/support/spool-rig.ts'
import { rangeHeaderBytes, rangeKinds, sealJson } from './checkpoint.ts'
import { stragglerLogNumber } from './files.ts'
import { dumpSpool, fsckSpool, rebuildQueue, spoolRoot } from './spool.ts'

const config = { ...smallSpool, segmentBytes: 64 * KiB, windowBytes: 64 * KiB }
const rigOn = (disk?: SimulatedDisk, seed = 1): SpoolRig =>
  openRig({ config, random: seededRandom(seed), ...(disk && { disk }) })

/** `count` messages of 10 KB, a few of them per segment. */
function fill(rig: SpoolRig, count: number): void {
  for (let i = 0; i < count; i++) {
    submit(rig, Buffer.alloc(10_000, 'a'), (failure) => assert.equal(failure, null))
    rig.settle()
  }
}

function checkpoint(rig: SpoolRig): void {
  rig.spool.reclaim.request()
  for (let i = 0; i < 1_000 && !rig.spool.reclaim.idle; i++) {
    rig.pump()
    rig.clock.advance(20)
  }
  assert.ok(rig.spool.reclaim.idle, 'the checkpoint comes to its end')
}

const checkpoints = (rig: SpoolRig): string[] => rig.disk.list(`${spoolRoot}/checkpoint`)
const segments = (rig: SpoolRig, log = 'intake-0'): string[] => rig.disk.list(`${spoolRoot}/${log}`)

test('the two newest checkpoints are kept, and a restart reads only what came after', () => {
  const rig = rigOn()
  fill(rig, 20)
  for (let i = 0; i < 4; i++) checkpoint(rig)
  assert.deepEqual(checkpoints(rig), ['00000003.ckpt', '00000004.ckpt'])
  fill(rig, 2)
  const again = rigOn(rig.disk as SimulatedDisk, 2)
  again.settle()
  assert.equal(again.spool.recovery.checkpoint, 4)
  assert.equal(again.queue.numbers.length, 22)
  assert.ok(again.spool.recovery.records <= 4, `${again.spool.recovery.records} records were read`)
})

test('segments behind both checkpoints without a slot are used again, under new names and salts', () => {
  const rig = rigOn()
  fill(rig, 60)
  const before = segments(rig).length
  for (const { number } of rig.seen) deliverOne(rig, number)
  rig.settle()
  checkpoint(rig)
  assert.ok(segments(rig).length >= before, 'one checkpoint is not enough')
  checkpoint(rig)
  rig.settle()
  const kept = segments(rig)
  assert.ok(kept.length <= 7, kept.join(' '))
  const creates = (rig.disk as SimulatedDisk).syncs
  fill(rig, 60)
  assert.ok(creates > 0 && !segments(rig).includes(kept[0] as string), 'the oldest was renamed')
  const again = rigOn(rig.disk as SimulatedDisk, 2)
  again.settle()
  assert.equal(again.queue.numbers.length, 60)
  assert.ok(fsckSpool(rig.disk).clean)
})

test('a segment with one living message stays, until that is carried away; its number does not change', async () => {
  const rig = rigOn()
  fill(rig, 40)
  const survivor = rig.seen[3] as SpoolRig['seen'][number]
  for (const arrival of rig.seen) if (arrival !== survivor) deliverOne(rig, arrival.number)
  rig.settle()
  checkpoint(rig)
  checkpoint(rig)
  rig.settle()
  assert.ok(segments(rig).includes('00000001.seg'), 'its segment stays')
  // A segment holds six of these: a living one is more than an eighth, so it is not worth the copying.
  rig.spool.reclaim.tick()
  await turn()
  rig.settle()
  assert.equal(rig.spool.reclaim.figures.carried, 0)
  const small = openRig({ disk: rig.disk, config, random: seededRandom(3) })
  small.settle()
  const tiny = submit(small, Buffer.from('Subject: tiny\r\n\r\nhello\r\n'), () => {}) as string
  small.settle()
  fill(small, 8)
  for (const { number, submission } of small.seen) if (submission.id !== tiny) deliverOne(small, number)
  for (let i = 0; i < 3; i++) {
    small.settle()
    checkpoint(small)
    small.spool.reclaim.tick()
    await turn()
  }
  small.settle()
  assert.equal(small.spool.reclaim.figures.carried, 1)
  const row = small.queue.rows.find(({ number }) => number === small.seen[0]?.number)
  assert.equal(logOf(row?.place ?? 0), stragglerLogNumber)
  checkpoint(small)
  checkpoint(small)
  const again = rigOn(rig.disk as SimulatedDisk, 4)
  again.settle()
  assert.deepEqual(again.queue.numbers, [survivor.number, row?.number])
  let content = ''
  dumpSpool(rig.disk, (entry) => {
    if (entry.submission.id === tiny) content = String(entry.content)
  })
  assert.match(content, /hello/)
})

test('chunks of a transaction that is open for long are not reclaimed under it, and are read back after a restart', async () => {
  const large = { ...smallSpool, segmentBytes: 256 * KiB, windowBytes: 256 * KiB }
  const rig = openRig({ config: large })
  const transaction = rig.submissions.begin(0, 'acme')
  assert.ok(!isFailure(transaction))
  const content = Buffer.alloc(100_000, 'c')
  transaction.append(content, 0, content.length)
  fill(rig, 80)
  for (const { number } of rig.seen) deliverOne(rig, number)
  rig.settle()
  checkpoint(rig)
  checkpoint(rig)
  rig.settle()
  assert.ok(segments(rig).includes('00000001.seg'))
  let settled = false
  transaction.commit(headFor(['late@example.net']), (failure) => {
    assert.equal(failure, null)
    settled = true
  })
  rig.settle()
  assert.ok(settled)
  checkpoint(rig)
  checkpoint(rig)
  const again = openRig({ disk: rig.disk, config: large, random: seededRandom(2) })
  again.settle()
  assert.equal(again.queue.rows.length, 1)
  assert.ok((again.queue.rows[0]?.span ?? 0) > 0)
  let found: Buffer | null = null
  dumpSpool(rig.disk, (entry) => {
    if (entry.pending.length > 0) found = entry.content
  })
  assert.ok((found as Buffer | null)?.equals(content))
  const [pending] = pendingOf(again)
  assert.equal(pending?.rows.length, 1)
})

test('a checkpoint that is half written is passed over: the one before it serves', () => {
  const rig = rigOn()
  fill(rig, 10)
  checkpoint(rig)
  fill(rig, 10)
  checkpoint(rig)
  fill(rig, 5)
  const newest = rig.disk.open(`${spoolRoot}/checkpoint/00000002.ckpt`, 'write')
  newest.writeAt(Buffer.alloc(8), 0, 8, newest.size() - 20)
  assert.deepEqual(
    fsckSpool(rig.disk).checkpoints.map(({ whole }) => whole),
    [true, false],
  )
  const again = rigOn(rig.disk as SimulatedDisk, 2)
  again.settle()
  assert.deepEqual([again.spool.recovery.checkpoint, again.spool.recovery.checkpointsDamaged], [1, 1])
  assert.equal(again.queue.numbers.length, 25)
  assert.deepEqual(checkpoints(again), ['00000001.ckpt'])
  checkpoint(again)
  assert.deepEqual(checkpoints(again), ['00000001.ckpt', '00000003.ckpt'])
})

test('row 109: without any checkpoint the queue is made of the logs, as long as they are complete', () => {
  const rig = rigOn()
  fill(rig, 10)
  checkpoint(rig)
  for (const name of checkpoints(rig)) rig.disk.remove(`${spoolRoot}/checkpoint/${name}`)
  const again = rigOn(rig.disk as SimulatedDisk, 2)
  again.settle()
  assert.deepEqual([again.spool.recovery.checkpoint, again.queue.numbers.length], [0, 10])
})

test('row 110: a checkpoint that is ahead of its log counts whom it cannot find, and numbers go on behind it', () => {
  const rig = rigOn()
  fill(rig, 20)
  checkpoint(rig)
  const names = segments(rig)
  for (const name of names.slice(2)) rig.disk.remove(`${spoolRoot}/intake-0/${name}`)
  const report = fsckSpool(rig.disk)
  assert.equal(report.clean, false)
  const again = rigOn(rig.disk as SimulatedDisk, 2)
  again.settle()
  assert.ok(again.spool.recovery.recipientsWithoutSegment > 0)
  assert.equal(again.spool.recovery.recipientsWithoutSegment, report.damagedSubmissions.length)
  fill(again, 1)
  const number = again.seen[0]?.number ?? 0
  assert.ok(rig.seen.every((arrival) => arrival.number < number))
  assert.ok(segments(again).some((name) => name > (names.at(-1) as string)))
})

test('both checkpoints damaged after reclaim: the start is refused, and rebuild says what may be sent twice', () => {
  const rig = rigOn()
  fill(rig, 60)
  for (const { number } of rig.seen.slice(0, 50)) deliverOne(rig, number)
  rig.settle()
  for (let i = 0; i < 3; i++) {
    checkpoint(rig)
    rig.settle()
  }
  const disk = rig.disk as SimulatedDisk
  for (const name of checkpoints(rig)) disk.flipBit(`${spoolRoot}/checkpoint/${name}`, 40, 1)
  assert.throws(() => rigOn(disk, 2), { code: 'spool_checkpoints_damaged', exitCode: 65 })
  const { queueLost, clean } = fsckSpool(disk)
  assert.ok(queueLost !== null && !clean)
  const report = rebuildQueue(disk, new VirtualClock(), false)
  assert.equal(report.quarantined.length, 2)
  assert.ok(report.recipients >= 10 && report.recipients < 60, `${report.recipients}`)
  const again = rigOn(disk, 3)
  again.settle()
  const pending = new Set(again.queue.numbers)
  for (const { number } of rig.seen.slice(50)) assert.ok(pending.has(number), 'nothing that waited is forgotten')
  assert.equal(again.queue.rows.length, report.recipients)
  assert.throws(() => rebuildQueue(disk, new VirtualClock(), false), { code: 'spool_checkpoint_whole' })
  assert.ok(fsckSpool(disk).clean)
})

test('a checkpoint of a newer format refuses the start and stays', () => {
  const rig = rigOn()
  fill(rig, 2)
  checkpoint(rig)
  const path = `${spoolRoot}/checkpoint/00000001.ckpt`
  const file = rig.disk.open(path, 'write')
  const bytes = Buffer.alloc(1_000)
  const length = file.readAt(bytes, 0, bytes.length, 0)
  const head = JSON.parse(bytes.toString('utf8', rangeHeaderBytes, rangeHeaderBytes + bytes.readUInt32LE(8)))
  assert.ok(length > 100)
  file.writeAt(bytes, 0, sealJson(bytes, rangeKinds.head, 0, JSON.stringify({ ...head, version: 9 }), 1), 0)
  assert.throws(() => rigOn(rig.disk as SimulatedDisk, 2), { code: 'spool_newer_format', exitCode: 78 })
  assert.deepEqual(checkpoints(rig), ['00000001.ckpt'])
})

test('a program that dies soon after each start does not have ever more to read', () => {
  const disk = new SimulatedDisk()
  const often = { ...config, checkpointAfterBytes: 64 * KiB }
  let read = 0
  for (let life = 1; life <= 8; life++) {
    const rig = openRig({ disk, config: often, random: seededRandom(life) })
    rig.settle()
    read = Math.max(read, rig.spool.recovery.records)
    fill(rig, 3)
  }
  assert.ok(read <= 16, `${read} records`)
})

test('a checkpoint that cannot be written costs no mail, and the next one is tried under a new name', () => {
  let failing = false
  const disk = new SimulatedDisk({
    before: (_call, path) => {
      if (failing && path.endsWith('.ckpt')) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    },
  })
  const rig = openRig({ config, disk })
  fill(rig, 3)
  failing = true
  checkpoint(rig)
  assert.deepEqual([rig.spool.reclaim.figures.checkpointsFailed, checkpoints(rig)], [1, []])
  failing = false
  fill(rig, 3)
  checkpoint(rig)
  assert.deepEqual(checkpoints(rig), ['00000002.ckpt'])
})

test('the queue changes while it is written: nobody is entered twice, and nobody who ended comes back', () => {
  const rig = rigOn()
  fill(rig, 60)
  rig.spool.reclaim.request()
  for (let i = 0; i < 40 && !rig.spool.reclaim.idle; i++) {
    submit(rig, Buffer.alloc(500, 'b'), () => {})
    const [oldest] = rig.queue.rows
    const youngest = rig.queue.rows.at(-1)
    for (const row of [oldest, youngest]) if (row !== undefined) deliverOne(rig, row.number)
    rig.pump()
    rig.clock.advance(20)
  }
  rig.settle()
  assert.equal(checkpoints(rig).length, 1)
  const expected = rig.queue.rows.map(({ number }) => number).sort((a, b) => a - b)
  const again = rigOn(rig.disk as SimulatedDisk, 2)
  again.settle()
  assert.equal(again.spool.recovery.checkpoint, 1)
  assert.deepEqual(
    again.queue.rows.map(({ number }) => number).sort((a, b) => a - b),
    expected,
  )
})

test('a log of an intake thread that there is no more is still read, and goes when its mail has ended', () => {
  const disk = new SimulatedDisk()
  const rig = rigOn(disk)
  fill(rig, 10)
  for (const name of disk.list(`${spoolRoot}/intake-0`)) {
    disk.makeDirectory(`${spoolRoot}/intake-7`)
    disk.rename(`${spoolRoot}/intake-0/${name}`, `${spoolRoot}/intake-7/${name}`)
  }
  const again = rigOn(disk, 2)
  again.settle()
  assert.equal(again.queue.rows.length, 10)
  for (const { number } of again.queue.rows) deliverOne(again, number)
  again.settle()
  checkpoint(again)
  checkpoint(again)
  again.settle()
  assert.deepEqual(disk.list(`${spoolRoot}/intake-7`), [])
})
