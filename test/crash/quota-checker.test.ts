/** The checker of quotas on evidence that is made up: it must be able to fail, at each of its promises. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, minuteMs } from '../../src/kernel/units.ts'
import { tooLateInTheDay } from './quota.ts'
import { checkQuota, type Offer, type QuotaEvidence } from './quota-checker.ts'
import type { AccountingLine } from './record-checker.ts'

const offer = (id: string, code: number): Offer => ({ id, rcpt: `${id}@mail.test`, code })
const line = (id: string): AccountingLine => ({
  event: 'accepted',
  time: '2026-07-01T12:00:00.000Z',
  id,
  tenant: 'shop',
  recipient: `${id}@mail.test`,
  log: 'intake-0',
  position: 64,
  index: 0,
})
const arrivedOf = (...ids: string[]): Set<string> => new Set(ids.map((id) => `${id}@mail.test`))

/** Of three, two were accepted and their clients told so, and one whose client a kill cut off, as it did another's that was not accepted. */
const sound: QuotaEvidence = {
  quota: 3,
  commitGroupMax: 2,
  offers: [offer('a', 250), offer('b', 250), offer('c', 0), offer('d', 0), offer('e', 452), offer('f', 503)],
  lines: [line('a'), line('b'), line('c')],
  arrived: arrivedOf('a', 'b', 'c'),
  shown: 3,
}
const complaints = (change: Partial<QuotaEvidence>): string[] => checkQuota({ ...sound, ...change }).violations

test('evidence without a fault is accounted for', () => {
  assert.deepEqual(checkQuota(sound), { violations: [], accepted: 2, refused: 2, untold: 1, used: 3, shown: 3 })
})

test('one commit group over the quota is let pass, and not one more; one less is found', () => {
  const change = { shown: 3 } as const
  assert.deepEqual(complaints({ ...change, quota: 1 }), [])
  assert.deepEqual(complaints({ ...change, quota: 1, commitGroupMax: 1 }), ['quota: 3 were accepted, and 1 may be'])
  assert.deepEqual(complaints({ ...change, quota: 4 }), ['quota: everybody is refused, and of 4 only 3 were accepted'])
})

test('usage that is off by one is found', () => {
  for (const shown of [2, 4, null]) {
    assert.deepEqual(complaints({ shown }), [`quota: by the program ${shown} were used, and by the lines 3`])
  }
})

test('what was refused is in no line and does not arrive', () => {
  const [first, second, third] = sound.lines as [AccountingLine, AccountingLine, AccountingLine]
  const refused = [...sound.offers.slice(0, 2), offer('c', 429)]
  assert.deepEqual(complaints({ offers: refused }), [
    'quota: refused, and accepted all the same: c c@mail.test',
    'quota: refused, and arrived all the same: c c@mail.test',
  ])
  assert.deepEqual(complaints({ lines: [first, second, { ...third, recipient: 'z@mail.test' }] }), [
    'quota: accepted by the lines, and never arrived: z@mail.test',
    'quota: accepted by the lines, and nobody offered it: z@mail.test',
    'quota: arrived, and no line says so: c@mail.test',
  ])
})

test('what was acknowledged is in a line and arrives', () => {
  assert.deepEqual(complaints({ arrived: arrivedOf('a', 'c') }), [
    'quota: acknowledged, and never arrived: b b@mail.test',
    'quota: accepted by the lines, and never arrived: b@mail.test',
  ])
  assert.deepEqual(complaints({ lines: sound.lines.slice(1), shown: 2, quota: 2 }), [
    'quota: acknowledged, and no line says so: a a@mail.test',
    'quota: arrived, and no line says so: a@mail.test',
  ])
})

test('a run does not begin when midnight would come into it', () => {
  const midnightMs = Date.UTC(2026, 6, 2)
  assert.equal(tooLateInTheDay(midnightMs), null)
  assert.equal(tooLateInTheDay(midnightMs - 10 * minuteMs - 1), null)
  assert.match(tooLateInTheDay(midnightMs - 10 * minuteMs) ?? '', /in 10 min: begin after it, or 10 minutes before/)
  assert.match(tooLateInTheDay(midnightMs - 1) ?? '', /in 1 min/)
  assert.equal(tooLateInTheDay(midnightMs + 23 * hourMs), null)
})
