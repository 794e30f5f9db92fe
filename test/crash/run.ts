/**
 * One crash run: a source that never stops, a receiver that never dies, and between them the real program, killed and started again.
 *
 *   source (own process) ──▶ posthaste (own process group, SIGKILL) ──▶ receiver (this process)
 *      ledger                    spool                                     ledger
 */
import { fork, type ChildProcess } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openDisk } from '../../src/adapters/embedded/embedded.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import {
  openLedger,
  readLedger,
  type ReceivedRecord,
  type Receiver,
  type SentRecord,
  startReceiver,
} from '../../src/sandbox/sandbox.ts'
import { dumpSpool, fsckSpool, statSpool } from '../../src/spool/spool.ts'
import { freePort } from '../support/engine.ts'
import { launch, type Posthaste } from '../support/posthaste.ts'
import { managementToken } from '../support/scenario.ts'
import { checkEvidence, type Evidence, type StoredRecipient, type Verdict } from './checker.ts'
import { probeUser, receiverScript } from './receiver-script.ts'
import type { SourceTask } from './source.ts'
import { type CheckedRecord, checkRecord, readNotice } from './record.ts'
import type { ArrivedNotice } from './record-checker.ts'
import { type StatusFigures, Statuses } from './statuses.ts'

export interface CrashPlan {
  readonly directory: string
  readonly kills: number
  readonly ratePerSecond: number
  /** From "ready" to the kill, evenly spread. */
  readonly secondsBetween: { readonly min: number; readonly max: number }
  readonly seed: number
  readonly progress: (line: string) => void
}

export interface CrashResult extends Verdict {
  readonly kills: number
  /** Of them so early that the program had not said "ready". */
  readonly killsWhileStarting: number
  /** From the start of the process to "ready", after each kill, rising. */
  readonly recoveryMs: readonly number[]
  readonly drainMs: number
  readonly spoolBytes: number
  /** Segments of the intake log that there have ever been, and that are left. */
  readonly segments: { readonly ever: number; readonly left: number }
  readonly statuses: StatusFigures
  readonly record: CheckedRecord['figures']
}

/** One in so many kills comes during recovery, because that must be repeatable too. */
const killsPerEarlyOne = 8
const earlyKillMsMax = 500
const startMsMax = 30_000
/** Everything that was put off is due within seconds. */
const emptyMsMax = 120_000
const drainMsMax = 30_000
/** What follows from the last outcomes: notices are grouped for seconds, and addresses go to main with the tally's commit. */
export const recordMsMax = 20_000
export const connectionsPerSite = 20
/** Its pace of 10 ms, one flush of both logs, and one sync of a checkpoint's new file or name, on a disk that others use too. */
export const outcomeMsMax = 100
/** When nothing is queued any more, the last outcomes are on disk so much later at the most, on a machine that others use too. */
export const lastOutcomesMs = 1_000

export async function runCrashes(plan: CrashPlan): Promise<CrashResult> {
  const world = await build(plan)
  try {
    const recovered = await killAgainAndAgain(plan, world)
    await world.stopSource()
    plan.progress('the source has stopped; waiting until the queue is empty')
    const sent = readLedger<SentRecord>(sentLedger(plan.directory)).records
    const empty = await becomesIdle(world.engine, plan.directory, deadIn(sent))
    const statuses = await world.statuses.askAll(world.engine)
    refuseOwnDeaths(world.engine)
    const drainStartMs = performance.now()
    const exitCode = await world.engine.stop()
    const drainMs = performance.now() - drainStartMs
    await world.receiver.close()
    writeFileSync(join(plan.directory, 'kills.json'), JSON.stringify(world.killsAtMs))
    const more = [...world.statuses.violations]
    if (empty && statuses.final < statuses.messages)
      more.push(`nothing is queued, and ${statuses.messages - statuses.final} messages have no final status`)
    if (exitCode !== 0) more.push(`SIGTERM: exit code ${exitCode}, not 0 within ${drainMsMax / 1_000} s`)
    plan.progress('comparing the ledgers and the spool')
    const { notices } = world
    const record = await checkRecord({ dataDirectory: join(plan.directory, 'data'), sent, notices, empty })
    more.push(...record.violations)
    const verdict = judge({ ...world, directory: plan.directory, inFlightMax: connectionsPerSite, outcomeMsMax }, more)
    if (empty && verdict.pending > 0)
      verdict.violations.push(`forgotten: nothing was queued, and ${verdict.pending} are pending in the spool`)
    return { ...verdict, ...recovered, statuses, record: record.figures, kills: world.killsAtMs.length, drainMs }
  } finally {
    await world.end()
  }
}

interface World {
  engine: Posthaste
  readonly receiver: Receiver
  readonly receivedHeaders: Map<string, Set<string>>
  readonly statuses: Statuses
  readonly notices: ArrivedNotice[]
  readonly killsAtMs: number[]
  start(): void
  stopSource(): Promise<void>
  /** Whatever happened: nothing keeps running. */
  end(): Promise<void>
}

export const sentLedger = (directory: string): string => join(directory, 'sent.ledger')
export const receivedLedger = (directory: string): string => join(directory, 'received.ledger')

async function build(plan: CrashPlan): Promise<World> {
  const { directory, seed } = plan
  mkdirSync(directory, { recursive: true })
  const receivedHeaders = new Map<string, Set<string>>()
  const statuses = new Statuses(directory)
  const notices: ArrivedNotice[] = []
  const receiver = await startReceiver(receiverScript(seed), {
    ledger: openLedger(receivedLedger(directory)),
    rememberMax: 0,
    onMessage: (message) => {
      const notice = readNotice(message)
      if (notice !== null) notices.push(notice)
      else {
        noteHeaders(receivedHeaders, message.testId, message.content as Buffer)
        statuses.noteArrival(message)
      }
    },
  })
  const port = await freePort()
  writeFileSync(configFile(directory), config(directory, port, receiver.port))
  const start = (): Posthaste => launch(['start', '--config', configFile(directory)])
  const engine = start()
  await engine.ready
  const task: SourceTask = { port, ledger: sentLedger(directory), ratePerSecond: plan.ratePerSecond, seed }
  const source = fork(fileURLToPath(new URL('./source.ts', import.meta.url)), [JSON.stringify(task)])
  const world: World = {
    engine,
    receiver,
    receivedHeaders,
    statuses,
    notices,
    killsAtMs: [],
    start: () => (world.engine = start()),
    stopSource: () => stopSource(source),
    async end() {
      source.kill('SIGKILL')
      await world.engine.kill()
      await receiver.close()
    },
  }
  return world
}

export async function stopSource(source: ChildProcess): Promise<void> {
  if (source.exitCode !== null) throw new Error(`the source ended early, with ${source.exitCode}`)
  const results = once(source, 'message')
  source.send('stop')
  await results
  source.disconnect()
  await once(source, 'exit')
}

/** Whose mail it is, by its network. */
export const tenant = 'crash'

export const configFile = (directory: string): string => join(directory, 'posthaste.yaml')

/**
 * As in production, but small: segments roll over and the queue is written down every second or so, much of what is sent has left the window, and files of the
 * accounting log are rotated and compressed all the time.
 */
export function config(directory: string, port: number, receiverPort: number, httpPort = 0): string {
  return `hostname: crash.test
data_directory: ${join(directory, 'data')}
smtp:
  listeners: [{ address: 127.0.0.1, port: ${port}, tls: none }]
tenants: [{ name: ${tenant}, networks: [127.0.0.0/8] }]
routes: [{ domain: '*', host: 127.0.0.1, port: ${receiverPort} }]
delivery: { connections_per_site: ${connectionsPerSite} }
retry: { delays: [1s, 2s, 5s], jitter: 0.15, expire_after: 1h }
spool: { segment_size: 4MiB, window_size: 4MiB, checkpoint_after: 512KiB, reserve: 64MiB }
http: { listeners: [{ port: ${httpPort} }] }
notices: { per_hour: 1000000, group_within: 2s }
accounting: { rotate_size: 512KiB }
management: { address: 127.0.0.1, port: 0 }
`
}

const markField = Buffer.from('X-Test-Ledger: ', 'latin1')

function noteHeaders(seen: Map<string, Set<string>>, id: string | null, content: Buffer): void {
  if (id === null) return
  const form = hash('sha256', content.subarray(0, content.indexOf(markField)), 'base64')
  const forms = seen.get(id)
  if (forms === undefined) seen.set(id, new Set([form]))
  else forms.add(form)
}

async function killAgainAndAgain(
  plan: CrashPlan,
  world: World,
): Promise<{ killsWhileStarting: number; recoveryMs: number[] }> {
  const random = seededRandom(plan.seed)
  const { min, max } = plan.secondsBetween
  const recoveryMs: number[] = []
  let killsWhileStarting = 0
  let asking = Promise.resolve()
  for (let kill = 1; kill <= plan.kills; kill++) {
    if (kill > 1 && random.uint32() % killsPerEarlyOne === 0) {
      // The engine of the kill before is being started.
      await sleep(random.fraction() * earlyKillMsMax)
      if (await stillStarting(world.engine)) killsWhileStarting += 1
    } else {
      if (kill > 1) recoveryMs.push(await untilReady(world.engine))
      asking = world.statuses.probeAndAsk(world.engine)
      await sleep(1_000 * (min + (max - min) * random.fraction()))
    }
    refuseOwnDeaths(world.engine)
    world.killsAtMs.push(Date.now())
    await world.engine.kill()
    await asking
    world.start()
    if (kill % 10 === 0) plan.progress(`${kill} kills`)
  }
  recoveryMs.push(await untilReady(world.engine))
  return { killsWhileStarting, recoveryMs: recoveryMs.sort((a, b) => a - b) }
}

export async function untilReady(engine: Posthaste): Promise<number> {
  await Promise.race([
    engine.ready,
    sleep(startMsMax, undefined, { ref: false }).then(() => Promise.reject(new Error('not ready within 30 s'))),
  ])
  if (engine.output().includes('DAMAGE')) throw new Error(`recovery found damage:\n${engine.output()}`)
  return engine.readyAfterMs
}

/** A thread that is replaced leaves nothing wrong behind, and yet it should not have died. */
function refuseOwnDeaths(engine: Posthaste): void {
  if (!engine.running) throw new Error(`the engine ended by itself:\n${engine.output()}`)
  if (engine.output().includes('a thread died')) throw new Error(`a thread died by itself:\n${engine.output()}`)
}

async function stillStarting(engine: Posthaste): Promise<boolean> {
  return Promise.race([engine.ready.then(() => false), Promise.resolve(true)])
}

const refusesForGood = (rcpt: string): boolean => rcpt.endsWith('@refuses.test')

/** How many addresses are known to be suppressed in the end. */
export function deadIn(sent: readonly SentRecord[]): number {
  const dead = sent.filter(({ code, rcpt }) => code >= 200 && code < 300 && refusesForGood(rcpt))
  return new Set(dead.map(({ rcpt }) => rcpt)).size
}

/**
 * Until nothing is queued, and what follows from outcomes has followed too. False when the queue does not become empty in time: then what is in it is
 * accounted for as pending. When notices or suppressed addresses do not come in time, the checker says which.
 */
export async function becomesIdle(engine: Posthaste, directory: string, dead: number): Promise<boolean> {
  await queueBecomesEmpty(engine, directory)
  await within(recordMsMax, async () => {
    const { record } = await askEngine<{ record: { notices: { due: number } } | null }>(engine, directory, 'status')
    const { total } = await askEngine<{ total: number }>(engine, directory, `suppressions?tenant=${tenant}&limit=1`)
    return record?.notices.due === 0 && total >= dead
  })
  // The last notices are on disk, and about to be queued.
  await sleep(lastOutcomesMs)
  const empty = await queueBecomesEmpty(engine, directory)
  await sleep(lastOutcomesMs)
  return empty
}

export function queueBecomesEmpty(engine: Posthaste, directory: string): Promise<boolean> {
  return within(emptyMsMax, async () => {
    const { queue } = await askEngine<{ queue: { messages: number } }>(engine, directory, 'status')
    return queue.messages === 0
  })
}

async function within(msMax: number, condition: () => Promise<boolean>): Promise<boolean> {
  const deadlineMs = performance.now() + msMax
  while (performance.now() < deadlineMs) {
    if (await condition()) return true
    await sleep(200)
  }
  return false
}

async function askEngine<T>({ managementPort }: Posthaste, directory: string, path: string): Promise<T> {
  const headers = { authorization: `Bearer ${managementToken(directory)}` }
  const answer = await fetch(`http://127.0.0.1:${managementPort}/api/v1/admin/${path}`, { headers })
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}

/** Mail that no source sent: probes, and notices to whoever sent something. */
const isOther = ({ rcpt, from }: { readonly rcpt: string; readonly from: string }): boolean =>
  from === '' || rcpt.startsWith(probeUser)

export function judge(
  run: Pick<Evidence, 'receivedHeaders' | 'killsAtMs' | 'inFlightMax' | 'outcomeMsMax'> & {
    readonly directory: string
  },
  more: readonly string[],
): Verdict & Pick<CrashResult, 'spoolBytes' | 'segments'> {
  const disk = openDisk(join(run.directory, 'data'))
  const fsck = fsckSpool(disk)
  const violations = [...more]
  if (!fsck.clean || fsck.quarantined.length > 0) violations.push(`the spool is damaged: ${JSON.stringify(fsck)}`)
  const stored: StoredRecipient[] = []
  let spoolBytes = 0
  dumpSpool(disk, ({ submission, content, outcomes, pending }) => {
    spoolBytes += submission.contentBytes
    const id = content === null ? submission.id : sourceIdOf(content)
    const sha256 = content === null ? null : hash('sha256', content, 'hex')
    const headersSha256 = hash('sha256', submission.addedHeaders, 'base64')
    const kinds = new Map(
      outcomes.flatMap(({ recipients }) => recipients.map(({ recipient, outcome }) => [recipient, outcome.kind])),
    )
    for (const [index, rcpt] of submission.recipients.entries()) {
      if (isOther({ rcpt, from: submission.returnPath })) continue
      // The chunks of what is settled may lie in a segment that is used again already, before its envelope's.
      if (content === null && !pending.includes(index)) continue
      const end = pending.includes(index) ? 'pending' : endOf(kinds.get(index))
      stored.push({ id, rcpt, sha256, headersSha256, end })
    }
  })
  const verdict = checkEvidence({
    ...run,
    sent: readLedger<SentRecord>(sentLedger(run.directory)).records,
    received: readLedger<ReceivedRecord>(receivedLedger(run.directory)).records.filter((record) => !isOther(record)),
    stored,
    refuses: refusesForGood,
  })
  const intake = statSpool(disk).find(({ log }) => log === 'intake-0')
  const segments = { ever: intake?.lastSegment ?? 0, left: intake?.segments ?? 0 }
  return { ...verdict, violations: [...violations, ...verdict.violations], spoolBytes, segments }
}

function endOf(kind: string | undefined): 'delivered' | 'bounced' | 'settled' {
  if (kind === 'delivered') return 'delivered'
  return kind === 'bounced' || kind === 'expired' ? 'bounced' : 'settled'
}

function sourceIdOf(content: Buffer): string {
  const line = content.toString('latin1', 0, 100)
  return /^X-Test-Ledger: (\S+)\r\n/.exec(line)?.[1] ?? `(no id: ${JSON.stringify(line.slice(0, 40))})`
}
