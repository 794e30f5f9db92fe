/**
 * `npm run crash [-- --kills 100 --rate 500 --seconds-between 0.3..1.5 --seed N]`: kill -9 of the whole process group under load, again and again,
 * and the accounting afterwards. With --threads only threads are ended, one that delivers and one that accepts in turn (threads.ts). Exit code 1, the seed and the evidence when something was lost, changed or doubled without a reason.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemRandom } from '../../src/kernel/random.ts'
import { formatBytes } from '../../src/kernel/units.ts'
import { type CrashResult, runCrashes } from './run.ts'
import { runThreadKills, type ThreadKillResult } from './threads.ts'

const usage = 'npm run crash -- [--kills 100] [--rate 500] [--seconds-between 0.3..1.5] [--seed NUMBER] [--threads]'

function readOptions(): {
  kills: number
  ratePerSecond: number
  min: number
  max: number
  seed: number
  threads: boolean
} {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '100' },
      rate: { type: 'string', default: '500' },
      threads: { type: 'boolean', default: false },
      'seconds-between': { type: 'string', default: '0.3..1.5' },
      seed: { type: 'string', default: String(systemRandom.uint32() % 1_000_000) },
    },
  })
  const [min, max = min] = values['seconds-between'].split('..').map(Number)
  const options = { kills: Number(values.kills), ratePerSecond: Number(values.rate), seed: Number(values.seed) }
  const numbers = [options.kills, options.ratePerSecond, options.seed, min ?? Number.NaN, max ?? Number.NaN]
  if (!numbers.every((number) => Number.isFinite(number) && number >= 0) || options.kills < 1) throw new Error(usage)
  return { ...options, min: min as number, max: max as number, threads: values.threads }
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

function threadFigures(result: ThreadKillResult): string {
  const line = (rising: readonly number[]): string =>
    `median ${Math.round(rising[Math.floor(rising.length / 2)] as number)} ms, at most ${Math.round(rising.at(-1) as number)} ms`
  return `kills              ${result.kills} threads, of 2 that accept and 2 that deliver
acknowledged       ${result.acknowledged.toLocaleString('en-US')}; delivered ${result.delivered.toLocaleString('en-US')}, bounced ${result.bounced}, pending ${result.pending}
unacknowledged     ${result.unacknowledgedDelivered} were delivered all the same
duplicates         ${result.duplicates.total}: ${result.duplicates.fromLostReplies} after lost replies, ${result.duplicates.fromKills} after kills, at most ${result.duplicates.perKillMax} per kill
accepted again     ${line(result.acceptedMs)} after the kill, on a fresh connection
arrived            ${line(result.arrivedMs)}
thread replaced    ${line(result.replacedMs)}
drained            in ${Math.round(result.drainMs)} ms`
}

async function run(): Promise<readonly string[]> {
  const { kills, ratePerSecond, seed, min, max } = options
  const plan = { directory, kills, ratePerSecond, seed, secondsBetween: { min, max }, progress: console.log }
  if (options.threads) {
    const result = await runThreadKills({ ...plan, layout: { intake: 2, deliver: 2 }, untilEmpty: true })
    console.log(threadFigures(result))
    return result.violations
  }
  const result = await runCrashes(plan)
  console.log(figures(result))
  return result.violations
}

const options = readOptions()
const directory = mkdtempSync(join(tmpdir(), 'posthaste-crash-'))
console.log(
  `${options.kills} kills under ${options.ratePerSecond} messages a second, seed ${options.seed}, in ${directory}`,
)
const violations: string[] = []
try {
  violations.push(...(await run()))
} catch (error) {
  violations.push((error as Error).stack ?? String(error))
}
for (const violation of violations) console.log(`✖ ${violation}`)
if (violations.length === 0) rmSync(directory, { recursive: true })
else console.log(`seed ${options.seed}; the evidence is kept in ${directory}`)
console.log(violations.length === 0 ? `${options.kills} passed, 0 failed` : `0 passed, ${violations.length} failed`)
// What a failed start has left open must not keep it alive.
process.exit(violations.length === 0 ? 0 : 1)
