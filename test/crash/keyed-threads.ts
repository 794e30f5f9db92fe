/**
 * Threads that die while they hold keys of idempotency: the one that hands keys out, one that accepts, and both at once, again and again, while
 * clients race for keys.
 *
 *   keyed-load.ts ──▶ supervisor and its threads (here; `worker.terminate()`) ──▶ receiver
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventsLimits } from '../../src/events/events.ts'
import { openDisk } from '../../src/adapters/embedded/embedded.ts'
import type { Log } from '../../src/app/log.ts'
import type { RunningThread } from '../../src/app/mail-threads.ts'
import { Supervisor } from '../../src/app/supervisor.ts'
import { loadConfig } from '../../src/config/config.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { startReceiver } from '../../src/sandbox/sandbox.ts'
import { makeSpoolDirectories } from '../../src/spool/spool.ts'
import { makeApiTenant } from '../support/api-tenant.ts'
import { freePort } from '../support/engine.ts'
import { noTenants } from '../support/no-tenants.ts'
import { until } from '../support/wait.ts'
import { checkKeys, type KeyVerdict } from './keyed-checker.ts'
import { KeyedLoad } from './keyed-load.ts'
import { config, configFile, connectionsPerSite } from './run.ts'

export interface KeyedThreadsPlan {
  readonly directory: string
  readonly intakeThreads: number
  readonly kills: number
  readonly seed: number
}

export interface KeyedThreadsResult extends KeyVerdict {
  /** Answers 503, and requests that were not answered. */
  readonly refused: number
  readonly cut: number
  readonly slowestMs: number
}

const backMsMax = 30_000
const emptyMsMax = 60_000
const pauseMsMax = 600
/** Less than a request waits for another one with its key. */
const answeredMsMax = eventsLimits.claimWaitMsMax.value - 2_000

export async function runKeyedThreads(plan: KeyedThreadsPlan): Promise<KeyedThreadsResult> {
  const world = await build(plan)
  const { load, supervisor } = world
  try {
    const enough = new AbortController()
    const loading = load.run(Number.POSITIVE_INFINITY, enough.signal)
    loading.catch(() => {})
    try {
      await killInTurn(plan, supervisor, load)
    } finally {
      enough.abort()
    }
    await loading
    const refusedBefore = load.refused
    await load.again(load.records)
    const leftBehind = load.refused - refusedBefore
    await until(emptyMsMax, 'the queue is not empty', async () => {
      const queue = (await supervisor.figures())?.queue
      return queue !== undefined && queue.ready + queue.deferred + queue.inFlight === 0
    })
    // Neither of these threads delivers, so their death is no reason for a second copy.
    const verdict = checkKeys(load.records, { killsAtMs: [], inFlightMax: connectionsPerSite, outcomeMsMax: 0 })
    const { refused, cut, slowestMs } = load
    const violations = [...verdict.violations, ...load.wrong()]
    if (leftBehind > 0) violations.push(`${leftBehind} answers 503, though every thread was there again`)
    return { ...verdict, violations, refused, cut, slowestMs }
  } finally {
    await world.end()
  }
}

async function build({ directory, intakeThreads, seed }: KeyedThreadsPlan): Promise<{
  readonly supervisor: Supervisor
  readonly load: KeyedLoad
  end(): Promise<void>
}> {
  const random = seededRandom(seed)
  const receiver = await startReceiver({}, { rememberMax: 0, onMessage: (message) => load.take(message) })
  mkdirSync(join(directory, 'data'), { recursive: true })
  writeFileSync(configFile(directory), config(directory, await freePort(), receiver.port))
  const { config: compiled } = loadConfig(configFile(directory), {})
  makeSpoolDirectories(openDisk(compiled.dataDirectory), intakeThreads)
  const { secret, snapshot } = await makeApiTenant(compiled)
  const layout = { intake: intakeThreads, deliver: 0 }
  const options = { ...noTenants(), directory: () => snapshot, config: compiled, layout, log: quiet, sandboxSink: null }
  const supervisor = new Supervisor(options)
  await supervisor.start()
  const load = new KeyedLoad({ port: supervisor.httpAddresses[0]?.port ?? 0, secret, random })
  return {
    supervisor,
    load,
    async end() {
      load.close()
      await supervisor.stop(0)
      await receiver.close()
    },
  }
}

/** Every death is said aloud, and here they are meant. */
const quiet = { error() {}, warn() {}, info() {}, debug() {}, fatal: console.error } as unknown as Log

async function killInTurn(plan: KeyedThreadsPlan, supervisor: Supervisor, load: KeyedLoad): Promise<void> {
  const { kills, intakeThreads, seed } = plan
  const random = seededRandom(seed + 1)
  for (let kill = 0; kill < kills; kill++) {
    const large = load.raceForLarge()
    large.catch(() => {})
    await sleep(pauseMsMax * random.fraction())
    const intake = `intake-${random.uint32() % intakeThreads}`
    const names: readonly string[] = [['events'], [intake], [intake, 'events']][kill % 3] ?? []
    const dying = supervisor.workers().filter(({ name }) => names.includes(name))
    for (const { worker } of dying) void worker?.terminate()
    const replaced = ({ name, restarts, state }: RunningThread): boolean =>
      state === 'running' && restarts > (dying.find((one) => one.name === name)?.restarts ?? -1)
    await until(backMsMax, `${names.join(' and ')} not replaced`, () => supervisor.workers().every(replaced))
    await Promise.race([load.underWay(), tooLate(`a key is held for good after the death of ${names.join(' and ')}`)])
    await large
  }
}

async function tooLate(what: string): Promise<never> {
  await sleep(answeredMsMax, undefined, { ref: false })
  throw new Error(what)
}
