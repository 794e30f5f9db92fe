/** Logs that nobody fills any more, because there are fewer intake threads: their files go once nobody needs them, whenever the power fails meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../kernel/random.ts'
import { KiB } from '../kernel/units.ts'
import { logOf } from '../model/submission.ts'
import { isFailure } from '../ports/submissions.ts'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { deliverOne, headFor, openRig, smallSpool, type SpoolRig } from '../../test/support/spool-rig.ts'
import { SpoolFollower } from './follow.ts'
import { fsckSpool, spoolRoot } from './spool.ts'

const config = { ...smallSpool, segmentBytes: 64 * KiB, windowBytes: 64 * KiB }

function openOn(disk: SimulatedDisk, intakeLogs: number, followed = false): SpoolRig {
  const rig = openRig({ disk, config, intakeLogs, intakeHere: false, random: seededRandom(intakeLogs), followed })
  rig.settle()
  return rig
}

/** Messages of 10 KB in this log. */
function fill(rig: SpoolRig, log: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const transaction = rig.owners[log]?.begin(10_000, 'acme')
    assert.ok(transaction !== undefined && !isFailure(transaction))
    transaction.append(Buffer.alloc(10_000, 'a'), 0, 10_000)
    transaction.commit(headFor(['ann@example.net']), (failure) => assert.equal(failure, null))
    rig.settle()
  }
}

function checkpoint(rig: SpoolRig): void {
  rig.spool.reclaim.request()
  for (let i = 0; i < 1_000 && !rig.spool.reclaim.idle; i++) {
    rig.pump()
    rig.clock.advance(20)
  }
}

const files = (disk: SimulatedDisk, log: number): string[] => disk.list(`${spoolRoot}/intake-${log}`)
const numbersOf = (rig: SpoolRig, log: number): number[] => rig.queue.numbers.filter((number) => logOf(number) === log)

/** A spool that two intake threads have filled: mail of the second has ended, but for the first `waiting`, and mail of the first waits. */
function filledByTwo(waiting: number): { disk: SimulatedDisk; numbers: number[] } {
  const disk = new SimulatedDisk()
  const rig = openOn(disk, 2)
  fill(rig, 0, 3)
  fill(rig, 1, 40)
  const numbers = numbersOf(rig, 1)
  assert.equal(numbers.length, 40)
  for (const number of numbers.slice(waiting)) deliverOne(rig, number)
  rig.settle()
  return { disk, numbers }
}

/** With one intake thread: until nothing more is given back. */
function retire(rig: SpoolRig): void {
  for (let i = 0; i < 3; i++) {
    checkpoint(rig)
    rig.spool.reclaim.tick()
    rig.settle()
  }
}

test('nothing is left of its files, at the next start neither; a thread that fills it again gives numbers that were never given', () => {
  const { disk, numbers } = filledByTwo(0)
  retire(openOn(disk, 1))
  assert.deepEqual(files(disk, 1), [])
  assert.ok(fsckSpool(disk).clean)
  for (let life = 0; life < 3; life++) retire(openOn(disk, 1))
  const again = openOn(disk, 2)
  assert.equal(again.queue.numbers.length, 3)
  fill(again, 1, 8)
  const given = numbersOf(again, 1)
  assert.ok(Math.min(...given) > Math.max(...numbers), 'numbers are never given twice')
  assert.ok(fsckSpool(disk).clean)
  const last = openOn(disk, 2)
  assert.deepEqual(numbersOf(last, 1), given)
  assert.equal(last.spool.recovery.recipientsWithoutSegment, 0)
})

test('a segment that a message waits in stays, and goes after it', () => {
  const { disk, numbers } = filledByTwo(1)
  const rig = openOn(disk, 1)
  retire(rig)
  assert.deepEqual(files(disk, 1), ['00000001.seg'])
  deliverOne(rig, numbers[0] as number)
  rig.settle()
  retire(rig)
  assert.deepEqual(files(disk, 1), [])
})

test('a reader of events that is behind holds its files', () => {
  const { disk } = filledByTwo(0)
  const rig = openOn(disk, 1, true)
  retire(rig)
  const kept = files(disk, 1).length
  const read = new Set<number>()
  const onSubmission = (number: number): void => void read.add(number)
  const follower = new SpoolFollower({ disk, memory: rig.memory, from: new Map(), onSubmission, onOutcome: () => {} })
  follower.aim()
  while (!follower.step(KiB));
  assert.equal(read.size, 43)
  assert.equal(files(disk, 1).length, kept)
  follower.release(follower.positions)
  follower.told(follower.positions)
  retire(rig)
  assert.deepEqual(files(disk, 1), [])
  follower.close()

  // It finds its place again, in a log without files and in one that is filled again.
  const again = openOn(disk, 2, true)
  fill(again, 1, 2)
  const next = new SpoolFollower({
    disk,
    memory: again.memory,
    from: follower.positions,
    onSubmission,
    onOutcome: () => {},
  })
  next.aim()
  while (!next.step(KiB));
  assert.equal(read.size, 45)
  next.close()
})

test('without any checkpoint the outcomes tell how far its numbers went, as long as they are complete', () => {
  const { disk, numbers } = filledByTwo(0)
  const rig = openOn(disk, 1)
  retire(rig)
  assert.deepEqual(files(disk, 1), [])
  for (const name of disk.list(`${spoolRoot}/checkpoint`)) disk.flipBit(`${spoolRoot}/checkpoint/${name}`, 40, 1)
  const again = openOn(disk, 2)
  assert.equal(again.spool.recovery.checkpoint, 0)
  assert.deepEqual(again.queue.numbers, rig.queue.numbers)
  fill(again, 1, 2)
  assert.ok(Math.min(...numbersOf(again, 1)) > Math.max(...numbers))
})

/** The power fails at the `at`-th call that changes the retired log's directory or a checkpoint; null when there were fewer. */
function cutAt(filled: SimulatedDisk, at: number): SimulatedDisk | null {
  let calls = 0
  let cut = false
  const disk = filled.crash(seededRandom(at))
  disk.withFaults({
    before: (_, path) => {
      if (!cut && (path.includes('intake-1') || path.includes('checkpoint'))) cut = ++calls === at
      if (cut) throw new Error('the power is gone')
    },
  })
  try {
    retire(openOn(disk, 1))
  } catch (error) {
    if (!cut) throw error
  }
  return cut ? disk.crash(seededRandom(1_000 + at)) : null
}

for (const waiting of [0, 1])
  test(`the power fails at any step of it: nothing that waits is lost, nothing that ended comes back (${waiting} waiting)`, () => {
    const { disk: filled, numbers } = filledByTwo(waiting)
    let at = 1
    for (let disk = cutAt(filled, at); disk !== null; disk = cutAt(filled, ++at)) {
      assert.ok(fsckSpool(disk).clean, `at ${at}`)
      const rig = openOn(disk, 1)
      assert.deepEqual(numbersOf(rig, 1), numbers.slice(0, waiting), `at ${at}`)
      assert.equal(numbersOf(rig, 0).length, 3)
      assert.deepEqual([rig.spool.recovery.damagedBytes, rig.spool.recovery.recipientsWithoutSegment], [0, 0])
      retire(rig)
      assert.equal(files(disk, 1).length, waiting, `at ${at}`)
      const again = openOn(disk, 2)
      fill(again, 1, 1)
      assert.ok((numbersOf(again, 1).at(-1) as number) > Math.max(...numbers), `at ${at}`)
    }
    assert.ok(at > 10, `${at} calls`)
  })
