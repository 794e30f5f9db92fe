/** An intake thread fills its log from where recovery, or another thread that died, has stopped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { headFor, openRig, type SpoolRig, submit } from '../../test/support/spool-rig.ts'
import { seededRandom } from '../kernel/random.ts'
import { isFailure } from '../ports/submissions.ts'

/** The log as the next process finds it. */
function restart(rig: SpoolRig): SpoolRig {
  rig.spool.close()
  for (const flusher of rig.flushers) flusher.close()
  const again = openRig({ disk: rig.disk, random: seededRandom(99) })
  again.settle()
  return again
}

test('taken over before its first byte, a log keeps the salt that its file has already', () => {
  const rig = openRig({ intakeHere: false })
  rig.settle()
  rig.replaceOwner(0)
  const acknowledged: string[] = []
  submit(rig, Buffer.from('one\r\n'), (failure, id) => failure === null && acknowledged.push(id))
  rig.settle()
  assert.equal(acknowledged.length, 1)
  assert.equal(rig.seen.length, 1)

  const again = restart(rig)

  assert.equal(again.spool.recovery.damagedBytes, 0)
  assert.deepEqual(again.queue.numbers, rig.queue.numbers)
})

test('whoever takes over finds the number, the batch and the place; what was not handed on is gone, what was acknowledged stays', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 9_000 }) }) },
    { weight: 2, arbitrary: fc.record({ leaveOpen: fc.integer({ min: 1, max: 9_000 }) }) },
    { weight: 2, arbitrary: fc.constant('die' as const) },
    { weight: 3, arbitrary: fc.constant('pump' as const) },
    { weight: 1, arbitrary: fc.constant('rest' as const) },
  )
  fc.assert(
    fc.property(fc.nat(), fc.array(step, { minLength: 10, maxLength: 50 }), (seed, steps) => {
      const rig = openRig({ intakeHere: false, random: seededRandom(seed) })
      rig.settle()
      rig.replaceOwner(0)
      const acknowledged = new Set<string>()
      for (const one of steps) {
        if (one === 'die') rig.replaceOwner(0)
        else if (one === 'pump') rig.pump()
        else if (one === 'rest') rig.settle()
        else if ('send' in one)
          submit(rig, Buffer.alloc(one.send, 'x'), (failure, id) => failure === null && acknowledged.add(id))
        else {
          const transaction = rig.submissions.begin(1, 'acme')
          if (isFailure(transaction)) continue
          const content = Buffer.alloc(one.leaveOpen, 'y')
          transaction.append(content, 0, content.length)
          if (one.leaveOpen % 2 === 0) transaction.commit(headFor(['never@example.net']), () => {})
        }
      }
      rig.settle()
      const seen = rig.seen.map(({ submission }) => submission.id)
      assert.equal(new Set(seen).size, seen.length, 'each is handed on once')
      assert.equal(new Set(rig.seen.map(({ number }) => number)).size, seen.length, 'each has a number of its own')
      for (const id of acknowledged) assert.ok(seen.includes(id), `${id} was acknowledged`)

      const again = restart(rig)

      assert.equal(again.spool.recovery.damagedBytes, 0)
      assert.deepEqual(new Set(again.queue.numbers), new Set(rig.seen.map(({ number }) => number)))
    }),
    { numRuns: 30 },
  )
})
