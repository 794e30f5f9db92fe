/** `npm run simulate [-- SEEDS [FIRST]]`: power cuts over many seeds, then each mutant until it is caught. */
import { mutants } from './mutants.ts'
import { runPowerCuts } from './power-cuts.ts'

const seeds = Number(process.argv[2] ?? 1_000)
const first = Number(process.argv[3] ?? 1)
/** A mutant need not be caught by every seed, but by several. */
const enough = 3
const mutantSeedsMax = 1_000
let crashes = 0
let acknowledged = 0
let reclaimed = 0
let carried = 0
let failed = 0
for (let seed = first; seed < first + seeds; seed++) {
  try {
    const life = await runPowerCuts(seed)
    crashes += life.crashes
    acknowledged += life.acknowledged
    reclaimed += life.reclaimed
    carried += life.carried
  } catch (error) {
    failed += 1
    console.error(`seed ${seed}: ${(error as Error).message}`)
  }
}
console.log(
  `power cuts: ${seeds} seeds, ${crashes} crashes, ${acknowledged} messages acknowledged, ${reclaimed} segments reclaimed, ${carried} recipients carried, ${failed} seeds failed`,
)

for (const mutant of mutants) {
  let caught = 0
  let tried = 0
  for (let seed = first; caught < enough && tried < mutantSeedsMax; seed++, tried++) {
    try {
      await runPowerCuts(seed, mutant)
    } catch {
      caught += 1
    }
  }
  console.log(`mutant "${mutant}": caught by ${caught} of ${tried} seeds`)
  if (caught === 0) failed += 1
}
console.log(`${seeds - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
