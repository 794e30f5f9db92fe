import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRig, submit } from '../../test/support/spool-rig.ts'
import { NoticeGate } from './notice-gate.ts'

test('the gate opens when all was read that whoever filled a log may have handed over, also after a death', () => {
  const rig = openRig({ followed: true, intakeLogs: 2 })
  rig.settle()
  const ends = (): Map<string, number> => new Map(rig.spool.channels.map(({ name, closedTo }) => [name, closedTo]))
  const gate = new NoticeGate(rig.memory)
  gate.begin()
  const atBegin = ends()
  const without = new Map([...atBegin, ['intake-1', 0]])
  assert.equal(gate.isOpen(without), false)
  gate.reached()
  assert.equal(gate.isOpen(without), false)
  assert.equal(gate.isOpen(atBegin), true)
  const another = new NoticeGate(rig.memory)
  another.begin()
  assert.equal(another.isOpen(atBegin), false, 'what nobody fills any more was not read')
  submit(rig, Buffer.from('a: b\r\n\r\nc\r\n'), () => {})
  rig.clock.advance(5)
  rig.pump()
  assert.equal(gate.isOpen(atBegin), true, 'whoever lives will tell')
  gate.died(0)
  assert.equal(gate.isOpen(atBegin), false)
  rig.settle()
  assert.equal(gate.isOpen(ends()), true)
})
