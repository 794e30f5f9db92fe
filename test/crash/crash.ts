/**
 * `npm run crash [-- --kills 100 --rate 500 --seconds-between 0.3..1.5 --seed N]`: kill -9 of the whole process group under load, again and again,
 * and the accounting afterwards. Exit code 1, the seed and the evidence when something was lost, changed or doubled without a reason.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemRandom } from '../../src/kernel/random.ts'
import { formatBytes } from '../../src/kernel/units.ts'
import { type CrashResult, runCrashes } from './run.ts'

const usage = 'npm run crash -- [--kills 100] [--rate 500] [--seconds-between 0.3..1.5] [--seed NUMBER]'

function readOptions(): { kills: number; ratePerSecond: number; min: number; max: number; seed: number } {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '100' },
      rate: { type: 'string', default: '500' },
      'seconds-between': { type: 'string', default: '0.3..1.5' },
      seed: { type: 'string', default: String(systemRandom.uint32() % 1_000_000) },
    },
  })
  const [min, max = min] = values['seconds-between'].split('..').map(Number)
  const options = { kills: Number(values.kills), ratePerSecond: Number(values.rate), seed: Number(values.seed) }
  const numbers = [options.kills, options.ratePerSecond, options.seed, min ?? Number.NaN, max ?? Number.NaN]
  if (!numbers.every((number) => Number.isFinite(number) && number >= 0) || options.kills < 1) throw new Error(usage)
  return { ...options, min: min as number, max: max as number }
}

function figures(result: CrashResult): string {
  const { duplicates, recoveryMs } = result
  const median = recoveryMs[Math.floor(recoveryMs.length / 2)] as number
  const share = (count: number): string => count.toLocaleString('en-US')
  return `kills              ${result.kills}, ${result.killsWhileStarting} of them before "ready"
acknowledged       ${share(result.acknowledged)}, ${formatBytes(result.spoolBytes)} still in the spool, in ${result.segments.left} of ${result.segments.ever} segments
  delivered        ${share(result.delivered)}
  bounced          ${share(result.bounced)}
  pending          ${share(result.pending)}
unacknowledged     ${share(result.unacknowledgedDelivered)} were delivered all the same
duplicates         ${share(duplicates.total)}: ${share(duplicates.fromLostReplies)} after lost replies, ${share(duplicates.fromKills)} after kills
  per kill         at most ${duplicates.perKillMax}; allowed over all kills ${share(duplicates.allowed)}; oldest forgotten outcome ${Math.round(duplicates.forgottenMsMax)} ms
recovery           median ${Math.round(median)} ms, at most ${Math.round(recoveryMs.at(-1) as number)} ms, from the start of the process to "ready"
SIGTERM            drained in ${Math.round(result.drainMs)} ms`
}

const options = readOptions()
const directory = mkdtempSync(join(tmpdir(), 'posthaste-crash-'))
console.log(
  `${options.kills} kills under ${options.ratePerSecond} messages a second, seed ${options.seed}, in ${directory}`,
)
const violations: string[] = []
try {
  const result = await runCrashes({
    directory,
    kills: options.kills,
    ratePerSecond: options.ratePerSecond,
    secondsBetween: { min: options.min, max: options.max },
    seed: options.seed,
    progress: (line) => console.log(line),
  })
  console.log(figures(result))
  violations.push(...result.violations)
} catch (error) {
  violations.push((error as Error).stack ?? String(error))
}
for (const violation of violations) console.log(`✖ ${violation}`)
if (violations.length === 0) rmSync(directory, { recursive: true })
else console.log(`seed ${options.seed}; the evidence is kept in ${directory}`)
console.log(violations.length === 0 ? `${options.kills} passed, 0 failed` : `0 passed, ${violations.length} failed`)
// What a failed start has left open must not keep it alive.
process.exit(violations.length === 0 ? 0 : 1)
