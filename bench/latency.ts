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
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../src/kernel/clock.ts'
import { type Receiver, type SourceResult, runSource, startReceiver } from '../src/sandbox/sandbox.ts'
import { freePort, startEngine } from '../test/support/engine.ts'
import { until } from '../test/support/wait.ts'
import { makeControlGroup } from './support/cgroup.ts'
import { machineFacts } from './support/machine.ts'
import { median, saveResult, table } from './support/report.ts'

interface Load {
  readonly ratePerSecond: number
  readonly seconds: number
  readonly bytes: number
  readonly sessions: number
}

interface Spread {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

interface Round {
  readonly messages: number
  readonly toReplyMs: Spread
  readonly toDeliveryMs: Spread
  readonly cpuMsPerMessage: number
}

const deliveryMsMax = 60_000
const warmUpMessages = 500
/** Wall time with fractions, by the steady clock, which source and receiver of this process share. */
const clock = { ...systemClock, nowMs: () => performance.timeOrigin + performance.now() }

export async function latencyBenchmark(argumentList: string[]): Promise<void> {
  const { load, rounds, directory, save } = parseOptions(argumentList)
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  try {
    const results: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      const result = await measure(load, join(base, String(round)))
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
  const { values } = parseArgs({
    args: argumentList,
    options: {
      rate: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '30' },
      bytes: { type: 'string', default: '10240' },
      sessions: { type: 'string', default: '20' },
      rounds: { type: 'string', default: '3' },
      directory: { type: 'string', default: tmpdir() },
      save: { type: 'string', default: '' },
    },
  })
  const count = (name: 'rate' | 'seconds' | 'bytes' | 'sessions' | 'rounds'): number => {
    const value = Number(values[name])
    if (!Number.isSafeInteger(value) || value < 1)
      throw new Error(`--${name} is a number of at least 1, not ${values[name]}`)
    return value
  }
  const load: Load = {
    ratePerSecond: count('rate'),
    seconds: count('seconds'),
    bytes: count('bytes'),
    sessions: count('sessions'),
  }
  return { load, rounds: count('rounds'), directory: values.directory, save: values.save }
}

/** A fresh engine on an empty folder, warmed up, then the load. */
async function measure(load: Load, directory: string): Promise<Round> {
  const deliveredAtMs = new Map<string, number>()
  const receiver = await startReceiver(
    {},
    {
      keep: 'digest',
      clock,
      onMessage: ({ testId }) => void deliveredAtMs.set(testId ?? '', clock.nowMs()),
    },
  )
  const group = makeControlGroup('latency')
  const port = await freePort()
  const route = `routes: [{ domain: "*", host: 127.0.0.1, port: ${receiver.port}, tls: never }]\nlog: { level: warn }\n`
  try {
    const engine = await startEngine({ directory, port, config: route, prefix: group.prefix })
    try {
      await send(receiver, { host: '127.0.0.1', port, sessions: load.sessions, messages: warmUpMessages })
      deliveredAtMs.clear()
      return await loadOnce(load, { port, receiver, deliveredAtMs, cpuMs: () => group.cpuMs() })
    } finally {
      await engine.stop()
    }
  } finally {
    await receiver.close()
    await until(10_000, 'the engine left processes behind', () => group.processIds().length === 0)
    group.remove()
    rmSync(directory, { recursive: true, force: true })
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

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

const told = ({ p50, p99, max }: Spread): string =>
  `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(1)} ms`

function report(load: Load, rounds: readonly Round[], directory: string, save: string): void {
  const row = (name: string, of: (round: Round) => Spread): string[] => [
    name,
    ...(['p50', 'p99', 'max'] as const).map((key) => {
      const values = rounds.map((round) => of(round)[key])
      return `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`
    }),
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
  console.log(`\nCPU of the engine: ${median(cpu).toFixed(3)} ms/message, what it uses while idle included`)
  const facts = machineFacts(directory)
  console.log(
    `\n${Object.entries(facts)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n')}`,
  )
  console.log(`\nwritten: ${saveResult('latency', save, { benchmark: 'latency', load, facts, rounds })}`)
}
