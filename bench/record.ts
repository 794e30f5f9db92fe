/**
 * Record: what keeping an accounting log costs those who accept and deliver, and what they notice when its disk stands still. Applications send single mails
 * by HTTP at a fixed rate, which are delivered meanwhile, in alternating rounds:
 *
 *   without   accounting.enabled=false
 *   with      as configured
 *   stalled   the same, and every write to acct.json takes half a minute: strace holds up the threads that do it, and nobody else
 *
 * The engine's thread is the one that accepts, schedules and delivers; the record's is the one that reads the logs. After a stalled round the lines are
 * counted, when the disk works again: none may be missing.
 *
 *   npm run bench -- record --rounds 3 --set threads.intake=0
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../test/support/wait.ts'
import { startDestinations } from './support/destinations.ts'
import type { Latency } from './support/http-load.ts'
import { sendAll } from './support/http-sources.ts'
import { withHttpEngine } from './support/http-world.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, readOptions, type Setting } from './support/options.ts'
import { medianAndRange, printEnd, saveResult, table } from './support/report.ts'

interface Load {
  readonly rate: number
  readonly seconds: number
  readonly connections: number
  readonly bytes: number
  readonly destinations: number
}

const variants = ['without', 'with', 'stalled'] as const
type Variant = (typeof variants)[number]

interface Round {
  readonly acceptMs: Latency
  readonly deliveredPerSecond: number
  /** Per message, of the engine's thread and of the record's. */
  readonly engineMicros: number
  readonly recordMicros: number
  readonly lines: number
  /** When the last message was delivered. */
  readonly linesMeanwhile: number
  readonly linesWanted: number
}

const warmUpSeconds = 5
const writeDelayMs = 30_000
const linesMsMax = 60_000

export async function recordBenchmark(argumentList: string[]): Promise<void> {
  const { rounds, directory, save, set, ...load } = readOptions('record', argumentList, {
    rate: count(1_000, 'messages per second'),
    seconds: count(30, 'length of a round'),
    connections: count(32, 'connections of the source'),
    bytes: count(2_048, 'size of a request body'),
    destinations: count(20, 'destinations'),
    rounds: count(3, 'times that each variant is measured'),
    ...common,
  })
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const results = new Map<Variant, Round[]>()
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
        const result = await measure(variant, load, join(base, `${variant}-${round}`), set)
        results.set(variant, [...(results.get(variant) ?? []), result])
        const { acceptMs, deliveredPerSecond, engineMicros, recordMicros, lines, linesMeanwhile, linesWanted } = result
        console.log(
          `round ${round}  ${variant.padEnd(8)} 202 p99 ${acceptMs.p99.toFixed(2)} ms   ${deliveredPerSecond.toFixed(0)} delivered/s   ${engineMicros.toFixed(0)} + ${recordMicros.toFixed(0)} µs CPU   ${linesMeanwhile} lines meanwhile, ${lines} of ${linesWanted} afterwards`,
        )
      }
    }
    report(load, rounds, results, base, save)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

async function measure(variant: Variant, load: Load, directory: string, settings: readonly Setting[]): Promise<Round> {
  const destinations = await startDestinations(load.destinations, {})
  const { routes } = destinations
  const config = { routes, accounting: { enabled: variant !== 'without' } }
  try {
    return await withHttpEngine({ name: 'record', directory, settings, receiverPort: 0, config }, async (world) => {
      const { httpPort: port, key, group } = world
      const processId = group.processIds()[0] as number
      const { bytes, connections, rate: ratePerSecond } = load
      const sends = { port, key, bytes, domains: load.destinations, ratePerSecond, connections }
      const warmUp = await sendAll({ sends: { ...sends, seconds: warmUpSeconds } })
      await untilDelivered(destinations, warmUp.sends.requests)
      const stall = variant === 'stalled' ? await holdUpWrites(processId, directory) : null
      const before = { cpu: threadsCpuMs(processId), delivered: destinations.messages(), atMs: performance.now() }
      const { sends: sent } = await sendAll({ sends: { ...sends, seconds: load.seconds } })
      const elapsedMs = performance.now() - before.atMs
      const delivered = destinations.messages() - before.delivered
      const cpu = threadsCpuMs(processId)
      const spent = (thread: string): number =>
        (((cpu.get(thread) ?? 0) - (before.cpu.get(thread) ?? 0)) * 1_000) / sent.requests
      await untilDelivered(destinations, warmUp.sends.requests + sent.requests)
      const file = join(directory, 'data', 'accounting', 'acct.json')
      const linesMeanwhile = variant === 'without' ? 0 : linesIn(file)
      await stall?.end()
      const linesWanted = variant === 'without' ? 0 : 2 * (warmUp.sends.requests + sent.requests)
      return {
        acceptMs: sent.latencyMs,
        deliveredPerSecond: delivered / (elapsedMs / 1_000),
        engineMicros: spent('scheduler'),
        recordMicros: spent('events'),
        linesWanted,
        linesMeanwhile,
        lines: linesWanted === 0 ? 0 : await countLines(file, linesWanted),
      }
    })
  } finally {
    await destinations.close()
  }
}

const untilDelivered = (destinations: { messages(): number }, messages: number): Promise<void> =>
  until(120_000, `not all of ${messages} messages were delivered`, () => destinations.messages() >= messages)

/** CPU time of each thread by its name, of several together. */
function threadsCpuMs(processId: number): Map<string, number> {
  const spent = new Map<string, number>()
  for (const id of readdirSync(`/proc/${processId}/task`)) {
    const task = `/proc/${processId}/task/${id}`
    const name = readFileSync(`${task}/comm`, 'utf8').trim()
    // Nanoseconds on a CPU.
    const ms = Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6
    spent.set(name, (spent.get(name) ?? 0) + ms)
  }
  return spent
}

/** Only threads of libuv's pool, which do what is asked for asynchronously; all others run at full speed. */
async function holdUpWrites(processId: number, directory: string): Promise<{ end(): Promise<void> }> {
  const pool = readdirSync(`/proc/${processId}/task`).filter((id) =>
    readFileSync(`/proc/${processId}/task/${id}/comm`, 'utf8').startsWith('libuv-worker'),
  )
  if (pool.length === 0) throw new Error('the threads of libuv have other names: nobody to hold up')
  const file = join(directory, 'data', 'accounting', 'acct.json')
  const calls = 'write,writev,pwrite64,pwritev'
  const strace: ChildProcess = spawn(
    'strace',
    [
      '-qq',
      '-o',
      '/dev/null',
      '-P',
      file,
      '-e',
      `trace=${calls}`,
      '-e',
      `inject=${calls}:delay_enter=${writeDelayMs}ms`,
    ].concat(pool.flatMap((id) => ['-p', id])),
    { stdio: 'inherit' },
  )
  await once(strace, 'spawn')
  // Until it has attached.
  await sleep(1_000)
  return {
    async end() {
      const ended = once(strace, 'exit')
      strace.kill('SIGINT')
      await ended
    },
  }
}

const linesIn = (file: string): number => readFileSync(file, 'latin1').split('\n').length - 1

async function countLines(file: string, wanted: number): Promise<number> {
  await until(linesMsMax, `there are only ${linesIn(file)} of ${wanted} lines`, () => linesIn(file) >= wanted)
  return linesIn(file)
}

function report(
  load: Load,
  rounds: number,
  results: ReadonlyMap<Variant, readonly Round[]>,
  directory: string,
  save: string,
): void {
  const facts = machineFacts(directory)
  const { rate, bytes, seconds, destinations } = load
  console.log(
    `\n${rate} messages/s of ${bytes} bytes for ${seconds} s to ${destinations} destinations, ${rounds} rounds; medians (min–max)\n`,
  )
  const head = [
    'accounting',
    '202 p50 ms',
    'p99 ms',
    'delivered/s',
    "engine's thread, µs",
    "record's thread, µs",
    'lines meanwhile',
    'afterwards',
  ]
  const rows = [...results].map(([variant, all]) => {
    const cell = (of: (round: Round) => number, digits: number): string => medianAndRange(all.map(of), digits)
    return [
      variant,
      cell(({ acceptMs }) => acceptMs.p50, 2),
      cell(({ acceptMs }) => acceptMs.p99, 2),
      cell(({ deliveredPerSecond }) => deliveredPerSecond, 0),
      cell(({ engineMicros }) => engineMicros, 0),
      cell(({ recordMicros }) => recordMicros, 0),
      cell(({ linesMeanwhile }) => linesMeanwhile, 0),
      all.every(({ lines, linesWanted }) => lines === linesWanted) ? 'all' : 'NOT ALL',
    ]
  })
  console.log(table(head, rows))
  console.log(`\nCPU per message of one thread. A write to acct.json takes ${writeDelayMs / 1_000} s when stalled.\n`)
  printEnd(facts, saveResult('record', save, { benchmark: 'record', load, facts, rounds: Object.fromEntries(results) }))
}
