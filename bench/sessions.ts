/**
 * Sessions: what thousands of clients that are connected and say nothing cost, in memory and for those who do send. One engine per round, the
 * same load twice, first without and then with the idle sessions:
 *
 *   memory     growth of the engine's resident memory ÷ idle sessions
 *   greeting   from connect to the 220, by probes that connect, read it and leave
 *   message    from when MAIL was due until the 250 to the content
 *
 *   npm run bench -- sessions --idle 10000 --rate 200 --seconds 30
 *
 * The idle clients are a thread of this process; the engine is in a control group of its own. Their 28,000 ports per address are stretched by
 * more addresses of 127.0.0.0/8.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { runSource, startReceiver } from '../src/sandbox/sandbox.ts'
import { type ControlGroup, memoryMiB } from './support/cgroup.ts'
import { withEngine } from './support/engine-world.ts'
import type { FromIdleClients, IdleClientsData } from './support/idle-clients.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, type Setting, share, readOptions } from './support/options.ts'
import { median, medianAndRange, printEnd, saveResult, type Spread, spread, table } from './support/report.ts'

interface Load {
  readonly idle: number
  readonly mailShare: number
  readonly ratePerSecond: number
  readonly seconds: number
  readonly bytes: number
  readonly sessions: number
  readonly probesPerSecond: number
}

interface Phase {
  readonly greetingMs: Spread
  readonly messageMs: Spread
  readonly cpuMsPerMessage: number
  readonly rssMiB: number
  readonly pssMiB: number
}

interface Round {
  readonly without: Phase
  readonly with: Phase
  readonly openedPerSecond: number
  readonly rssKiBPerSession: number
  readonly pssKiBPerSession: number
}

const warmUpMessages = 5_000
/** What the idle ones may add to the p99 of the others, and each to the memory. */
const wanted = { p99Ratio: 2, kibPerSession: 30 }
/** Connections of load, probes and deliveries, and the engine's own files. */
const filesBeside = 4_000

export async function sessionsBenchmark(argumentList: string[]): Promise<void> {
  const { directory, save, set, rounds, rate, probes, ...options } = readOptions('sessions', argumentList, {
    idle: count(10_000, 'sessions that are opened and left alone'),
    'mail-share': share(0, 'share of them that has said MAIL'),
    rate: count(200, 'messages per second beside them'),
    seconds: count(20, 'length of each of the two phases'),
    bytes: count(10_240, 'size of a message'),
    sessions: count(20, 'sessions that carry the load'),
    probes: count(50, 'connections per second that only read the greeting'),
    rounds: count(3, 'times that it is measured, each with a fresh engine'),
    ...common,
  })
  const load: Load = { ...options, mailShare: options['mail-share'], ratePerSecond: rate, probesPerSecond: probes }
  raiseFileLimit(load.idle + filesBeside)
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  try {
    const results: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      const result = await measure(load, join(base, String(round)), set)
      results.push(result)
      console.log(
        `round ${round}  ${result.pssKiBPerSession.toFixed(1)} KiB/session   greeting p99 ${result.without.greetingMs.p99.toFixed(2)} → ${result.with.greetingMs.p99.toFixed(2)} ms   message p99 ${result.without.messageMs.p99.toFixed(2)} → ${result.with.messageMs.p99.toFixed(2)} ms`,
      )
    }
    report(load, results, base, save)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

/** Of this process, which is root anyway for the control group. */
function raiseFileLimit(files: number): void {
  const now = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (now === undefined || Number(now) >= files) return
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:${files}`])
  if (status !== 0)
    throw new Error(`cannot raise the limit of open files to ${files}: ${stderr?.toString() ?? 'no prlimit'}`)
}

async function measure(load: Load, directory: string, settings: readonly Setting[]): Promise<Round> {
  const receiver = await startReceiver({}, { keep: 'nothing' })
  const connectionsMax = load.idle + 1_000
  const world = {
    name: 'sessions',
    directory,
    settings,
    receiverPort: receiver.port,
    filesMax: load.idle + filesBeside,
    config: {
      smtp: { connections_max: connectionsMax, connections_per_address_max: connectionsMax, idle_timeout: '1h' },
    },
  }
  try {
    return await withEngine(world, async ({ engine: { port }, group }) => {
      await runSource({ host: '127.0.0.1', port, sessions: load.sessions, messages: warmUpMessages, bytes: load.bytes })
      const without = await phase(load, port, group)
      const { idle, openedPerSecond } = await openIdle(load, port)
      try {
        const beside = await phase(load, port, group)
        await stillOpen(idle, load.idle)
        const perSession = (of: 'rssMiB' | 'pssMiB'): number => ((beside[of] - without[of]) * 1_024) / load.idle
        return {
          without,
          with: beside,
          openedPerSecond,
          rssKiBPerSession: perSession('rssMiB'),
          pssKiBPerSession: perSession('pssMiB'),
        }
      } finally {
        await idle.terminate()
      }
    })
  } finally {
    await receiver.close()
  }
}

/** The load and the probes for so many seconds; memory is the median of its second half. */
async function phase(load: Load, port: number, group: ControlGroup): Promise<Phase> {
  const rss: number[] = []
  const pss: number[] = []
  const sampler = setInterval(() => {
    const memory = memoryMiB(group.processIds())
    rss.push(memory.rss)
    pss.push(memory.pss)
  }, 500)
  const cpuBeforeMs = group.cpuMs()
  const messages = load.ratePerSecond * load.seconds
  try {
    const { ratePerSecond, sessions, bytes } = load
    const [result, greetings] = await Promise.all([
      runSource({ host: '127.0.0.1', port, sessions, bytes, ratePerSecond, messages }),
      probe(load, port),
    ])
    if (result.acked !== messages) throw new Error(`${result.acked} of ${messages} accepted: ${result.trouble ?? ''}`)
    const late = (values: number[]): number => median(values.slice(values.length >> 1))
    return {
      greetingMs: spread(greetings),
      messageMs: result.latencyMs,
      cpuMsPerMessage: (group.cpuMs() - cpuBeforeMs) / messages,
      rssMiB: late(rss),
      pssMiB: late(pss),
    }
  } finally {
    clearInterval(sampler)
  }
}

async function probe({ probesPerSecond, seconds }: Load, port: number): Promise<number[]> {
  const waits: Promise<number>[] = []
  for (let i = 0; i < probesPerSecond * seconds; i++) {
    waits.push(greeting(port))
    await sleep(1_000 / probesPerSecond)
  }
  return Promise.all(waits)
}

/** Milliseconds from connect to the 220. */
function greeting(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const socket = connect(port, '127.0.0.1')
    socket.once('data', (chunk: Buffer) => {
      const elapsedMs = performance.now() - startedMs
      if (!chunk.toString('latin1').startsWith('220')) reject(new Error(`a probe was greeted with ${chunk.toString()}`))
      socket.end('QUIT\r\n')
      socket.resume()
      resolve(elapsedMs)
    })
    socket.on('error', reject)
  })
}

async function openIdle(load: Load, port: number): Promise<{ idle: Worker; openedPerSecond: number }> {
  const data: IdleClientsData = { port, sessions: load.idle, mailShare: load.mailShare }
  const idle = new Worker(new URL('./support/idle-clients.ts', import.meta.url), { workerData: data })
  const answer = await hear(idle)
  if (answer.kind !== 'open') throw new Error(answer.kind === 'failed' ? answer.reason : answer.kind)
  return { idle, openedPerSecond: load.idle / (answer.elapsedMs / 1_000) }
}

async function stillOpen(idle: Worker, sessions: number): Promise<void> {
  idle.postMessage('count')
  const answer = await hear(idle)
  if (answer.kind !== 'count' || answer.open !== sessions)
    throw new Error(`the server closed idle sessions: ${JSON.stringify(answer)} of ${sessions}`)
}

function hear(idle: Worker): Promise<FromIdleClients> {
  return new Promise((resolve, reject) => {
    idle.once('message', resolve)
    idle.once('error', reject)
  })
}

function report(load: Load, rounds: readonly Round[], directory: string, save: string): void {
  const facts = machineFacts(directory)
  const row = (name: string, digits: number, of: (phase: Phase) => number): string[] => {
    const ratios = rounds.map((round) => of(round.with) / of(round.without))
    return [
      name,
      medianAndRange(
        rounds.map((round) => of(round.without)),
        digits,
      ),
      medianAndRange(
        rounds.map((round) => of(round.with)),
        digits,
      ),
      medianAndRange(ratios, 2),
    ]
  }
  const { idle, mailShare, ratePerSecond, seconds, probesPerSecond } = load
  console.log(
    `\n${ratePerSecond} messages/s and ${probesPerSecond} probes/s for ${seconds} s, without and with ${idle} idle sessions (${mailShare * 100} % after MAIL), ${rounds.length} rounds; medians (min–max)\n`,
  )
  const rows = [
    row('connect → 220, p50 ms', 2, ({ greetingMs }) => greetingMs.p50),
    row('connect → 220, p99 ms', 2, ({ greetingMs }) => greetingMs.p99),
    row('MAIL → 250, p50 ms', 2, ({ messageMs }) => messageMs.p50),
    row('MAIL → 250, p99 ms', 2, ({ messageMs }) => messageMs.p99),
    row('CPU ms/message', 3, ({ cpuMsPerMessage }) => cpuMsPerMessage),
    row('RSS MiB', 0, ({ rssMiB }) => rssMiB),
    row('PSS MiB', 0, ({ pssMiB }) => pssMiB),
  ]
  console.log(table(['', 'without', 'with', 'ratio'], rows))
  const kib = (of: 'rssKiBPerSession' | 'pssKiBPerSession'): string =>
    medianAndRange(
      rounds.map((round) => round[of]),
      1,
    )
  console.log(
    `\nper idle session: ${kib('rssKiBPerSession')} KiB of RSS, ${kib('pssKiBPerSession')} KiB of PSS; at most ${wanted.kibPerSession} are wanted, and p99 at most ${wanted.p99Ratio}-fold` +
      `\nopened at ${Math.round(median(rounds.map(({ openedPerSecond }) => openedPerSecond)))} sessions/s\n`,
  )
  printEnd(facts, saveResult('sessions', save, { benchmark: 'sessions', load, facts, rounds }))
}
