/** The checker of keys on evidence that is made up: it must be able to fail, at each of its promises. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkKeys, type KeyAnswer, type KeyRecord, type Variant } from './keyed-checker.ts'

const answer = (variant: Variant, status: 202 | 409, more: Partial<KeyAnswer> = {}) => ({
  variant,
  status,
  id: 'one',
  replayed: true,
  ...more,
})
const arrival = (receivedMs: number, more: Partial<KeyRecord['arrivals'][number]> = {}) => ({
  id: 'one',
  variant: 'a' as const,
  receivedMs,
  ...more,
})
const sound: KeyRecord = {
  number: 7,
  answers: [answer('a', 202, { replayed: false }), answer('a', 202), answer('b', 409)],
  arrivals: [arrival(500)],
}
const causes = (killsAtMs: number[]) => ({ killsAtMs, inFlightMax: 1, outcomeMsMax: 0 })
const complaints = (change: Partial<KeyRecord>, killsAtMs: number[] = []): string[] =>
  checkKeys([{ ...sound, ...change }], causes(killsAtMs)).violations.map((text) => text.replace(/: \{.*/, ''))

test('a key with one message is sound, and is counted', () => {
  const { violations, duplicates, ...figures } = checkKeys([sound], causes([]))
  assert.deepEqual([violations, duplicates.total], [[], 0])
  assert.deepEqual(figures, { keys: 1, accepted: 2, conflicts: 1, arrivals: 1 })
})

test('answers of one key must agree', () => {
  const plus = (...more: KeyAnswer[]): string[] => complaints({ answers: [...sound.answers, ...more] })
  assert.deepEqual(plus(answer('a', 202, { id: 'two' })), ['key 7 was answered with two ids'])
  assert.deepEqual(plus(answer('b', 409, { id: 'two' })), ['key 7 was answered with two ids'])
  assert.deepEqual(plus(answer('a', 202, { replayed: false })), ['key 7 was new twice'])
  assert.deepEqual(plus(answer('a', 409)), ['key 7 was refused its own body'])
  assert.deepEqual(plus(answer('b', 202)), ['key 7 stands for two bodies', 'key 7 was refused its own body'])
  assert.deepEqual(complaints({ answers: [] })[0], 'key 7 was accepted for nobody')
})

test('what was accepted arrives, that message and no other', () => {
  assert.deepEqual(complaints({ arrivals: [] }), ['key 7 was accepted, and nothing arrived'])
  assert.deepEqual(complaints({ arrivals: [arrival(1, { id: 'two' })] }), [
    'key 7 became a message of another id than was answered',
  ])
  assert.deepEqual(complaints({ arrivals: [arrival(1, { variant: 'b' })] }), [
    'key 7 arrived with the body that was not accepted',
  ])
  assert.deepEqual(complaints({ arrivals: [arrival(1), arrival(900, { id: 'two' })] }, [500]), [
    'key 7 became two messages',
  ])
})

test('a second copy of the same message needs a cause, and a kill is the cause of so many only', () => {
  const arrivals = [arrival(500), arrival(900)]
  const withoutCause =
    'delivered twice, though nothing was killed and no reply was lost between the copies: one of key 7'
  assert.deepEqual(complaints({ arrivals }), [withoutCause])
  assert.deepEqual(complaints({ arrivals }, [700]), [])
  assert.deepEqual(complaints({ arrivals }, [100]), [withoutCause])
  const keys = [300, 400, 500].map((firstMs, number) => ({
    ...sound,
    number,
    arrivals: [arrival(firstMs), arrival(900)],
  }))
  assert.deepEqual(checkKeys(keys, causes([700])).violations, [
    'a kill caused more duplicates than were in flight and not yet committed: kill 1: 3 > 2',
  ])
})
