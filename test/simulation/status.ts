/**
 * One seed, one week: clients send, receivers answer at once, after days or never, and somebody asks all the time what became of it. The store reads
 * behind; the events thread dies, the process dies, the power fails; then everything starts on what the disks kept. What must be true is in
 * status-ledger.ts; a mutant (status-mutants.ts) takes one safeguard away and must make some seed fail.
 */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { dayMs, hourMs, minuteMs } from '../../src/kernel/units.ts'
import { isFailure } from '../../src/ports/submissions.ts'
import { canFollow, dumpSpool, type SpoolPins } from '../../src/spool/spool.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { headFor, openRig, smallSpool, type SpoolRig } from '../support/spool-rig.ts'
import { StoreDisk } from '../support/store-disk.ts'
import { hashOf, type Mail, newPerson, StatusLedger } from './status-ledger.ts'
import type { StatusMutant } from './status-mutants.ts'
import { StatusReader } from './status-reader.ts'
import { domainFor, randomPlan } from './status-receivers.ts'
import { Sender } from './status-sender.ts'

interface World {
  readonly random: Random
  readonly mutant: StatusMutant
  readonly ledger: StatusLedger
  readonly store: StoreDisk
  /** Of the store, by name of the log. */
  readonly durable: Map<string, number>
  /** How often the store reads when nobody asks, and how often it makes durable what it has read. */
  readonly diligence: number
  /** The process dies, dies again while it starts, and then the power fails. */
  readonly unlucky: boolean
  readonly figures: { crashes: number; powerCuts: number; readersDied: number; reclaimed: number; carried: number }
  nowMs: number
}

interface Life {
  readonly rig: SpoolRig
  readonly sender: Sender
  /** Null while recovery is not through. */
  reader: StatusReader | null
  /** Recovery is through. */
  begun: boolean
  /** Acknowledged since somebody asked last. */
  fresh: Mail[]
}

export interface Week {
  readonly crashes: number
  readonly powerCuts: number
  readonly readersDied: number
  readonly acknowledged: number
  readonly asked: number
  readonly reclaimed: number
  readonly carried: number
}

const beginsMs = Date.UTC(2026, 6, 1, 12)
const endsMs = beginsMs + 7 * dayMs
/** What comes later would still be tried at the end. */
const lastMailMs = endsMs - 4 * dayMs
const segmentBytes = 32 * 1024
const tenants = ['acme', 'globex', 'initech']

/** Throws an error that names what was lost or taken back. */
export async function runWeek(seed: number, mutant: StatusMutant = 'none'): Promise<Week> {
  const random = seededRandom(seed)
  const world: World = {
    random,
    mutant,
    ledger: new StatusLedger(),
    store: new StoreDisk(),
    durable: new Map(),
    diligence: random.fraction() < 0.5 ? 1 : 0.2,
    unlucky: random.fraction() < 0.15 || mutant === 'followed before recovery is through',
    figures: { crashes: 0, powerCuts: 0, readersDied: 0, reclaimed: 0, carried: 0 },
    nowMs: beginsMs,
  }
  try {
    await runLives(world)
  } finally {
    world.store.remove()
  }
  const { figures, ledger } = world
  const acknowledged = [...ledger.mail.values()].filter((mail) => mail.acknowledged).length
  return { ...figures, acknowledged, asked: ledger.asked }
}

async function runLives(world: World): Promise<void> {
  for (let disk = new SimulatedDisk(); ; ) {
    const life = startLife(disk, world)
    try {
      recover(life, world)
      if (life.begun) await live(life, world)
      if (life.begun && world.nowMs >= endsMs) {
        atTheEnd(life, world)
        life.reader?.die(() => {})
        return
      }
      if (life.begun && world.random.fraction() < 0.15) stopInOrder(life)
      else if (life.begun) dieInsideACall(life, disk, world)
      await turn()
    } catch (error) {
      life.reader?.die(() => {})
      throw error
    }
    disk = endLife(life, disk, world)
  }
}

function startLife(disk: SimulatedDisk, world: World): Life {
  const { random, ledger, durable } = world
  const intakeLogs = 1 + (random.uint32() % 2)
  const clock = new VirtualClock(world.nowMs)
  const nowMs = (): number => clock.nowMs()
  let sender: Sender | null = null
  const rig = openRig({
    disk,
    clock,
    random,
    config: { ...smallSpool, segmentBytes, windowBytes: segmentBytes, checkpointAfterBytes: 24 * 1024 },
    intakeLogs,
    followed: true,
    onPins: (pins) => watchReclaimed(pins, durable),
    makeQueue: (pins) => (sender = new Sender({ pins, ledger, random, nowMs })).image,
    onArrival: (arrival) => sender?.arrived(arrival),
  })
  ledger.crashed()
  dumpSpool(disk, ({ number, submission }) => ledger.arrived(number, submission.id, false))
  assert.ok(sender !== null)
  ledger.restored((sender as Sender).waiting)
  return { rig, sender, reader: null, begun: false, fresh: [] }
}

/** The store has them for good. */
function watchReclaimed({ logs }: SpoolPins, durable: ReadonlyMap<string, number>): void {
  for (const [name, log] of logs) {
    const offer = log.offer.bind(log)
    log.offer = (segments) => {
      for (const segment of name === 'stragglers' ? [] : segments)
        assert.ok(
          (segment + 1) * segmentBytes <= (durable.get(name) ?? 0),
          `segment ${segment} of ${name} goes too soon`,
        )
      return offer(segments)
    }
  }
}

/** Questions come as soon as somebody can answer. Sometimes it dies before it is through. */
function recover(life: Life, world: World): void {
  const { rig, sender } = life
  const { random, ledger } = world
  if (random.fraction() < (world.unlucky ? 0.6 : 0.3)) {
    for (let i = random.uint32() % 4; i > 0; i--) rig.pump()
    rig.spool.settled()
    if (!canFollow(rig.memory) && world.mutant !== 'followed before recovery is through') return
    life.reader = readerOf(life, world)
    askAll(life, world, false)
    if (random.fraction() < 0.3) life.reader.sync()
    return
  }
  rig.settle()
  assert.ok(canFollow(rig.memory))
  life.reader = readerOf(life, world)
  ledger.settled()
  life.begun = true
  sender.start(rig)
  world.nowMs = rig.clock.nowMs()
  askAll(life, world, rig.spool.outcomes.onDisk)
  const unsure = [...ledger.mail.values()].filter(({ acknowledged, key }) => !acknowledged && key !== '')
  for (const mail of unsure) askAgain(life, mail, world)
}

const readerOf = ({ rig }: Life, { store, mutant, durable }: World): StatusReader =>
  new StatusReader({ rig, disk: store, mutant, durable })

/** A random part of the week. */
async function live(life: Life, world: World): Promise<void> {
  const { rig, sender } = life
  const { random, diligence } = world
  const untilMs = Math.min(endsMs, world.nowMs + minuteMs + random.fraction() ** 2 * (world.unlucky ? 1.5 : 3) * dayMs)
  while (world.nowMs < untilMs) {
    const is = (share: number): boolean => random.fraction() < share
    if (world.nowMs < lastMailMs && is(0.2)) for (let i = random.uint32() % 4; i >= 0; i--) send(life, '', world)
    pass(life, is(0.6) ? random.uint32() % 20 : is(0.6) ? random.fraction() * 10 * minuteMs : leap(random), world)
    if (is(0.8)) rig.pump()
    if (is(0.3)) rig.spool.outcomes.flush()
    if (is(0.3)) rig.settle()
    rig.spool.reclaim.tick()
    // The carrier reads records, and that takes a turn.
    await turn()
    sender.tick()
    if (is(0.3 * diligence)) life.reader?.look(random.uint32() % 30_000)
    if (is(0.5)) askFresh(life, world)
    if (is(0.2)) ask(life, someOf(world), world)
    if (is(0.05)) life.reader?.commit()
    if (is(0.1 * diligence)) life.reader?.sync()
    if (is(0.02)) replaceReader(life, world)
    if (is(0.003)) askAll(life, world, rig.spool.outcomes.onDisk)
  }
}

const leap = (random: Random): number => random.fraction() ** 2 * 8 * hourMs

function pass({ rig, sender }: Life, ms: number, world: World): void {
  rig.clock.advance(ms)
  world.nowMs = rig.clock.nowMs()
  sender.tick()
}

/** @param key '': a new one, or none */
function send(life: Life, key: string, world: World, like?: Mail): void {
  const { random, ledger, nowMs } = world
  const { owners } = life.rig
  const tenant = like?.tenant ?? tenants[random.uint32() % tenants.length] ?? 'acme'
  const transaction = owners[random.uint32() % owners.length]?.begin(0, tenant)
  if (transaction === undefined || isFailure(transaction)) return
  const { id } = transaction
  const people = Array.from({ length: random.fraction() < 0.7 ? 1 : 1 + (random.uint32() % 4) }, () => {
    const plan = randomPlan(random, nowMs)
    return newPerson(`User${random.uint32() % 40}@${domainFor(plan, random)}`, plan)
  })
  const mail: Mail = {
    id,
    tenant,
    key: key === '' && random.fraction() < 0.4 ? `key of ${id}` : key,
    people,
    acceptedAtMs: nowMs,
    acknowledged: false,
    here: false,
    stays: false,
    denied: false,
    statusSeen: 0,
  }
  ledger.mail.set(id, mail)
  const content = Buffer.alloc(1 + (random.uint32() % 3_000), 'x')
  transaction.append(content, 0, content.length)
  const facts = { ...headFor([]).facts, idempotencyKey: mail.key, requestSha256: hashOf(mail) }
  const head = headFor(
    people.map(({ address }) => address),
    {
      tenant,
      facts,
      expiresAtMs: random.fraction() < 0.2 ? nowMs + random.fraction() * 48 * hourMs : 0,
    },
  )
  transaction.commit(head, (failure) => {
    if (failure !== null) return
    mail.acknowledged = mail.here = mail.stays = true
    life.fresh.push(mail)
  })
}

/** Its sender has heard nothing, and asks by its key whether it has to send it again. */
function askAgain(life: Life, mail: Mail, world: World): void {
  if (mail.denied || world.nowMs - mail.acceptedAtMs > 12 * hourMs) return
  const { tenant, key } = mail
  const reader = life.reader as StatusReader
  reader.reachNow()
  const found = reader.key(tenant, key)
  world.ledger.checkKey(tenant, key, found, world.nowMs)
  if (found?.id === mail.id) {
    mail.acknowledged = mail.stays = true
    return
  }
  mail.denied = true
  if (found === null) send(life, key, world, mail)
}

/** The moment after its sender was told. */
function askFresh(life: Life, world: World): void {
  const { fresh } = life
  life.fresh = []
  ask(life, fresh, world)
}

function someOf({ random, ledger }: World): Mail[] {
  const all = [...ledger.mail.values()].filter(({ acknowledged }) => acknowledged)
  return all.length === 0 ? [] : Array.from({ length: 5 }, () => all[random.uint32() % all.length] as Mail)
}

function askAll(life: Life, world: World, whole: boolean): void {
  const known = [...world.ledger.mail.values()].filter((mail) => mail.acknowledged || mail.here)
  ask(life, known, world, whole)
}

function ask(life: Life, mails: readonly Mail[], world: World, whole = life.rig.spool.outcomes.onDisk): void {
  const reader = life.reader as StatusReader
  const { ledger, random, nowMs } = world
  if (mails.length === 0) return
  reader.reachNow()
  for (const mail of mails) {
    const { id, tenant, key, people } = mail
    ledger.check(mail, reader.find(tenant, id), whole)
    if (random.fraction() < 0.9) continue
    const other = tenants[(tenants.indexOf(tenant) + 1) % tenants.length] as string
    assert.equal(reader.find(other, id), null, `message ${id} is found by ${other}`)
    const { address } = people[random.uint32() % people.length] as (typeof people)[number]
    assert.ok(reader.lists(tenant, address.toUpperCase(), id), `message ${id} is not in the list for ${address}`)
    assert.ok(!reader.lists(other, address, id), `message ${id} is in the list of ${other}`)
    if (key !== '') ledger.checkKey(tenant, key, reader.key(tenant, key), nowMs)
  }
}

/** The events thread dies, and another one goes on with what it had committed. */
function replaceReader(life: Life, world: World): void {
  world.figures.readersDied += 1
  life.reader?.die(() => world.store.killed())
  life.reader = readerOf(life, world)
}

/** What was on its way is thrown away: receivers that have taken it may get it twice, which is not the question here. */
function stopInOrder({ rig, reader }: Life): void {
  rig.settle()
  rig.spool.outcomes.mark('stopped')
  rig.spool.reclaim.request()
  rig.settle()
  reader?.reachNow()
  reader?.sync()
}

/** Between two calls to the disk, or two lines of the store's. */
function dieInsideACall(life: Life, disk: SimulatedDisk, world: World): void {
  const { rig, reader } = life
  const { random } = world
  // What was written and not synced is what a start may read and a power cut forgets.
  const syncOnly = random.fraction() < 0.6
  let callsLeft = random.uint32() % (syncOnly ? 3 : 8)
  disk.withFaults({
    before: (call) => {
      if ((call === 'sync' || !syncOnly) && callsLeft-- <= 0) throw new Error('power')
    },
  })
  for (let i = random.uint32() % 8; i > 0; i--) {
    if (world.nowMs < lastMailMs) send(life, '', world)
    pass(life, random.fraction() < 0.5 ? random.uint32() % 4 : random.fraction() * 10 * minuteMs, world)
    if (random.fraction() < 0.5) rig.spool.outcomes.flush()
    if (random.fraction() < 0.5) rig.pump()
    if (random.fraction() < 0.3) reader?.look(30_000)
    if (random.fraction() < 0.1) reader?.commit()
  }
}

/** Most of the time the machine loses power, otherwise only the process dies. Returns what the next start finds. */
function endLife({ rig, reader, begun }: Life, disk: SimulatedDisk, world: World): SimulatedDisk {
  const { store, random, figures, unlucky } = world
  const { reclaimed, carried } = rig.spool.reclaim.figures
  const powerCut = random.fraction() < (unlucky ? (begun ? 0.2 : 0.9) : 0.6)
  figures.crashes += 1
  figures.powerCuts += powerCut ? 1 : 0
  figures.reclaimed += reclaimed
  figures.carried += carried
  const becomes = (): void => (powerCut ? store.powerCut(random) : store.killed())
  if (reader === null) becomes()
  else reader.die(becomes)
  return (powerCut ? disk.crash(random) : disk).withFaults({})
}

/** Everything has come to its end, and the store says which. */
function atTheEnd(life: Life, world: World): void {
  const { rig } = life
  const reader = life.reader as StatusReader
  const { ledger } = world
  for (let i = 0; i < 3; i++) {
    pass(life, hourMs, world)
    rig.settle()
  }
  ledger.checkEnd()
  askAll(life, world, true)
  const here = [...ledger.mail.values()].filter((mail) => mail.here)
  assert.equal(reader.messages, here.length)
  for (const { id, tenant, people } of here)
    for (const { address } of people) assert.ok(reader.lists(tenant, address, id), `message ${id} is not in the list`)
  const { reclaimed, carried } = rig.spool.reclaim.figures
  world.figures.reclaimed += reclaimed
  world.figures.carried += carried
}
