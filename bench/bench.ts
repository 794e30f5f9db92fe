/**
 * `npm run bench -- <name> [options]`. Each benchmark runs the peers beside us in one run and reports medians and ratios; none of
 * them passes or fails a test. Times on a shared machine are noise, ratios are not.
 */
import { latencyBenchmark } from './latency.ts'
import { relayBenchmark } from './relay.ts'

const benchmarks: ReadonlyMap<string, { readonly what: string; readonly run: (options: string[]) => Promise<void> }> =
  new Map([
    [
      'relay',
      {
        what: 'CPU per message of a durable relay, smtp-source → engine → smtp-sink, beside Postfix',
        run: relayBenchmark,
      },
    ],
    [
      'latency',
      {
        what: 'time from MAIL to the 250 and from the 250 to delivery, at a fixed rate',
        run: latencyBenchmark,
      },
    ],
  ])

const [name = '', ...options] = process.argv.slice(2)
const benchmark = benchmarks.get(name)
if (benchmark === undefined) {
  console.log('npm run bench -- <name> [options]\n')
  for (const [known, { what }] of benchmarks) console.log(`  ${known}  ${what}`)
  process.exitCode = 64
} else {
  await benchmark.run(options)
}
