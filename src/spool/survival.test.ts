/** What a spool must survive besides the cut itself: half-done renames, files that come back, a queue that is made anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { VirtualClock } from '../kernel/clock.ts'
import { type Random, seededRandom } from '../kernel/random.ts'
import { KiB } from '../kernel/units.ts'
import { logOf, valueOf } from '../model/submission.ts'
import { isFailure } from '../ports/submissions.ts'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { headFor, openRig, smallSpool, submit, type SpoolRig } from '../../test/support/spool-rig.ts'
import { stragglerLogNumber } from './files.ts'
import { OutcomeFold } from './pending.ts'
import { fsckSpool, rebuildQueue, spoolRoot, type StoredOutcome } from './spool.ts'

const config = { ...smallSpool, segmentBytes: 64 * KiB, windowBytes: 64 * KiB }
const rigOn = (disk = new SimulatedDisk(), seed = 1): SpoolRig => {
  const rig = openRig({ config, disk, random: seededRandom(seed) })
  rig.settle()
  return rig
}
const diskOf = (rig: SpoolRig): SimulatedDisk => rig.disk as SimulatedDisk

/** A power cut that leaves only what was synced. */
const nothingUnsynced: Random = { ...seededRandom(1), fraction: () => 0.1 }

const delivered = (recipient: number): StoredOutcome => ({
  log: 0,
  place: 0,
  atMs: 1,
  attempt: {
    startedAtMs: 1,
    host: 'mx',
    address: '192.0.2.1',
    source: '',
    tls: '',
    reusedConnection: false,
    connectedMs: 1,
    envelopeMs: 2,
    finishedMs: 3,
  },
  recipients: [
    {
      recipient,
      attempt: 1,
      outcome: { kind: 'delivered', scope: 'recipient', stage: 'final', code: 250, enhanced: '2.0.0', text: 'ok' },
      nextAttemptAtMs: 0,
      mayBeDuplicate: false,
    },
  ],
})

function deliver(rig: SpoolRig, number: number): void {
  rig.spool.outcomes.append(number, delivered(0))
  rig.queue.settle(number, 0)
}

/** Sends one message after the other; returns their numbers. */
function fill(rig: SpoolRig, count: number, bytes = 10_000): number[] {
  const before = rig.seen.length
  for (let i = 0; i < count; i++) {
    submit(rig, Buffer.alloc(bytes, 'a'), (failure) => assert.equal(failure, null))
    rig.settle()
  }
  return rig.seen.slice(before).map(({ number }) => number)
}

function checkpoint(rig: SpoolRig, times = 1): void {
  for (let time = 0; time < times; time++) {
    rig.spool.reclaim.request()
    for (let i = 0; i < 1_000 && !rig.spool.reclaim.idle; i++) {
      rig.pump()
      rig.clock.advance(20)
    }
    assert.ok(rig.spool.reclaim.idle, 'the checkpoint comes to its end')
  }
  rig.settle()
}

test('a torn tail stays one when the segment after it, which knew of it, has been reclaimed', () => {
  const first = rigOn()
  fill(first, 3)
  const torn = first.spool.channels.find(({ name }) => name === 'intake-0')?.committedTo ?? 0
  fill(first, 1)
  diskOf(first).flipBit(`${spoolRoot}/intake-0/00000001.seg`, (torn % config.segmentBytes) + 100, 1)
  const rig = rigOn(diskOf(first), 2)
  assert.equal(rig.spool.recovery.damagedBytes, 0)
  const [oldest, ...others] = [...rig.queue.numbers, ...fill(rig, 60)]
  for (const number of others) deliver(rig, number)
  rig.settle()
  checkpoint(rig, 2)
  assert.deepEqual(rig.queue.numbers, [oldest])
  fill(rig, 1)
  assert.ok(!rig.disk.list(`${spoolRoot}/intake-0`).includes('00000002.seg'))
  assert.ok(fsckSpool(rig.disk).clean, JSON.stringify(fsckSpool(rig.disk).logs))
})

test('a segment that was renamed, but not for sure, is no place for mail before its name is on disk', () => {
  const seen = { renamed: false }
  const disk = new SimulatedDisk({
    before: (call, path) => {
      if (call === 'rename' && path.startsWith(`${spoolRoot}/intake-0`)) seen.renamed = true
      if (call === 'syncDirectory' && path === `${spoolRoot}/intake-0` && seen.renamed) throw new Error('killed')
    },
  })
  const rig = rigOn(disk)
  for (const number of fill(rig, 60)) deliver(rig, number)
  rig.settle()
  checkpoint(rig, 2)
  for (let i = 0; i < 20 && !seen.renamed; i++) {
    submit(rig, Buffer.alloc(10_000, 'b'), () => {})
    rig.settle()
  }
  assert.ok(seen.renamed)
  const again = rigOn(disk.withFaults({}), 2)
  const before = again.queue.numbers
  // Not so many that the next segment is made, and the directory synced for it.
  const numbers = fill(again, 1, 10)
  const survivor = rigOn(disk.crash(nothingUnsynced), 3)
  assert.deepEqual(survivor.queue.numbers, [...before, ...numbers])
  assert.ok(fsckSpool(survivor.disk).clean)
})

test('a third checkpoint does not come back after a power cut', () => {
  const rig = rigOn()
  fill(rig, 3)
  checkpoint(rig, 3)
  const names = ['00000002.ckpt', '00000003.ckpt']
  assert.deepEqual(rig.disk.list(`${spoolRoot}/checkpoint`), names)
  assert.deepEqual(diskOf(rig).crash(nothingUnsynced).list(`${spoolRoot}/checkpoint`), names)
})

test('rebuild finds a carried message although the segment it came from is gone', async () => {
  const rig = rigOn()
  const [tiny] = fill(rig, 1, 30)
  for (const number of fill(rig, 60)) deliver(rig, number)
  rig.settle()
  checkpoint(rig, 2)
  for (let i = 0; i < 3; i++) {
    rig.spool.reclaim.tick()
    await turn()
    rig.settle()
  }
  assert.equal(logOf(rig.queue.rows[0]?.place ?? 0), stragglerLogNumber)
  fill(rig, 30)
  checkpoint(rig, 2)
  assert.ok(!rig.disk.list(`${spoolRoot}/intake-0`).includes('00000001.seg'))
  for (const name of rig.disk.list(`${spoolRoot}/checkpoint`))
    diskOf(rig).flipBit(`${spoolRoot}/checkpoint/${name}`, 40, 1)
  rebuildQueue(rig.disk, new VirtualClock(), false)
  const again = rigOn(diskOf(rig), 2)
  assert.ok(again.queue.numbers.includes(tiny ?? 0))
  assert.deepEqual(
    rig.queue.numbers.filter((number) => !again.queue.numbers.includes(number)),
    [],
  )
  assert.ok(fsckSpool(rig.disk).clean)
})

test('a segment is not used again before the outcomes that emptied it are on disk', () => {
  const rig = rigOn()
  const numbers = fill(rig, 30)
  fill(rig, 20)
  checkpoint(rig, 2)
  for (const number of numbers) deliver(rig, number)
  rig.spool.outcomes.flush()
  // Everything but the outcome log goes on, for long.
  for (let i = 0; i < 60; i++) {
    submit(rig, Buffer.alloc(10_000, 'b'), () => {})
    rig.clock.advance(20)
    rig.spool.reclaim.tick()
    for (const flusher of rig.flushers.slice(1)) while (flusher.step());
    rig.spool.poll()
  }
  assert.ok(fsckSpool(diskOf(rig).crash(nothingUnsynced)).clean, 'whoever is pending again has a record')
  rig.settle()
  rig.spool.reclaim.tick()
  rig.settle()
  assert.ok(rig.spool.reclaim.figures.reclaimed > 0)
})

test('mail in the log of a thread that there is no more is on disk before the queue counts on it', () => {
  const seen = { syncs: 0 }
  const disk = new SimulatedDisk({
    before: (call, path) => {
      if (call === 'sync' && path.startsWith(`${spoolRoot}/intake-1`) && (seen.syncs += 1) > 2)
        throw new Error('killed')
    },
  })
  const first = openRig({ config, disk, intakeLogs: 2 })
  first.settle()
  const transaction = first.owners[1]?.begin(0, 'acme')
  assert.ok(transaction !== undefined && !isFailure(transaction))
  transaction.append(Buffer.from('one'), 0, 3)
  transaction.commit(headFor(['ann@example.net']), () => {})
  first.settle()
  const rig = rigOn(disk.withFaults({}), 2)
  assert.equal(rig.queue.rows.length, 1)
  checkpoint(rig)
  const report = fsckSpool(disk.crash(nothingUnsynced))
  assert.deepEqual([report.pendingRecipients, report.clean], [1, true])
})

test('a damaged record is not carried, and what was copied before it is', async () => {
  const rig = rigOn()
  const [first, second] = fill(rig, 2, 30)
  for (const number of fill(rig, 60)) deliver(rig, number)
  rig.settle()
  checkpoint(rig, 2)
  const place = rig.queue.rows[1]?.place ?? 0
  diskOf(rig).flipBit(`${spoolRoot}/intake-0/00000001.seg`, (valueOf(place) % config.segmentBytes) + 30, 1)
  for (let i = 0; i < 3; i++) {
    rig.spool.reclaim.tick()
    await turn()
    rig.settle()
  }
  const logs = rig.queue.rows.map(({ number, place: now }) => [number, logOf(now)])
  assert.deepEqual(logs, [
    [first, stragglerLogNumber],
    [second, 0],
  ])
  assert.ok(rig.spool.reclaim.idle)
})

test('a full disk gets its room back when its mail has ended, although the logs hardly grow', () => {
  const rig = openRig({ config: { ...config, reserveBytes: 1_000_000 } })
  rig.settle()
  const numbers = fill(rig, 60)
  diskOf(rig).free = 1_000
  for (const flusher of rig.flushers) flusher.checkSpace()
  assert.ok(isFailure(rig.submissions.begin(0, 'acme')))
  for (const number of numbers) deliver(rig, number)
  for (let i = 0; i < 400; i++) {
    rig.spool.reclaim.tick()
    rig.pump()
    rig.clock.advance(250)
  }
  assert.ok(rig.spool.reclaim.figures.reclaimed > 0)
})

test('a stop in good order is known at the next start, although a checkpoint lies behind it', () => {
  const rig = rigOn()
  fill(rig, 1)
  rig.spool.outcomes.mark('started')
  rig.settle()
  rig.spool.outcomes.mark('stopped')
  checkpoint(rig)
  assert.equal(rigOn(diskOf(rig), 2).spool.recovery.stoppedInOrder, true)
})

test('what recovery has read is not kept in memory', () => {
  const rig = rigOn()
  for (const number of fill(rig, 3)) deliver(rig, number)
  rig.settle()
  const again = rigOn(diskOf(rig), 2)
  assert.equal(queryObjects(OutcomeFold, { format: 'count' }), 0)
  assert.equal(again.queue.rows.length, 0)
})
