import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutants, runPowerCuts } from './power-cuts.ts'

/** 200 of them here; `npm run simulate` runs as many as it is asked for. */
const seeds = 200

test(`power cuts: ${seeds} seeds lose nothing and invent nothing`, () => {
  let acknowledged = 0
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      acknowledged += runPowerCuts(seed).acknowledged
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause })
    }
  }
  assert.ok(acknowledged > 1_000)
})

for (const mutant of mutants) {
  test(`power cuts: the mutant "${mutant}" is caught`, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      try {
        runPowerCuts(seed, mutant)
      } catch {
        return
      }
    }
    assert.fail(`${seeds} seeds did not notice "${mutant}"`)
  })
}
