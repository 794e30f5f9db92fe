/**
 * Relay: smtp-source → engine → smtp-sink over kept sessions to one destination, no TLS, no DNS, everything durable before its
 * 250. Postfix and we take turns on the same machine in the same run. The figure is CPU time of the peer's whole control group,
 * from the first message until the peer is quiet again, per message; source and sink are outside the group.
 *
 *   npm run bench -- relay --messages 20000 --rounds 5 --sign rsa
 *   npm run bench -- relay --sizes 1,10,100 --sessions 1,20,200 --rounds 1
 *   npm run bench -- relay --warm-up 40000 --set delivery.connections_per_site=5
 *
 * With --sign a third peer takes turns: we again, signing, to be compared with ourselves plus one bare signature. With --warm-up both
 * peers relay so many messages first: what is compiled while it runs is dear in its first seconds, and a server runs for months.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { withPeakMemory } from './support/cgroup.ts'
import { machineFacts, signatureCpuMs } from './support/machine.ts'
import { choice, common, count, counts, readOptions, Usage, words } from './support/options.ts'
import { enginePeer, type Peer, postfixPeer, type Signing } from './support/peers.ts'
import { type Load, withPeer } from './support/relay-world.ts'
import { median, medianAndRange, printEnd, saveResult, table } from './support/report.ts'

interface Round {
  readonly cpuMsPerMessage: number
  readonly messagesPerSecond: number
  readonly rssMiB: number
  readonly pssMiB: number
}

/** One load, and what each peer made of it, round by round. */
interface Cell {
  readonly load: Load
  readonly rounds: ReadonlyMap<string, readonly Round[]>
}

/** Signing may cost what the signature itself costs, and a third on top for reading and hashing the message. */
const signRatioMax = 1.35
/** The load of a warm-up is carried by so many sessions whatever is measured then, because one session would take minutes. */
const warmUpSessions = 20

export async function relayBenchmark(argumentList: string[]): Promise<void> {
  const options = parseOptions(argumentList)
  const base = mkdtempSync(join(options.directory, 'posthaste-bench-'))
  chmodSync(base, 0o755)
  const signatureMs: number[] = []
  const cells: Cell[] = []
  try {
    for (const load of options.loads) {
      if (options.sign !== 'none') signatureMs.push(signatureCpuMs(options.sign))
      cells.push(await measureCell(load, options, base))
    }
    report(options, cells, signatureMs.length === 0 ? null : median(signatureMs), base)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

interface Options {
  readonly loads: readonly Load[]
  readonly warmUp: number
  readonly rounds: number
  readonly sign: Signing
  readonly peers: readonly Peer[]
  readonly directory: string
  readonly save: string
  readonly set: readonly (readonly [string, unknown])[]
}

function parseOptions(argumentList: string[]): Options {
  const { only, sizes, bytes, sessions, messages, ...options } = readOptions('relay', argumentList, {
    messages: count(0, 'messages of each load; 0 chooses by size and sessions, 20,000 for 10 KB over 20', 0),
    sizes: counts('10', 'sizes of a message in KiB'),
    bytes: count(0, 'one size in bytes, in place of --sizes', 0),
    sessions: counts('20', 'sessions of the source'),
    rounds: count(3, 'times that each peer takes its turn'),
    'warm-up': count(0, 'messages that both peers relay before they are measured', 0),
    sign: choice(['none', 'rsa', 'ed25519'], 'DKIM key of a third peer'),
    only: words('', 'one peer alone: postfix, posthaste, posthaste-rsa or posthaste-ed25519'),
    ...common,
  })
  const signings: Signing[] = options.sign === 'none' ? ['none'] : ['none', options.sign]
  const ours = signings.map((signing) => enginePeer({ signing, settings: options.set }))
  const peers = [postfixPeer, ...ours].filter(({ name }) => only === '' || name === only)
  if (peers.length === 0) throw new Usage(`--only names no peer of this run: ${only}`, 64)
  const loads = (bytes > 0 ? [bytes] : sizes.map((kib) => kib * 1024)).flatMap((size) =>
    sessions.map((wide) => ({
      bytes: size,
      sessions: wide,
      messages: messages > 0 ? messages : messagesFor(size, wide),
    })),
  )
  return { ...options, loads, peers, warmUp: options['warm-up'] }
}

/** Half a minute of Postfix on two cores, which is 5 s of us. One session waits for the disk most of the time. */
function messagesFor(bytes: number, sessions: number): number {
  if (sessions < 5) return 4_000
  return bytes > 50 * 1024 ? 8_000 : 20_000
}

async function measureCell(load: Load, options: Options, base: string): Promise<Cell> {
  const { peers, rounds } = options
  const results = new Map<string, Round[]>(peers.map(({ name }) => [name, []]))
  console.log(`\n${describe(load)}`)
  for (let round = 0; round < rounds; round++) {
    // Alternating order, so that a machine that grows slower or faster during the run favours nobody.
    for (const peer of round % 2 === 0 ? peers : peers.toReversed()) {
      const result = await measure(peer, load, options.warmUp, mkdtempSync(join(base, `${peer.name}-`)))
      results.get(peer.name)?.push(result)
      console.log(
        `round ${round + 1}  ${peer.name.padEnd(18)} ${result.cpuMsPerMessage.toFixed(3)} ms CPU/message  ${Math.round(result.messagesPerSecond)} messages/s`,
      )
    }
  }
  return { load, rounds: results }
}

const describe = ({ messages, bytes, sessions }: Load): string =>
  `${messages} messages of ${bytes} bytes over ${sessions} sessions`

/** One peer, freshly started on an empty disk folder, one load, until it is quiet. */
function measure(peer: Peer, load: Load, warmUp: number, directory: string): Promise<Round> {
  return withPeer(peer, directory, async ({ group, relay }) => {
    if (warmUp > 0) await relay({ ...load, messages: warmUp, sessions: warmUpSessions })
    const cpuBeforeMs = group.cpuMs()
    const { result: elapsedMs, ...peak } = await withPeakMemory(group, () => relay(load))
    return {
      cpuMsPerMessage: (group.cpuMs() - cpuBeforeMs) / load.messages,
      messagesPerSecond: load.messages / (elapsedMs / 1_000),
      ...peak,
    }
  })
}

function report(options: Options, cells: readonly Cell[], signatureMs: number | null, directory: string): void {
  const { warmUp, rounds, sign, set } = options
  const facts = machineFacts(directory)
  console.log(
    `\n${rounds} alternating rounds; medians (min–max). ${warmUp === 0 ? 'No warm-up: each peer was measured from its first message on.' : `Warm-up: both peers relayed ${warmUp} messages over ${warmUpSessions} sessions first, which are not in the figures.`}`,
  )
  if (set.length > 0) console.log(`Our configuration: ${set.map((setting) => setting.join('=')).join(', ')}`)
  const head = ['KiB', 'sessions', 'peer', 'CPU ms/message', 'of Postfix', 'messages/s', 'peak RSS / PSS MiB']
  console.log(`\n${table(head, cells.flatMap(rowsOf))}\n`)
  const signRatios = cells.map((cell) => signRatioOf(cell, sign, signatureMs))
  if (signatureMs !== null) console.log(`one bare ${sign} signature: ${signatureMs.toFixed(3)} ms CPU`)
  for (const ratio of signRatios) {
    if (ratio !== null)
      console.log(`signed = ${ratio.toFixed(2)} × (unsigned + one bare signature); at most ${signRatioMax} is wanted`)
  }
  const result = {
    benchmark: 'relay',
    warmUp,
    sign,
    settings: Object.fromEntries(set),
    facts,
    signatureCpuMs: signatureMs,
    cells: cells.map((cell, i) => ({
      load: cell.load,
      signRatio: signRatios[i],
      peers: Object.fromEntries(cell.rounds),
    })),
  }
  printEnd(facts, saveResult('relay', options.save, result))
}

function cpuOf({ rounds }: Cell, name: string): number | null {
  const results = rounds.get(name)
  return results === undefined ? null : median(results.map(({ cpuMsPerMessage }) => cpuMsPerMessage))
}

function rowsOf(cell: Cell): string[][] {
  const postfixCpuMs = cpuOf(cell, 'postfix')
  return [...cell.rounds].map(([name, results]) => {
    const cpu = results.map(({ cpuMsPerMessage }) => cpuMsPerMessage)
    const rate = results.map(({ messagesPerSecond }) => messagesPerSecond)
    const peak = (of: 'rssMiB' | 'pssMiB'): number => Math.round(Math.max(...results.map((result) => result[of])))
    return [
      String(Math.round((cell.load.bytes / 1024) * 10) / 10),
      String(cell.load.sessions),
      name,
      medianAndRange(cpu, 3),
      postfixCpuMs === null ? '' : `1/${(postfixCpuMs / median(cpu)).toFixed(1)}`,
      medianAndRange(rate, 0),
      `${peak('rssMiB')} / ${peak('pssMiB')}`,
    ]
  })
}

function signRatioOf(cell: Cell, sign: Signing, signatureMs: number | null): number | null {
  const unsignedMs = cpuOf(cell, 'posthaste')
  const signedMs = cpuOf(cell, `posthaste-${sign}`)
  if (sign === 'none' || signatureMs === null || unsignedMs === null || signedMs === null) return null
  return signedMs / (unsignedMs + signatureMs)
}
