/**
 * Status: applications that send by HTTP and ask at once what became of it. Sends, questions for the status and health checks come at fixed rates on
 * connections of their own; receivers defer and refuse some, so that a status has somewhere to go.
 *
 *   latency     of both kinds of questions in the same run: a health check shows what the machine and HTTP alone cost
 *   unknown     404 after a 202, however soon after: must be none
 *   backwards   queued < deferred < delivered, bounced, expired, and nothing after those: must be none
 *
 *   npm run bench -- status --seconds 300
 *
 * Half of the questions are about the message whose 202 came last; the others follow one message of fifty for as long as the run lasts, more often
 * while it is young.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Receiver, startReceiver } from '../src/sandbox/sandbox.ts'
import type { Latency, LoadResult } from './support/http-load.ts'
import type { SourceReport } from './support/http-source.ts'
import { sendAll } from './support/http-sources.ts'
import { type HttpWorld, withHttpEngine } from './support/http-world.ts'
import type { StatusFindings } from './support/status-reader.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, readOptions, type Setting, share } from './support/options.ts'
import { median, medianAndRange, printEnd, saveResult, table } from './support/report.ts'

interface Load {
  readonly rate: number
  readonly reads: number
  readonly health: number
  readonly seconds: number
  readonly connections: number
  readonly bytes: number
  readonly defer: number
  readonly refuse: number
}

interface Round {
  readonly sends: LoadResult
  readonly reads: LoadResult & StatusFindings
  readonly health: LoadResult
  readonly sourceCpuShare: number
  readonly engineCpuShare: number
}

const wanted = { readMsP99: 5, aboveHealthMs: 3 }
const warmUpSeconds = 5

export async function statusBenchmark(argumentList: string[]): Promise<void> {
  const { rounds, directory, save, set, ...load } = readOptions('status', argumentList, {
    rate: count(1_000, 'messages sent per second'),
    reads: count(500, 'questions for a status per second'),
    health: count(100, 'health checks per second'),
    seconds: count(60, 'length of a round'),
    connections: count(32, 'connections of each kind of load'),
    bytes: count(2_048, 'size of a request body'),
    defer: share(0.05, 'share of recipients that is answered 451 once or more'),
    refuse: share(0.01, 'share of recipients that is answered 550'),
    rounds: count(1, 'times that it is measured'),
    ...common,
  })
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  try {
    const results: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      const result = await measure(load, join(base, String(round)), set)
      results.push(result)
      console.log(`round ${round}  ${describe(result)}`)
    }
    report(load, results, base, save)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

async function measure(load: Load, directory: string, settings: readonly Setting[]): Promise<Round> {
  const receiver = await startTroubled(load)
  const config = { retry: { delays: ['1s', '2s', '5s'] } }
  try {
    const world = { name: 'status', directory, settings, receiverPort: receiver.port, config }
    return await withHttpEngine(world, async (running) => {
      await runOnce({ ...load, seconds: warmUpSeconds }, running)
      return runOnce(load, running)
    })
  } finally {
    await receiver.close()
  }
}

const startTroubled = ({ defer, refuse }: Load): Promise<Receiver> =>
  startReceiver(
    {
      rules: [
        {
          for: '*',
          rcpt: [
            { reply: '451 4.7.1 try later', probability: defer },
            { reply: '550 5.1.1 no such user', probability: refuse },
          ],
        },
      ],
    },
    { keep: 'nothing' },
  )

async function runOnce(load: Load, { httpPort: port, key, group }: HttpWorld): Promise<Round> {
  const { connections, seconds, bytes } = load
  const cpuBeforeMs = group.cpuMs()
  const told = await sendAll({
    sends: { port, key, bytes, domains: 100, connections, seconds, ratePerSecond: load.rate },
    reads: { port, connections, seconds, ratePerSecond: load.reads },
    health: { port, connections: Math.min(8, connections), seconds, ratePerSecond: load.health },
  })
  const { sends, cpuShare } = told
  return {
    ...checked(told),
    sends,
    sourceCpuShare: cpuShare,
    engineCpuShare: (group.cpuMs() - cpuBeforeMs) / sends.elapsedMs,
  }
}

/** A question may be answered 404, which is counted. Anything else but 200 means that something else was measured than meant. */
function checked({ reads, health }: SourceReport): Required<Pick<SourceReport, 'reads' | 'health'>> {
  if (reads === undefined || health === undefined) throw new Error('the source asked nothing')
  for (const [what, { statuses, lost, unanswered }] of Object.entries({ reads, health })) {
    const odd = Object.keys(statuses).filter((status) => status !== '200' && !(status === '404' && what === 'reads'))
    if (odd.length > 0 || lost + unanswered > 0)
      throw new Error(
        `${what}: answers by status ${JSON.stringify(statuses)}, ${lost} lost, ${unanswered} without an answer`,
      )
  }
  return { reads, health }
}

const describe = ({ reads, health }: Round): string =>
  `status p99 ${reads.latencyMs.p99.toFixed(2)} ms   /healthz p99 ${health.latencyMs.p99.toFixed(2)} ms   ${reads.unknown} unknown, ${reads.backwards} backwards of ${reads.requests}`

function report(load: Load, rounds: readonly Round[], directory: string, save: string): void {
  const { rate, reads, health, seconds, bytes, connections } = load
  const facts = machineFacts(directory)
  console.log(
    `\n${rate} messages/s of ${bytes} bytes, ${reads} questions/s and ${health} health checks/s for ${seconds} s, ${connections} connections, ${rounds.length} rounds; medians (min–max), ms\n`,
  )
  const row = (name: string, of: (round: Round) => Latency): string[] => [
    name,
    ...(['p50', 'p99', 'p999', 'max'] as const).map((key) =>
      medianAndRange(
        rounds.map((round) => of(round)[key]),
        2,
      ),
    ),
  ]
  console.log(
    table(
      ['latency', 'p50', 'p99', 'p99.9', 'max'],
      [
        row('POST /api/v1/emails', (round) => round.sends.latencyMs),
        row('GET …/status', (round) => round.reads.latencyMs),
        row('GET /healthz', (round) => round.health.latencyMs),
      ],
    ),
  )
  const p99 = median(rounds.map((round) => round.reads.latencyMs.p99))
  const healthP99 = median(rounds.map((round) => round.health.latencyMs.p99))
  const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0)
  const seen = JSON.stringify(rounds.map((round) => round.reads.seen))
  console.log(
    `\np99 of the status: ${p99.toFixed(2)} ms; wanted ≤ ${wanted.readMsP99} ms, or ≤ ${(healthP99 + wanted.aboveHealthMs).toFixed(2)} ms = that of /healthz + ${wanted.aboveHealthMs}`,
  )
  console.log(`unknown after their 202: ${sum((round) => round.reads.unknown)}, wanted 0`)
  console.log(`went backwards: ${sum((round) => round.reads.backwards)}, wanted 0; answers by status: ${seen}`)
  for (const example of rounds.flatMap((round) => round.reads.examples)) console.log(`  ${example}`)
  const cores = (of: (round: Round) => number): string => medianAndRange(rounds.map(of), 2)
  console.log(
    `cores used: engine ${cores((round) => round.engineCpuShare)}, source ${cores((round) => round.sourceCpuShare)}\n`,
  )
  printEnd(facts, saveResult('status', save, { benchmark: 'status', load, wanted, facts, rounds }))
}
