import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../kernel/random.ts'
import { headFor, openRig, pendingOf, smallSpool, submit } from '../../test/support/spool-rig.ts'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { type Arrival, dumpSpool, fsckSpool, spoolRoot } from './spool.ts'
import { valueOf } from '../model/submission.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { isFailure } from '../ports/submissions.ts'
import type { Outcome } from '../model/outcome.ts'
import { segmentFileName } from './files.ts'
import type { Disk } from '../ports/disk.ts'
import { readSegmentHeader, type SegmentHeader, writeSegmentHeader } from './layout.ts'

const body = (bytes: number, fill = 'x'): Buffer => Buffer.from(`Subject: test\r\n\r\n${fill.repeat(bytes)}\r\n`)

test('a commit settles only once its bytes are synced, and the submission is handed on then', () => {
  const rig = openRig()
  const settled: string[] = []
  submit(rig, body(1_000), (failure, id) => settled.push(failure?.code ?? id))
  assert.deepEqual(settled, [])
  rig.spool.poll()
  assert.equal(rig.seen.length, 0, 'not durable yet')
  rig.settle()
  assert.equal(settled.length, 1)
  assert.deepEqual(
    rig.seen.map(({ submission }) => submission.id),
    settled,
  )
  assert.deepEqual(rig.seen[0]?.submission.recipients, ['ann@example.net'])
})

test('an aborted transaction leaves nothing, even when part of it was spilled', () => {
  const rig = openRig({ config: { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 } })
  const transaction = rig.submissions.begin(0, 'acme')
  assert.ok(!isFailure(transaction))
  transaction.append(body(200_000), 0, 200_000)
  transaction.abort()
  rig.settle()
  assert.equal(rig.seen.length, 0)
  assert.equal(fsckSpool(rig.disk).submissions, 0)
})

test('content larger than the stage is spilled in chunks and comes back byte for byte', () => {
  const rig = openRig({ config: { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 } })
  const random = seededRandom(7)
  const content = Buffer.alloc(300_000)
  random.fill(content)
  submit(rig, content, (failure) => assert.equal(failure, null), { piece: 10_000 })
  rig.settle()
  let dumped = 0
  dumpSpool(rig.disk, (entry) => {
    dumped += 1
    assert.ok(entry.submission.chunks.length > 0)
    assert.ok(entry.content?.equals(content))
  })
  assert.equal(dumped, 1)
})

test('many submissions cross windows and segments; a restart finds each of them once', () => {
  const rig = openRig()
  const ids = new Set<string>()
  for (let i = 0; i < 300; i++) {
    const id = submit(rig, body(100 + ((i * 37) % 5_000)), (failure) => assert.equal(failure, null))
    assert.equal(typeof id, 'string')
    ids.add(id as string)
    if (i % 7 === 0) rig.settle()
  }
  rig.settle()
  const again = openRig({ disk: rig.disk, random: seededRandom(2) })
  again.settle()
  assert.ok(again.spool.settled())
  const pending = pendingOf(again)
  assert.equal(pending.length, 300)
  assert.deepEqual(new Set(pending.map(({ id }) => id)), ids)
  assert.equal(again.seen.length, 0)
  assert.equal(again.spool.recovery.tornBytes, 0)
})

test('outcomes are folded into what recovery finds pending', () => {
  const rig = openRig()
  submit(rig, body(10), () => {}, { recipients: ['a@x.example', 'b@x.example', 'c@x.example'] })
  rig.settle()
  const { number } = rig.seen[0] as Arrival
  const reply = (kind: Outcome['kind']): Outcome => ({
    kind,
    scope: 'recipient',
    stage: 'final',
    code: 250,
    enhanced: '2.0.0',
    text: 'ok',
  })
  const attempt = {
    startedAtMs: 1,
    host: 'mx',
    address: '192.0.2.1',
    source: '',
    tls: '',
    reusedConnection: false,
    connectedMs: 1,
    envelopeMs: 2,
    finishedMs: 3,
  }
  rig.spool.outcomes.append(number, {
    log: 0,
    place: 0,
    atMs: 5,
    attempt,
    recipients: [
      { recipient: 0, attempt: 1, outcome: reply('delivered'), nextAttemptAtMs: 0, mayBeDuplicate: false },
      { recipient: 1, attempt: 1, outcome: reply('uncertain'), nextAttemptAtMs: 777, mayBeDuplicate: false },
    ],
  })
  rig.settle()
  const again = openRig({ disk: rig.disk, random: seededRandom(3) })
  again.settle()
  assert.deepEqual(
    pendingOf(again)[0]?.rows.map(({ recipient, attempts, nextAttemptAtMs, mayBeDuplicate }) => [
      recipient,
      attempts,
      nextAttemptAtMs,
      mayBeDuplicate,
    ]),
    [
      [1, 1, 777, true],
      [2, 0, 0, false],
    ],
  )
  // What was settled and written again by recovery does not come back as new.
  assert.equal(again.seen.length, 0)
})

test('a stop in good order is known to the next start, and only to that one', () => {
  const disk = new SimulatedDisk()
  const next = (seed: number) => {
    const rig = openRig({ disk, random: seededRandom(seed) })
    rig.settle()
    const { stoppedInOrder } = rig.spool.recovery
    rig.spool.outcomes.mark('started')
    rig.settle()
    return { rig, stoppedInOrder }
  }
  const first = next(1)
  assert.equal(first.stoppedInOrder, false)
  first.rig.spool.outcomes.mark('stopped')
  first.rig.settle()
  assert.equal(next(2).stoppedInOrder, true)
  // This one was killed, and so was the one after it.
  assert.equal(next(3).stoppedInOrder, false)
  assert.equal(next(4).stoppedInOrder, false)
})

test('row 103: a zero-length segment file is removed and the start goes on', () => {
  const rig = openRig()
  submit(rig, body(10), () => {})
  rig.settle()
  const path = `${spoolRoot}/intake-0/${segmentFileName(99)}`
  rig.disk.create(path).close()
  const again = openRig({ disk: rig.disk })
  again.settle()
  assert.equal(pendingOf(again).length, 1)
  assert.ok(!rig.disk.list(`${spoolRoot}/intake-0`).includes(segmentFileName(99)))
})

test('row 104: a torn last record is cut off, bytes counted, and everything before it is kept', () => {
  const rig = openRig()
  for (let i = 0; i < 3; i++) {
    submit(rig, body(3_000), () => {})
    rig.settle()
  }
  const path = `${spoolRoot}/intake-0/${segmentFileName(1)}`
  const file = rig.disk.open(path, 'write')
  const end = lastByte(file)
  file.writeAt(Buffer.alloc(600), 0, 600, end - 599)
  const again = openRig({ disk: rig.disk })
  again.settle()
  assert.equal(pendingOf(again).length, 2)
  assert.ok(again.spool.recovery.tornBytes > 0)
  assert.equal(again.spool.recovery.damagedBytes, 0)
})

test('row 105: damage in the middle is quarantined and counted, the rest is kept', () => {
  const rig = openRig()
  for (let i = 0; i < 5; i++) {
    submit(rig, body(3_000), () => {})
    rig.settle()
  }
  const path = `${spoolRoot}/intake-0/${segmentFileName(1)}`
  const file = rig.disk.open(path, 'write')
  file.writeAt(Buffer.alloc(2_000, 0xee), 0, 2_000, 4096 + 100)
  assert.equal(fsckSpool(rig.disk).clean, false)
  const again = openRig({ disk: rig.disk })
  again.settle()
  assert.equal(pendingOf(again).length, 4)
  assert.ok(again.spool.recovery.damagedBytes > 0)
  assert.equal(again.spool.recovery.quarantined.length, 1)
})

test('row 106: one flipped bit anywhere in a message keeps it from being sent', async () => {
  const rig = openRig()
  submit(rig, body(3_000), () => {})
  rig.settle()
  const { place, number } = rig.seen[0] as Arrival
  const disk = rig.disk as SimulatedDisk
  const path = `${spoolRoot}/intake-0/${segmentFileName(1)}`
  for (const bit of [0, 8, 60, 190, 200, 1_000, 9_999, 20_000]) {
    disk.flipBit(path, (valueOf(place) % smallSpool.segmentBytes) + Math.floor(bit / 8), bit % 8)
    await assert.rejects(rig.spool.records.fromFile(place, number), { name: 'MessageDamaged' })
    disk.flipBit(path, (valueOf(place) % smallSpool.segmentBytes) + Math.floor(bit / 8), bit % 8)
  }
  await rig.spool.records.fromFile(place, number)
})

test('row 107: a segment of a newer format refuses the start and nothing is touched', () => {
  const rig = openRig()
  submit(rig, body(10), () => {})
  rig.settle()
  setVersion(rig.disk, `${spoolRoot}/intake-0/${segmentFileName(1)}`, 3)
  const writes = (rig.disk as SimulatedDisk).writes
  assert.throws(
    () => openRig({ disk: rig.disk }),
    (error) => error instanceof PosthasteError && error.code === 'spool_newer_format',
  )
  assert.equal((rig.disk as SimulatedDisk).writes, writes)
})

test('row 108: segments of an older format are read, and new ones are written in the present one', () => {
  const rig = openRig()
  submit(rig, body(10), () => {})
  rig.settle()
  const first = `${spoolRoot}/intake-0/${segmentFileName(1)}`
  setVersion(rig.disk, first, 0)
  const again = openRig({ disk: rig.disk })
  again.settle()
  submit(again, body(10), () => {})
  again.settle()
  assert.equal(pendingOf(again).length, 2)
  assert.equal(again.seen.length, 1)
  assert.equal(versionOf(rig.disk, first), 0)
  const newest = rig.disk.list(`${spoolRoot}/intake-0`).at(-1)
  assert.equal(versionOf(rig.disk, `${spoolRoot}/intake-0/${newest}`), 2)
})

test('row 111: a submission whose chunk is gone is listed and never pending', () => {
  const config = { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 }
  const rig = openRig({ config })
  const id = submit(rig, body(200_000), () => {}, { piece: 70_000 })
  rig.settle()
  submit(rig, body(100), () => {})
  rig.settle()
  const disk = rig.disk as SimulatedDisk
  disk.flipBit(`${spoolRoot}/intake-0/${segmentFileName(1)}`, 4096 + 5_000, 3)
  const again = openRig({ disk, config })
  again.settle()
  assert.deepEqual(
    again.spool.recovery.damagedSubmissions.length + pendingOf(again).length,
    1 + (again.spool.recovery.damagedSubmissions.length === 0 ? 0 : 1),
  )
  assert.ok(!pendingOf(again).some((pending) => pending.id === id))
})

test('row 112: chunks without a commit are ignored and counted as orphans', () => {
  const config = { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 }
  const rig = openRig({ config })
  const transaction = rig.submissions.begin(0, 'acme')
  assert.ok(!isFailure(transaction))
  transaction.append(body(100_000), 0, 100_000)
  submit(rig, body(10), () => {})
  rig.settle()
  const report = fsckSpool(rig.disk)
  assert.equal(report.orphanChunks, 1)
  assert.equal(report.submissions, 1)
  assert.equal(report.clean, true)
})

test('row 116: a submission that stands in two segments is pending once', () => {
  const disk = new SimulatedDisk()
  const rig = openRig({ disk })
  submit(rig, body(10), () => {})
  rig.settle()
  for (let seed = 2; seed < 6; seed++) {
    const again = openRig({ disk, random: seededRandom(seed) })
    again.settle()
    assert.equal(pendingOf(again).length, 1)
    assert.equal(again.seen.length, 0)
  }
  assert.equal(fsckSpool(disk).submissions, 1)
})

test('after an error of the disk nothing more is acknowledged, and waiting clients hear 451', () => {
  let failing = false
  const disk = new SimulatedDisk({
    before: (call) => {
      if (failing && call === 'sync') throw Object.assign(new Error('EIO'), { code: 'EIO' })
    },
  })
  const rig = openRig({ disk })
  const replies: string[] = []
  submit(rig, body(10), (failure) => replies.push(failure?.smtp ?? '250'))
  rig.settle()
  failing = true
  submit(rig, body(10), (failure) => replies.push(failure?.smtp ?? '250'))
  rig.settle()
  failing = false
  rig.settle()
  assert.deepEqual(replies, ['250', '451 4.3.0'])
  assert.equal(rig.errors.length, 1)
  const refused = rig.submissions.begin(0, 'acme')
  assert.ok(isFailure(refused) && refused.smtp === '451 4.3.0')
})

test('a disk below its reserve refuses new mail with 452 and still logs outcomes', () => {
  const disk = new SimulatedDisk()
  disk.free = 1000
  const rig = openRig({ disk, config: { ...smallSpool, reserveBytes: 2000 } })
  const refused = rig.submissions.begin(0, 'acme')
  assert.ok(isFailure(refused) && refused.smtp === '452 4.3.1')
  disk.free = 10_000
  for (const flusher of rig.flushers) flusher.checkSpace()
  assert.ok(!isFailure(rig.submissions.begin(0, 'acme')))
})

test('a window full of bytes that are not on disk yet makes the source pause, and resumes it', () => {
  const rig = openRig({ config: { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 } })
  const transaction = rig.submissions.begin(0, 'acme')
  assert.ok(!isFailure(transaction))
  let drained = 0
  transaction.onDrain = () => (drained += 1)
  const piece = Buffer.alloc(70_000, 'a')
  let paused = false
  for (let i = 0; i < 12 && !paused; i++) paused = !transaction.append(piece, 0, piece.length)
  assert.ok(paused)
  rig.settle()
  assert.equal(drained, 1)
  transaction.commit(headFor(['a@x.example']), (failure) => assert.equal(failure, null))
  rig.settle()
  assert.equal(rig.seen.length, 1)
})

function lastByte(file: { size(): number; readAt(b: Uint8Array, o: number, l: number, p: number): number }): number {
  const all = Buffer.alloc(file.size())
  file.readAt(all, 0, all.length, 0)
  let at = all.length - 1
  while (at > 0 && all[at] === 0) at--
  return at
}

function headerOf(disk: Disk, path: string): { block: Buffer; header: SegmentHeader } {
  const block = Buffer.alloc(4096)
  disk.open(path, 'read').readAt(block, 0, 4096, 0)
  const header = readSegmentHeader(block)
  assert.ok(header)
  return { block, header }
}

const versionOf = (disk: Disk, path: string): number => headerOf(disk, path).header.version

function setVersion(disk: Disk, path: string, version: number): void {
  const { block, header } = headerOf(disk, path)
  writeSegmentHeader(block, { ...header, version })
  disk.open(path, 'write').writeAt(block, 0, 4096, 0)
}
