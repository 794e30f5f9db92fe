import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../kernel/random.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { LogMark } from '../model/log-mark.ts'
import { valueOf } from '../model/submission.ts'
import { deliverOne, headFor, openRig, smallSpool, type SpoolRig, submit } from '../../test/support/spool-rig.ts'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { canFollow, SpoolFollower } from './spool.ts'

/** Takes each record once, however often it comes, because it never forgets how far it was. */
class ExactReader {
  readonly submissions: number[] = []
  readonly outcomes: number[] = []
  readonly #marks = new Map<string, number>()

  take(numbers: number[], number: number, { log, position }: LogMark): void {
    if (position <= (this.#marks.get(log) ?? 0)) return
    this.#marks.set(log, position)
    numbers.push(number)
  }
}

/** What a reader of events has seen, as it would be after any number of starts. */
class Reader {
  submissions = new Map<number, string>()
  outcomes = new Set<number>()
  early = 0
  readonly exact: ExactReader

  constructor(exact = new ExactReader()) {
    this.exact = exact
  }

  /** As on a disk of its own. */
  copy(): Reader {
    const copy = new Reader(this.exact)
    copy.submissions = new Map(this.submissions)
    copy.outcomes = new Set(this.outcomes)
    copy.early = this.early
    return copy
  }

  follow(rig: SpoolRig, from: ReadonlyMap<string, number>): SpoolFollower {
    return new SpoolFollower({
      disk: rig.disk,
      memory: rig.memory,
      from,
      onSubmission: (number, { id }, facts, mark) => {
        this.exact.take(this.exact.submissions, number, mark)
        assert.equal(this.submissions.get(number) ?? id, id)
        assert.equal(facts.subject, `about ${id}`)
        this.submissions.set(number, id)
      },
      onOutcome: (number, _, mark) => {
        this.exact.take(this.exact.outcomes, number, mark)
        if (!this.submissions.has(number)) this.early += 1
        this.outcomes.add(number)
      },
    })
  }
}

const rising = (a: number, b: number): number => a - b

function hand(rig: SpoolRig, log: number, bytes: number, accepted: Set<string>): void {
  const owner = rig.owners[log]
  const transaction = owner?.begin(bytes, 'acme')
  if (transaction === undefined || 'smtp' in transaction) return
  const content = Buffer.alloc(bytes, 'x')
  transaction.append(content, 0, bytes)
  const facts = { ...headFor([]).facts, subject: `about ${transaction.id}` }
  transaction.commit(headFor(['ann@example.net'], { facts }), (failure) => {
    if (failure === null) accepted.add(transaction.id)
  })
}

for (let seed = 1; seed <= 12; seed++) {
  test(`a follower sees all that is on disk, through laps of the window, restarts and power cuts (seed ${seed})`, () => {
    const random = seededRandom(seed)
    const below = (count: number): number => Math.floor(random.fraction() * count)
    let disk = new SimulatedDisk()
    const intakeLogs = 1 + (seed % 3)
    let reader = new Reader()
    let synced = reader.copy()
    const accepted = new Set<string>()
    let from: ReadonlyMap<string, number> = new Map()
    for (let life = 0; life < 4; life++) {
      const config = { ...smallSpool, checkpointAfterBytes: 64 * 1024 }
      const rig = openRig({ disk, random, config, intakeLogs, followed: true })
      rig.settle()
      assert.ok(canFollow(rig.memory))
      let follower = reader.follow(rig, from)
      const steps = 60 + below(200)
      for (let step = 0; step < steps; step++) {
        for (let i = below(6); i > 0; i--) hand(rig, below(intakeLogs), 100 + below(9_000), accepted)
        for (const number of rig.queue.numbers.slice(0, below(5))) deliverOne(rig, number)
        if (below(3) > 0) {
          rig.pump()
          rig.clock.advance(3)
        }
        rig.spool.reclaim.tick()
        // Sometimes far behind the window of 64 KiB, sometimes close.
        if (below(seed % 4 === 0 ? 20 : 2) === 0) {
          follower.aim()
          follower.step(1 + below(200_000))
        }
        if (below(25) === 0) {
          from = follower.positions
          synced = reader.copy()
          follower.release(from)
          follower.told(from)
        }
        if (below(40) === 0) {
          follower.close()
          reader = synced.copy()
          follower = reader.follow(rig, from)
        }
      }
      if (life === 3) {
        rig.settle()
        follower.aim()
        while (!follower.step(10_000));
        assert.equal(follower.behindBytes, 0)
        assert.deepEqual(accepted.difference(new Set(reader.submissions.values())), new Set(), 'every accepted message')
        const { exact } = reader
        assert.deepEqual(exact.submissions.toSorted(rising), [...reader.submissions.keys()].toSorted(rising))
        assert.deepEqual(exact.outcomes.toSorted(rising), [...reader.outcomes].toSorted(rising))
        assert.equal(reader.early, 0, 'outcomes follow their submissions')
        assert.deepEqual(
          [...reader.submissions.keys()].filter((number) => !reader.outcomes.has(number)).sort((a, b) => a - b),
          rig.queue.numbers.toSorted((a, b) => a - b),
        )
        assert.ok(rig.spool.reclaim.figures.reclaimed > 0 || seed % 4 === 0, 'segments went')
      }
      follower.close()
      if (life === 3) continue
      disk = disk.crash(random)
      reader = synced.copy()
    }
  })
}

test('no segment is used again before the follower has passed it for good', () => {
  const rig = openRig({ followed: true, config: { ...smallSpool, checkpointAfterBytes: 64 * 1024 } })
  rig.settle()
  const reader = new Reader()
  const follower = reader.follow(rig, new Map())
  const accepted = new Set<string>()
  const work = (): void => {
    for (let i = 0; i < 400; i++) {
      hand(rig, 0, 4_000, accepted)
      rig.settle()
      for (const number of rig.queue.numbers) deliverOne(rig, number)
      rig.spool.reclaim.tick()
    }
  }
  work()
  assert.equal(rig.spool.reclaim.figures.reclaimed, 0)
  follower.aim()
  while (!follower.step(1_000_000));
  follower.release(follower.positions)
  work()
  // They wait until everybody is told what became of their mail.
  assert.equal(rig.spool.reclaim.figures.reclaimed, 0)
  follower.aim()
  while (!follower.step(1_000_000));
  follower.told(follower.positions)
  rig.spool.reclaim.tick()
  rig.settle()
  assert.ok(rig.spool.reclaim.figures.reclaimed > 3)
  assert.equal(reader.submissions.size, accepted.size)
})

test('a store that has read further than the log goes belongs to another spool', () => {
  const rig = openRig({ followed: true })
  rig.settle()
  submit(rig, Buffer.from('a: b\r\n\r\nc\r\n'), () => {})
  rig.settle()
  assert.throws(
    () => new Reader().follow(rig, new Map([['intake-0', 2 ** 40]])),
    (error) => error instanceof PosthasteError && error.code === 'store_of_other_spool',
  )
})

test('who begins anew reads on behind the segments that are gone', () => {
  const config = { ...smallSpool, checkpointAfterBytes: 64 * 1024 }
  const rig = openRig({ followed: true, config })
  rig.settle()
  const accepted = new Set<string>()
  const first = new Reader().follow(rig, new Map())
  for (let i = 0; i < 600; i++) {
    hand(rig, 0, 4_000, accepted)
    rig.settle()
    // Those of the first segments wait for days.
    for (const number of rig.queue.numbers.slice(60)) deliverOne(rig, number)
    first.aim()
    while (!first.step(1_000_000));
    first.release(first.positions)
    first.told(first.positions)
    rig.spool.reclaim.tick()
  }
  assert.ok(rig.spool.reclaim.figures.reclaimed > 3)
  for (const again of [rig, openRig({ disk: rig.disk, followed: true, config })]) {
    again.settle()
    const reader = new Reader()
    const follower = reader.follow(again, new Map())
    follower.release(follower.positions)
    for (const { name, heldFrom } of again.spool.channels)
      assert.equal(heldFrom, follower.positions.get(name) ?? Number.POSITIVE_INFINITY, 'it holds what it needs')
    follower.aim()
    while (!follower.step(10_000));
    assert.equal(follower.behindBytes, 0)
    assert.ok(reader.submissions.size < accepted.size)
    for (const number of again.queue.numbers) assert.ok(reader.submissions.has(number), 'whoever waits is known')
  }
})

test('nobody follows before what a start has found is written again', () => {
  const disk = new SimulatedDisk()
  const rig = openRig({ disk, followed: true })
  rig.settle()
  submit(rig, Buffer.from('a: b\r\n\r\nc\r\n'), () => {})
  rig.clock.advance(5)
  disk.withFaults({
    before: (call) => {
      if (call === 'sync') throw new Error('killed')
    },
  })
  rig.pump()
  disk.withFaults({})
  const next = openRig({ disk, followed: true })
  assert.equal(next.spool.recovery.rewritten, 1)
  assert.ok(!canFollow(next.memory))
  next.settle()
  assert.ok(canFollow(next.memory))
})

test('behind a stretch that is damaged the follower goes on where recovery does', () => {
  const disk = new SimulatedDisk()
  const rig = openRig({ disk, followed: true })
  rig.settle()
  const accepted = new Set<string>()
  for (let i = 0; i < 60; i++) {
    hand(rig, 0, 4_000, accepted)
    rig.settle()
  }
  // One batch in the middle of the first segment, and the last one in it: only the next segment's header proves that it was there.
  const path = 'spool/intake-0/00000001.seg'
  const file = disk.open(path)
  const last = Math.max(
    ...rig.seen.filter(({ place }) => valueOf(place) < 2 * smallSpool.segmentBytes).map(({ place }) => valueOf(place)),
  )
  for (const position of [valueOf(rig.seen[3]?.place ?? 0), last])
    file.writeAt(Buffer.alloc(64, 120), 0, 64, (position % smallSpool.segmentBytes) + 100)
  file.dataSync()
  file.close()

  const again = openRig({ disk, followed: true })
  again.settle()
  const reader = new Reader()
  const follower = reader.follow(again, new Map())
  follower.aim()
  while (!follower.step(1_000_000));
  assert.equal(reader.submissions.size, 58)
  assert.deepEqual(
    [...reader.submissions.keys()].sort((a, b) => a - b),
    again.queue.numbers.toSorted((a, b) => a - b),
  )
})
