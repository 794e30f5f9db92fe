import assert from 'node:assert/strict'
import { test } from 'node:test'
import { condition } from '../../test/support/condition.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import { StoreUnavailable } from '../ports/message-store.ts'
import { QuotaLoader } from './quota-loader.ts'

const usage = { day: 1, dayMessages: 2, month: 3, monthMessages: 4 }
const rowsOf = (count: number) =>
  Array.from({ length: count }, (_, row) => ({ row, generation: 0, tenant: `t${row}`, credentialId: null }))

test('rows are asked for together, and whoever could not be answered is asked for again', async () => {
  const clock = new VirtualClock()
  const loaded = new Set<number>()
  let under = 0
  let mostUnder = 0
  let fails = true
  const loader = new QuotaLoader(
    { toLoad: () => rowsOf(1_000).filter(({ row }) => !loaded.has(row)) },
    { load: ({ row }) => void loaded.add(row) },
    {
      usage: async (tenant) => {
        mostUnder = Math.max(mostUnder, ++under)
        await Promise.resolve()
        under -= 1
        if (fails && tenant === 't500') throw new StoreUnavailable('it is starting')
        return usage
      },
    },
    clock,
  )
  loader.begin()
  await condition(() => loaded.size >= 448 && under === 0)
  assert.ok(loaded.size < 1_000)
  assert.ok(mostUnder > 10 && mostUnder <= 64)
  fails = false
  // It may be at it still: then the next second asks.
  await condition(() => {
    clock.advance(secondMs)
    return loaded.size === 1_000
  })
})

test('another failure is nobody’s to hide', async () => {
  const loader = new QuotaLoader(
    { toLoad: () => rowsOf(1) },
    { load: () => assert.fail('nothing was told') },
    { usage: () => Promise.reject(new TypeError('a bug')) },
    new VirtualClock(),
  )
  await assert.rejects(loader.load(), TypeError)
})
