/**
 * One seed, one life of a spool: clients submit, some of them slowly; the log thread works; outcomes come in; the queue is written down, segments are used
 * again, stragglers carried; intake threads die and are replaced; the power fails at a random moment; then the survivor starts on what the disk kept,
 * several times over. What must be true afterwards is in ledger.ts; a mutant (mutants.ts) takes one safeguard away and must make some seed fail.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import type { QueueRow } from '../../src/model/queue.ts'
import type { SubmissionHead } from '../../src/model/submission.ts'
import { isFailure, type Transaction } from '../../src/ports/submissions.ts'
import { intakeLogName } from '../../src/spool/files.ts'
import type { Arrival, Channel, StoredOutcome } from '../../src/spool/spool.ts'
import { domainOf } from '../../src/standards/address.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { headFor, openRig, smallSpool, type SpoolRig } from '../support/spool-rig.ts'
import { forgedBatches } from './forged-mail.ts'
import { compareWithRebuild, Ledger, type Sent, sha256 } from './ledger.ts'
import { faultsOf, meddleWithPins, meddleWithRig, type Mutant } from './mutants.ts'

/** What the seed decides for all lives. */
interface World {
  readonly random: Random
  readonly mutant: Mutant
  readonly ledger: Ledger
  /** Nothing is ever reclaimed, so that the queue can be compared with one made of all logs. */
  readonly keepsAll: boolean
  /** Content beyond this is spilled as chunks; null: nothing is. */
  readonly stageBytesMax: number | null
  /** Intake threads have a log each, and die. */
  readonly ownersApart: boolean
  readonly intakeLogsMax: number
  /** Share of the queue that is left for later: with some, segments empty out but for stragglers; with none they empty out. */
  readonly lag: number
  /** How likely a slow client, or an attempt under way, is to go on when it could. */
  readonly haste: number
  /** One client falls asleep over its content for most of a life. */
  readonly sleeper: boolean
  /** Replies are so long that outcomes find no room and have to wait. */
  readonly verbose: boolean
  /** Of this life. */
  open: Slow[]
  reclaimed: number
  carried: number
}

/** A client that takes its time. */
interface Slow {
  readonly transaction: Transaction
  readonly log: number
  readonly content: Buffer
  readonly head: SubmissionHead
  at: number
}

export interface Survived {
  readonly crashes: number
  readonly acknowledged: number
  readonly reclaimed: number
  readonly carried: number
}

const segmentBytes = 48 * 1024
const domains = ['example.net', 'example.org', 'mail.example', 'example.com', 'nowhere.example']

/** Throws an error that names what was lost or invented. */
export async function runPowerCuts(seed: number, mutant: Mutant = 'none'): Promise<Survived> {
  return await runLives(seed, makeWorld(seededRandom(seed), mutant))
}

function makeWorld(random: Random, mutant: Mutant): World {
  const is = (share: number): boolean => random.fraction() < share
  const keepsAll = is(0.3)
  const ownersApart = is(0.5)
  const world: World = {
    random,
    mutant,
    ledger: new Ledger(),
    keepsAll,
    stageBytesMax: is(0.5) ? 1_024 << (random.uint32() % 3) : null,
    ownersApart,
    intakeLogsMax: ownersApart && is(0.6) ? 2 : 1,
    lag: is(0.4) ? 0 : 0.1,
    haste: is(0.4) ? 1 : 0.2,
    sleeper: false,
    verbose: is(0.15),
    open: [],
    reclaimed: 0,
    carried: 0,
  }
  // One that is overtaken by two checkpoints is rare elsewhere.
  const sleeper = is(0.15) || mutant === 'chunks not pinned by their transaction'
  return sleeper ? { ...world, sleeper, keepsAll: false, stageBytesMax: 1_024, lag: 0, haste: 1 } : world
}

async function runLives(seed: number, world: World): Promise<Survived> {
  const lives = 2 + (world.random.uint32() % 4)
  let disk = new SimulatedDisk(faultsOf(world.mutant))
  for (let life = 0; life < lives; life++) {
    const rig = startLife(disk, seed * 100 + life, world)
    world.ledger.check(rig)
    await live(rig, world)
    await dieInsideACall(rig, disk, world)
    const { reclaimed, carried } = rig.spool.reclaim.figures
    world.reclaimed += reclaimed
    world.carried += carried
    disk = afterCrash(disk, world)
  }
  world.ledger.check(startLife(disk, seed * 100 + 99, world))
  const { reclaimed, carried } = world
  return { crashes: lives, acknowledged: world.ledger.acknowledged, reclaimed, carried }
}

/** Most of the time the machine loses power, otherwise only the process dies. */
function afterCrash(disk: SimulatedDisk, { random, mutant }: World): SimulatedDisk {
  const after = random.fraction() < 0.7 ? disk.crash(random) : disk
  return after.withFaults(faultsOf(mutant))
}

function startLife(disk: SimulatedDisk, seed: number, world: World): SpoolRig {
  const random = seededRandom(seed)
  const { mutant, keepsAll, stageBytesMax, ownersApart, intakeLogsMax } = world
  if (keepsAll) compareWithRebuild(disk, mutant === 'crc off' ? () => 0 : undefined)
  world.open = []
  const rig: SpoolRig = openRig({
    disk,
    clock: new VirtualClock(1_700_000_000_000 + seed),
    random,
    config: { ...smallSpool, segmentBytes, windowBytes: segmentBytes, checkpointAfterBytes: 24 * 1024 },
    // Intake threads come and go with the configuration.
    intakeLogs: 1 + (world.random.uint32() % intakeLogsMax),
    intakeHere: !ownersApart,
    ...(stageBytesMax !== null && { stageBytesMax }),
    onPins: (pins) => meddleWithPins(pins, mutant, keepsAll),
    onArrival: (arrival) => arrived(rig, arrival, world),
    ...(mutant === 'crc off' && { checksum: () => 0 }),
    ...(mutant === 'no salt' && { salts: { ...random, uint32: () => 0 } }),
  })
  meddleWithRig(rig, mutant)
  rig.settle()
  if (!rig.spool.settled()) throw new Error('recovery does not come to rest')
  return rig
}

/** Whoever sends to a domain that does not exist is answered at once, in the middle of whatever read the arrival. */
function arrived(rig: SpoolRig, { number, submission }: Arrival, world: World): void {
  world.ledger.ids.set(number, submission.id)
  for (const [recipient, address] of submission.recipients.entries())
    if (domainOf(address) === 'nowhere.example') conclude(rig, { number, recipient, attempts: 0 }, true, world)
}

const outcomeFor = (recipient: number, attempt: number, final: boolean, textBytes: number): StoredOutcome => ({
  log: 0,
  place: 0,
  atMs: 1,
  attempt: {
    startedAtMs: 1,
    host: 'mx',
    address: '192.0.2.1',
    source: '',
    tls: '',
    reusedConnection: false,
    connectedMs: 1,
    envelopeMs: 1,
    finishedMs: 1,
  },
  recipients: [
    {
      recipient,
      attempt,
      outcome: final
        ? {
            kind: 'delivered',
            scope: 'recipient',
            stage: 'final',
            code: 250,
            enhanced: '2.0.0',
            text: 'o'.repeat(textBytes),
          }
        : {
            kind: 'deferred',
            scope: 'recipient',
            stage: 'rcpt',
            code: 450,
            enhanced: '4.2.0',
            text: 'l'.repeat(textBytes),
          },
      nextAttemptAtMs: final ? 0 : 1_000 * attempt,
      mayBeDuplicate: false,
    },
  ],
})

/** An attempt has come to its end. */
function conclude(
  rig: SpoolRig,
  row: Pick<QueueRow, 'number' | 'recipient' | 'attempts'> & Partial<QueueRow>,
  final: boolean,
  { ledger, verbose, random }: World,
): void {
  const textBytes = verbose ? random.uint32() % 14_000 : 2
  row.attempts += 1
  rig.spool.outcomes.append(row.number, outcomeFor(row.recipient, row.attempts, final, textBytes))
  if (final) {
    rig.queue.settle(row.number, row.recipient)
    ledger.settle(row.number, row.recipient)
  } else row.nextAttemptAtMs = 1_000 * row.attempts
}

/** The power fails between a write and its sync, or between any other two calls: the flusher sees an error and nothing after it happens. */
async function dieInsideACall(rig: SpoolRig, disk: SimulatedDisk, world: World): Promise<void> {
  const { random } = world
  let callsLeft = random.uint32() % 8
  disk.withFaults({
    ...faultsOf(world.mutant),
    before: () => {
      if (callsLeft-- <= 0) throw new Error('power')
    },
  })
  if (random.fraction() < 0.3) rig.spool.reclaim.request()
  for (let i = 0; i < 10; i++) {
    submitRandom(rig, world)
    rig.clock.advance(random.uint32() % 4)
    if (random.fraction() < 0.5) rig.pump()
  }
}

/** A random life, cut off at a random point: flush steps, submissions in pieces, aborts, outcomes, checkpoints, in any order. */
async function live(rig: SpoolRig, world: World): Promise<void> {
  const { random } = world
  const steps = 20 + (random.uint32() % (world.haste < 1 || world.sleeper ? 600 : 280))
  const { reclaim } = rig.spool
  // A file that is slow for once: whoever relies on it must wait for it.
  const slow = random.uint32() % (2 * rig.flushers.length)
  const sleeper = world.sleeper && !world.ownersApart ? fallAsleep(rig, world) : null
  for (let step = 0; step < steps; step++) {
    if (sleeper !== null && step === Math.floor(steps * 0.8)) wakeUp(sleeper, world)
    const dice = random.fraction()
    const { checkpoint, carried } = reclaim.figures
    if (dice < 0.22) submitRandom(rig, world)
    else if (dice < 0.3) goOn(rig, world)
    else if (dice < 0.45) flush(rig, random.uint32() % rig.flushers.length, slow, random)
    else if (dice < 0.55) poll(rig, world)
    else if (dice < 0.65) {
      for (let i = 0; i < 6; i++) {
        for (const log of rig.flushers.keys()) flush(rig, log, slow, random)
        rig.checkpoints.step()
        poll(rig, world)
      }
    } else if (dice < 0.7) {
      reclaim.tick()
      // The carrier reads records, and that takes a turn.
      await turn()
    } else if (dice < 0.71) {
      reclaim.request()
      for (const log of rig.flushers.keys()) flush(rig, log, slow, random)
      // With mail that nobody has read yet.
      reclaim.tick()
    } else if (dice < 0.715) replaceOwner(rig, world)
    else for (let i = 0; i < 3; i++) await deliver(rig, world)
    rig.clock.advance(random.uint32() % 4)
    if (rig.spool.outcomes.onDisk) world.ledger.outcomesAreOnDisk()
    // The moment when somebody has just come to rely on what is on disk.
    const relied = reclaim.figures.checkpoint !== checkpoint || reclaim.figures.carried !== carried
    if (relied && random.fraction() < 0.15) return
  }
}

function flush(rig: SpoolRig, log: number, slow: number, random: Random): void {
  if (log !== slow || random.fraction() < 0.03) rig.flushers[log]?.step()
}

function poll(rig: SpoolRig, { ownersApart }: World): void {
  rig.spool.poll()
  if (ownersApart) for (const owner of rig.owners) owner.poll()
}

/** An intake thread dies, with whatever its clients were about to say. */
function replaceOwner(rig: SpoolRig, world: World): void {
  if (!world.ownersApart) return
  const log = world.random.uint32() % rig.owners.length
  rig.replaceOwner(log)
  world.open = world.open.filter((slow) => slow.log !== log)
}

/** An attempt for somebody in the queue begins, or comes to its end. */
async function deliver(rig: SpoolRig, world: World): Promise<void> {
  const { random, ledger, haste, lag } = world
  const { inFlight } = rig.queue
  // Whose chunks lie in other segments than their record waits for long: these segments must, too.
  const rows = rig.queue.rows.filter(({ span }) => span === 0 || random.fraction() < 0.02)
  const busy = [...inFlight.keys()]
  // Mostly the oldest.
  const any = lag > 0 && random.fraction() < 0.2
  const waiting = rows[any ? random.uint32() % Math.max(1, rows.length) : Math.floor(rows.length * lag)]
  const row = random.fraction() < 0.1 * haste ** 2 && busy.length > 0 ? busy[random.uint32() % busy.length] : waiting
  if (row === undefined || !rig.spool.outcomes.hasRoom) return
  if (inFlight.has(row) && row === waiting && random.fraction() > haste ** 2) return
  if (!inFlight.has(row) && random.fraction() < 0.1) return void inFlight.set(row, row.place)
  await ledger.readBack(rig, row.number, inFlight.get(row) ?? row.place)
  inFlight.delete(row)
  conclude(rig, row, random.fraction() < 0.85, world)
  if (random.fraction() < 0.2) rig.spool.outcomes.flush()
}

function submitRandom(rig: SpoolRig, world: World): void {
  const { random, ledger, stageBytesMax, mutant } = world
  const log = random.uint32() % rig.owners.length
  const transaction = rig.owners[log]?.begin(0, 'acme')
  if (transaction === undefined || isFailure(transaction)) return
  const head = headFor(randomRecipients(random))
  const forged = stageBytesMax === null && random.fraction() < 0.3
  const channel = rig.spool.channels.find(({ name }) => name === intakeLogName(log)) as Channel
  const content = forged ? forgedBatches(channel, head, random) : randomContent(random)
  const message: Sent = {
    sha256: sha256(content),
    recipients: head.recipients.map((address) => ({ address, settled: false, settledForGood: false })),
    acknowledged: mutant === 'reply before write',
  }
  if (random.fraction() < 0.1) {
    transaction.append(content, 0, content.length >> 1)
    return transaction.abort()
  }
  ledger.sent.set(transaction.id, message)
  const slow: Slow = { transaction, log, content, head, at: 0 }
  if (stageBytesMax !== null && random.fraction() < 0.25) return void world.open.push(slow)
  for (; slow.at < content.length; ) appendPiece(slow, 8_000)
  commit(slow, world)
}

/** Says enough for some chunks. */
function fallAsleep(rig: SpoolRig, { ledger, mutant }: World): Slow | null {
  const transaction = rig.owners[0]?.begin(0, 'acme')
  if (transaction === undefined || isFailure(transaction)) return null
  const head = headFor(['sleeper@example.net'])
  const content = Buffer.alloc(6_000, 'z')
  const acknowledged = mutant === 'reply before write'
  const recipients = head.recipients.map((address) => ({ address, settled: false, settledForGood: false }))
  ledger.sent.set(transaction.id, { sha256: sha256(content), recipients, acknowledged })
  const slow: Slow = { transaction, log: 0, content, head, at: 0 }
  appendPiece(slow, 5_000)
  return slow
}

function wakeUp(slow: Slow, world: World): void {
  appendPiece(slow, slow.content.length)
  commit(slow, world)
}

/** One of the slow ones says more, or is through. */
function goOn(rig: SpoolRig, world: World): void {
  const { open, random, haste } = world
  if (random.fraction() > haste) return
  const at = random.uint32() % Math.max(1, open.length)
  const slow = open[at]
  if (slow === undefined) return
  appendPiece(slow, 3_000)
  if (slow.at < slow.content.length) return
  open.splice(at, 1)
  commit(slow, world)
}

function appendPiece(slow: Slow, bytesMax: number): void {
  const to = Math.min(slow.content.length, slow.at + bytesMax)
  slow.transaction.append(slow.content, slow.at, to)
  slow.at = to
}

function commit({ transaction, head }: Slow, { ledger }: World): void {
  transaction.commit(head, (failure) => {
    if (failure === null) (ledger.sent.get(transaction.id) as Sent).acknowledged = true
  })
}

function randomRecipients(random: Random): string[] {
  const count = random.fraction() < 0.6 ? 1 : 1 + (random.uint32() % 5)
  return Array.from({ length: count }, (_, i) => {
    const domain = domains[random.fraction() < 0.12 ? domains.length - 1 : random.uint32() % (domains.length - 1)]
    return `r${i}@${domain}`
  })
}

function randomContent(random: Random): Buffer {
  const content = Buffer.alloc(1 + (random.uint32() % (random.fraction() < 0.1 ? 11_000 : 3_000)))
  random.fill(content)
  return content
}
