/**
 * A tenant's quota of a day against the real program, with two threads that accept: clients offer more than it allows, by SMTP and by HTTP, while the program
 * is killed again and again, now and then as it starts, and once as the first client hears that the quota is used up.
 *
 *   quota-load.ts (this process) ──▶ posthaste (own process group, SIGKILL) ──▶ receiver (this process) ──▶ quota-checker.ts, record-checker.ts
 *
 * The tenant is a directory's, made and limited as operators do it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../../src/config/config.ts'
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { dayMs, minuteMs } from '../../src/kernel/units.ts'
import { type Receiver, startReceiver } from '../../src/sandbox/sandbox.ts'
import { makeApiTenant } from '../support/api-tenant.ts'
import { freePort } from '../support/engine.ts'
import { launch, type Posthaste } from '../support/posthaste.ts'
import { asked } from '../support/scenario.ts'
import { type DuplicateFigures, judgeDuplicates } from './checker.ts'
import { checkQuota, type QuotaVerdict } from './quota-checker.ts'
import { commitGroupMax, QuotaLoad } from './quota-load.ts'
import { type CheckedRecord, checkRecord } from './record.ts'
import { becomesIdle, config, configFile, connectionsPerSite, outcomeMsMax, untilReady } from './run.ts'

export interface QuotaPlan {
  readonly directory: string
  readonly perDay: number
  readonly kills: number
  readonly seed: number
  readonly progress: (line: string) => void
}

export interface QuotaResult extends QuotaVerdict {
  readonly quota: number
  readonly commitGroupMax: number
  readonly offered: number
  readonly kills: number
  readonly killsWhileStarting: number
  readonly refusals: number
  readonly countings: number
  readonly countingLastMs: number
  readonly rateHeaders: number
  readonly remainingMin: number
  readonly duplicates: DuplicateFigures
  readonly record: CheckedRecord['figures']
}

/** Offered for each that the quota allows. */
const offeredShare = 1.5
/** One in so many kills comes before "ready". */
const killsPerEarlyOne = 5
const earlyKillMsMax = 2_000
const goalMsMax = 60_000
const exhaustMsMax = 30_000
const runMsMax = 10 * minuteMs
const tenant = 'shop'

/** Why a run may not begin now; null when it may. A day of UTC that ends in the middle would open a new quota. */
export function tooLateInTheDay(nowMs: number): string | null {
  const leftMs = dayMs - (nowMs % dayMs)
  if (leftMs > runMsMax) return null
  const minutes = Math.ceil(leftMs / minuteMs)
  return `a day's quota begins anew at midnight UTC, which is in ${minutes} min: begin after it, or ${runMsMax / minuteMs} minutes before it at the latest`
}

interface World {
  engine: Posthaste
  readonly receiver: Receiver
  readonly arrivals: { readonly id: string; readonly rcpt: string; readonly receivedMs: number }[]
  readonly load: QuotaLoad
  readonly random: Random
  readonly killsAtMs: number[]
  start(): void
  ready(): Promise<void>
  end(): Promise<void>
}

export async function runQuota(plan: QuotaPlan): Promise<QuotaResult> {
  const startMs = Date.now()
  const tooLate = tooLateInTheDay(startMs)
  if (tooLate !== null) throw new Error(tooLate)
  const world = await build(plan)
  const { load } = world
  try {
    const { killsWhileStarting } = await killAgainAndAgain(plan, world)
    plan.progress('offering until nothing is left, and waiting until the queue is empty')
    await Promise.race([load.exhaust(), tooSlow(exhaustMsMax, 'not every client hears that the quota is used up')])
    const empty = await becomesIdle(world.engine, plan.directory, 0)
    const shown = await usedByTheProgram(plan, world)
    const exitCode = await world.engine.stop()
    await world.receiver.close()
    if (Math.floor(Date.now() / dayMs) !== Math.floor(startMs / dayMs))
      throw new Error('midnight UTC came into the run, and with it another quota: begin anew, with fewer kills')
    plan.progress('comparing what was answered, what arrived and what the lines say')
    const sent = load.offers.map(({ id, rcpt, code }) => ({ id, rcpt, code, sha256: '', sentMs: 0, ackedMs: 0 }))
    const dataDirectory = join(plan.directory, 'data')
    const record = await checkRecord({ dataDirectory, sent, notices: [], empty })
    const arrived = new Set(world.arrivals.map(({ rcpt }) => rcpt))
    const { offers } = load
    const verdict = checkQuota({ quota: plan.perDay, commitGroupMax, offers, lines: record.lines, arrived, shown })
    const violations = [...verdict.violations, ...load.wrong(), ...record.violations]
    if (!empty) violations.push('the queue does not become empty')
    if (exitCode !== 0) violations.push(`SIGTERM: exit code ${exitCode}`)
    const received = world.arrivals.map((one) => ({ ...one, replyLost: false }))
    const { killsAtMs } = world
    const duplicates = judgeDuplicates(
      { received, killsAtMs, inFlightMax: connectionsPerSite, outcomeMsMax },
      (what, names) => violations.push(...names.slice(0, 10).map((name) => `${what}: ${name}`)),
    )
    const { refusals, countings, countingLastMs, rateHeaders, remainingMin } = load
    return {
      ...verdict,
      violations,
      quota: plan.perDay,
      commitGroupMax,
      offered: load.offers.length,
      kills: killsAtMs.length,
      killsWhileStarting,
      refusals,
      countings,
      countingLastMs,
      rateHeaders,
      remainingMin,
      duplicates,
      record: record.figures,
    }
  } finally {
    await world.end()
  }
}

async function build({ directory, perDay, seed }: QuotaPlan): Promise<World> {
  mkdirSync(directory, { recursive: true })
  const arrivals: World['arrivals'] = []
  const receiver = await startReceiver(
    {},
    {
      rememberMax: 0,
      onMessage: ({ envelope, content, times }) => {
        const id = /^Subject: test (\S+)\r/m.exec(content?.toString('latin1', 0, 2_000) ?? '')?.[1] ?? '(none)'
        for (const rcpt of envelope.to) arrivals.push({ id, rcpt, receivedMs: times.receivedMs })
      },
    },
  )
  const [smtpPort, httpPort] = [await freePort(), await freePort()]
  const file = configFile(directory)
  writeFileSync(file, `${config(directory, smtpPort, receiver.port, httpPort)}threads: { intake: 2 }\n`)
  const { config: compiled } = loadConfig(file, {})
  mkdirSync(compiled.dataDirectory, { recursive: true })
  const { secret } = await makeApiTenant(compiled)
  const random = seededRandom(seed)
  const load = new QuotaLoad({ smtpPort, httpPort, secret, quota: perDay, random })
  const start = (): Posthaste => launch(['start', '--config', file])
  const world: World = {
    engine: start(),
    receiver,
    arrivals,
    load,
    random,
    killsAtMs: [],
    start() {
      load.readyAtMs = Number.POSITIVE_INFINITY
      world.engine = start()
    },
    async ready() {
      await untilReady(world.engine)
      load.readyAtMs = performance.now()
    },
    async end() {
      await world.engine.kill()
      await receiver.close()
    },
  }
  try {
    await world.ready()
    await command(file, world, 'network', 'add', tenant, '127.0.0.1')
    await command(file, world, 'tenant', 'quota', tenant, '--per-day', String(perDay))
  } catch (error) {
    await world.end()
    throw error
  }
  return world
}

const command = <T>(file: string, { engine }: World, ...args: readonly string[]): Promise<T> =>
  asked<T>(engine, ...args, '--config', file)

async function usedByTheProgram({ directory }: QuotaPlan, world: World): Promise<number | null> {
  type Quota = { readonly used: { readonly messages_per_day: number | null } | null }
  const { used } = await command<Quota>(configFile(directory), world, 'tenant', 'quota', tenant)
  return used?.messages_per_day ?? null
}

/** Each life has its share of what is offered; the first one that hears a refusal ends at once. */
async function killAgainAndAgain(plan: QuotaPlan, world: World): Promise<{ killsWhileStarting: number }> {
  const { kills, perDay } = plan
  const { load, random } = world
  const offers = perDay * offeredShare
  const enough = new AbortController()
  const loading = load.run(enough.signal)
  let killsWhileStarting = 0
  let usedUp: Promise<void> | null = new Promise((resolve) => (load.onRefused = resolve))
  try {
    for (let kill = 1; kill <= kills; kill++) {
      if (kill % killsPerEarlyOne === 0) {
        await sleep(random.fraction() * earlyKillMsMax)
        if (world.engine.readyAfterMs === 0) killsWhileStarting += 1
      } else {
        await world.ready()
        const goal = reached(world, (offers * (kill - random.fraction())) / kills)
        const heard = usedUp?.then(() => (usedUp = null))
        await Promise.race([goal, loading, ...(heard === undefined ? [] : [heard])])
      }
      if (!world.engine.running) throw new Error(`the engine ended by itself:\n${world.engine.output()}`)
      world.killsAtMs.push(Date.now())
      await world.engine.kill()
      world.start()
      if (kill % 10 === 0) plan.progress(`${kill} kills, ${load.answered} recipients were answered`)
    }
    await world.ready()
    await Promise.race([reached(world, offers), loading])
  } finally {
    load.onRefused = () => {}
    enough.abort()
    await loading
  }
  return { killsWhileStarting }
}

/** So many recipients were accepted or refused, or the engine is gone. */
async function reached({ load, engine }: World, answered: number): Promise<void> {
  const deadlineMs = performance.now() + goalMsMax
  while (load.answered < answered && engine.running) {
    if (performance.now() > deadlineMs) throw new Error(`only ${load.answered} of ${answered} recipients were answered`)
    await sleep(5)
  }
}

async function tooSlow(ms: number, what: string): Promise<never> {
  await sleep(ms, undefined, { ref: false })
  throw new Error(`${what} within ${ms / 1_000} s`)
}
