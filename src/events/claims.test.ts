/** Keys of idempotency: one request at a time, the others learn what became of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import type { Claim } from '../ports/message-store.ts'
import { Claims, type KeyedMessage } from './events.ts'
import { claimsMax, claimWaitersMax, claimWaitMsMax } from './limits.ts'

class Rig {
  readonly clock = new VirtualClock()
  readonly known = new Map<string, KeyedMessage>()
  readonly claims: Claims
  /** By request, in order of their answers. */
  readonly answers: [request: string, answer: string][] = []
  readonly held = new Map<string, number>()

  constructor(owners: number[] = []) {
    const find = (tenant: string, key: string): KeyedMessage | null => this.known.get(`${tenant}/${key}`) ?? null
    this.claims = new Claims({ clock: this.clock, find, owners })
  }

  take(request: string, { owner = 1, tenant = 'acme', key = 'k', hash = 'h' } = {}): void {
    this.claims.take(owner, tenant, key, hash, (claim) => {
      this.answers.push([request, sayOf(claim)])
      if (claim?.kind === 'new') this.held.set(request, claim.claim)
    })
  }

  release(request: string, owner = 1): void {
    this.claims.release(owner, this.held.get(request) ?? assert.fail(`${request} holds nothing`))
  }

  accepted(id: string, { tenant = 'acme', key = 'k', hash = 'h' } = {}): void {
    this.known.set(`${tenant}/${key}`, { id, requestSha256: hash })
  }

  /** Answers since the last call. */
  heard(): string[] {
    return this.answers.splice(0).map(([request, answer]) => `${request} ${answer}`)
  }
}

const sayOf = (claim: Claim | null): string =>
  claim === null ? 'unavailable' : claim.kind === 'new' ? 'new' : `${claim.kind} ${claim.id}`

test('the first request goes on, the others wait and learn its message', () => {
  const rig = new Rig()
  rig.take('a')
  rig.take('b')
  rig.take('c', { hash: 'another body', owner: 2 })
  assert.deepEqual(rig.heard(), ['a new'])
  rig.accepted('m1')
  rig.release('a')
  assert.deepEqual(rig.heard(), ['b same m1', 'c conflict m1'])
  rig.take('d')
  assert.deepEqual(rig.heard(), ['d same m1'])
  assert.deepEqual(rig.claims.figures, { held: 0, waiting: 0 })
})

test('when the first one fails the next one in line goes on', () => {
  const rig = new Rig()
  for (const request of ['a', 'b', 'c']) rig.take(request)
  rig.release('a')
  assert.deepEqual(rig.heard(), ['a new', 'b new'])
  rig.release('a')
  assert.deepEqual(rig.heard(), [], 'a claim is released once')
  rig.accepted('m1')
  rig.release('b')
  assert.deepEqual(rig.heard(), ['c same m1'])
})

test('keys are a tenant’s own', () => {
  const rig = new Rig()
  rig.take('a', { tenant: 'acme', key: 'k' })
  rig.take('b', { tenant: 'other', key: 'k' })
  rig.take('c', { tenant: 'acme', key: 'kk' })
  rig.take('d', { tenant: 'acmek', key: 'k' })
  assert.deepEqual(rig.heard(), ['a new', 'b new', 'c new', 'd new'])
})

test('only the owner releases', () => {
  const rig = new Rig()
  rig.take('a', { owner: 1 })
  rig.take('b', { owner: 2 })
  rig.release('a', 2)
  assert.deepEqual(rig.heard(), ['a new'])
})

test('what a dead thread held is free, and nobody answers its requests', () => {
  const rig = new Rig()
  rig.take('a', { owner: 1 })
  rig.take('b', { owner: 1 })
  rig.take('c', { owner: 2 })
  rig.claims.dropOwner(1)
  assert.deepEqual(rig.heard(), ['a new', 'c new'])
  rig.clock.advance(2 * claimWaitMsMax.value)
  assert.deepEqual(rig.heard(), [])
  assert.deepEqual(rig.claims.figures, { held: 1, waiting: 0 })
})

test('after a restart everybody waits until all have said what they hold', () => {
  const rig = new Rig([1, 2, 3])
  rig.take('a', { owner: 1 })
  rig.take('b', { owner: 1, key: 'other' })
  rig.claims.adopt(1, [])
  rig.claims.adopt(2, [{ claim: 7, tenant: 'acme', key: 'k' }])
  assert.deepEqual(rig.heard(), [])
  rig.claims.dropOwner(3)
  assert.deepEqual(rig.heard(), ['b new'])
  assert.ok((rig.held.get('b') ?? 0) > 7, 'no number stands for two claims')
  rig.accepted('m1')
  rig.claims.release(2, 7)
  assert.deepEqual(rig.heard(), ['a same m1'])
})

test('an answer may come back with the next request at once', () => {
  const rig = new Rig()
  let rounds = 0
  const again = (claim: Claim | null): void => {
    if (claim?.kind !== 'new' || ++rounds === 5) return
    rig.claims.take(1, 'acme', 'k', 'h', again)
    rig.claims.release(1, claim.claim)
  }
  rig.claims.take(1, 'acme', 'k', 'h', again)
  assert.equal(rounds, 5)
  assert.deepEqual(rig.claims.figures, { held: 1, waiting: 0 })
})

test('limit store.claim-wait: so long a request waits, then it hears that the store cannot say', () => {
  const rig = new Rig()
  for (const request of ['a', 'b']) rig.take(request)
  rig.clock.advance(claimWaitMsMax.value - 1)
  assert.deepEqual(rig.heard(), ['a new'])
  rig.clock.advance(1)
  assert.deepEqual(rig.heard(), ['b unavailable'])
  rig.clock.advance(1)
  rig.release('a')
  assert.deepEqual(rig.heard(), [])
})

test('limit store.claims: so many keys are held, the next request hears that the store cannot say', () => {
  const rig = new Rig()
  for (let n = 1; n <= claimsMax.value; n++) rig.take(`r${n}`, { key: `k${n}` })
  assert.equal(rig.heard().at(-1), `r${claimsMax.value} new`)
  rig.take('late', { key: 'late' })
  assert.deepEqual(rig.heard(), ['late unavailable'])
  rig.release('r1')
  rig.take('late', { key: 'late' })
  assert.deepEqual(rig.heard(), ['late new'])
})

test('limit store.claim-waiters: so many requests wait, the next one hears so; other keys go on', () => {
  const rig = new Rig()
  rig.take('a')
  for (let n = 1; n <= claimWaitersMax.value; n++) rig.take(`r${n}`)
  assert.deepEqual(rig.heard(), ['a new'])
  rig.take('late')
  rig.take('b', { key: 'other' })
  assert.deepEqual(rig.heard(), ['late unavailable', 'b new'])
  assert.deepEqual(rig.claims.figures, { held: 2, waiting: claimWaitersMax.value })
})
