/**
 * Latency: our source at a fixed rate → engine → our receiver, as in production with a static route. Two figures per message:
 *
 *   to the 250    from when MAIL was due until the 250 to the content, so that a late source cannot hide a slow server
 *   to delivery   from that 250 until the receiver answers the delivered content
 *
 *   npm run bench -- latency --rate 500 --seconds 30
 *
 * Source and receiver share a process, and so a clock; the engine runs in a control group of its own, whose CPU time is told per message.
 * A message may be delivered before the source has read its 250: such a latency is below zero, and stands as it was measured.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Receiver, type SourceResult, runSource, startReceiver } from '../src/sandbox/sandbox.ts'
import { until } from '../test/support/wait.ts'
import { withEngine } from './support/engine-world.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, readOptions, type Setting } from './support/options.ts'
import { medianAndRange, median, printEnd, saveResult, type Spread, spread, table } from './support/report.ts'
import { smoothClock as clock } from './support/smooth-clock.ts'

interface Load {
  readonly ratePerSecond: number
  readonly seconds: number
  readonly bytes: number
  readonly sessions: number
}

interface Round {
  readonly messages: number
  readonly toReplyMs: Spread
  readonly toDeliveryMs: Spread
  readonly cpuMsPerMessage: number
}

const deliveryMsMax = 60_000
const warmUpMessages = 500

export async function latencyBenchmark(argumentList: string[]): Promise<void> {
  const { load, rounds, directory, save, set } = parseOptions(argumentList)
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  try {
    const results: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      const result = await measure(load, join(base, String(round)), set)
      results.push(result)
      console.log(
        `round ${round}  to the 250 ${told(result.toReplyMs)}   to delivery ${told(result.toDeliveryMs)}   ${result.cpuMsPerMessage.toFixed(3)} ms CPU/message`,
      )
    }
    report(load, results, base, save)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

function parseOptions(argumentList: string[]) {
  const { rate, seconds, bytes, sessions, ...options } = readOptions('latency', argumentList, {
    rate: count(500, 'messages per second'),
    seconds: count(30, 'length of a round'),
    bytes: count(10_240, 'size of a message'),
    sessions: count(20, 'sessions of the source'),
    rounds: count(3, 'times that it is measured'),
    ...common,
  })
  const load: Load = { ratePerSecond: rate, seconds, bytes, sessions }
  return { load, ...options }
}

/** A fresh engine on an empty folder, warmed up, then the load. */
async function measure(load: Load, directory: string, settings: readonly Setting[]): Promise<Round> {
  const deliveredAtMs = new Map<string, number>()
  const receiver = await startReceiver(
    {},
    {
      keep: 'digest',
      clock,
      onMessage: ({ testId }) => void deliveredAtMs.set(testId ?? '', clock.nowMs()),
    },
  )
  try {
    return await withEngine(
      { name: 'latency', directory, settings, receiverPort: receiver.port },
      async ({ engine: { port }, group }) => {
        await send(receiver, { host: '127.0.0.1', port, sessions: load.sessions, messages: warmUpMessages })
        deliveredAtMs.clear()
        return loadOnce(load, { port, receiver, deliveredAtMs, cpuMs: () => group.cpuMs() })
      },
    )
  } finally {
    await receiver.close()
  }
}

interface World {
  readonly port: number
  readonly receiver: Receiver
  readonly deliveredAtMs: ReadonlyMap<string, number>
  readonly cpuMs: () => number
}

async function loadOnce(load: Load, { port, receiver, deliveredAtMs, cpuMs }: World): Promise<Round> {
  const acceptedAtMs = new Map<string, number>()
  const ledger = {
    append: ({ id, ackedMs }: { id: string; ackedMs: number }) => void acceptedAtMs.set(id, ackedMs),
    durable: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  const cpuBeforeMs = cpuMs()
  const { ratePerSecond, seconds, bytes, sessions } = load
  const { latencyMs } = await send(receiver, {
    host: '127.0.0.1',
    port,
    sessions,
    bytes,
    ratePerSecond,
    messages: ratePerSecond * seconds,
    ledger,
    clock,
  })
  const spentMs = cpuMs() - cpuBeforeMs
  const waits = [...acceptedAtMs].map(([id, atMs]) => {
    const doneMs = deliveredAtMs.get(id)
    if (doneMs === undefined) throw new Error(`message ${id} was accepted and not delivered`)
    return doneMs - atMs
  })
  return {
    messages: waits.length,
    toReplyMs: latencyMs,
    toDeliveryMs: spread(waits),
    cpuMsPerMessage: spentMs / waits.length,
  }
}

/** Settles when all of it is delivered; every message must be. */
async function send(receiver: Receiver, options: Parameters<typeof runSource>[0]): Promise<SourceResult> {
  const before = receiver.counters.messages
  const result = await runSource(options)
  if (result.acked !== options.messages)
    throw new Error(
      `${result.acked} of ${options.messages} messages were accepted: ${result.trouble ?? 'some refused'}`,
    )
  await until(
    deliveryMsMax,
    `only ${receiver.counters.messages - before} of ${result.acked} messages were delivered`,
    () => receiver.counters.messages - before >= result.acked,
  )
  return result
}

const told = ({ p50, p99, max }: Spread): string =>
  `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(1)} ms`

function report(load: Load, rounds: readonly Round[], directory: string, save: string): void {
  const row = (name: string, of: (round: Round) => Spread): string[] => [
    name,
    ...(['p50', 'p99', 'max'] as const).map((key) =>
      medianAndRange(
        rounds.map((round) => of(round)[key]),
        2,
      ),
    ),
  ]
  const { ratePerSecond, seconds, bytes, sessions } = load
  console.log(
    `\n${ratePerSecond} messages/s of ${bytes} bytes for ${seconds} s over ${sessions} sessions, ${rounds.length} rounds; medians (min–max), ms\n`,
  )
  const head = ['latency', 'p50', 'p99', 'max']
  const rows = [
    row('MAIL → 250', ({ toReplyMs }) => toReplyMs),
    row('250 → delivered', ({ toDeliveryMs }) => toDeliveryMs),
  ]
  console.log(table(head, rows))
  const cpu = rounds.map(({ cpuMsPerMessage }) => cpuMsPerMessage)
  console.log(`\nCPU of the engine: ${median(cpu).toFixed(3)} ms/message, what it uses while idle included\n`)
  const facts = machineFacts(directory)
  printEnd(facts, saveResult('latency', save, { benchmark: 'latency', load, facts, rounds }))
}
