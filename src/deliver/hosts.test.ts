import assert from 'node:assert/strict'
import test from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import { createHostMemory } from './hosts.ts'
import { tlsSessionMs, tlsSessionsMax } from './limits.ts'

test('limit deliver.tls-session, limit deliver.tls-sessions: what is remembered ends with its time, and the oldest makes way', () => {
  const clock = new VirtualClock()
  const { tlsSessions } = createHostMemory(clock)
  const ticket = Buffer.from('ticket')
  for (let i = 0; i < tlsSessionsMax.value; i++) tlsSessions.set(`host${i}`, ticket)
  assert.equal(tlsSessions.get('host0'), ticket)
  tlsSessions.set('one more', ticket)
  assert.equal(tlsSessions.get('host0'), undefined)
  assert.equal(tlsSessions.get('host1'), ticket)
  clock.advance(tlsSessionMs.value - 1)
  assert.equal(tlsSessions.get('host1'), ticket)
  clock.advance(1)
  assert.equal(tlsSessions.get('host1'), undefined)
})
