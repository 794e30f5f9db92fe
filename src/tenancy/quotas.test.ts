/** Windows at their edges, clocks that jump, threads that race, and who knows what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { type QuotaRig, quotaRig, quotaTenant, noLimits } from '../../test/support/quota-rig.ts'
import type { RacerData } from '../../test/support/quota-racer.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { dayMs, hourMs, secondMs } from '../kernel/units.ts'
import type { IntakeTenant } from '../ports/directory.ts'
import { isQuotaRefusal, type QuotaLimits, type QuotaRefusal, type Taken } from '../ports/quotas.ts'
import { quotasMax } from './directory/limits.ts'
import { QuotaRows } from './quota-rows.ts'
import { makeQuotaMemory, QuotaTable, type Window, windows } from './quotas.ts'

/** A Tuesday, in the middle of a second. */
const startMs = Date.UTC(2026, 5, 30, 12, 0, 0, 500)
const client = { tenant: 'acme', how: 'key k1', credentialId: 'k1' }

const windowOf = (name: string): Window => {
  const found = windows.find((one) => one.name === name)
  assert.ok(found)
  return found
}

interface Rig extends QuotaRig {
  readonly clock: VirtualClock
  /** How many of these are taken before it is refused. */
  readonly takeAll: (messages?: number) => number
}

function rig(own: Partial<QuotaLimits>, key?: Partial<QuotaLimits>, load = true): Rig {
  const clock = new VirtualClock(startMs)
  const made = quotaRig(clock, own, key)
  if (load) made.load()
  const takeAll = (messages = 1): number => {
    let taken = 0
    while (!isQuotaRefusal(made.quotas.take(client, messages))) taken += messages
    return taken
  }
  return { ...made, clock, takeAll }
}

function refusal(answer: Taken | QuotaRefusal): QuotaRefusal {
  assert.ok(isQuotaRefusal(answer))
  return answer
}

test('a second, a day and a month end where the calendar says, and not a millisecond sooner', () => {
  for (const [limits, left] of [
    [{ messagesPerSecond: 3 }, 500],
    [{ messagesPerDay: 3 }, 12 * hourMs - 500],
    [{ messagesPerMonth: 3 }, 12 * hourMs - 500], // it is the 30th of June
  ] as const) {
    const { clock, quotas, takeAll } = rig(limits)
    assert.equal(takeAll(), 3)
    const { failure, state, retryAfterSeconds } = refusal(quotas.take(client, 1))
    assert.deepEqual([failure.code, failure.smtp, failure.http], ['quota_exceeded', '452 4.7.1', 429])
    assert.deepEqual(state, { limit: 3, remaining: 0, resetSeconds: Math.ceil(left / secondMs) })
    assert.equal(retryAfterSeconds, Math.ceil(left / secondMs))
    assert.equal(quotas.check(client, 1)?.failure.code, 'quota_exceeded')
    clock.advance(left - 1)
    assert.equal(takeAll(), 0)
    clock.advance(1)
    assert.equal(quotas.check(client, 1), null)
    assert.equal(takeAll(), 3)
  }
})

test('the new year begins a month', () => {
  const { clock, takeAll, quotas } = rig({ messagesPerMonth: 2 })
  clock.advance(Date.UTC(2026, 11, 31, 23, 59, 59, 999) - startMs)
  assert.equal(takeAll(), 2)
  assert.match(refusal(quotas.take(client, 1)).failure.say, /0 of them are left until 2027-01-01T00:00:00Z$/)
  clock.advance(1)
  assert.equal(takeAll(), 2)
})

test('a clock that steps back over the beginning of a window does not open the window a second time', () => {
  for (const limits of [{ messagesPerSecond: 3 }, { messagesPerDay: 3 }, { messagesPerMonth: 3 }]) {
    const { clock, takeAll } = rig(limits)
    assert.equal(takeAll(2), 2)
    clock.advance(12 * hourMs)
    assert.equal(takeAll(2), 2, 'the next window')
    clock.jumpWall(-501)
    assert.equal(takeAll(), 1, 'its last one, before it begins again')
    clock.advance(501)
    assert.equal(takeAll(), 0)
  }
})

test('a clock that was days ahead is not waited for: the count comes along, and the windows end with the calendar', () => {
  const { clock, takeAll, table } = rig({ messagesPerDay: 5 })
  clock.jumpWall(40 * dayMs)
  assert.equal(takeAll(3), 3)
  clock.jumpWall(-40 * dayMs)
  assert.equal(takeAll(), 2)
  assert.equal(table.endMs(0, windowOf('day')), Date.UTC(2026, 6, 1))
  clock.advance(dayMs)
  assert.equal(takeAll(), 5)
})

test('the tenant and its key are counted together: what one refuses, the other has not lost', () => {
  const { quotas, table } = rig({ messagesPerDay: 10 }, { messagesPerDay: 4, messagesPerSecond: 3 })
  assert.ok(!isQuotaRefusal(quotas.take(client, 3)))
  const second = refusal(quotas.take(client, 1))
  assert.match(second.failure.say, /^the quota of this key is 3 messages a second, 0 of them/)
  assert.ok(!isQuotaRefusal(quotas.take({ ...client, credentialId: 'other' }, 6)), 'another key of the tenant')
  assert.equal(table.count(0, windowOf('day')), 9)
  assert.equal(isQuotaRefusal(quotas.take({ tenant: 'rival', how: '' }, 1_000)), false, 'another tenant')
})

test('what could never fit is told so', () => {
  const { quotas } = rig({ messagesPerSecond: 10 })
  const { failure, cure } = refusal(quotas.take(client, 11))
  assert.match(failure.say, /is 10 messages a second, and these are 11 at once: send fewer at a time$/)
  assert.match(cure, /of 10 recipients at most/)
})

test('headers tell of the window that has the fewest left', () => {
  const { quotas, clock } = rig({ messagesPerSecond: 100, messagesPerDay: 120, messagesPerMonth: 120 })
  assert.deepEqual(quotas.remaining(client), { limit: 100, remaining: 100, resetSeconds: 1 })
  quotas.take(client, 90)
  assert.equal(quotas.remaining(client)?.remaining, 10)
  clock.advance(secondMs)
  // Of two that are alike, the one that lasts longer; here both end at once.
  assert.deepEqual(quotas.remaining(client), { limit: 120, remaining: 30, resetSeconds: 12 * 3600 - 1 })
  assert.equal(quotas.remaining({ tenant: 'rival', how: '' }), null)
})

test('what was given back may be taken again, and only in the window that it was taken from', () => {
  const { quotas, clock, takeAll } = rig({ messagesPerSecond: 5, messagesPerDay: 8 })
  const taken = quotas.take(client, 5)
  assert.ok(!isQuotaRefusal(taken))
  quotas.giveBack(taken)
  assert.equal(takeAll(), 5)
  clock.advance(secondMs)
  assert.equal(takeAll(), 3)
  const late = rig({ messagesPerSecond: 5 })
  const old = late.quotas.take(client, 5)
  assert.ok(!isQuotaRefusal(old))
  late.clock.advance(secondMs)
  assert.equal(late.takeAll(), 5)
  late.quotas.giveBack(old)
  assert.equal(late.takeAll(), 0)
})

test('until the logs have told what was sent, a day and a month are refused for the moment; a second is not', () => {
  for (const limits of [{ messagesPerDay: 10 }, { messagesPerMonth: 10 }]) {
    const { quotas, rows, table, load, takeAll } = rig(limits, undefined, false)
    const { failure, retryAfterSeconds, state } = refusal(quotas.take(client, 1))
    assert.deepEqual([failure.code, failure.smtp, failure.http], ['usage_unknown', '451 4.3.2', 503])
    assert.deepEqual([retryAfterSeconds, state], [1, null])
    assert.equal(quotas.check(client, 1)?.failure, failure)
    assert.equal(rows.use('acme', null)?.dayMessages, null)
    assert.deepEqual(rows.toLoad(), [{ row: 0, generation: 0, tenant: 'acme', credentialId: null }])
    load(7)
    assert.deepEqual(rows.toLoad(), [])
    table.load({ row: 0, generation: 0 }, { day: 1, dayMessages: 0, month: 1, monthMessages: 0 })
    assert.equal(takeAll(), 3, 'what is known is not loaded again')
    assert.equal(rows.use('acme', null)?.dayMessages, 10)
  }
  const { takeAll, rows } = rig({ messagesPerSecond: 2 }, undefined, false)
  assert.deepEqual(rows.toLoad(), [])
  assert.equal(takeAll(), 2)
})

test('usage of yesterday, told after midnight, is not of today', () => {
  const { quotas, rows, table, clock, takeAll } = rig({ messagesPerDay: 10, messagesPerMonth: 15 }, undefined, false)
  const [place] = rows.toLoad()
  assert.ok(place)
  const usage = { day: Math.floor(startMs / dayMs), dayMessages: 9, month: 56 * 12 + 5, monthMessages: 9 }
  clock.advance(dayMs)
  table.load(place, usage)
  assert.equal(takeAll(), 10)
  assert.equal(quotas.remaining(client)?.remaining, 0)
})

test('a quota that goes and comes again is counted anew, and nothing of before is given back to it', () => {
  const { quotas, rows, table, load } = rig({ messagesPerDay: 10 })
  const taken = quotas.take(client, 5)
  assert.ok(!isQuotaRefusal(taken))
  const [old] = [table.place(0)]
  const without: IntakeTenant = { ...quotaTenant(rows, {}), keys: [] }
  delete (without as { quota?: unknown }).quota
  quotas.put(without)
  rows.settle(without, false)
  assert.deepEqual(rows.use('acme', null)?.dayMessages, 5, 'a thread may still count in it')
  rows.settle(without, true)
  assert.equal(rows.use('acme', null), null)
  assert.equal(isQuotaRefusal(quotas.take(client, 1_000)), false)

  let asked = 0
  rows.onToLoad = () => void asked++
  const again = quotaTenant(rows, { messagesPerDay: 10 })
  quotas.put(again)
  assert.deepEqual([rows.toLoad(), asked], [[], 0], 'not before all threads know of it')
  rows.settle(again, true)
  assert.equal(asked, 1)
  table.load(old, { day: 0, dayMessages: 0, month: 0, monthMessages: 0 })
  assert.equal(rows.toLoad().length, 1, 'what was asked for the owner before changes nothing')
  load(8)
  quotas.giveBack(taken)
  assert.equal(rows.use('acme', null)?.dayMessages, 8)
})

test('after a restart of the mail threads nothing is known', () => {
  const { quotas, rows, table, takeAll } = rig({ messagesPerDay: 10 })
  assert.equal(takeAll(5), 10)
  table.forgetAll()
  assert.equal(refusal(quotas.take(client, 1)).failure.code, 'usage_unknown')
  assert.equal(rows.toLoad().length, 1)
})

test('a tenant over its spool quota is refused, with what it has and may have', () => {
  const { quotas, table } = rig({ spoolBytes: 1024, spoolRecipients: 3 })
  table.setWaiting(0, 1023, 2)
  assert.ok(!isQuotaRefusal(quotas.take(client, 10)))
  table.setWaiting(0, 1024, 2)
  const bytes = refusal(quotas.take(client, 1))
  assert.deepEqual([bytes.failure.code, bytes.failure.smtp, bytes.failure.http], ['spool_quota_full', '452 4.7.1', 429])
  assert.match(bytes.failure.say, /^the spool quota of this tenant is 1 KiB of mail .* and has 1 KiB/)
  table.setWaiting(0, 0, 3)
  assert.match(quotas.check(client, 1)?.failure.say ?? '', /is 3 recipients that wait .* and has 3/)
  assert.equal(quotas.remaining(client), null)
  table.setWaiting(0, 0, 0)
  assert.equal(quotas.check(client, 1), null)
})

test('limit directory.quotas: as many rows as there may be, and one more is refused with the cure; a row that is free is given again', () => {
  const clock = new VirtualClock(startMs)
  const rows = new QuotaRows(new QuotaTable(makeQuotaMemory(), clock))
  for (let n = 0; n < quotasMax.value; n++) assert.equal(rows.give(`t${n}`, '', noLimits), n)
  assert.throws(() => rows.give('one more', '', noLimits), { code: 'quotas_too_many', cure: /nobody needs/ })
  assert.equal(rows.give('t7', '', noLimits), 7)
  const gone: IntakeTenant = {
    id: 't7',
    name: '',
    keys: [],
    logins: [],
    networks: [],
    domains: [],
    senders: [],
    streams: [],
  }
  rows.settle(gone, true)
  assert.equal(rows.give('one more', '', noLimits), 7)
})

test('however it is taken and given back while the clock goes on, a window never has more than its limit', () => {
  const step = fc.record({
    messages: fc.integer({ min: 1, max: 4 }),
    giveBack: fc.boolean(),
    passMs: fc.oneof(fc.constant(0), fc.nat(700), fc.nat(2 * dayMs)),
    stepBackMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(900) }),
  })
  const limits = fc.record({
    messagesPerSecond: fc.integer({ min: 0, max: 6 }),
    messagesPerDay: fc.integer({ min: 0, max: 12 }),
    messagesPerMonth: fc.integer({ min: 0, max: 20 }),
  })
  const property = fc.property(limits, limits, fc.array(step, { maxLength: 60 }), (own, key, steps) => {
    const { clock, quotas } = rig(own, key)
    /** By window as its part says. */
    const sums = new Map<string, number>()
    const add = ({ messages, parts }: Taken, sign: 1 | -1): void => {
      for (const { row, column, window } of parts) {
        const name = `${row} ${column} ${window}`
        sums.set(name, (sums.get(name) ?? 0) + sign * messages)
        const limit = [own, key][row]
        assert.ok(limit)
        const max = [limit.messagesPerSecond, limit.messagesPerDay, limit.messagesPerMonth][column] as number
        assert.ok(max === 0 || (sums.get(name) as number) <= max, `${name}: ${sums.get(name)} of ${max}`)
      }
    }
    for (const { messages, giveBack, passMs, stepBackMs } of steps) {
      clock.jumpWall(-stepBackMs)
      const refused = quotas.check(client, messages) !== null
      const taken = quotas.take(client, messages)
      assert.equal(isQuotaRefusal(taken), refused, 'check and take agree while nobody else takes')
      if (!isQuotaRefusal(taken)) {
        add(taken, 1)
        if (giveBack) {
          quotas.giveBack(taken)
          add(taken, -1)
        }
      }
      clock.advance(passMs)
    }
  })
  fc.assert(property, { numRuns: 300 })
})

/** Three threads with a key each; what they kept together, and what the table says of the tenant's and of the keys' days. */
async function race(own: number, ofKey: number): Promise<{ kept: number; counted: number; ofKeys: number }> {
  const clock = new VirtualClock(startMs)
  const memory = makeQuotaMemory(4)
  const table = new QuotaTable(memory, clock)
  const limits = { ...noLimits, messagesPerDay: ofKey }
  const keys = [1, 2, 3].map((row) => ({
    id: `k${row}`,
    sha256: '',
    scopes: [],
    networks: [],
    expiresMs: null,
    ...(ofKey > 0 && { quota: { row, limits } }),
  }))
  const quota = { row: 0, limits: { ...noLimits, messagesPerDay: own } }
  const nothing = { logins: [], networks: [], domains: [], senders: [], streams: [] }
  const tenant: IntakeTenant = { id: 'acme', name: 'acme', quota, keys, ...nothing }
  const usage = { day: windowOf('day').numberAt(startMs), dayMessages: 0, month: 677, monthMessages: 0 }
  for (let row = 0; row < table.rows; row++) table.load({ row, generation: 0 }, usage)
  const source = new URL('../../test/support/quota-racer.ts', import.meta.url)
  const kept = await Promise.all(
    keys.map(({ id: key }) => {
      const workerData: RacerData = { memory, nowMs: startMs, tenant, key }
      const racer = new Worker(source, { workerData })
      return new Promise<number>((resolve, reject) => racer.on('message', resolve).on('error', reject))
    }),
  )
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)
  const day = windowOf('day')
  const ofKeys = sum(keys.map((_, index) => table.count(index + 1, day) ?? 0))
  return { kept: sum(kept), counted: table.count(0, day) ?? 0, ofKeys }
}

test('threads that race for one quota take exactly what there is', async () => {
  const { kept, counted } = await race(20_000, 0)
  assert.deepEqual([kept, counted], [20_000, 20_000])
})

test('threads that race for a tenant’s quota and have one each never go beyond either, and nothing is lost in between', async () => {
  const { kept, counted, ofKeys } = await race(20_000, 6_000)
  assert.ok(kept <= 18_000 && kept > 0, `${kept}`)
  assert.deepEqual([counted, ofKeys], [kept, kept])
})
