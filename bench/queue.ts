/**
 * Queue: much mail that cannot be delivered now. The receiver answers nobody, so all of it stays queued and due; then the engine is killed, the
 * page cache dropped, and it starts again with a receiver that works.
 *
 *   memory   growth of resident memory from the first 10,000 queued recipients to the last, ÷ recipients between
 *   depth    CPU to accept a message at the end, ÷ the same at the beginning
 *   start    from the start of the process, after kill -9, to the first delivery
 *
 *   npm run bench -- queue --messages 1000000
 *   npm run bench -- queue --messages 5000 --recipients 1000 --bytes 10240
 *
 * Before anything is queued the engine relays --warm-up messages, so that neither compiling nor the window of the log is taken for the queue's.
 * The receiver that hangs is let go every five minutes by the engine's own time-out: a handful of recipients is then deferred, and nothing else.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Receiver, startReceiver } from '../src/sandbox/sandbox.ts'
import { until } from '../test/support/wait.ts'
import { memoryMiB } from './support/cgroup.ts'
import { type EngineWorld, withEngine } from './support/engine-world.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, readOptions } from './support/options.ts'
import { printEnd, saveResult, table } from './support/report.ts'
import { runSource } from './support/smtp-tools.ts'

interface Load {
  readonly messages: number
  readonly recipients: number
  readonly bytes: number
  readonly sessions: number
  readonly warmUp: number
  /** Queued before memory and CPU are first measured. */
  readonly baseline: number
}

/** A stretch of the load, and the engine after it. */
interface Step {
  /** Recipients queued at its end. */
  readonly queued: number
  readonly messagesPerSecond: number
  readonly cpuMicrosPerMessage: number
  readonly rssMiB: number
  readonly pssMiB: number
  readonly queuedByMetrics: number
}

interface Restart {
  readonly pageCacheDropped: boolean
  readonly readyMs: number
  readonly firstDeliveryMs: number
}

const wanted = { bytesPerRecipient: 100, firstDeliveryMs: 10_000, depthRatio: 1.2 }
const baselineRecipients = 10_000
const stepsMax = 20
const restartMsMax = 600_000
const hangs = { session: { connect: { ending: 'silence' } } } as const
/** What the spool keeps of a message beside its content, roughly, and room for segments made ahead. */
const spoolBytesPerMessage = 1_024
const spoolBytesBeside = 3 * 2 ** 30

export async function queueBenchmark(argumentList: string[]): Promise<void> {
  const { directory, save, set, ...options } = readOptions('queue', argumentList, {
    messages: count(100_000, 'messages to queue'),
    recipients: count(1, 'recipients of each'),
    bytes: count(10_240, 'size of a message'),
    sessions: count(50, 'sessions of the source'),
    // The runtime's own memory grows until some 100,000 messages have gone through; what comes after is the queue's.
    'warm-up': count(150_000, 'messages that are relayed first'),
    ...common,
  })
  const baseline = Math.max(1, Math.round(baselineRecipients / options.recipients))
  const load: Load = { ...options, warmUp: options['warm-up'], baseline }
  checkSpace(load, directory)
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const receiver = await startReceiver({}, { keep: 'nothing' })
  try {
    const world = { name: 'queue', directory: join(base, 'engine'), settings: set, receiverPort: receiver.port }
    const { taken, restart } = await withEngine(world, async (running) => {
      await warmUp(load, running, receiver)
      receiver.script(hangs)
      receiver.dropConnections()
      const taken = await fill(load, running)
      return { taken, restart: await killAndStart(running, receiver) }
    })
    report(load, taken, restart, base, save)
  } finally {
    await receiver.close()
    rmSync(base, { recursive: true, force: true })
  }
}

function checkSpace({ messages, recipients, bytes }: Load, directory: string): void {
  const needed = messages * (bytes + spoolBytesPerMessage + 64 * recipients) * 1.1 + spoolBytesBeside
  const { bavail, bsize } = statfsSync(directory)
  const told = (value: number): string => `${(value / 2 ** 30).toFixed(1)} GiB`
  if (bavail * bsize < needed)
    throw new Error(
      `${directory} has ${told(bavail * bsize)} free and ${messages} messages need ${told(needed)}: choose fewer, or another --directory`,
    )
}

async function warmUp({ warmUp, bytes, sessions }: Load, { engine }: EngineWorld, receiver: Receiver): Promise<void> {
  console.log(`warm-up: ${warmUp} messages relayed`)
  await runSource({ port: engine.port, messages: warmUp, bytes, sessions })
  await until(300_000, `only ${receiver.counters.messages} of ${warmUp} messages were delivered`, () => {
    return receiver.counters.messages >= warmUp
  })
}

/** Up to the baseline, then in steps to the end; what it was like after each. */
async function fill(load: Load, { engine, group }: EngineWorld): Promise<Step[]> {
  const { messages, recipients, bytes, sessions, baseline } = load
  const taken: Step[] = []
  // Smaller ones would measure whether a segment happened to be made ahead in them.
  const stepMessages = Math.max(baseline, Math.ceil((messages - baseline) / stepsMax))
  for (let sent = 0; sent < messages; ) {
    const left = messages - sent
    const next = sent === 0 ? Math.min(baseline, left) : left < 2 * stepMessages ? left : stepMessages
    const cpuBeforeMs = group.cpuMs()
    const startedMs = performance.now()
    await runSource({ port: engine.port, messages: next, bytes, sessions, recipients })
    const elapsedMs = performance.now() - startedMs
    sent += next
    const { rss, pss } = memoryMiB(group.processIds())
    const step: Step = {
      queued: sent * recipients,
      messagesPerSecond: next / (elapsedMs / 1_000),
      cpuMicrosPerMessage: ((group.cpuMs() - cpuBeforeMs) * 1_000) / next,
      rssMiB: rss,
      pssMiB: pss,
      queuedByMetrics: queuedIn(await engine.metrics()),
    }
    taken.push(step)
    console.log(
      `${String(step.queued).padStart(9)} queued  ${step.cpuMicrosPerMessage.toFixed(0)} µs CPU/message  ${step.messagesPerSecond.toFixed(0)} messages/s  ${pss.toFixed(0)} MiB`,
    )
  }
  return taken
}

function queuedIn(metrics: ReadonlyMap<string, number>): number {
  return [...metrics]
    .filter(([name]) => name.startsWith('posthaste_queue_recipients'))
    .reduce((sum, [, value]) => sum + value, 0)
}

async function killAndStart({ engine, restart }: EngineWorld, receiver: Receiver): Promise<Restart> {
  console.log('kill -9, and again from a cold disk')
  await engine.kill()
  receiver.dropConnections()
  receiver.script({})
  const pageCacheDropped = dropPageCache()
  const before = receiver.counters.messages
  const startedMs = performance.now()
  const delivered = receiver.untilMessages(before + 1).then(() => performance.now() - startedMs)
  await restart(restartMsMax)
  const readyMs = performance.now() - startedMs
  await until(restartMsMax, 'nothing was delivered', () => receiver.counters.messages > before)
  return { pageCacheDropped, readyMs, firstDeliveryMs: await delivered }
}

/** What was written must be on disk before the cache can let go of it. False where root may not. */
function dropPageCache(): boolean {
  spawnSync('sync')
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

function report(load: Load, taken: readonly Step[], restart: Restart, directory: string, save: string): void {
  const facts = machineFacts(directory)
  const first = taken[0] as Step
  const last = taken.at(-1) as Step
  const between = last.queued - first.queued
  const grown = (of: 'rssMiB' | 'pssMiB'): number => ((last[of] - first[of]) * 2 ** 20) / between
  const memory = between === 0 ? null : { rssBytesPerRecipient: grown('rssMiB'), pssBytesPerRecipient: grown('pssMiB') }
  // The first step also compiles; the second begins where the first ends.
  const early = taken[1] ?? first
  const depthRatio = last.cpuMicrosPerMessage / early.cpuMicrosPerMessage
  const { messages, recipients, bytes, sessions, warmUp } = load
  console.log(
    `\n${messages} messages of ${bytes} bytes, ${recipients} recipients each, over ${sessions} sessions, after ${warmUp} that were relayed\n`,
  )
  const rows = [
    [
      'memory per queued recipient',
      memory === null ? 'needs more messages' : `${memory.rssBytesPerRecipient.toFixed(0)} bytes`,
      `≤ ${wanted.bytesPerRecipient} bytes`,
    ],
    [
      `CPU per accepted message, at ${first.queued} and before ${last.queued} queued`,
      `${early.cpuMicrosPerMessage.toFixed(0)} → ${last.cpuMicrosPerMessage.toFixed(0)} µs, × ${depthRatio.toFixed(2)}`,
      `≤ × ${wanted.depthRatio}`,
    ],
    [
      `start to first delivery after kill -9${restart.pageCacheDropped ? ', cold page cache' : ', PAGE CACHE NOT DROPPED'}`,
      `${(restart.firstDeliveryMs / 1_000).toFixed(2)} s`,
      `< ${wanted.firstDeliveryMs / 1_000} s`,
    ],
    ['start to taking mail', `${(restart.readyMs / 1_000).toFixed(2)} s`, ''],
    ['resident memory at the end', `${last.rssMiB.toFixed(0)} MiB (${first.rssMiB.toFixed(0)} at ${first.queued})`, ''],
    ['recipients queued, by /metrics', String(last.queuedByMetrics), `${last.queued}`],
  ]
  console.log(`${table(['', 'measured', 'wanted'], rows)}\n`)
  printEnd(
    facts,
    saveResult('queue', save, { benchmark: 'queue', load, facts, memory, depthRatio, restart, steps: taken }),
  )
}
