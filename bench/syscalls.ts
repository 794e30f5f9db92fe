/**
 * System calls: what a relayed message asks of the kernel, smtp-source → engine → smtp-sink. Two runs on one warm engine:
 *
 *   untraced   CPU, and what the kernel counts anyway: bytes through read and write (/proc/<pid>/io), bytes written by the device
 *   counted    calls by name and commits, by perf (which slows nothing down) or, where there is none, strace (which does)
 *
 *   npm run bench -- syscalls --messages 20000 --bytes 10240 --sessions 20
 *
 * Rates of both are told, so that a tracer that disturbs is seen to. The list of copies is kept by hand: support/copies.ts.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../test/support/engine.ts'
import { withEngine } from './support/engine-world.ts'
import type { Engine } from './support/engine.ts'
import { describeCopies } from './support/copies.ts'
import { machineFacts } from './support/machine.ts'
import { choice, common, count, readOptions } from './support/options.ts'
import { type Load, relayAll } from './support/relay-world.ts'
import { printEnd, saveResult, table } from './support/report.ts'
import { startSink } from './support/smtp-tools.ts'
import { countSystemCalls, findTracer, type Tracer } from './support/syscall-counter.ts'

interface Untraced {
  readonly cpuMsPerMessage: number
  readonly messagesPerSecond: number
  readonly perAcceptedByte: Readonly<Record<string, number>>
}

interface Traced {
  readonly tracer: Tracer
  readonly messagesPerSecond: number
  readonly callsPerMessage: Readonly<Record<string, number>>
}

export async function syscallsBenchmark(argumentList: string[]): Promise<void> {
  const { directory, save, set, tracer, ...options } = readOptions('syscalls', argumentList, {
    messages: count(20_000, 'messages of each run'),
    bytes: count(10_240, 'size of a message'),
    sessions: count(20, 'sessions of the source'),
    'warm-up': count(20_000, 'messages before the first run'),
    tracer: choice(['auto', 'perf', 'strace'], 'what counts the calls'),
    ...common,
  })
  const load: Load = options
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const sink = await startSink(await freePort())
  try {
    const world = {
      name: 'syscalls',
      directory: join(base, 'engine'),
      settings: set,
      receiverPort: sink.port,
      config: { delivery: { messages_per_connection: 1_000_000 } },
    }
    const { untraced, traced } = await withEngine(world, async ({ engine, group }) => {
      const relay = (messages: number): Promise<number> =>
        relayAll({ port: engine.port, sink, group }, { ...load, messages })
      console.log(`warm-up: ${options['warm-up']} messages`)
      await relay(options['warm-up'])
      console.log(`untraced: ${load.messages} messages`)
      const untraced = await runUntraced(engine, load, () => group.cpuMs(), relay)
      const chosen = tracer === 'auto' ? findTracer() : tracer
      console.log(`counted by ${chosen}: ${load.messages} messages`)
      const counted = await countSystemCalls(chosen, engine.processId, () => relay(load.messages))
      return { untraced, traced: perMessage(chosen, load, counted.result, counted.calls) }
    })
    report(load, untraced, traced, base, save)
  } finally {
    await sink.stop()
    rmSync(base, { recursive: true, force: true })
  }
}

async function runUntraced(
  engine: Engine,
  load: Load,
  cpuMs: () => number,
  relay: (messages: number) => Promise<number>,
): Promise<Untraced> {
  const cpuBeforeMs = cpuMs()
  const measure = async () => ({
    io: readIo(engine.processId),
    log: await logBytes(engine),
    device: deviceBytesWritten(engine.dataDirectory),
  })
  const before = await measure()
  const elapsedMs = await relay(load.messages)
  const cpuMsPerMessage = (cpuMs() - cpuBeforeMs) / load.messages
  const after = await measure()
  const accepted = load.messages * load.bytes
  const grown = (name: string): number => ((after.io.get(name) ?? 0) - (before.io.get(name) ?? 0)) / accepted
  return {
    cpuMsPerMessage,
    messagesPerSecond: load.messages / (elapsedMs / 1_000),
    perAcceptedByte: {
      'read by calls, sockets and files': grown('rchar'),
      'written by calls, sockets and files': grown('wchar'),
      'positions of the logs moved by': (after.log - before.log) / accepted,
      'of pages made dirty in files': grown('write_bytes'),
      'written by the device, for everybody on the machine': (after.device - before.device) / accepted,
      'read from the disk': grown('read_bytes'),
    },
  }
}

function readIo(processId: number): ReadonlyMap<string, number> {
  const lines = readFileSync(`/proc/${processId}/io`, 'utf8').trim().split('\n')
  return new Map(lines.map((line) => line.split(': ')).map(([name = '', value]) => [name, Number(value)]))
}

/** Sectors of 512 bytes, the seventh figure of the block device's statistics; the disk's own word, whatever page cache and folios make of it. */
function deviceBytesWritten(directory: string): number {
  const { dev } = statSync(directory)
  const major = (dev >> 8) & 0xfff
  const minor = (dev & 0xff) | ((dev >> 12) & 0xfff00)
  const figures = readFileSync(`/sys/dev/block/${major}:${minor}/stat`, 'utf8').trim().split(/\s+/)
  return Number(figures[6]) * 512
}

async function logBytes(engine: Engine): Promise<number> {
  const metrics = [...(await engine.metrics())]
  return metrics
    .filter(([name]) => name.startsWith('posthaste_log_committed_position_bytes'))
    .reduce((sum, [, value]) => sum + value, 0)
}

function perMessage(tracer: Tracer, load: Load, elapsedMs: number, calls: ReadonlyMap<string, number>): Traced {
  const sorted = [...calls].sort((a, b) => b[1] - a[1])
  return {
    tracer,
    messagesPerSecond: load.messages / (elapsedMs / 1_000),
    callsPerMessage: Object.fromEntries(sorted.map(([name, value]) => [name, value / load.messages])),
  }
}

function report(load: Load, untraced: Untraced, traced: Traced, directory: string, save: string): void {
  const { messages, bytes, sessions } = load
  const facts = machineFacts(directory)
  const { callsPerMessage } = traced
  const all = Object.values(callsPerMessage).reduce((sum, value) => sum + value, 0)
  const commits = (callsPerMessage['fdatasync'] ?? 0) + (callsPerMessage['fsync'] ?? 0)
  console.log(`\n${messages} messages of ${bytes} bytes over ${sessions} sessions, engine warm\n`)
  console.log(
    table(
      ['run', 'messages/s', 'CPU ms/message'],
      [
        ['untraced', untraced.messagesPerSecond.toFixed(0), untraced.cpuMsPerMessage.toFixed(3)],
        [`counted by ${traced.tracer}`, traced.messagesPerSecond.toFixed(0), ''],
      ],
    ),
  )
  const shown = Object.entries(callsPerMessage).filter(([, value]) => value >= 0.0005)
  const rows = shown.map(([name, value]) => [name, value.toFixed(3)])
  console.log(`\n${table(['system call', 'per message'], [...rows, ['all', all.toFixed(3)]])}`)
  console.log(
    `\nfsync and fdatasync: ${commits.toFixed(4)} per message${commits > 0 ? `, one per ${(1 / commits).toFixed(1)} messages` : ''}`,
  )
  const byteRows = Object.entries(untraced.perAcceptedByte).map(([name, value]) => [name, value.toFixed(3)])
  console.log(`\n${table(['bytes', 'per byte of content'], byteRows)}`)
  const copies = describeCopies()
  console.log(`\n${table(['copy in user space', 'from', 'to', 'where'], copies.rows)}`)
  for (const line of copies.outdated)
    console.log(`the list of copies is out of date, this line is not there any more: ${line}`)
  console.log()
  const result = {
    benchmark: 'syscalls',
    load: { messages, bytes, sessions },
    facts,
    untraced,
    traced,
    copies: copies.rows,
  }
  printEnd(facts, saveResult('syscalls', save, result))
}
