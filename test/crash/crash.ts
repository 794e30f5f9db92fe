/**
 * `npm run crash [-- --kills 100 --rate 500 --seconds-between 0.3..1.5 --seed N]`: kill -9 of the whole process group under load, again and again,
 * and the accounting afterwards. With --threads only threads are ended: one that delivers, one that accepts, and the one that keeps the record, in turn
 * (threads.ts). With --quota clients offer more than a day's quota allows (quota.ts). With --idempotency clients race for keys, through kills of the whole
 * and then of single threads (idempotency.ts, keyed-threads.ts). Exit code 1, the seed and the evidence when something was lost, changed or doubled
 * without a reason.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemRandom } from '../../src/kernel/random.ts'
import { formatBytes } from '../../src/kernel/units.ts'
import { type IdempotencyResult, runIdempotency } from './idempotency.ts'
import { type KeyedThreadsResult, runKeyedThreads } from './keyed-threads.ts'
import { type QuotaResult, runQuota } from './quota.ts'
import type { CheckedRecord } from './record.ts'
import { type CrashResult, runCrashes } from './run.ts'
import { runThreadKills, type ThreadKillResult } from './threads.ts'

const usage = `npm run crash -- [--kills 100] [--rate 500] [--seconds-between 0.3..1.5] [--seed NUMBER] [--threads]
npm run crash -- --quota [--quota-per-day 10000] [--kills 20] [--seed NUMBER]
npm run crash -- --idempotency [--keys 10000] [--kills 20] [--seed NUMBER]`

interface Options {
  readonly kills: number
  readonly keys: number
  readonly perDay: number
  readonly ratePerSecond: number
  readonly min: number
  readonly max: number
  readonly seed: number
  readonly what: 'all' | 'threads' | 'idempotency' | 'quota'
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string' },
      rate: { type: 'string', default: '500' },
      threads: { type: 'boolean', default: false },
      idempotency: { type: 'boolean', default: false },
      keys: { type: 'string', default: '10000' },
      quota: { type: 'boolean', default: false },
      'quota-per-day': { type: 'string', default: '10000' },
      'seconds-between': { type: 'string', default: '0.3..1.5' },
      seed: { type: 'string', default: String(systemRandom.uint32() % 1_000_000) },
    },
  })
  const [min = Number.NaN, max = min] = values['seconds-between'].split('..').map(Number)
  const chosen = (['idempotency', 'quota', 'threads'] as const).filter((mode) => values[mode])
  const what = chosen[0] ?? 'all'
  const kills = Number(values.kills ?? (what === 'idempotency' || what === 'quota' ? '20' : '100'))
  const numbers = {
    kills,
    keys: Number(values.keys),
    perDay: Number(values['quota-per-day']),
    ratePerSecond: Number(values.rate),
    seed: Number(values.seed),
  }
  const options = { ...numbers, min, max, what } as const
  const sound = [...Object.values(numbers), min, max].every((number) => Number.isFinite(number) && number >= 0)
  if (!sound || kills < 1 || numbers.perDay < 1 || chosen.length > 1) throw new Error(usage)
  return options
}

function figures(result: CrashResult): string {
  const { duplicates, recoveryMs } = result
  const median = recoveryMs[Math.floor(recoveryMs.length / 2)] as number
  return `kills              ${result.kills}, ${result.killsWhileStarting} of them before "ready"
acknowledged       ${share(result.acknowledged)}, ${formatBytes(result.spoolBytes)} still in the spool, in ${result.segments.left} of ${result.segments.ever} segments
  delivered        ${share(result.delivered)}
  bounced          ${share(result.bounced)}
  pending          ${share(result.pending)}
unacknowledged     ${share(result.unacknowledgedDelivered)} were delivered all the same
duplicates         ${share(duplicates.total)}: ${share(duplicates.fromLostReplies)} after lost replies, ${share(duplicates.fromKills)} after kills
  per kill         at most ${duplicates.perKillMax}; allowed over all kills ${share(duplicates.allowed)}; oldest forgotten outcome ${Math.round(duplicates.forgottenMsMax)} ms
recovery           median ${Math.round(median)} ms, at most ${Math.round(recoveryMs.at(-1) as number)} ms, from the start of the process to "ready"
statuses           ${share(result.statuses.messages)} messages known in every life, asked ${share(result.statuses.questions)} times; none went back from an end
${recordFigures(result.record)}
SIGTERM            drained in ${Math.round(result.drainMs)} ms`
}

const share = (count: number): string => count.toLocaleString('en-US')

function recordFigures(record: CheckedRecord['figures']): string {
  return `accounting         ${share(record.lines)} lines in ${record.files} files, all of the schema, ${share(record.accepted)} of them accepted; ${share(record.stored)} messages in the store say the same
usage              ${share(record.used)} recipients, by the tally and by the lines
notices            ${share(record.notices)} told of ${share(record.bounced)} recipients that bounced, each under one id
suppressed         ${share(record.suppressed)} addresses that do not exist, and nobody else`
}

function threadFigures(result: ThreadKillResult): string {
  const line = (rising: readonly number[]): string =>
    `median ${Math.round(rising[Math.floor(rising.length / 2)] as number)} ms, at most ${Math.round(rising.at(-1) as number)} ms`
  return `kills              ${result.kills} threads: ${result.killsOf.deliver} that deliver, ${result.killsOf.intake} that accept, ${result.killsOf.events} times the one that keeps the record
acknowledged       ${result.acknowledged.toLocaleString('en-US')}; delivered ${result.delivered.toLocaleString('en-US')}, bounced ${result.bounced}, pending ${result.pending}
unacknowledged     ${result.unacknowledgedDelivered} were delivered all the same
duplicates         ${result.duplicates.total}: ${result.duplicates.fromLostReplies} after lost replies, ${result.duplicates.fromKills} after kills, at most ${result.duplicates.perKillMax} per kill
accepted again     ${line(result.acceptedMs)} after the kill, on a fresh connection
arrived            ${line(result.arrivedMs)}
thread replaced    ${line(result.replacedMs)}
${recordFigures(result.record)}
drained            in ${Math.round(result.drainMs)} ms`
}

function keyFigures(result: IdempotencyResult, threads: KeyedThreadsResult): string {
  const { raced, duplicates } = result
  return `race               ${share(raced.keys)} keys in ${(raced.ms / 1_000).toFixed(1)} s, the slowest took ${Math.round(raced.slowestMs)} ms; KiB per accepting thread: ${result.committed.map((bytes) => Math.round(bytes / 1_024)).join(' ')}
keys               ${share(result.keys)}: ${share(result.accepted)} answers 202, ${share(result.conflicts)} of 409; ${share(result.hungUp)} requests of clients that hung up
arrived            ${share(result.arrivals)}, of them ${share(duplicates.total)} the same message again after a kill, at most ${duplicates.perKillMax} per kill, allowed ${share(duplicates.allowed)}
kills              ${result.kills}, ${result.killsOnArrival} of them as a message arrived whose clients had no answer
  without answer   ${share(result.unansweredAtKills)} keys, ${share(result.arrivedUnanswered)} of them had arrived: committed, and nobody had been told
statuses           ${share(result.statusesAsked)} asked by HTTP, all delivered
threads' deaths    ${share(threads.keys)} keys: ${share(threads.accepted)} answers 202, ${share(threads.conflicts)} of 409, ${share(threads.refused)} of 503, ${share(threads.cut)} cut off; the slowest took ${Math.round(threads.slowestMs)} ms`
}

function quotaFigures(result: QuotaResult): string {
  const { duplicates, used, quota } = result
  return `kills              ${result.kills}, ${result.killsWhileStarting} of them before "ready"
offered            ${share(result.offered)} recipients, under a quota of ${share(quota)} a day
accepted           ${share(used)} by the lines and ${share(result.shown ?? 0)} by the program: ${share(Math.max(0, used - quota))} over the quota, one commit group is at most ${result.commitGroupMax}
  acknowledged     ${share(result.accepted)}, all delivered; ${share(result.untold)} more were accepted as a kill came, and nobody was told
refused            ${share(result.refused)} recipients, none of them accepted; ${share(result.refusals)} times for the quota, ${share(result.countings)} times because usage was being counted, the last ${Math.round(result.countingLastMs)} ms after "ready"
headers            ${share(result.rateHeaders)} answers told what is left, at least ${share(result.remainingMin)}
duplicates         ${share(duplicates.total)} after kills, at most ${duplicates.perKillMax} per kill, allowed ${share(duplicates.allowed)}
${recordFigures(result.record)}`
}

async function runKeys(): Promise<readonly string[]> {
  const { keys, kills, seed } = options
  const result = await runIdempotency({
    directory: join(directory, 'kills'),
    intakeThreads,
    keys,
    kills,
    seed,
    progress: console.log,
  })
  console.log('now single threads die')
  const threadKills = Math.min(kills, keyedThreadKillsMax)
  const threads = await runKeyedThreads({
    directory: join(directory, 'threads'),
    intakeThreads,
    kills: threadKills,
    seed,
  })
  console.log(keyFigures(result, threads))
  return [...result.violations, ...threads.violations]
}

async function run(): Promise<readonly string[]> {
  const { kills, ratePerSecond, seed, min, max } = options
  const plan = { directory, kills, ratePerSecond, seed, secondsBetween: { min, max }, progress: console.log }
  if (options.what === 'idempotency') return runKeys()
  if (options.what === 'quota') {
    const result = await runQuota({ directory, kills, seed, perDay: options.perDay, progress: console.log })
    console.log(quotaFigures(result))
    return result.violations
  }
  if (options.what === 'threads') {
    const result = await runThreadKills({ ...plan, layout: { intake: 2, deliver: 2 }, untilEmpty: true })
    console.log(threadFigures(result))
    return result.violations
  }
  const result = await runCrashes(plan)
  console.log(figures(result))
  return result.violations
}

/** On any number of cores: clients that race should meet in different threads. */
const intakeThreads = 8
/** The pause before a successor doubles with every death of one thread. */
const keyedThreadKillsMax = 12

const options = readOptions()
const directory = mkdtempSync(join(tmpdir(), 'posthaste-crash-'))
const loads = {
  idempotency: 'races for keys',
  quota: `more than ${options.perDay} recipients`,
  threads: `${options.ratePerSecond} messages a second`,
  all: `${options.ratePerSecond} messages a second`,
}
console.log(`${options.kills} kills under ${loads[options.what]}, seed ${options.seed}, in ${directory}`)
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
