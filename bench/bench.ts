/**
 * `npm run bench -- <name> [options]`. Each benchmark measures our engine, and where there is a peer the peer beside it in the same run, and reports
 * medians and ratios; none of them passes or fails a test. Times on a shared machine are noise, ratios are not.
 */
import { acceptBenchmark } from './accept.ts'
import { largeBenchmark } from './large.ts'
import { latencyBenchmark } from './latency.ts'
import { profileBenchmark } from './profile.ts'
import { queueBenchmark } from './queue.ts'
import { recordBenchmark } from './record.ts'
import { relayBenchmark } from './relay.ts'
import { sessionsBenchmark } from './sessions.ts'
import { soakBenchmark } from './soak.ts'
import { statusBenchmark } from './status.ts'
import { Usage } from './support/options.ts'
import { syscallsBenchmark } from './syscalls.ts'

interface Benchmark {
  readonly what: string
  readonly run: (options: string[]) => Promise<void>
}

const benchmarks: ReadonlyMap<string, Benchmark> = new Map([
  [
    'relay',
    {
      what: 'CPU per message of a durable relay, smtp-source → engine → smtp-sink, beside Postfix',
      run: relayBenchmark,
    },
  ],
  [
    'latency',
    { what: 'time from MAIL to the 250 and from the 250 to delivery, at a fixed rate', run: latencyBenchmark },
  ],
  [
    'accept',
    {
      what: 'latency and maximum of durable sends by HTTP beside a bare Fastify, and the time until delivery',
      run: acceptBenchmark,
    },
  ],
  [
    'status',
    { what: 'latency of status questions while mail is accepted, none unknown or backwards', run: statusBenchmark },
  ],
  ['record', { what: 'what the accounting log costs, and what a stalled disk under it does', run: recordBenchmark }],
  ['large', { what: 'memory while many clients send 50 MB each', run: largeBenchmark }],
  ['syscalls', { what: 'system calls, commits, bytes and copies per message', run: syscallsBenchmark }],
  ['sessions', { what: 'memory per idle session, and what thousands of them do to a client', run: sessionsBenchmark }],
  ['queue', { what: 'memory per queued recipient, CPU at depth, and the start after kill -9', run: queueBenchmark }],
  ['soak', { what: 'memory and disk over time while receivers refuse, defer and hang up', run: soakBenchmark }],
  ['profile', { what: 'where the CPU of a message goes, by stage, by kind and by function', run: profileBenchmark }],
])

const [name = '', ...options] = process.argv.slice(2)
const benchmark = benchmarks.get(name)
if (benchmark === undefined) {
  console.log('npm run bench -- <name> [options], and --help for the options of each\n')
  for (const [known, { what }] of benchmarks) console.log(`  ${known.padEnd(10)} ${what}`)
  process.exitCode = 64
} else {
  try {
    await benchmark.run(options)
  } catch (error) {
    if (!(error instanceof Usage)) throw error
    console.log(error.message)
    process.exitCode = error.exitCode
  }
}
