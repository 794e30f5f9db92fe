/**
 * Threads that die under load, again and again, while the process goes on: one that delivers, one that accepts, and the one that keeps the record, in turn.
 *
 *   source (own process) ──▶ supervisor and its threads (here; `worker.terminate()`) ──▶ receiver (own process)
 *
 * After each death a probe on a fresh connection asks how long it took until mail was accepted again, and until it arrived. In the end the record must be
 * whole (record.ts): whatever the thread that keeps it was about to write down, its successors have.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openDisk } from '../../src/adapters/embedded/embedded.ts'
import type { Layout } from '../../src/app/layout.ts'
import type { Log } from '../../src/app/log.ts'
import type { RunningThread } from '../../src/app/mail-threads.ts'
import { Supervisor } from '../../src/app/supervisor.ts'
import { openTenants } from '../../src/app/tenants.ts'
import { loadConfig } from '../../src/config/config.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import type { Directory } from '../../src/ports/directory.ts'
import { readLedger, type SentRecord } from '../../src/sandbox/sandbox.ts'
import { makeSpoolDirectories } from '../../src/spool/spool.ts'
import { freePort } from '../support/engine.ts'
import { letter, send } from '../support/scenario.ts'
import { until } from '../support/wait.ts'
import type { Verdict } from './checker.ts'
import { probeUser } from './receiver-script.ts'
import type { ReceiverNews, ReceiverTask } from './receiver.ts'
import { type CheckedRecord, checkRecord } from './record.ts'
import type { ArrivedNotice } from './record-checker.ts'
import {
  config,
  configFile,
  connectionsPerSite,
  deadIn,
  judge,
  lastOutcomesMs,
  receivedLedger,
  recordMsMax,
  sentLedger,
  stopSource,
  tenant,
} from './run.ts'
import type { SourceTask } from './source.ts'
import { noTenants } from '../support/no-tenants.ts'

export interface ThreadKillPlan {
  readonly directory: string
  readonly layout: Layout
  readonly kills: number
  readonly ratePerSecond: number
  /** From "service is back" to the next kill. */
  readonly secondsBetween: { readonly min: number; readonly max: number }
  readonly seed: number
  /** False: what receivers have put off is left in the spool, and counted there. */
  readonly untilEmpty: boolean
  readonly progress: (line: string) => void
}

export interface ThreadKillResult extends Verdict {
  readonly kills: number
  readonly killsOf: Readonly<Record<Role, number>>
  readonly drainMs: number
  /** From each kill, rising: until a message on a fresh connection was accepted, until it arrived, until the thread's successor was ready. */
  readonly acceptedMs: readonly number[]
  readonly arrivedMs: readonly number[]
  readonly replacedMs: readonly number[]
  readonly record: CheckedRecord['figures']
}

const roles = ['deliver', 'intake', 'events'] as const
type Role = (typeof roles)[number]

const backMsMax = 30_000
const emptyMsMax = 60_000
const serviceMsMax = 1_000

export async function runThreadKills(plan: ThreadKillPlan): Promise<ThreadKillResult> {
  const world = await build(plan)
  try {
    const times = { acceptedMs: [] as number[], arrivedMs: [] as number[], replacedMs: [] as number[] }
    const killsAtMs = await killInTurn(plan, world, times)
    await stopSource(world.source)
    const sent = readLedger<SentRecord>(sentLedger(plan.directory)).records
    if (plan.untilEmpty) {
      plan.progress('the source has stopped; waiting until the queue is empty')
      await becomesIdle(world, deadIn(sent))
    }
    const drainStartMs = performance.now()
    await world.supervisor.stop(10_000)
    const drainMs = performance.now() - drainStartMs
    const closed = once(world.receiver, 'exit')
    world.receiver.send('stop')
    await closed
    await world.directory.close()
    for (const list of Object.values(times)) list.sort((a, b) => a - b)
    // A successor comes later each time, when the same thread dies again and again; the others go on meanwhile.
    const { acceptedMs, arrivedMs } = times
    const late = Object.entries({ acceptedMs, arrivedMs }).filter(([, list]) => (list.at(-1) ?? 0) > serviceMsMax)
    const more = late.map(([name, list]) => `service: ${name} ${Math.round(list.at(-1) ?? 0)} ms, more than a second`)
    const evidence = { directory: plan.directory, killsAtMs, receivedHeaders: new Map(), ...allowed }
    const dataDirectory = join(plan.directory, 'data')
    const { notices } = world
    const record = await checkRecord({ dataDirectory, sent, notices, empty: plan.untilEmpty })
    const verdict = judge(evidence, [...more, ...record.violations])
    const killsOf = { deliver: killsOfRole(plan, 0), intake: killsOfRole(plan, 1), events: killsOfRole(plan, 2) }
    return { ...verdict, ...times, record: record.figures, kills: plan.kills, killsOf, drainMs }
  } finally {
    await world.end()
  }
}

const killsOfRole = ({ kills }: ThreadKillPlan, place: number): number =>
  Math.floor((kills + roles.length - 1 - place) / roles.length)

/** Nothing is queued, and what follows from outcomes has followed too; when it does not, the checker says what. */
async function becomesIdle({ supervisor, directory }: World, dead: number): Promise<void> {
  await queueIsEmpty(supervisor)
  const deadlineMs = performance.now() + recordMsMax
  const isWhole = async (): Promise<boolean> => {
    const { total } = await directory.suppressions.list(tenant, { count: 1 })
    return (await supervisor.figures())?.record?.noticesDue === 0 && total >= dead
  }
  while (performance.now() < deadlineMs && !(await isWhole())) await sleep(200)
  // The last notices are on disk, and about to be queued.
  await sleep(lastOutcomesMs)
  await queueIsEmpty(supervisor)
}

function queueIsEmpty(supervisor: Supervisor): Promise<void> {
  return until(emptyMsMax, 'the queue is not empty', async () => {
    const queue = (await supervisor.figures())?.queue
    return queue !== undefined && queue.ready + queue.deferred + queue.inFlight === 0
  })
}

/** What a receiver has said yes to counts as soon as its reply was read: nothing waits for a commit when only a thread dies. */
const allowed = { inFlightMax: connectionsPerSite, outcomeMsMax: 0 }

interface World {
  readonly supervisor: Supervisor
  readonly source: ChildProcess
  readonly receiver: ChildProcess
  readonly directory: Directory
  readonly probesArrived: Set<string>
  readonly notices: ArrivedNotice[]
  end(): Promise<void>
}

async function build(plan: ThreadKillPlan): Promise<World> {
  const { directory, layout, seed, ratePerSecond } = plan
  mkdirSync(join(directory, 'data'), { recursive: true })
  const receiver = child('receiver', { ledger: receivedLedger(directory), seed } satisfies ReceiverTask)
  const [{ port: receiverPort }] = (await once(receiver, 'message')) as [{ port: number }]
  const probesArrived = new Set<string>()
  const notices: ArrivedNotice[] = []
  receiver.on('message', ({ probe, notice }: ReceiverNews) => {
    if (probe !== undefined) probesArrived.add(probe)
    if (notice !== undefined) notices.push(notice)
  })
  writeFileSync(configFile(directory), config(directory, await freePort(), receiverPort))
  const loaded = loadConfig(configFile(directory), {})
  makeSpoolDirectories(openDisk(loaded.config.dataDirectory), layout.intake)
  const { directory: tenants, quotaMemory, suppressed, store, follow } = await openTenants(loaded.config, quiet)
  const supervisor = new Supervisor({
    ...noTenants(),
    config: loaded.config,
    layout,
    log: quiet,
    sandboxSink: null,
    directory: () => tenants.snapshot(),
    quotaMemory,
    suppressed,
    store,
  })
  follow(supervisor)
  await supervisor.start()
  const port = supervisor.addresses[0]?.port ?? 0
  const source = child('source', { port, ledger: sentLedger(directory), ratePerSecond, seed } satisfies SourceTask)
  return {
    supervisor,
    source,
    receiver,
    directory: tenants,
    probesArrived,
    notices,
    async end() {
      for (const process of [source, receiver]) process.kill('SIGKILL')
      await supervisor.stop(0)
    },
  }
}

const child = (name: string, task: object): ChildProcess =>
  fork(fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), [JSON.stringify(task)])

/** Every death is said aloud, and here they are meant. */
const quiet = { error() {}, warn() {}, info() {}, debug() {}, fatal: console.error } as unknown as Log

async function killInTurn(
  plan: ThreadKillPlan,
  world: World,
  times: Record<'acceptedMs' | 'arrivedMs' | 'replacedMs', number[]>,
): Promise<number[]> {
  const { supervisor } = world
  const { kills, layout, secondsBetween } = plan
  const random = seededRandom(plan.seed)
  const killsAtMs: number[] = []
  const successors: Promise<unknown>[] = []
  for (let kill = 0; kill < kills; kill++) {
    const role = roles[kill % roles.length] as Role
    // The pause before a successor grows with every death; with two dead of one kind there would be no service to be measured.
    await until(backMsMax, `not every ${role} thread is back`, () => seats(supervisor, role).every(runs))
    await sleep(1_000 * (secondsBetween.min + (secondsBetween.max - secondsBetween.min) * random.fraction()))
    const name = role === 'events' ? role : `${role}-${random.uint32() % layout[role]}`
    const seat = (): RunningThread => seats(supervisor, name)[0] as RunningThread
    const { worker, restarts } = seat()
    // Neither of the others delivers, so their death is no reason for a second copy.
    if (role === 'deliver') killsAtMs.push(Date.now())
    const startMs = performance.now()
    const since = (): number => performance.now() - startMs
    void worker?.terminate()
    const replaced = until(backMsMax, `${name} is not replaced`, () => runs(seat()) && seat().restarts > restarts)
    successors.push(replaced.then(() => times.replacedMs.push(since())))
    const rcpt = `${probeUser}${kill}@mail0.test`
    await accepted(supervisor, rcpt)
    times.acceptedMs.push(since())
    await until(backMsMax, `${rcpt} has not arrived`, () => world.probesArrived.has(rcpt))
    times.arrivedMs.push(since())
    if ((kill + 1) % 10 === 0) plan.progress(`${kill + 1} kills`)
  }
  await Promise.all(successors)
  return killsAtMs
}

const seats = (supervisor: Supervisor, name: string): RunningThread[] =>
  supervisor.workers().filter((one) => one.name.startsWith(name))
const runs = ({ state }: RunningThread): boolean => state === 'running'

/** A connection that the dead thread had not yet taken is reset: the client tries again, as clients do. */
async function accepted(supervisor: Supervisor, rcpt: string): Promise<void> {
  const smtpPort = supervisor.addresses[0]?.port ?? 0
  await until(backMsMax, 'no mail is accepted', () =>
    send({ smtpPort }, { to: [rcpt], content: letter('probe') }).then(
      () => true,
      () => false,
    ),
  )
}
