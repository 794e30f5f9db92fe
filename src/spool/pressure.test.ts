/** Windows that are full, disks that fail, threads that look too early: the edges between the owner of a log and the log thread. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../kernel/random.ts'
import { KiB, MiB } from '../kernel/units.ts'
import { isFailure } from '../ports/submissions.ts'
import type { Outcome } from '../model/outcome.ts'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { headFor, openRig, pendingOf, smallSpool, submit, type SpoolRig } from '../../test/support/spool-rig.ts'
import { type Arrival, Channel, dumpSpool, Flusher, makeSpoolMemory, makeSpoolDirectories, spoolRoot } from './spool.ts'

const outcome: Outcome = {
  kind: 'bounced',
  scope: 'recipient',
  stage: 'route',
  code: 0,
  enhanced: '5.1.2',
  text: 'there is no such domain',
}
const attempt = {
  startedAtMs: 1,
  host: '',
  address: '',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: -1,
  envelopeMs: -1,
  finishedMs: 0,
}
const bounce = (rig: SpoolRig, number: number): void =>
  rig.spool.outcomes.append(number, {
    log: 0,
    place: 0,
    atMs: 1,
    attempt,
    recipients: [{ recipient: 0, attempt: 1, outcome, nextAttemptAtMs: 0, mayBeDuplicate: false }],
  })

test('more outcomes at once than the window holds: all of them reach the disk, in order', () => {
  const rig = openRig()
  for (let i = 0; i < 3_000; i++) {
    submit(rig, Buffer.from('a: b\r\n\r\n'), (failure) => assert.equal(failure, null))
    if (i % 100 === 0) rig.settle()
  }
  rig.settle()
  assert.ok(rig.spool.outcomes.hasRoom)
  for (const { number } of rig.seen) bounce(rig, number)
  assert.deepEqual([rig.spool.outcomes.hasRoom, rig.spool.outcomes.onDisk], [false, false])
  rig.settle()
  assert.deepEqual([rig.spool.outcomes.hasRoom, rig.spool.outcomes.onDisk], [true, true])
  let settled = 0
  dumpSpool(rig.disk, ({ pending, outcomes }) => {
    assert.deepEqual([pending.length, outcomes.length], [0, 1])
    settled += 1
  })
  assert.equal(settled, 3_000)
})

test('a source that pauses is let go on, even when a commit may be larger than the window', () => {
  const rig = openRig({ config: { ...smallSpool, segmentBytes: MiB, windowBytes: MiB, commitBytesMax: 16 * MiB } })
  const transaction = rig.submissions.begin(0, 'acme')
  assert.ok(!isFailure(transaction))
  const piece = Buffer.alloc(70 * KiB, 'a')
  let goOn = false
  transaction.onDrain = () => (goOn = true)
  for (let i = 0; i < 40; i++) {
    goOn = transaction.append(piece, 0, piece.length)
    rig.settle()
    assert.ok(goOn, `stuck after ${i + 1} pieces`)
  }
  transaction.commit(headFor(['a@x.example']), (failure) => assert.equal(failure, null))
  rig.settle()
  assert.equal(rig.seen[0]?.submission.contentBytes, 40 * piece.length)
})

test('a transaction that is given up while it waits for room leaves the others alone', () => {
  const rig = openRig({ config: { ...smallSpool, segmentBytes: MiB, windowBytes: MiB } })
  const [one, other] = [rig.submissions.begin(0, 'acme'), rig.submissions.begin(0, 'acme')]
  assert.ok(!isFailure(one) && !isFailure(other))
  const piece = Buffer.alloc(70 * KiB, 'a')
  while (one.append(piece, 0, piece.length));
  assert.equal(other.append(piece, 0, piece.length), false)
  let drained = 0
  other.onDrain = () => (drained += 1)
  one.abort()
  rig.settle()
  assert.equal(drained, 1)
  other.commit(headFor(['a@x.example']), (failure) => assert.equal(failure, null))
  rig.settle()
  assert.deepEqual(
    rig.seen.map(({ submission }) => submission.contentBytes),
    [piece.length],
  )
  assert.equal(rig.submissions.openTransactions, 0)
})

test('a client whose content ends after the disk has failed hears 451 as well', async () => {
  let failing = false
  const disk = new SimulatedDisk({
    before: (call) => {
      if (failing && call === 'sync') throw Object.assign(new Error('EIO'), { code: 'EIO' })
    },
  })
  const rig = openRig({ disk })
  rig.settle()
  const late = rig.submissions.begin(0, 'acme')
  assert.ok(!isFailure(late))
  failing = true
  submit(rig, Buffer.from('a: b\r\n\r\n'), (failure) => assert.equal(failure?.code, 'spool_broken'))
  rig.settle()
  const said = await new Promise<string | undefined>((resolve) =>
    late.commit(headFor(['a@x.example']), (failure) => resolve(failure?.smtp)),
  )
  assert.equal(said, '451 4.3.0')
  assert.equal(rig.submissions.openTransactions, 0)
})

test('recovery writes more than a window again, with no more polls than the log thread gives wakes', () => {
  const config = { ...smallSpool, windowBytes: 128 * KiB }
  const rig = openRig({ config })
  rig.settle()
  for (let i = 0; i < 10; i++) submit(rig, Buffer.alloc(5_000, 'a'), () => {})
  rig.settle()
  for (const windowBytes of [64 * KiB, 32 * KiB]) {
    const again = openRig({ disk: rig.disk, config: { ...config, windowBytes }, random: seededRandom(windowBytes) })
    const wakes = (): number =>
      again.spool.channels.reduce((sum, { flags }) => sum + Atomics.load(flags, Channel.doneFlag), 0)
    for (let seen = -1; seen !== wakes(); ) {
      seen = wakes()
      again.spool.poll()
      assert.equal(again.seen.length, 0, 'nothing is new')
      for (const flusher of again.flushers) while (flusher.step());
    }
    assert.ok(again.spool.settled())
    assert.equal(pendingOf(again).length, 10)
  }
})

test('the log thread may look before the owner has said where its log begins', () => {
  const disk = new SimulatedDisk()
  makeSpoolDirectories(disk, 1)
  const [memory] = makeSpoolMemory(disk, smallSpool, 1).channels
  assert.ok(memory)
  const channel = new Channel(memory)
  const errors: unknown[] = []
  const directory = `${spoolRoot}/${memory.name}`
  const flusher = new Flusher({ disk, channel, directory, reserveBytes: 0, onError: (error) => errors.push(error) })
  assert.equal(flusher.step(), false)
  assert.deepEqual([channel.state, errors, disk.list(directory)], ['ok', [], []])
})

test('sizes that do not fit each other, and segments of another size than before, are refused with a cure', () => {
  for (const [segmentBytes, windowBytes] of [
    [48 * MiB, 32 * MiB],
    [64_000_000, 32_000_000],
    [MiB, 32 * MiB],
  ] as const) {
    const config = { ...smallSpool, segmentBytes, windowBytes }
    assert.throws(() => makeSpoolMemory(new SimulatedDisk(), config, 1), { code: 'spool_sizes', exitCode: 78 })
  }
  const rig = openRig()
  submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
  rig.settle()
  const config = { ...smallSpool, segmentBytes: 2 * smallSpool.segmentBytes }
  assert.throws(() => openRig({ disk: rig.disk, config }), { code: 'spool_segment_size', exitCode: 78 })
})

test('starts without any mail in between write the same few records again, not ever more of them', () => {
  const rig = openRig()
  for (let i = 0; i < 3; i++) submit(rig, Buffer.from('a: b\r\n\r\n'), () => {})
  rig.settle()
  const rewritten: number[] = []
  for (let start = 0; start < 6; start++) {
    const again = openRig({ disk: rig.disk, random: seededRandom(start + 2) })
    again.settle()
    rewritten.push(again.spool.recovery.rewritten)
    assert.equal(pendingOf(again).length, 3)
  }
  assert.deepEqual(rewritten, [2, 0, 0, 0, 0, 0])
})

test('a backlog over many segments is read with at most 64 files open, none of them closed under a read', async () => {
  const disk = new SimulatedDisk()
  const open = disk.open.bind(disk)
  let [opened, most] = [0, 0]
  disk.open = (path) => {
    const file = open(path)
    let closed = false
    most = Math.max(most, ++opened)
    return {
      ...file,
      async readAtLater(buffer, offset, length, position) {
        await new Promise((resolve) => setImmediate(resolve))
        assert.ok(!closed, 'read from a closed file')
        return file.readAt(buffer, offset, length, position)
      },
      close: () => {
        closed = true
        opened -= 1
      },
    }
  }
  const rig = openRig({ disk, config: { ...smallSpool, segmentBytes: 64 * KiB } })
  for (let i = 0; i < 200; i++) {
    submit(rig, Buffer.alloc(20_000, 'a'), () => {})
    rig.settle()
  }
  ;[opened, most] = [0, 0]
  const read = async ({ place, number }: Arrival): Promise<void> => {
    const { payloadBytes } = await rig.spool.records.fromFile(place, number)
    assert.ok(payloadBytes > 20_000)
  }
  for (const seen of rig.seen) await read(seen)
  assert.ok(disk.list(`${spoolRoot}/intake-0`).length > 64)
  assert.equal(most, 64)
  for (let at = 0; at < rig.seen.length; at += 20) await Promise.all(rig.seen.slice(at, at + 20).map(read))
  assert.ok(most <= 64)
  rig.spool.close()
  assert.equal(opened, 0)
})
