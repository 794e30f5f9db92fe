/**
 * `npm run simulate [-- SEEDS [FIRST]]`: power cuts over many seeds, weeks of questions about messages over a twentieth of them, then each mutant until it
 * is caught.
 */
import { mutants } from './mutants.ts'
import { runPowerCuts } from './power-cuts.ts'
import { runWeek } from './status.ts'
import { statusMutants } from './status-mutants.ts'

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

const weeks = Math.ceil(seeds / 20)
const sum = { crashes: 0, powerCuts: 0, readersDied: 0, acknowledged: 0, asked: 0, reclaimed: 0, carried: 0 }
let weeksFailed = 0
for (let seed = first; seed < first + weeks; seed++) {
  try {
    const week = await runWeek(seed)
    for (const figure of Object.keys(sum) as (keyof typeof sum)[]) sum[figure] += week[figure]
  } catch (error) {
    weeksFailed += 1
    console.error(`week ${seed}: ${(error as Error).message}`)
  }
}
console.log(
  `status: ${weeks} weeks, ${sum.crashes} crashes (${sum.powerCuts} of them power cuts), ${sum.readersDied} events threads died, ${sum.acknowledged} messages acknowledged, ${sum.asked} answers, ${sum.reclaimed} segments reclaimed, ${sum.carried} recipients carried, ${weeksFailed} weeks failed`,
)
failed += weeksFailed

/** Prints how many seeds notice that the safeguard is gone. */
async function catchMutant(mutant: string, live: (seed: number) => Promise<unknown>): Promise<void> {
  let caught = 0
  let tried = 0
  for (let seed = first; caught < enough && tried < mutantSeedsMax; seed++, tried++) {
    try {
      await live(seed)
    } catch {
      caught += 1
    }
  }
  console.log(`mutant "${mutant}": caught by ${caught} of ${tried} seeds`)
  if (caught === 0) failed += 1
}

for (const mutant of mutants) await catchMutant(mutant, (seed) => runPowerCuts(seed, mutant))
for (const mutant of statusMutants) await catchMutant(mutant, (seed) => runWeek(seed, mutant))
console.log(`${seeds + weeks - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
