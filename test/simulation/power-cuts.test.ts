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

/** Seeds that caught a mutant when it was last looked for, where that takes many: they are tried first, and when the code has changed all others. */
const caughtLastBy: ReadonlyMap<(typeof mutants)[number], number> = new Map([
  ['no salt', 25],
  ['checkpoint before its outcomes', 14],
  ["outcomes' position after the mail's", 123],
  ['reclaim before the checkpoint', 17],
  ['chunks not pinned by their transaction', 18],
  ['carried before it is on disk', 119],
  ['carried under its reader', 67],
])

for (const mutant of mutants) {
  test(`power cuts: the mutant "${mutant}" is caught`, async () => {
    const all = Array.from({ length: seeds }, (_, index) => index + 1)
    for (const seed of [caughtLastBy.get(mutant) ?? 1, ...all]) {
      try {
        await runPowerCuts(seed, mutant)
      } catch {
        return
      }
    }
    assert.fail(`${seeds} seeds did not notice "${mutant}"`)
  })
}
