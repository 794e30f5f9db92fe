/**
 * Relay: smtp-source → engine → smtp-sink over kept sessions to one destination, no TLS, no DNS, everything durable before its
 * 250. Postfix and we take turns on the same machine in the same run. The figure is CPU time of the peer's whole control group,
 * from the first message until the peer is quiet again, per message; source and sink are outside the group.
 *
 *   npm run bench -- relay --messages 20000 --rounds 3 --sign rsa
 *
 * With --sign a third peer takes turns: we again, signing, to be compared with ourselves plus one bare signature.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort } from '../test/support/engine.ts'
import { until } from '../test/support/wait.ts'
import { type ControlGroup, makeControlGroup, memoryMiB } from './support/cgroup.ts'
import { machineFacts, signatureCpuMs } from './support/machine.ts'
import { enginePeer, type Peer, postfixPeer, type RunningPeer, type Signing } from './support/peers.ts'
import { median, saveResult, table } from './support/report.ts'
import { runSource, type Sink, startSink } from './support/smtp-tools.ts'

interface Load {
  readonly messages: number
  readonly bytes: number
  readonly sessions: number
}

interface Round {
  readonly cpuMsPerMessage: number
  readonly messagesPerSecond: number
  readonly rssMiB: number
  readonly pssMiB: number
}

const deliveryMsMax = 600_000
/** Signing may cost what the signature itself costs, and a third on top for reading and hashing the message. */
const signRatioMax = 1.35
const quietWindowMs = 2_000
/** 1 % of a core: what timers of an idle daemon may use. */
const quietCpuMs = 20

export async function relayBenchmark(argumentList: string[]): Promise<void> {
  const options = parseOptions(argumentList)
  const base = mkdtempSync(join(options.directory, 'posthaste-bench-'))
  chmodSync(base, 0o755)
  const signing = options.sign
  const peers: Peer[] = [postfixPeer, enginePeer('none'), ...(signing === 'none' ? [] : [enginePeer(signing)])].filter(
    ({ name }) => options.only === '' || name === options.only,
  )
  const rounds = new Map<Peer, Round[]>(peers.map((peer) => [peer, []]))
  const signatureMs: number[] = []
  try {
    for (let round = 0; round < options.rounds; round++) {
      if (signing !== 'none') signatureMs.push(signatureCpuMs(signing))
      // Alternating order, so that a machine that grows slower or faster during the run favours nobody.
      for (const peer of round % 2 === 0 ? peers : peers.toReversed()) {
        const result = await measure(peer, options, mkdtempSync(join(base, `${peer.name}-`)))
        rounds.get(peer)?.push(result)
        console.log(
          `round ${round + 1}  ${peer.name.padEnd(18)} ${result.cpuMsPerMessage.toFixed(3)} ms CPU/message  ${Math.round(result.messagesPerSecond)} messages/s`,
        )
      }
    }
    report(options, rounds, signatureMs.length === 0 ? null : median(signatureMs), base)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

interface Options extends Load {
  readonly rounds: number
  readonly sign: Signing
  readonly directory: string
  readonly only: string
  readonly save: string
}

function parseOptions(argumentList: string[]): Options {
  const { values } = parseArgs({
    args: argumentList,
    options: {
      messages: { type: 'string', default: '20000' },
      bytes: { type: 'string', default: '10240' },
      sessions: { type: 'string', default: '20' },
      rounds: { type: 'string', default: '3' },
      sign: { type: 'string', default: 'none' },
      directory: { type: 'string', default: tmpdir() },
      only: { type: 'string', default: '' },
      save: { type: 'string', default: '' },
    },
  })
  const { sign } = values
  if (sign !== 'none' && sign !== 'rsa' && sign !== 'ed25519')
    throw new Error(`--sign is none, rsa or ed25519, not ${sign}`)
  const count = (name: 'messages' | 'bytes' | 'sessions' | 'rounds'): number => {
    const value = Number(values[name])
    if (!Number.isSafeInteger(value) || value < 1)
      throw new Error(`--${name} is a number of at least 1, not ${values[name]}`)
    return value
  }
  return {
    messages: count('messages'),
    bytes: count('bytes'),
    sessions: count('sessions'),
    rounds: count('rounds'),
    sign,
    directory: values.directory,
    only: values.only,
    save: values.save,
  }
}

/** One peer, freshly started on an empty disk folder, one load, until it is quiet; then everything is stopped. */
async function measure(peer: Peer, load: Load, directory: string): Promise<Round> {
  chmodSync(directory, 0o755)
  const group = makeControlGroup(peer.name)
  const sink = await startSink(await freePort())
  const peerDirectory = join(directory, 'peer')
  mkdirSync(peerDirectory)
  let running: RunningPeer | null = null
  try {
    running = await peer.start({
      directory: peerDirectory,
      port: await freePort(),
      sinkPort: sink.port,
      prefix: group.prefix,
    })
    await quiet(group)
    return await relayOnce(group, sink, running.port, load)
  } finally {
    await running?.stop()
    await until(10_000, `${peer.name} left processes behind`, () => group.processIds().length === 0)
    await sink.stop()
    group.remove()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function relayOnce(group: ControlGroup, sink: Sink, port: number, load: Load): Promise<Round> {
  const peak = { rss: 0, pss: 0 }
  const sampler = setInterval(() => {
    const { rss, pss } = memoryMiB(group.processIds())
    peak.rss = Math.max(peak.rss, rss)
    peak.pss = Math.max(peak.pss, pss)
  }, 1_000)
  try {
    const cpuBeforeMs = group.cpuMs()
    const startedMs = performance.now()
    await runSource({ ...load, port })
    await until(
      deliveryMsMax,
      `only ${sink.received()} of ${load.messages} messages were delivered`,
      () => sink.received() >= load.messages,
    )
    const elapsedMs = performance.now() - startedMs
    await quiet(group)
    const cpuMs = group.cpuMs() - cpuBeforeMs
    if (sink.received() !== load.messages)
      throw new Error(`${sink.received()} deliveries of ${load.messages} messages: some came twice`)
    return {
      cpuMsPerMessage: cpuMs / load.messages,
      messagesPerSecond: load.messages / (elapsedMs / 1_000),
      rssMiB: peak.rss,
      pssMiB: peak.pss,
    }
  } finally {
    clearInterval(sampler)
  }
}

/** Settles once the group used next to nothing for a whole window. */
async function quiet(group: ControlGroup): Promise<void> {
  let windowStartMs = performance.now()
  let cpuAtStartMs = group.cpuMs()
  await until(120_000, 'the peer did not become quiet', () => {
    if (group.cpuMs() - cpuAtStartMs > quietCpuMs) {
      windowStartMs = performance.now()
      cpuAtStartMs = group.cpuMs()
    }
    return performance.now() - windowStartMs >= quietWindowMs
  })
}

function report(
  options: Options,
  rounds: ReadonlyMap<Peer, readonly Round[]>,
  signatureMs: number | null,
  directory: string,
): void {
  const cpuOf = (name: string): number | null => {
    const found = [...rounds].find(([peer]) => peer.name === name)
    return found === undefined ? null : median(found[1].map(({ cpuMsPerMessage }) => cpuMsPerMessage))
  }
  const postfixCpuMs = cpuOf('postfix')
  const unsignedCpuMs = cpuOf('posthaste')
  const signedCpuMs = options.sign === 'none' ? null : cpuOf(`posthaste-${options.sign}`)
  const signRatio =
    signatureMs === null || signedCpuMs === null || unsignedCpuMs === null
      ? null
      : signedCpuMs / (unsignedCpuMs + signatureMs)

  const rows = [...rounds].map(([peer, results]) => {
    const cpu = results.map(({ cpuMsPerMessage }) => cpuMsPerMessage)
    const rate = results.map(({ messagesPerSecond }) => messagesPerSecond)
    return [
      peer.name,
      `${median(cpu).toFixed(3)} (${Math.min(...cpu).toFixed(3)}–${Math.max(...cpu).toFixed(3)})`,
      postfixCpuMs === null ? '' : `1/${(postfixCpuMs / median(cpu)).toFixed(1)}`,
      `${Math.round(median(rate))} (${Math.round(Math.min(...rate))}–${Math.round(Math.max(...rate))})`,
      `${Math.round(Math.max(...results.map(({ rssMiB }) => rssMiB)))} / ${Math.round(Math.max(...results.map(({ pssMiB }) => pssMiB)))}`,
    ]
  })
  const facts = machineFacts(directory)
  console.log(
    `\n${options.messages} messages of ${options.bytes} bytes, ${options.sessions} sessions, ${options.rounds} alternating rounds; medians (min–max)\n`,
  )
  console.log(table(['peer', 'CPU ms/message', 'of Postfix', 'messages/s', 'peak RSS / PSS MiB'], rows))
  if (signatureMs !== null) console.log(`\none bare ${options.sign} signature: ${signatureMs.toFixed(3)} ms CPU`)
  if (signRatio !== null)
    console.log(`signed = ${signRatio.toFixed(2)} × (unsigned + one bare signature); at most ${signRatioMax} is wanted`)
  console.log(
    `\n${Object.entries(facts)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n')}`,
  )
  const { messages, bytes, sessions, sign } = options
  const result = {
    benchmark: 'relay',
    load: { messages, bytes, sessions, sign },
    facts,
    signatureCpuMs: signatureMs,
    signRatio,
    peers: Object.fromEntries([...rounds].map(([peer, results]) => [peer.name, results])),
  }
  console.log(`\nwritten: ${saveResult('relay', options.save, result)}`)
}
