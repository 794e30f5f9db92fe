/**
 * Accept: applications that send single mails by HTTP, each durable before its 202. Beside us, in alternating rounds, a bare Fastify that parses
 * and checks the same body and keeps nothing. Three figures:
 *
 *   fixed      latency of the 202 at a rate that applications have; mail is delivered meanwhile (--receivers silent: it waits)
 *   maximum    requests per second as fast as the connections allow, and CPU per request; receivers are silent, so that accepting alone is measured
 *   delivery   from the 202 until the receiver has the message, over many destinations that take their time to answer
 *
 *   npm run bench -- accept --rounds 5
 *   npm run bench -- accept --only delivery --rate 1000 --destinations 100 --answer-ms 50
 *
 * Source, receivers and servers are processes of their own; only the servers are in control groups, whose CPU is told. The source's own share of a core
 * and how late it was are told too: it takes part of the same machine.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/support/engine.ts'
import { acceptsConnections, until } from '../test/support/wait.ts'
import { type ControlGroup, makeControlGroup } from './support/cgroup.ts'
import { type Destinations, farAway, startDestinations } from './support/destinations.ts'
import type { Latency } from './support/http-load.ts'
import type { SourceJob, SourceReport } from './support/http-source.ts'
import { sendAll } from './support/http-sources.ts'
import { withHttpEngine } from './support/http-world.ts'
import { machineFacts } from './support/machine.ts'
import { choice, common, count, readOptions, type Setting } from './support/options.ts'
import { median, medianAndRange, printEnd, saveResult, type Spread, spread, table } from './support/report.ts'

interface Load {
  readonly rate: number
  readonly seconds: number
  readonly connections: number
  readonly bytes: number
  readonly deliveryRate: number
  readonly deliverySeconds: number
  readonly destinations: number
  readonly answerMs: number
  readonly receivers: 'answer' | 'silent'
}

/** One server's turn. */
interface Round {
  readonly latencyMs: Latency
  readonly lateMs: Latency
  readonly fixedCpuMicrosPerRequest: number
  readonly requestsPerSecond: number
  readonly cpuMicrosPerRequest: number
  readonly sourceCpuShare: number
}

interface Delivery {
  readonly messages: number
  readonly cameTwice: number
  readonly acceptMs: Latency
  readonly toDeliveryMs: Spread
}

const wanted = { acceptMsP99: 15, deliveryMsP99: 5_000 }
const warmUpSeconds = 5
const deliveredMsMax = 120_000
const silent = { session: { connect: { ending: 'silence' } } } as const

export async function acceptBenchmark(argumentList: string[]): Promise<void> {
  const { load, rounds, only, directory, save, set } = parseOptions(argumentList)
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const results = new Map<string, Round[]>()
  const deliveries: Delivery[] = []
  const turns: (readonly [string, (place: string) => Promise<Round>])[] = [
    ['posthaste', (place) => measureEngine(load, place, set)],
    ['bare Fastify', () => measureBare(load)],
  ]
  try {
    for (let round = 1; round <= rounds; round++) {
      // Alternating order, so that a machine that grows slower or faster during the run favours nobody.
      for (const [name, measure] of only === 'delivery' ? [] : round % 2 === 1 ? turns : turns.toReversed()) {
        const result = await measure(join(base, `accept-${round}`))
        results.set(name, [...(results.get(name) ?? []), result])
        console.log(`round ${round}  ${name.padEnd(13)} ${describe(result)}`)
      }
      if (only === 'accept') continue
      const delivery = await measureDelivery(load, join(base, `delivery-${round}`), set)
      deliveries.push(delivery)
      console.log(`round ${round}  202 → delivered ${told(delivery.toDeliveryMs)} (${delivery.messages} messages)`)
    }
    report(load, results, deliveries, base, save)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

function parseOptions(argumentList: string[]) {
  const { rounds, only, directory, save, set, ...given } = readOptions('accept', argumentList, {
    rate: count(2_000, 'requests per second of the fixed load'),
    seconds: count(15, 'length of the fixed and of the maximal load'),
    connections: count(64, 'connections of the source'),
    bytes: count(2_048, 'size of a request body'),
    receivers: choice(['answer', 'silent'], 'what receivers do during the fixed load'),
    'delivery-rate': count(1_000, 'messages per second of the load that is delivered'),
    'delivery-seconds': count(30, 'its length'),
    destinations: count(100, 'destinations, each with 20 connections'),
    'answer-ms': count(50, 'time that each answer of a destination takes', 0),
    rounds: count(3, 'times that it is measured'),
    only: choice(['both', 'accept', 'delivery'], 'a part of it'),
    ...common,
  })
  const load: Load = {
    ...given,
    deliveryRate: given['delivery-rate'],
    deliverySeconds: given['delivery-seconds'],
    answerMs: given['answer-ms'],
  }
  return { load, rounds, only, directory, save, set }
}

const jobOf = (load: Load, port: number, key: string, sends: Partial<SourceJob['sends']>): SourceJob => ({
  sends: {
    port,
    key,
    bytes: load.bytes,
    domains: load.destinations,
    ratePerSecond: load.rate,
    connections: load.connections,
    seconds: load.seconds,
    ...sends,
  },
})

/** A fresh engine on an empty folder, warmed up; what it accepted is delivered before it is measured at its maximum. */
async function measureEngine(load: Load, directory: string, settings: readonly Setting[]): Promise<Round> {
  const delivers = load.receivers === 'answer'
  const destinations = await startDestinations(load.destinations, delivers ? {} : silent)
  const { routes } = destinations
  try {
    return await withHttpEngine(
      { name: 'accept', directory, settings, receiverPort: 0, config: { routes } },
      async ({ httpPort, key, group }) => {
        let sent = 0
        const send = async (sends: Partial<SourceJob['sends']>): Promise<SourceReport> => {
          const done = await sendAll(jobOf(load, httpPort, key, sends))
          sent += done.sends.requests
          return done
        }
        return measureServer(load, group, send, async () => {
          if (!delivers) return
          await untilDelivered(destinations, sent)
          destinations.script(silent)
          destinations.dropConnections()
        })
      },
    )
  } finally {
    await destinations.close()
  }
}

async function untilDelivered(destinations: Destinations, messages: number): Promise<void> {
  await until(
    deliveredMsMax,
    `not all of ${messages} messages were delivered`,
    () => destinations.messages() >= messages,
  )
}

async function measureBare(load: Load): Promise<Round> {
  const port = await freePort()
  const group = makeControlGroup('bare')
  const program = fileURLToPath(new URL('support/bare-fastify.ts', import.meta.url))
  const commandLine = [...group.prefix, process.execPath, program, String(port)]
  const [command, ...commandArguments] = commandLine as [string, ...string[]]
  const server = spawn(command, commandArguments, { stdio: 'inherit' })
  const ended = once(server, 'exit')
  try {
    await until(15_000, 'the bare Fastify did not answer', () => acceptsConnections(port))
    const send = (sends: Partial<SourceJob['sends']>): Promise<SourceReport> =>
      sendAll(jobOf(load, port, 'none', sends))
    return await measureServer(load, group, send, async () => {})
  } finally {
    server.kill('SIGKILL')
    await ended
    await until(10_000, 'the bare Fastify left processes behind', () => group.processIds().length === 0)
    group.remove()
  }
}

type Send = (sends: Partial<SourceJob['sends']>) => Promise<SourceReport>

async function measureServer(
  load: Load,
  group: ControlGroup,
  send: Send,
  beforeMaximum: () => Promise<void>,
): Promise<Round> {
  await send({ seconds: warmUpSeconds })
  const cpuBeforeMs = group.cpuMs()
  const fixed = await send({})
  const fixedCpuMs = group.cpuMs() - cpuBeforeMs
  await beforeMaximum()
  const cpuBetweenMs = group.cpuMs()
  const maximum = await send({ ratePerSecond: 0 })
  const maximumCpuMs = group.cpuMs() - cpuBetweenMs
  return {
    latencyMs: fixed.sends.latencyMs,
    lateMs: fixed.sends.lateMs,
    fixedCpuMicrosPerRequest: (fixedCpuMs * 1_000) / fixed.sends.requests,
    requestsPerSecond: maximum.sends.requests / (maximum.sends.elapsedMs / 1_000),
    cpuMicrosPerRequest: (maximumCpuMs * 1_000) / maximum.sends.requests,
    sourceCpuShare: maximum.cpuShare,
  }
}

/** A fresh engine; the destinations answer late from the beginning, so that the warm-up also opens the connections. */
async function measureDelivery(load: Load, directory: string, settings: readonly Setting[]): Promise<Delivery> {
  const destinations = await startDestinations(load.destinations, farAway(load.answerMs))
  const config = { routes: destinations.routes, delivery: { connections_per_site: 20 } }
  try {
    return await withHttpEngine(
      { name: 'delivery', directory, settings, receiverPort: 0, config },
      async ({ httpPort, key }) => {
        const sends = { ratePerSecond: load.deliveryRate, seconds: load.deliverySeconds }
        const warmUp = await sendAll(jobOf(load, httpPort, key, { ...sends, seconds: warmUpSeconds }))
        await untilDelivered(destinations, warmUp.sends.requests)
        destinations.forget()
        const before = destinations.messages()
        const { sends: sent, acceptedAtMs } = await sendAll(jobOf(load, httpPort, key, sends))
        await untilDelivered(destinations, before + sent.requests)
        const arrivedAtMs = destinations.arrivedAtMs()
        const waits = [...acceptedAtMs].map((atMs, number) => {
          const arrivedMs = arrivedAtMs.get(number)
          if (arrivedMs === undefined) throw new Error(`message ${number} was accepted and not delivered`)
          return arrivedMs - atMs
        })
        const cameTwice = destinations.messages() - before - waits.length
        return { messages: waits.length, cameTwice, acceptMs: sent.latencyMs, toDeliveryMs: spread(waits) }
      },
    )
  } finally {
    await destinations.close()
  }
}

const told = ({ p50, p99, max }: Spread): string =>
  `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(1)} ms`

const describe = ({ latencyMs, requestsPerSecond, cpuMicrosPerRequest }: Round): string =>
  `202 p99 ${latencyMs.p99.toFixed(2)} ms   at most ${requestsPerSecond.toFixed(0)} requests/s, ${cpuMicrosPerRequest.toFixed(0)} µs CPU each`

function report(
  load: Load,
  results: ReadonlyMap<string, readonly Round[]>,
  deliveries: readonly Delivery[],
  directory: string,
  save: string,
): void {
  const facts = machineFacts(directory)
  if (results.size > 0) reportAccept(load, results)
  if (deliveries.length > 0) reportDelivery(load, deliveries)
  const rounds = { accept: Object.fromEntries(results), delivery: deliveries }
  printEnd(facts, saveResult('accept', save, { benchmark: 'accept', load, wanted, facts, rounds }))
}

function reportAccept(load: Load, results: ReadonlyMap<string, readonly Round[]>): void {
  const { rate, seconds, connections, bytes, receivers } = load
  console.log(
    `\n${rate} requests/s of ${bytes} bytes for ${seconds} s over ${connections} connections, ${receivers === 'answer' ? 'delivered meanwhile' : 'not delivered'}; then as many as they can for ${seconds} s, not delivered; medians (min–max)\n`,
  )
  const head = [
    'server',
    '202 p50 ms',
    'p99 ms',
    'p99.9 ms',
    'max ms',
    'µs CPU/request',
    'at most requests/s',
    'µs CPU/request then',
    'source, cores',
  ]
  const rows = [...results].map(([name, rounds]) => {
    const cell = (of: (round: Round) => number, digits: number): string => medianAndRange(rounds.map(of), digits)
    return [
      name,
      ...(['p50', 'p99', 'p999', 'max'] as const).map((key) => cell(({ latencyMs }) => latencyMs[key], 2)),
      cell(({ fixedCpuMicrosPerRequest }) => fixedCpuMicrosPerRequest, 0),
      cell(({ requestsPerSecond }) => requestsPerSecond, 0),
      cell(({ cpuMicrosPerRequest }) => cpuMicrosPerRequest, 0),
      cell(({ sourceCpuShare }) => sourceCpuShare, 2),
    ]
  })
  console.log(table(head, rows))
  const [ours = [], bare = []] = [results.get('posthaste'), results.get('bare Fastify')]
  const cpu = (rounds: readonly Round[]): number => median(rounds.map((round) => round.cpuMicrosPerRequest))
  const p99 = median(ours.map(({ latencyMs }) => latencyMs.p99))
  const late = median(ours.map(({ lateMs }) => lateMs.p99))
  console.log(
    `\np99 of the 202: ${p99.toFixed(2)} ms, wanted < ${wanted.acceptMsP99} ms; the source itself was late by ${late.toFixed(2)} ms (p99)`,
  )
  console.log(`durable = ${(cpu(ours) / cpu(bare)).toFixed(2)} × the CPU of parsing and checking alone\n`)
}

function reportDelivery(load: Load, deliveries: readonly Delivery[]): void {
  const { deliveryRate, deliverySeconds, destinations, answerMs } = load
  console.log(
    `${deliveryRate} messages/s for ${deliverySeconds} s over ${destinations} destinations that answer in ${answerMs} ms, 20 connections each; medians (min–max), ms\n`,
  )
  const row = (name: string, of: (delivery: Delivery) => Spread): string[] => [
    name,
    ...(['p50', 'p99', 'max'] as const).map((key) =>
      medianAndRange(
        deliveries.map((delivery) => of(delivery)[key]),
        1,
      ),
    ),
  ]
  const rows = [
    row('request → 202', ({ acceptMs }) => acceptMs),
    row('202 → delivered', ({ toDeliveryMs }) => toDeliveryMs),
  ]
  console.log(table(['', 'p50', 'p99', 'max'], rows))
  const p99 = median(deliveries.map(({ toDeliveryMs }) => toDeliveryMs.p99))
  const twice = deliveries.reduce((sum, { cameTwice }) => sum + cameTwice, 0)
  console.log(
    `\np99 until delivery: ${(p99 / 1_000).toFixed(2)} s, wanted < ${wanted.deliveryMsP99 / 1_000} s; ${twice} messages came twice\n`,
  )
}
