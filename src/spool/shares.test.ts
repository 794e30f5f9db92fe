import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFailure } from '../ports/submissions.ts'
import { openRig } from '../../test/support/spool-rig.ts'
import { fullTenants, tenantBytesMax } from './shares.ts'

const facts = { share: 0.25, freeBytes: 900, reserveBytes: 100 }
const tenants = (...bytes: number[]) => new Map(bytes.map((used, i) => [`t${i}`, { bytes: used }]))

test('a share is of what waiting mail takes and what is free above the reserve', () => {
  assert.equal(tenantBytesMax(facts, 0), 200)
  assert.equal(tenantBytesMax(facts, 400), 300)
  assert.equal(tenantBytesMax({ ...facts, freeBytes: 50 }, 400), 100, 'a disk below its reserve adds nothing')
})

test('limit spool.tenant_share: one byte below it a tenant may send, at it and above it not, and others may all the same', () => {
  // 400 used of 1,200 for mail: 300 is a quarter.
  for (const [bytes, full] of [
    [299, false],
    [300, true],
    [301, true],
  ] as const) {
    const others = 400 - bytes
    assert.deepEqual([...fullTenants(tenants(bytes, others), facts)], full ? ['t0'] : [])
  }
})

test('a tenant that fills its share hears 452 alone', () => {
  const rig = openRig()
  rig.settle()
  rig.submissions.setFull(new Set(['loud']), false)
  const refused = rig.submissions.begin(0, 'loud')
  assert.ok(isFailure(refused) && refused.smtp === '452 4.3.1' && refused.http === 429)
  assert.ok(!isFailure(rig.submissions.begin(0, 'quiet')))
  rig.submissions.setFull(new Set(), true)
  assert.ok(isFailure(rig.submissions.begin(0, 'quiet')), 'a full queue has room for nobody')
  rig.submissions.setFull(new Set(), false)
  assert.ok(!isFailure(rig.submissions.begin(0, 'loud')))
})
