/** Keys of idempotency when threads come and go: a key is given only by what was read after all that its holders before had handed over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { smallSpool } from '../../test/support/spool-rig.ts'
import { Claims } from '../events/events.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { Channel, intakeLogName, makeSpoolMemory } from '../spool/spool.ts'
import { ClaimDesk, ownerBefore, OwnerNumbers } from './claim-desk.ts'

/** An events thread that has just begun, one log, and what was read of it. */
function begin(owners: readonly string[]) {
  const memory = makeSpoolMemory(new SimulatedDisk(), smallSpool, 1, true)
  const log = new Channel(memory.channels.find(({ name }) => name === intakeLogName(0)) ?? assert.fail())
  log.begin(smallSpool.segmentBytes, 1)
  const read = new Map<string, string>()
  const numbers = new OwnerNumbers()
  const claims = new Claims({
    clock: new VirtualClock(),
    find: (_tenant, key) => {
      const id = read.get(key)
      return id === undefined ? null : { id, requestSha256: 'hash' }
    },
    owners: owners.map((owner) => numbers.of(owner)),
  })
  const desk = new ClaimDesk(claims, memory, numbers)
  const answers: string[] = []
  const ask = (owner: string): void =>
    desk.take(owner, { kind: 'claim', tenant: 'acme', key: 'k', requestSha256: 'hash' }, (answer) => {
      answers.push(answer !== null && 'kind' in answer ? `${answer.kind} ${'id' in answer ? answer.id : ''}` : 'none')
    })
  const handOver = (position: number): void => log.close(position, 2, new Int32Array(memory.wake))
  return { desk, log, read, answers, ask, handOver }
}

test('what was given back just before a thread said what it holds is read first', () => {
  const { desk, read, answers, ask } = begin(['intake-0', 'intake-1'])
  desk.hello('intake-0', [])
  desk.aim()
  desk.reached()
  ask('intake-0')
  // It held the key, has committed under it, and has given it back to the thread before.
  desk.hello('intake-1', [])
  assert.deepEqual(answers, [])
  assert.ok(desk.waits)
  desk.aim()
  read.set('k', 'its message')
  desk.reached()
  assert.deepEqual(answers, ['same its message'])
})

test('no key is given before all is on disk that was handed over before this thread began', () => {
  const { desk, log, read, answers, ask, handOver } = begin(['intake-0', ownerBefore(0)])
  const end = log.committedTo + 8_192
  // By a thread that died while there was nobody to be told.
  handOver(end)
  desk.gone(ownerBefore(0), 0)
  desk.hello('intake-0', [])
  desk.aim()
  desk.reached()
  ask('intake-0')
  desk.aim()
  desk.reached()
  assert.deepEqual(answers, [])
  log.commit(end)
  desk.aim()
  read.set('k', 'its message')
  desk.reached()
  assert.deepEqual(answers, ['same its message'])
})
