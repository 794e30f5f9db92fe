/**
 * Soak: a steady load for a long time, with a receiver that puts off, refuses and hangs up, and retries short enough that the mail drains. What
 * must not grow is memory; what must follow the mail is the disk.
 *
 *   npm run bench -- soak --minutes 20 --rate 1000
 *
 * The slope of memory is a straight line through all samples after the first five minutes (after the first quarter of a shorter run). Source and
 * receiver are this process, the engine is in a control group of its own. The samples are in the result, and drawn beside it.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Receiver,
  type ReceiverScript,
  runSource,
  type SourceResult,
  startReceiver,
} from '../src/sandbox/sandbox.ts'
import { type ControlGroup, memoryMiB } from './support/cgroup.ts'
import { withEngine } from './support/engine-world.ts'
import type { Engine } from './support/engine.ts'
import { machineFacts } from './support/machine.ts'
import { amount, common, count, readOptions, share } from './support/options.ts'
import { plot } from './support/plot.ts'
import { printEnd, saveResult, table } from './support/report.ts'

interface Load {
  readonly minutes: number
  readonly rate: number
  readonly bytes: number
  readonly sessions: number
  readonly defer: number
  readonly refuse: number
  readonly drop: number
}

interface Sample {
  readonly minute: number
  readonly rssMiB: number
  readonly pssMiB: number
  readonly diskMiB: number
  /** Recipients that have no end yet. */
  readonly queued: number
  readonly deferred: number
  readonly acceptedPerSecond: number
  readonly deliveredPerSecond: number
  readonly cpuShare: number
}

interface Slope {
  readonly fromMinute: number
  readonly pssPercentPerMinute: number
  readonly rssPercentPerMinute: number
}

const wantedPercentPerMinute = 1
const drainMsMax = 120_000
const domains = 50
/** Every sixth sample of 5 s is a line on the screen. */
const samplesPerLine = 6

export async function soakBenchmark(argumentList: string[]): Promise<void> {
  const { directory, save, set, sample, ...load } = readOptions('soak', argumentList, {
    minutes: amount(20, 'length of the load'),
    rate: count(1_000, 'messages per second'),
    bytes: count(1_024, 'size of a message'),
    sessions: count(20, 'sessions of the source'),
    defer: share(0.05, 'share of recipients that is answered 451'),
    refuse: share(0.01, 'share of recipients that is answered 550'),
    drop: share(0.002, 'share of contents in which the receiver hangs up, half of them after it took the message'),
    sample: amount(5, 'seconds between samples'),
    ...common,
  })
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const receiver = await startReceiver(scriptOf(load), { keep: 'nothing' })
  try {
    const world = {
      name: 'soak',
      directory: join(base, 'engine'),
      settings: set,
      receiverPort: receiver.port,
      config: { retry: { delays: ['1s', '2s', '5s'] } },
    }
    const { result, samples, drainedMs } = await withEngine(world, ({ engine, group }) =>
      soak(load, sample * 1_000, engine, group, receiver),
    )
    report(load, { result, samples, drainedMs, receiver }, base, save)
  } finally {
    await receiver.close()
    rmSync(base, { recursive: true, force: true })
  }
}

function scriptOf({ defer, refuse, drop }: Load): ReceiverScript {
  return {
    rules: [
      {
        for: '*',
        rcpt: [
          { reply: '451 4.7.1 try later', probability: defer },
          { reply: '550 5.1.1 no such user', probability: refuse },
        ],
        content: { ending: 'reset', afterBytes: 500, probability: drop / 2 },
        final: { ending: 'close', probability: drop / 2 },
      },
    ],
  }
}

async function soak(load: Load, sampleMs: number, engine: Engine, group: ControlGroup, receiver: Receiver) {
  const startedMs = performance.now()
  const takeSample = sampler(load, startedMs, engine, group, receiver)
  const samples: Sample[] = []
  const run = runSource({
    host: '127.0.0.1',
    port: engine.port,
    sessions: load.sessions,
    bytes: load.bytes,
    ratePerSecond: load.rate,
    durationMs: load.minutes * 60_000,
    to: (number) => `user${number}@domain${number % domains}.test`,
    reconnectMsMax: 10_000,
  })
  for (;;) {
    const over = await Promise.race([sleep(sampleMs, false), run.then(() => true)])
    if (over) break
    samples.push(await takeSample())
    if (samples.length % samplesPerLine === 0) console.log(describe(samples.at(-1) as Sample))
  }
  return { result: await run, samples, drainedMs: await drain(engine) }
}

/** Time until the queue is empty; infinite when it does not become so. */
async function drain(engine: Engine): Promise<number> {
  const startedMs = performance.now()
  while (queuedIn(await engine.metrics()).all > 0) {
    if (performance.now() - startedMs > drainMsMax) return Number.POSITIVE_INFINITY
    await sleep(250)
  }
  return performance.now() - startedMs
}

function sampler(
  load: Load,
  startedMs: number,
  engine: Engine,
  group: ControlGroup,
  receiver: Receiver,
): () => Promise<Sample> {
  let before = { atMs: startedMs, accepted: 0, delivered: 0, cpuMs: group.cpuMs() }
  return async () => {
    const metrics = await engine.metrics()
    const { rss, pss } = memoryMiB(group.processIds())
    const { all, deferred } = queuedIn(metrics)
    const now = {
      atMs: performance.now(),
      accepted: metrics.get('posthaste_accepted_messages_total') ?? 0,
      delivered: receiver.counters.messages,
      cpuMs: group.cpuMs(),
    }
    const seconds = (now.atMs - before.atMs) / 1_000
    const sample: Sample = {
      minute: (now.atMs - startedMs) / 60_000,
      rssMiB: rss,
      pssMiB: pss,
      diskMiB: diskBytes(engine.dataDirectory) / 2 ** 20,
      queued: all,
      deferred,
      acceptedPerSecond: (now.accepted - before.accepted) / seconds,
      deliveredPerSecond: (now.delivered - before.delivered) / seconds,
      cpuShare: (now.cpuMs - before.cpuMs) / 1_000 / seconds,
    }
    before = now
    return sample
  }
}

function queuedIn(metrics: ReadonlyMap<string, number>): { all: number; deferred: number } {
  const of = (state: string): number => metrics.get(`posthaste_queue_recipients{state="${state}"}`) ?? 0
  const deferred = of('deferred')
  return { all: of('ready') + of('in_flight') + deferred, deferred }
}

/** What the files take on disk; one that goes away meanwhile takes nothing. */
function diskBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
    const facts = statSync(join(directory, name), { throwIfNoEntry: false })
    return sum + (facts?.isFile() === true ? facts.blocks * 512 : 0)
  }, 0)
}

function describe(sample: Sample): string {
  const { minute, pssMiB, diskMiB, queued, acceptedPerSecond, deliveredPerSecond, cpuShare } = sample
  return `${minute.toFixed(1).padStart(6)} min  ${pssMiB.toFixed(0)} MiB  disk ${diskMiB.toFixed(0)} MiB  ${queued} queued  ${acceptedPerSecond.toFixed(0)}/s in  ${deliveredPerSecond.toFixed(0)}/s out  ${(cpuShare * 100).toFixed(0)} % CPU`
}

/** Least squares, as a share of the mean. */
function slopeOf(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const mean = (value: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + value(sample), 0) / samples.length
  const middle = { x: mean(({ minute }) => minute), y: mean(of) }
  const across = mean((sample) => (sample.minute - middle.x) * (of(sample) - middle.y))
  const along = mean((sample) => (sample.minute - middle.x) ** 2)
  return along === 0 ? Number.NaN : (across / along / middle.y) * 100
}

function report(
  load: Load,
  run: { result: SourceResult; samples: readonly Sample[]; drainedMs: number; receiver: Receiver },
  directory: string,
  save: string,
): void {
  const { result, samples, drainedMs, receiver } = run
  const facts = machineFacts(directory)
  const fromMinute = Math.min(5, load.minutes / 4)
  const late = samples.filter(({ minute }) => minute >= fromMinute)
  const slope: Slope = {
    fromMinute,
    pssPercentPerMinute: slopeOf(late, ({ pssMiB }) => pssMiB),
    rssPercentPerMinute: slopeOf(late, ({ rssMiB }) => rssMiB),
  }
  const most = (of: (sample: Sample) => number): number => Math.max(0, ...samples.map(of))
  const liveMiBMax = (most(({ queued }) => queued) * load.bytes) / 2 ** 20
  const { minutes, rate, bytes, defer, refuse, drop } = load
  const title = `${rate} messages/s of ${bytes} bytes for ${minutes} min; ${defer * 100} % deferred, ${refuse * 100} % refused, ${drop * 100} % cut off`
  console.log(`\n${title}\n`)
  const { messages, refused, dropped } = receiver.counters
  const rows = [
    [
      'accepted',
      `${result.acked} of ${result.sent + result.unsent}${result.trouble === null ? '' : `; trouble: ${result.trouble}`}`,
    ],
    ['taken by the receiver', `${messages}; ${refused} refusals, ${dropped} connections cut`],
    ['queue empty after the load', Number.isFinite(drainedMs) ? `${(drainedMs / 1_000).toFixed(1)} s` : 'NOT DRAINED'],
    ['MAIL → 250', `p50 ${result.latencyMs.p50.toFixed(2)} ms, p99 ${result.latencyMs.p99.toFixed(2)} ms`],
    [
      'slope of PSS',
      `${slope.pssPercentPerMinute.toFixed(2)} %/min after minute ${fromMinute} (< ${wantedPercentPerMinute} wanted)`,
    ],
    ['slope of RSS', `${slope.rssPercentPerMinute.toFixed(2)} %/min`],
    [
      'most memory',
      `${most(({ pssMiB }) => pssMiB).toFixed(0)} MiB PSS, ${most(({ rssMiB }) => rssMiB).toFixed(0)} MiB RSS`,
    ],
    [
      'most disk',
      `${most(({ diskMiB }) => diskMiB).toFixed(0)} MiB, for at most ${liveMiBMax.toFixed(1)} MiB of mail without an end`,
    ],
    ['longest queue', String(most(({ queued }) => queued))],
  ]
  console.log(`${table(['', 'measured'], rows)}\n`)
  const figures = {
    slope,
    drainedMs,
    liveMiBMax,
    source: { ...result, seconds: undefined },
    receiver: receiver.counters,
  }
  const file = saveResult('soak', save, { benchmark: 'soak', load, facts, ...figures, samples }, draw(title, samples))
  printEnd(facts, file)
}

function draw(title: string, samples: readonly Sample[]): string {
  const line = (name: string, of: (sample: Sample) => number) => ({ name, values: samples.map(of) })
  return plot(
    title,
    samples.map(({ minute }) => minute),
    [
      { title: 'memory, MiB', lines: [line('PSS', ({ pssMiB }) => pssMiB), line('RSS', ({ rssMiB }) => rssMiB)] },
      { title: 'disk, MiB', lines: [line('data directory', ({ diskMiB }) => diskMiB)] },
      {
        title: 'recipients',
        lines: [line('queued', ({ queued }) => queued), line('deferred', ({ deferred }) => deferred)],
      },
      {
        title: 'messages per second',
        lines: [
          line('accepted', ({ acceptedPerSecond }) => acceptedPerSecond),
          line('delivered', ({ deliveredPerSecond }) => deliveredPerSecond),
        ],
      },
      { title: 'cores used', lines: [line('engine', ({ cpuShare }) => cpuShare)] },
    ],
  )
}
