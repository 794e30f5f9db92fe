/**
 * Keys of idempotency against the real program with eight threads that accept: clients race for keys, the program is stopped and started, then killed
 * again and again while they go on, and every key is asked for once more.
 *
 *   keyed-load.ts (this process) ──▶ posthaste (own process group, SIGKILL) ──▶ receiver (this process) ──▶ keyed-checker.ts
 *
 * Every other kill comes at the very moment when a message arrives of whose key no client has read an answer: what it stands for is on disk, and
 * only the disk knows.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../../src/config/config.ts'
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { type Receiver, startReceiver } from '../../src/sandbox/sandbox.ts'
import { ApiConnection, apiRequest } from '../support/api-connection.ts'
import { makeApiTenant } from '../support/api-tenant.ts'
import { freePort } from '../support/engine.ts'
import { launch, type Posthaste } from '../support/posthaste.ts'
import { managementToken } from '../support/scenario.ts'
import { checkKeys, type KeyVerdict } from './keyed-checker.ts'
import { KeyedLoad } from './keyed-load.ts'
import {
  config,
  configFile,
  connectionsPerSite,
  lastOutcomesMs,
  outcomeMsMax,
  queueBecomesEmpty,
  untilReady,
} from './run.ts'

export interface IdempotencyPlan {
  readonly directory: string
  readonly intakeThreads: number
  /** To be raced for before the first kill. */
  readonly keys: number
  readonly kills: number
  readonly seed: number
  readonly progress: (line: string) => void
}

export interface IdempotencyResult extends KeyVerdict {
  readonly raced: { readonly keys: number; readonly ms: number; readonly slowestMs: number }
  /** Bytes that each thread that accepts has committed in the race. */
  readonly committed: readonly number[]
  readonly hungUp: number
  /** Keys under way at kills that nobody had an answer for, and those of them whose message had arrived, so that it was on disk. */
  readonly unansweredAtKills: number
  readonly arrivedUnanswered: number
  readonly killsOnArrival: number
  readonly kills: number
  readonly statusesAsked: number
}

const killMsMax = 700
const momentMsMax = 20_000
const statusesAskedMax = 1_000
const wrongShown = 20

interface World {
  engine: Posthaste
  readonly directory: string
  readonly random: Random
  readonly receiver: Receiver
  readonly load: KeyedLoad
  readonly httpPort: number
  readonly secret: string
  readonly killsAtMs: number[]
  start(): Promise<void>
  end(): Promise<void>
}

export async function runIdempotency(plan: IdempotencyPlan): Promise<IdempotencyResult> {
  const world = await build(plan)
  const { load } = world
  const violations: string[] = []
  try {
    const race = await raceAndRestart(plan, world, violations)
    const kills = await killAgainAndAgain(plan, world)
    plan.progress('asking again for all, and waiting until the queue is empty')
    await load.again(load.records.slice(plan.keys))
    if (!(await queueBecomesEmpty(world.engine, plan.directory))) violations.push('the queue does not become empty')
    const statuses = await askStatuses(world)
    await world.engine.stop()
    await world.receiver.close()
    const verdict = checkKeys(load.records, {
      killsAtMs: world.killsAtMs,
      inFlightMax: connectionsPerSite,
      outcomeMsMax,
    })
    violations.push(...verdict.violations, ...load.wrong(), ...statuses.wrong)
    const { hungUp } = load
    return {
      ...verdict,
      ...race,
      ...kills,
      kills: plan.kills,
      violations,
      hungUp,
      statusesAsked: statuses.asked,
    }
  } finally {
    await world.end()
  }
}

async function raceAndRestart(
  { keys, intakeThreads, progress }: IdempotencyPlan,
  world: World,
  violations: string[],
): Promise<Pick<IdempotencyResult, 'raced' | 'committed'>> {
  const { load } = world
  const before = await committedPositions(world)
  const startMs = performance.now()
  await load.run(keys)
  const raced = { keys, ms: performance.now() - startMs, slowestMs: load.slowestMs }
  if (load.refused > 0) violations.push(`${load.refused} answers 503, though nothing was wrong`)
  const committed = (await committedPositions(world)).map((position, log) => position - (before[log] as number))
  if (committed.length < intakeThreads || committed.includes(0))
    violations.push(`not every thread had a part in the race: ${committed.join()}`)
  progress(`${keys} keys were raced for; asking again, before and after a restart`)
  await load.again(load.records.filter(({ number }) => number % 4 === 0))
  const exitCode = await world.engine.stop()
  if (exitCode !== 0) violations.push(`SIGTERM: exit code ${exitCode}`)
  await world.start()
  await load.again(load.records)
  return { raced, committed }
}

async function build({ directory, intakeThreads, seed }: IdempotencyPlan): Promise<World> {
  mkdirSync(directory, { recursive: true })
  const random = seededRandom(seed)
  const receiver = await startReceiver({}, { rememberMax: 0, onMessage: (message) => load.take(message) })
  const httpPort = await freePort()
  const file = configFile(directory)
  const threads = `threads: { intake: ${intakeThreads} }\n`
  writeFileSync(file, config(directory, await freePort(), receiver.port, httpPort) + threads)
  const { config: compiled } = loadConfig(file, {})
  mkdirSync(compiled.dataDirectory, { recursive: true })
  const { secret } = await makeApiTenant(compiled)
  const load = new KeyedLoad({ port: httpPort, secret, random })
  const start = (): Posthaste => launch(['start', '--config', file])
  const world: World = {
    engine: start(),
    directory,
    random,
    receiver,
    load,
    httpPort,
    secret,
    killsAtMs: [],
    async start() {
      world.engine = start()
      await untilReady(world.engine)
    },
    async end() {
      load.close()
      await world.engine.kill()
      await receiver.close()
    },
  }
  await untilReady(world.engine)
  return world
}

type Kills = Pick<IdempotencyResult, 'unansweredAtKills' | 'arrivedUnanswered' | 'killsOnArrival'>

async function killAgainAndAgain({ kills, progress }: IdempotencyPlan, world: World): Promise<Kills> {
  const { load, random } = world
  const enough = new AbortController()
  const loading = load.run(Number.POSITIVE_INFINITY, enough.signal)
  let [unansweredAtKills, arrivedUnanswered, killsOnArrival] = [0, 0, 0]
  try {
    for (let kill = 1; kill <= kills; kill++) {
      if (kill % 2 === 0) await Promise.race([sleep(killMsMax * random.fraction()), loading])
      else await Promise.race([killOnArrival(world), loading])
      killsOnArrival += kill % 2
      const unanswered = load.records.filter(({ answers }) => answers.length === 0)
      unansweredAtKills += unanswered.length
      arrivedUnanswered += unanswered.filter(({ arrivals }) => arrivals.length > 0).length
      world.killsAtMs.push(Date.now())
      if (!world.engine.running && kill % 2 === 0) throw new Error(`the engine ended:\n${world.engine.output()}`)
      await world.engine.kill()
      await world.start()
      if (kill % 10 === 0) progress(`${kill} kills`)
    }
  } finally {
    enough.abort()
    await loading
  }
  return { unansweredAtKills, arrivedUnanswered, killsOnArrival }
}

/** In the very call in which the receiver has it: nobody has run since. */
async function killOnArrival({ engine, load }: World): Promise<void> {
  let tooLate: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      tooLate = setTimeout(() => reject(new Error('every message had an answer before it arrived')), momentMsMax)
      load.onArrival = ({ answers }) => {
        if (answers.length > 0) return
        engine.signal('SIGKILL')
        resolve()
      }
    })
  } finally {
    clearTimeout(tooLate)
    load.onArrival = () => {}
  }
}

async function committedPositions({ engine, directory }: World): Promise<number[]> {
  const url = `http://127.0.0.1:${engine.managementPort}/api/v1/admin/status`
  const answer = await fetch(url, { headers: { authorization: `Bearer ${managementToken(directory)}` } })
  const { spool } = (await answer.json()) as {
    readonly spool: { readonly logs: readonly { readonly name: string; readonly committed_position: number }[] }
  }
  return spool.logs.filter(({ name }) => name.startsWith('intake')).map((log) => log.committed_position)
}

/** Of keys spread over all of them: each is delivered, by the tenant's own account. */
async function askStatuses({ httpPort, secret, load }: World): Promise<{ asked: number; wrong: string[] }> {
  const { records } = load
  const stride = Math.max(1, Math.floor(records.length / statusesAskedMax))
  const connection = new ApiConnection(httpPort)
  const statusOf = async (id: string | undefined): Promise<unknown> => {
    const reply = await connection.ask(apiRequest({ path: `/api/v1/emails/${id}`, secret }))
    return reply?.status === 200 ? (JSON.parse(reply.body) as { status: string }).status : reply?.status
  }
  const wrong: string[] = []
  let asked = 0
  for (let number = 0; number < records.length; number += stride) {
    const id = records[number]?.answers[0]?.id
    asked += 1
    if ((await statusOf(id)) === 'delivered') continue
    await sleep(lastOutcomesMs)
    const status = await statusOf(id)
    if (status !== 'delivered') wrong.push(`key ${number}: ${id} is ${String(status)}, not delivered`)
    if (wrong.length >= wrongShown) break
  }
  connection.close()
  return { asked, wrong }
}
