import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutants } from './mutants.ts'
import { runPowerCuts } from './power-cuts.ts'

/** 200 of them here; `npm run simulate` runs as many as it is asked for. */
const seeds = 200

test(`power cuts: ${seeds} seeds lose nothing and invent nothing`, async () => {
  let [acknowledged, reclaimed, carried] = [0, 0, 0]
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      const survived = await runPowerCuts(seed)
      acknowledged += survived.acknowledged
      reclaimed += survived.reclaimed
      carried += survived.carried
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause })
    }
  }
  assert.ok(acknowledged > 1_000 && reclaimed > 100 && carried > 50, `${acknowledged} ${reclaimed} ${carried}`)
})

for (const mutant of mutants) {
  test(`power cuts: the mutant "${mutant}" is caught`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      try {
        await runPowerCuts(seed, mutant)
      } catch {
        return
      }
    }
    assert.fail(`${seeds} seeds did not notice "${mutant}"`)
  })
}
