/**
 * One seed, one life of a spool: clients submit, the log thread works, outcomes come in, the queue is written down, segments are used again, stragglers
 * carried; the power fails at a random moment; then the survivor starts on what the disk kept, several times over. The ledger says what must be true:
 *
 *   acknowledged ⊆ pending-or-settled, bytes equal; settled-and-synced is never pending again; nothing is pending twice
 *   and where nothing was reclaimed: checkpoint and tails = the logs read from their beginning
 *
 * A mutant takes one safeguard away and must make some seed fail.
 */
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { isFailure } from '../../src/ports/submissions.ts'
import {
  batchHeaderBytes,
  blockBytes,
  recordHeaderBytes,
  recordTypes,
  sealRecord,
  writeBatchHeader,
  writeRecordHeader,
  zlibChecksum,
} from '../../src/spool/layout.ts'
import { submissionBytes, writeSubmission } from '../../src/spool/records.ts'
import { QueueTable, scanSpool } from '../../src/spool/scan.ts'
import { dumpSpool, fsckSpool, type SpoolPins, type StoredOutcome } from '../../src/spool/spool.ts'
import { type DiskFaults, SimulatedDisk } from '../support/simulated-disk.ts'
import { headFor, openRig, pendingOf, smallSpool, type SpoolRig } from '../support/spool-rig.ts'

export type Mutant = 'none' | (typeof mutants)[number]
export const mutants = [
  'no fdatasync',
  'no directory sync',
  'reply before write',
  'crc off',
  'no salt',
  'checkpoint without sync',
  'reclaim before the checkpoint',
  'reclaim under a slot',
  'checkpoint before its outcomes',
] as const

interface Sent {
  readonly sha256: string
  acknowledged: boolean
  /** The outcome was appended; it may be forgotten by the crash. */
  settled: boolean
  /** The outcome was on disk before the crash. */
  settledForGood: boolean
}

interface World {
  readonly random: Random
  readonly mutant: Mutant
  readonly sent: Map<string, Sent>
  /** Public ids by number. */
  readonly ids: Map<number, string>
  /** In half of the worlds nothing is ever reclaimed, so that the queue can be compared with one made of all logs. */
  readonly keepsAll: boolean
  reclaimed: number
  carried: number
}

export interface Survived {
  readonly crashes: number
  readonly acknowledged: number
  readonly reclaimed: number
  readonly carried: number
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Throws an error that names what was lost or invented. */
export async function runPowerCuts(seed: number, mutant: Mutant = 'none'): Promise<Survived> {
  const random = seededRandom(seed)
  const keepsAll = random.fraction() < 0.4
  const world: World = { random, mutant, sent: new Map(), ids: new Map(), keepsAll, reclaimed: 0, carried: 0 }
  const lives = 2 + (random.uint32() % 4)
  let disk = new SimulatedDisk(faultsOf(mutant))
  for (let life = 0; life < lives; life++) {
    const rig = startLife(disk, seed * 100 + life, world)
    checkRecovered(rig, world)
    await live(rig, world)
    dieInsideACall(rig, disk, world)
    const { reclaimed, carried } = rig.spool.reclaim.figures
    world.reclaimed += reclaimed
    world.carried += carried
    disk = afterCrash(disk, world)
  }
  checkRecovered(startLife(disk, seed * 100 + 99, world), world)
  const acknowledged = [...world.sent.values()].filter((message) => message.acknowledged).length
  return { crashes: lives, acknowledged, reclaimed: world.reclaimed, carried: world.carried }
}

const faultsOf = (mutant: Mutant): DiskFaults => ({
  ignoreDataSync: mutant === 'checkpoint without sync' ? '.ckpt' : mutant === 'no fdatasync',
  ignoreDirectorySync: mutant === 'no directory sync',
})

/** Most of the time the machine loses power, otherwise only the process dies. */
function afterCrash(disk: SimulatedDisk, { random, mutant }: World): SimulatedDisk {
  const after = random.fraction() < 0.75 ? disk.crash(random) : disk
  return after.withFaults(faultsOf(mutant))
}

function startLife(disk: SimulatedDisk, seed: number, world: World): SpoolRig {
  const random = seededRandom(seed)
  const { mutant } = world
  if (world.keepsAll) compareWithRebuild(disk, mutant)
  const rig = openRig({
    disk,
    clock: new VirtualClock(1_700_000_000_000 + seed),
    random,
    config: { ...smallSpool, segmentBytes: 64 * 1024, windowBytes: 64 * 1024, checkpointAfterBytes: 48 * 1024 },
    onPins: (pins) => meddle(pins, world),
    ...(mutant === 'crc off' && { checksum: () => 0 }),
    ...(mutant === 'no salt' && { salts: { ...random, uint32: () => 0 } }),
  })
  if (mutant === 'checkpoint before its outcomes') rig.spool.reclaim.outcomesSettled = () => true
  rig.settle()
  if (!rig.spool.settled()) throw new Error('recovery does not come to rest')
  return rig
}

function meddle(pins: SpoolPins, { keepsAll, mutant }: World): void {
  for (const log of pins.logs.values()) {
    const reclaim = log.reclaim.bind(log)
    if (keepsAll) log.reclaim = () => 0
    else if (mutant === 'reclaim before the checkpoint') log.reclaim = () => reclaim(log.channel.committedTo)
    if (mutant === 'reclaim under a slot') log.add = () => {}
  }
}

/** The same recipients, with the same attempts behind and the same time before them. */
function compareWithRebuild(disk: SimulatedDisk, mutant: Mutant): void {
  if (disk.list('spool').length === 0) return
  const checksum = mutant === 'crc off' ? () => 0 : zlibChecksum
  const tables = [false, true].map((everything) => {
    const table = new QueueTable()
    scanSpool({ disk, checksum, sink: table, everything })
    return JSON.stringify(
      [...table.rows.values()]
        .flat()
        .map(({ number, recipient, attempts, nextAttemptAtMs, mayBeDuplicate, acceptedAtMs, bytes }) => [
          number,
          recipient,
          attempts,
          nextAttemptAtMs,
          mayBeDuplicate,
          acceptedAtMs,
          bytes,
        ])
        .sort((a, b) => Number(a[0]) - Number(b[0]) || Number(a[1]) - Number(b[1])),
    )
  })
  if (tables[0] !== tables[1]) throw new Error(`the checkpoint says\n${tables[0]}\nand all logs say\n${tables[1]}`)
}

function checkRecovered(rig: SpoolRig, { sent, ids }: World): void {
  const places = rig.queue.rows.map(({ number, recipient }) => `${number} ${recipient}`)
  if (new Set(places).size !== places.length) throw new Error('a recipient is pending twice')
  const pending = new Set<string>()
  for (const { number, id } of pendingOf(rig)) {
    if (id === undefined) throw new Error(`the record of pending message ${number} is gone`)
    pending.add(id)
    ids.set(number, id)
  }
  const contents = new Map<string, string>()
  dumpSpool(rig.disk, ({ submission, content }) =>
    contents.set(submission.id, content === null ? 'gone' : sha256(content)),
  )
  for (const [id, message] of sent) {
    const stored = contents.get(id)
    if (message.acknowledged && !message.settled) {
      if (stored === undefined) throw new Error(`acknowledged message ${id} is lost`)
      if (!pending.has(id)) throw new Error(`acknowledged message ${id} is forgotten`)
    }
    if (stored !== undefined && stored !== message.sha256) throw new Error(`message ${id} came back altered`)
    if (message.settledForGood && pending.has(id)) throw new Error(`settled message ${id} is pending again`)
    // The crash has forgotten the outcome, or it has not: from now on that stands.
    message.settledForGood = message.settled &&= !pending.has(id)
  }
  for (const id of contents.keys()) if (!sent.has(id)) throw new Error(`message ${id} was never sent`)
  const report = fsckSpool(rig.disk)
  if (!report.clean)
    throw new Error(`fsck: ${JSON.stringify(report.logs.map(({ damage, brokenFiles }) => ({ damage, brokenFiles })))}`)
}

const outcomeFor = (recipient: number, attempt: number, final: boolean): StoredOutcome => ({
  log: 0,
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
        ? { kind: 'delivered', scope: 'recipient', stage: 'final', code: 250, enhanced: '2.0.0', text: 'ok' }
        : { kind: 'deferred', scope: 'recipient', stage: 'rcpt', code: 450, enhanced: '4.2.0', text: 'later' },
      nextAttemptAtMs: final ? 0 : 1_000 * attempt,
      mayBeDuplicate: false,
    },
  ],
})

/** The power fails between a write and its sync, or between any other two calls: the flusher sees an error and nothing after it happens. */
function dieInsideACall(rig: SpoolRig, disk: SimulatedDisk, world: World): void {
  const { random } = world
  let callsLeft = random.uint32() % 6
  disk.withFaults({
    ...faultsOf(world.mutant),
    before: () => {
      if (callsLeft-- <= 0) throw new Error('power')
    },
  })
  for (let i = 0; i < 10; i++) {
    submitRandom(rig, world)
    rig.clock.advance(random.uint32() % 4)
    if (random.fraction() < 0.5) rig.pump()
  }
}

/** A random life, cut off at a random point: flush steps, submissions in pieces, aborts, outcomes, checkpoints, in any order. */
async function live(rig: SpoolRig, world: World): Promise<void> {
  const { random } = world
  const steps = 20 + (random.uint32() % 250)
  for (let step = 0; step < steps; step++) {
    const dice = random.fraction()
    if (dice < 0.3) submitRandom(rig, world)
    else if (dice < 0.55) rig.flushers[random.uint32() % rig.flushers.length]?.step()
    else if (dice < 0.65) rig.checkpoints.step()
    else if (dice < 0.75) rig.spool.poll()
    else if (dice < 0.8) {
      rig.spool.reclaim.tick()
      // The carrier reads records, and that takes a turn.
      await turn()
    } else deliver(rig, world)
    for (const { number, submission } of rig.seen.splice(0)) world.ids.set(number, submission.id)
    rig.clock.advance(random.uint32() % 4)
  }
}

/** An attempt for somebody in the queue comes to its end. */
function deliver(rig: SpoolRig, { random, sent, ids }: World): void {
  const { rows } = rig.queue
  // Mostly the oldest, and one in ten is left for later: so segments empty out, and stragglers remain.
  const row = rows[random.fraction() < 0.8 ? Math.floor(rows.length / 10) : random.uint32() % Math.max(1, rows.length)]
  if (row === undefined || !rig.spool.outcomes.hasRoom) return
  const final = random.fraction() < 0.8
  rig.spool.outcomes.append(row.number, outcomeFor(row.recipient, row.attempts + 1, final))
  row.attempts += 1
  row.nextAttemptAtMs = 1_000 * row.attempts
  if (final) {
    rig.queue.settle(row.number, row.recipient)
    const message = sent.get(ids.get(row.number) ?? '')
    if (message !== undefined) message.settled = true
  }
  if (random.fraction() < 0.5) return
  rig.spool.outcomes.flush()
  while (rig.flushers[0]?.step() === true);
  if (rig.spool.outcomes.onDisk) for (const earlier of sent.values()) if (earlier.settled) earlier.settledForGood = true
}

function submitRandom(rig: SpoolRig, { random, sent, mutant }: World): void {
  const transaction = rig.submissions.begin(0, 'acme')
  if (isFailure(transaction)) return
  const content = random.fraction() < 0.3 ? forgedBatches(rig, random) : randomContent(random)
  transaction.append(content, 0, content.length)
  if (random.fraction() < 0.1) return transaction.abort()
  const message: Sent = {
    sha256: sha256(content),
    acknowledged: mutant === 'reply before write',
    settled: false,
    settledForGood: false,
  }
  sent.set(transaction.id, message)
  transaction.commit(headFor(['ann@example.net']), (failure) => {
    message.acknowledged = failure === null
  })
}

function randomContent(random: Random): Buffer {
  const content = Buffer.alloc(1 + (random.uint32() % (random.fraction() < 0.1 ? 20_000 : 3_000)))
  random.fill(content)
  return content
}

/**
 * A hostile mail: whole batches, as an outsider who has read our source would write them, at every place where a block of the file may begin. They
 * claim that everything was committed and carry a submission that nobody sent. Only the salt is unknown to the outsider.
 */
function forgedBatches(rig: SpoolRig, random: Random): Buffer {
  const head = headFor(['ann@example.net'])
  const forged = headFor(['victim@example.net'], { returnPath: 'forged@evil.example' })
  const payloadBytes = submissionBytes(forged, 0, 0)
  const batch = Buffer.alloc(blockBytes)
  const at = batchHeaderBytes
  writeRecordHeader(batch, at, recordTypes.submission, 1_000_000, payloadBytes)
  const facts = {
    id: '018bcfe5-0000-7000-8000-000000000000',
    acceptedAtMs: 1,
    contentBytes: 0,
    chunks: [],
    inlineBytes: 0,
  }
  writeSubmission(batch, at + recordHeaderBytes, forged, facts)
  sealRecord(batch, at, payloadBytes, 0, zlibChecksum)
  const channel = rig.spool.channels.find(({ name }) => name === 'intake-0') as (typeof rig.spool.channels)[number]
  const position = channel.closedTo
  writeBatchHeader(
    batch,
    0,
    {
      segment: Math.floor(position / channel.segmentBytes),
      batch: 1_000_000,
      committedThrough: position + channel.segmentBytes,
      payloadBytes: recordHeaderBytes + payloadBytes,
      records: 1,
      recordsCrc: zlibChecksum(batch.subarray(at, at + recordHeaderBytes), 0),
      spanBytes: blockBytes,
    },
    0,
    zlibChecksum,
  )
  // Where the content begins when this is the first record of a batch: from there to the next block.
  const before = batchHeaderBytes + recordHeaderBytes + submissionBytes(head, 0, 0)
  const blocks = 1 + (random.uint32() % 3)
  return Buffer.concat([
    Buffer.alloc(blockBytes - (before % blockBytes), 0x20),
    ...Array.from({ length: blocks }, () => batch),
  ])
}
