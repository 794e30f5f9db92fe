/**
 * Profile: where the CPU of a relayed message goes, smtp-source → engine → smtp-sink, by `perf` over all threads and the kernel. Shares are
 * perf's; what they are shares of is the CPU time of the engine's control group in the same run.
 *
 *   npm run bench -- profile --messages 30000 --bytes 10240 --sessions 20
 *
 * The engine runs with --perf-basic-prof and --interpreted-frames-native-stack, so that perf knows compiled functions by their names.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../test/support/engine.ts'
import { until } from '../test/support/wait.ts'
import { withEngine } from './support/engine-world.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, readOptions } from './support/options.ts'
import { type Load, relayAll } from './support/relay-world.ts'
import { printEnd, saveResult, table } from './support/report.ts'
import { startSink } from './support/smtp-tools.ts'
import { addUp, type Profile } from './support/stacks.ts'

interface Measured {
  readonly cpuMicrosPerMessage: number
  readonly messagesPerSecond: number
  readonly profile: Profile
}

const samplesPerSecond = 997

export async function profileBenchmark(argumentList: string[]): Promise<void> {
  const { directory, save, set, top, ...options } = readOptions('profile', argumentList, {
    messages: count(30_000, 'messages that are measured'),
    bytes: count(10_240, 'size of a message'),
    sessions: count(20, 'sessions of the source'),
    'warm-up': count(30_000, 'messages before them'),
    top: count(25, 'functions that are listed'),
    ...common,
  })
  const load: Load = options
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const sink = await startSink(await freePort())
  try {
    const world = {
      name: 'profile',
      directory: join(base, 'engine'),
      settings: set,
      receiverPort: sink.port,
      config: { delivery: { messages_per_connection: 1_000_000 } },
      nodeOptions: ['--perf-basic-prof', '--interpreted-frames-native-stack'],
    }
    const measured = await withEngine(world, async ({ engine, group }) => {
      const between = { port: engine.port, sink, group }
      console.log(`warm-up: ${options['warm-up']} messages`)
      await relayAll(between, { ...load, messages: options['warm-up'] })
      console.log(`measured: ${load.messages} messages`)
      try {
        return await record(engine.processId, join(base, 'perf.data'), load, group.cpuMs, () => relayAll(between, load))
      } finally {
        // Where perf looks for the names of compiled functions; V8 wrote it, and nobody else would remove it.
        rmSync(`/tmp/perf-${engine.processId}.map`, { force: true })
      }
    })
    report(load, measured, top, base, save)
  } finally {
    await sink.stop()
    rmSync(base, { recursive: true, force: true })
  }
}

async function record(
  processId: number,
  file: string,
  load: Load,
  cpuMs: () => number,
  relay: () => Promise<number>,
): Promise<Measured> {
  const perf = spawn(
    'perf',
    ['record', '-q', '-F', String(samplesPerSecond), '-g', '-p', String(processId), '-o', file],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const ended = once(perf, 'exit')
  try {
    await until(10_000, 'perf did not begin: apt-get install linux-perf, and be root', () => {
      if (perf.exitCode !== null) throw new Error(`perf ended with ${perf.exitCode}`)
      return sizeOf(file) > 0
    })
    const cpuBeforeMs = cpuMs()
    const elapsedMs = await relay()
    const cpuMicrosPerMessage = ((cpuMs() - cpuBeforeMs) * 1_000) / load.messages
    perf.kill('SIGINT')
    await ended
    return {
      cpuMicrosPerMessage,
      messagesPerSecond: load.messages / (elapsedMs / 1_000),
      profile: await readProfile(file),
    }
  } finally {
    perf.kill('SIGKILL')
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

async function readProfile(file: string): Promise<Profile> {
  const script = spawn('perf', ['script', '-i', file, '-F', 'comm,tid,ip,sym,dso'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const profile = await addUp(createInterface({ input: script.stdout }))
  if (profile.samples === 0) throw new Error('perf took no sample')
  return profile
}

function report(load: Load, measured: Measured, top: number, directory: string, save: string): void {
  const { profile, cpuMicrosPerMessage, messagesPerSecond } = measured
  const { messages, bytes, sessions } = load
  const facts = machineFacts(directory)
  console.log(
    `\n${messages} messages of ${bytes} bytes over ${sessions} sessions, engine warm: ${cpuMicrosPerMessage.toFixed(1)} µs CPU/message, ${messagesPerSecond.toFixed(0)} messages/s, ${profile.samples} samples`,
  )
  const rank = (counts: ReadonlyMap<string, number>): { name: string; share: number; micros: number }[] =>
    [...counts]
      .map(([name, samples]) => ({ name, share: samples / profile.samples }))
      .sort((a, b) => b.share - a.share)
      .map((one) => ({ ...one, micros: one.share * cpuMicrosPerMessage }))
  const show = (title: string, counts: ReadonlyMap<string, number>, rowsMax: number): void => {
    const rows = rank(counts)
      .filter(({ share }, place) => place < rowsMax || share >= alwaysShown)
      .map(({ name, share, micros }) => [micros.toFixed(1), `${(share * 100).toFixed(1)} %`, name])
    console.log(`\n${table(['µs/message', 'share', title], rows)}`)
  }
  show('for whom: the innermost folder of ours on the stack', profile.stage, 30)
  show('what the processor did', profile.kind, 30)
  show('kernel: system calls', profile.call, 12)
  show('kernel: who asked', profile.caller, 15)
  show('thread', profile.thread, 12)
  show('function, self', profile.self, top)
  show('function of ours, with all it called', profile.within, top)
  console.log()
  const lists = ['stage', 'kind', 'call', 'caller', 'thread', 'self', 'within'] as const
  const result = {
    benchmark: 'profile',
    load: { messages, bytes, sessions },
    facts,
    cpuMicrosPerMessage,
    messagesPerSecond,
    samples: profile.samples,
    ...Object.fromEntries(lists.map((list) => [list, rank(profile[list]).slice(0, 100)])),
  }
  printEnd(facts, saveResult('profile', save, result))
}

/** A function above this is listed however many come before it. */
const alwaysShown = 0.05
