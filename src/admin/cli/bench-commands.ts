/**
 * `posthaste bench sink | source`: a receiver that plays a script, and a client that loads a server. Loopback only, whatever is asked
 * for: src/sandbox/ refuses every other address.
 */
import { once } from 'node:events'
import { type Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../../kernel/clock.ts'
import { formatBytes, formatDuration, parseBytes, secondMs } from '../../kernel/units.ts'
import {
  loadScript,
  openLedger,
  type Receiver,
  runSource,
  type SourceOptions,
  type SourceResult,
  startReceiver,
} from '../../sandbox/sandbox.ts'
import { benchBytesMax } from '../limits.ts'
import { type CliContext, printable } from './context.ts'
import { parsePort } from './flags.ts'
import { count, rate } from './table.ts'

interface SinkFlags {
  readonly port: number
  readonly address: string
  readonly script?: string
  readonly ledger?: string
  readonly keep: boolean
  readonly messages?: number
  readonly seconds?: number
  readonly json?: boolean
}

interface SourceFlags {
  readonly to: { readonly host: string; readonly port: number }
  readonly messages?: number
  readonly seconds?: number
  readonly sessions: number
  readonly bytes: number
  readonly rate?: number
  readonly from: string
  readonly rcpt: string
  readonly pipelining: boolean
  readonly tls?: boolean
  readonly login?: { readonly user: string; readonly password: string }
  readonly ledger?: string
  readonly reconnect?: number
  readonly json?: boolean
}

export function registerBenchCommands(program: Command, context: CliContext): void {
  const bench = program.command('bench').description('load a server, or be one that misbehaves; on this machine only')
  bench
    .command('sink')
    .description('receive mail as a script says; ends after --messages or --seconds, or with Ctrl-C')
    .requiredOption('--port <port>', 'port to listen on; 0 takes a free one, which is printed', parsePort)
    .option('--address <address>', 'loopback address to listen on', '127.0.0.1')
    .option('--script <file>', 'YAML or JSON: latencies, refusals, throttles, drops (src/sandbox/receiver/script.ts)')
    .option('--ledger <file>', 'append a line per recipient, durable before the sender gets its 250')
    .option('--keep', 'read and digest all content, as a ledger does, instead of throwing it away', false)
    .option('--messages <n>', 'end after so many', parseCount)
    .option('--seconds <n>', 'end after so long', parseAmount)
    .option('--json', 'print the summary as JSON')
    .action((flags: SinkFlags) => sink(context, flags))
  bench
    .command('source')
    .description('send mail, with kept sessions; exit code 0 if every message was taken, 1 if some, 69 if none')
    .requiredOption('--to <host:port>', 'the server, by loopback address', parseTarget)
    .option('--messages <n>', 'end after so many', parseCount)
    .option('--seconds <n>', 'end after so long', parseAmount)
    .option('--sessions <n>', 'connections, kept open', parseCount, 10)
    .option('--bytes <size>', 'size of each message: 10240 or 10KiB', parseSize, 10_240)
    .option('--rate <n>', 'messages per second, evenly; latency counts from when each was due', parseAmount)
    .option('--from <address>', 'sender', 'sender@source.test')
    .option('--rcpt <address>', 'recipient; % becomes the number of the message', 'user%@receiver.test')
    .option('--no-pipelining', 'wait for each reply, though the server offers PIPELINING')
    .option('--tls', 'use STARTTLS and take any certificate')
    .option('--login <user:password>', 'AUTH PLAIN', parseLogin)
    .option('--ledger <file>', 'append a line per message whose content was sent, with the reply code')
    .option('--reconnect <seconds>', 'keep trying for so long when the server goes away', parseAmount)
    .option('--json', 'print the summary as JSON')
    .action((flags: SourceFlags) => source(context, flags))
}

async function sink(context: CliContext, flags: SinkFlags): Promise<void> {
  const script = flags.script === undefined ? {} : loadScript(flags.script)
  const ledger = flags.ledger === undefined ? null : openLedger(flags.ledger)
  const times = { firstMs: 0, lastMs: 0 }
  const receiver = await startReceiver(script, {
    address: flags.address,
    port: flags.port,
    keep: ledger !== null || flags.keep ? 'digest' : 'nothing',
    rememberMax: 0,
    ...(ledger !== null && { ledger }),
    onMessage: () => {
      times.lastMs = systemClock.monotonicMs()
      if (times.firstMs === 0) times.firstMs = times.lastMs
    },
  })
  context.stderr.write(`sink listens on ${receiver.address}:${receiver.port}\n`)
  const cpu = process.cpuUsage()
  const stopProgress = showProgress(context, () => receiver.counters.messages)
  const interrupt = listenForInterrupt()
  try {
    await sinkEnd(receiver, flags, interrupt.signal)
  } finally {
    stopProgress()
    interrupt.stop()
    await receiver.close()
    await ledger?.close()
  }
  const { user, system } = process.cpuUsage(cpu)
  const { counters } = receiver
  const elapsedMs = times.lastMs - times.firstMs
  const summary = {
    ...counters,
    elapsedMs,
    messagesPerSecond: elapsedMs === 0 ? 0 : (counters.messages * secondMs) / elapsedMs,
    cpuMicrosPerMessage: counters.messages === 0 ? 0 : (user + system) / counters.messages,
  }
  context.print(flags.json === true ? JSON.stringify(summary) : describeSink(summary))
}

/** After --messages: for their senders to read the last reply and leave. */
const leaveMsMax = 2 * secondMs

/** Settles after so many messages, so many seconds, or an interrupt. */
async function sinkEnd(receiver: Receiver, flags: SinkFlags, interrupted: AbortSignal): Promise<void> {
  const ends: Promise<unknown>[] = [once(interrupted, 'abort')]
  if (flags.seconds !== undefined) ends.push(delay(flags.seconds * secondMs))
  if (flags.messages !== undefined) {
    const taken = receiver.untilMessages(flags.messages)
    ends.push(taken.then(() => Promise.race([receiver.untilDisconnected(), delay(leaveMsMax)])))
  }
  await Promise.race(ends)
}

async function delay(delayMs: number): Promise<void> {
  await new Promise<void>((resolve) => void systemClock.after(delayMs, resolve))
}

async function source(context: CliContext, flags: SourceFlags): Promise<void> {
  const ledger = flags.ledger === undefined ? null : openLedger(flags.ledger)
  const cpu = process.cpuUsage()
  let begun = 0
  const stopProgress = showProgress(context, () => begun)
  const interrupt = listenForInterrupt()
  const options: SourceOptions = {
    ...flags.to,
    sessions: flags.sessions,
    bytes: flags.bytes,
    from: flags.from,
    to: (number) => {
      begun = number + 1
      return flags.rcpt.replaceAll('%', String(number))
    },
    pipelining: flags.pipelining,
    signal: interrupt.signal,
    ...(flags.messages !== undefined && { messages: flags.messages }),
    ...(flags.seconds !== undefined && { durationMs: flags.seconds * secondMs }),
    ...(flags.rate !== undefined && { ratePerSecond: flags.rate }),
    ...(flags.tls === true && { tls: { mode: 'starttls' as const } }),
    ...(flags.login !== undefined && { auth: flags.login }),
    ...(flags.reconnect !== undefined && { reconnectMsMax: flags.reconnect * secondMs }),
    ...(ledger !== null && { ledger }),
  }
  try {
    const result = await runSource(options)
    const { user, system } = process.cpuUsage(cpu)
    const summary = { ...result, cpuMicrosPerMessage: result.sent === 0 ? 0 : (user + system) / result.sent }
    stopProgress()
    context.print(flags.json === true ? JSON.stringify(summary) : describeSource(summary))
    if (result.acked < result.sent + result.unsent) context.exitCode = result.acked === 0 ? 69 : 1
  } finally {
    stopProgress()
    interrupt.stop()
    await ledger?.close()
  }
}

/** Long work shows how far it is, where somebody looks at a terminal. */
function showProgress(context: CliContext, messages: () => number): () => void {
  if (context.stderr.isTTY !== true) return () => {}
  let before = 0
  const tick = (): void => {
    const now = messages()
    context.stderr.write(`\r${count(now)} messages, ${count(now - before)}/s   `)
    before = now
    timer = systemClock.after(secondMs, tick)
  }
  let timer = systemClock.after(secondMs, tick)
  return () => timer.cancel()
}

/** Ctrl-C ends a run early, with its summary. */
function listenForInterrupt(): { readonly signal: AbortSignal; readonly stop: () => void } {
  const controller = new AbortController()
  const interrupt = (): void => controller.abort()
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return { signal: controller.signal, stop: () => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt) }
}

interface SinkSummary extends Readonly<Receiver['counters']> {
  readonly elapsedMs: number
  readonly messagesPerSecond: number
  readonly cpuMicrosPerMessage: number
}

function describeSink(summary: SinkSummary): string {
  const { messages, recipients, contentBytes, connections, tls, tlsResumed, refused, dropped } = summary
  return lines([
    ['messages', `${count(messages)} for ${count(recipients)} recipients, ${formatBytes(contentBytes)}`],
    ['rate', `${rate(summary.messagesPerSecond)}/s over ${formatDuration(Math.round(summary.elapsedMs))}`],
    ['connections', `${count(connections)}, of them ${count(tls)} with TLS (${count(tlsResumed)} resumed)`],
    ['by the script', `${count(refused)} refusals, ${count(dropped)} connections dropped`],
    ['processor', `${count(Math.round(summary.cpuMicrosPerMessage))} µs per message`],
  ])
}

function describeSource(summary: SourceResult & { readonly cpuMicrosPerMessage: number }): string {
  const { acked, refused, unacked, unsent, codes, latencyMs, trouble } = summary
  const ms = (value: number): string => `${rate(value)} ms`
  return lines([
    ['taken', `${count(acked)} messages, ${formatBytes(summary.bytes)}`],
    ['not taken', `${count(refused)} refused, ${count(unacked)} without an answer, ${count(unsent)} not sent`],
    [
      'replies',
      Object.entries(codes)
        .map(([code, times]) => `${code}: ${count(times)}`)
        .join(', ') || 'none',
    ],
    ['rate', `${rate(summary.ackedPerSecond)}/s over ${formatDuration(Math.round(summary.elapsedMs))}`],
    ['latency', `median ${ms(latencyMs.p50)}, 99 % within ${ms(latencyMs.p99)}, longest ${ms(latencyMs.max)}`],
    ['connections', count(summary.connections)],
    ['processor', `${count(Math.round(summary.cpuMicrosPerMessage))} µs per message`],
    ...(trouble === null ? [] : [['trouble', printable(trouble)] as const]),
  ])
}

function lines(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([name, text]) => `${name.padEnd(14)} ${text}`).join('\n')
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,11}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is a whole number, 1 or more.')
}

function parseAmount(text: string): number {
  const amount = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : 0
  if (amount > 0) return amount
  throw new InvalidArgumentError('It is a number above 0.')
}

function parseSize(text: string): number {
  const size = /^\d+$/.test(text) ? Number(text) : parseBytes(text)
  if (size !== null && size <= benchBytesMax.value) return size
  throw new InvalidArgumentError(`It is a size up to ${formatBytes(benchBytesMax.value)}, such as 10240, 10KiB or 1MB.`)
}

function parseTarget(text: string): { host: string; port: number } {
  const match = /^(\[.+\]|[^:]+):(\d{1,5})$/.exec(text)
  if (match !== null) return { host: match[1] as string, port: parsePort(match[2] as string) }
  throw new InvalidArgumentError('It is an address and a port, such as 127.0.0.1:2525 or [::1]:2525.')
}

function parseLogin(text: string): { user: string; password: string } {
  const colon = text.indexOf(':')
  if (colon > 0) return { user: text.slice(0, colon), password: text.slice(colon + 1) }
  throw new InvalidArgumentError('It is a user and a password with a colon between them.')
}
