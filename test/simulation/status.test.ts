import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runWeek } from './status.ts'
import { statusMutants } from './status-mutants.ts'

/** A few here; `npm run simulate` runs as many as it is asked for. */
const seeds = 3

test(`status: in ${seeds} weeks nothing is ever unknown and nothing goes backwards`, async () => {
  let [acknowledged, asked, crashes, reclaimed] = [0, 0, 0, 0]
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      const week = await runWeek(seed)
      acknowledged += week.acknowledged
      asked += week.asked
      crashes += week.crashes
      reclaimed += week.reclaimed
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause })
    }
  }
  const figures = `${acknowledged} ${asked} ${crashes} ${reclaimed}`
  assert.ok(acknowledged > 100 && asked > 2_000 && crashes > 10 && reclaimed > 50, figures)
})

for (const mutant of statusMutants) {
  test(`status: the mutant "${mutant}" is caught`, async () => {
    for (let seed = 1; seed <= 12 * seeds; seed++) {
      try {
        await runWeek(seed, mutant)
      } catch {
        return
      }
    }
    assert.fail(`${12 * seeds} seeds did not notice "${mutant}"`)
  })
}
