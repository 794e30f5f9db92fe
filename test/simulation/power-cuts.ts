/**
 * One seed, one life of a spool: clients submit, the log thread works, outcomes come in, the power fails at a random moment; then the survivor
 * starts on what the disk kept, several times over. The ledger says what must be true:
 *
 *   acknowledged ⊆ recovered-or-settled, bytes equal; settled-and-synced is never pending again; nothing is pending twice
 *
 * A mutant takes one safeguard away and must make some seed fail.
 */
import { createHash } from 'node:crypto'
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
import { dumpSpool, fsckSpool, type StoredOutcome } from '../../src/spool/spool.ts'
import { type DiskFaults, SimulatedDisk } from '../support/simulated-disk.ts'
import { headFor, openRig, smallSpool, type SpoolRig } from '../support/spool-rig.ts'

export type Mutant = 'none' | 'no fdatasync' | 'no directory sync' | 'reply before write' | 'crc off' | 'no salt'
export const mutants: readonly Mutant[] = [
  'no fdatasync',
  'no directory sync',
  'reply before write',
  'crc off',
  'no salt',
]

interface Sent {
  readonly sha256: string
  acknowledged: boolean
  /** The outcome was appended; it may be forgotten by the crash. */
  settled: boolean
  /** The outcome was on disk before the crash. */
  settledForGood: boolean
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Throws an error that names what was lost or invented. */
export function runPowerCuts(seed: number, mutant: Mutant = 'none'): { crashes: number; acknowledged: number } {
  const random = seededRandom(seed)
  const sent = new Map<string, Sent>()
  const lives = 2 + (random.uint32() % 3)
  let disk = new SimulatedDisk(faultsOf(mutant))
  let acknowledged = 0
  for (let life = 0; life < lives; life++) {
    const rig = startLife(disk, seed * 100 + life, mutant)
    checkRecovered(rig, sent)
    live(rig, random, sent, mutant)
    dieInsideACall(rig, disk, random, sent, mutant)
    acknowledged = [...sent.values()].filter((message) => message.acknowledged).length
    disk = afterCrash(disk, random, mutant)
    for (const message of sent.values()) if (!message.settledForGood) message.settled = false
  }
  checkRecovered(startLife(disk, seed * 100 + 99, mutant), sent)
  return { crashes: lives, acknowledged }
}

const faultsOf = (mutant: Mutant): DiskFaults => ({
  ignoreDataSync: mutant === 'no fdatasync',
  ignoreDirectorySync: mutant === 'no directory sync',
})

/** Half the time the machine loses power, otherwise only the process dies. */
function afterCrash(disk: SimulatedDisk, random: Random, mutant: Mutant): SimulatedDisk {
  const after = random.fraction() < 0.75 ? disk.crash(random) : disk
  return after.withFaults(faultsOf(mutant))
}

function startLife(disk: SimulatedDisk, seed: number, mutant: Mutant): SpoolRig {
  const random = seededRandom(seed)
  const rig = openRig({
    disk,
    clock: new VirtualClock(1_700_000_000_000 + seed),
    random,
    config: { ...smallSpool, segmentBytes: 64 * 1024, windowBytes: 64 * 1024 },
    ...(mutant === 'crc off' && { checksum: () => 0 }),
    ...(mutant === 'no salt' && { salts: { ...random, uint32: () => 0 } }),
  })
  rig.settle()
  if (!rig.spool.settled()) throw new Error('recovery does not come to rest')
  return rig
}

function checkRecovered(rig: SpoolRig, sent: Map<string, Sent>): void {
  const pendingIds = rig.spool.takePending().map(({ submission }) => submission.id)
  const pending = new Set(pendingIds)
  if (pending.size !== pendingIds.length) throw new Error('a submission is pending twice')
  const contents = new Map<string, string>()
  const settled = new Set<string>()
  dumpSpool(rig.disk, (entry) => {
    contents.set(entry.submission.id, entry.content === null ? 'gone' : sha256(entry.content))
    if (entry.pending.length === 0) settled.add(entry.submission.id)
  })
  for (const [id, message] of sent) {
    const stored = contents.get(id)
    if (message.acknowledged && stored === undefined) throw new Error(`acknowledged message ${id} is lost`)
    if (stored !== undefined && stored !== message.sha256) throw new Error(`message ${id} came back altered`)
    if (message.acknowledged && !pending.has(id) && !settled.has(id))
      throw new Error(`acknowledged message ${id} is forgotten`)
    if (message.settledForGood && pending.has(id)) throw new Error(`settled message ${id} is pending again`)
  }
  for (const id of contents.keys()) if (!sent.has(id)) throw new Error(`message ${id} was never sent`)
  const report = fsckSpool(rig.disk)
  if (!report.clean)
    throw new Error(`fsck: ${JSON.stringify(report.logs.map(({ damage, brokenFiles }) => ({ damage, brokenFiles })))}`)
}

const delivered = (recipient: number): StoredOutcome => ({
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
      attempt: 1,
      outcome: { kind: 'delivered', scope: 'recipient', stage: 'final', code: 250, enhanced: '2.0.0', text: 'ok' },
      nextAttemptAtMs: 0,
      mayBeDuplicate: false,
    },
  ],
})

/** The power fails between a write and its sync, or between any other two calls: the flusher sees an error and nothing after it happens. */
function dieInsideACall(
  rig: SpoolRig,
  disk: SimulatedDisk,
  random: Random,
  sent: Map<string, Sent>,
  mutant: Mutant,
): void {
  let callsLeft = random.uint32() % 6
  disk.withFaults({
    ...faultsOf(mutant),
    before: () => {
      if (callsLeft-- <= 0) throw new Error('power')
    },
  })
  for (let i = 0; i < 10; i++) {
    submitRandom(rig, random, sent, mutant)
    rig.clock.advance(random.uint32() % 4)
    if (random.fraction() < 0.5) rig.pump()
  }
}

/** A random life, cut off at a random point: flush steps, submissions in pieces, aborts, outcomes, in any order. */
function live(rig: SpoolRig, random: Random, sent: Map<string, Sent>, mutant: Mutant): void {
  const steps = 20 + (random.uint32() % 150)
  let delivering = 0
  for (let step = 0; step < steps; step++) {
    const dice = random.fraction()
    if (dice < 0.4) submitRandom(rig, random, sent, mutant)
    else if (dice < 0.75) (rig.flushers[random.uint32() % 2] as { step(): boolean }).step()
    else if (dice < 0.9)
      rig.spool.poll((sequence, position, submission) => rig.seen.push({ sequence, position, submission }))
    else if (delivering < rig.seen.length) {
      const { sequence, submission } = rig.seen[delivering++] as SpoolRig['seen'][number]
      rig.spool.outcomes.append(sequence, delivered(0))
      const message = sent.get(submission.id)
      if (message !== undefined) message.settled = true
      if (random.fraction() < 0.5) {
        rig.spool.outcomes.flush()
        while ((rig.flushers[1] as { step(): boolean }).step());
        for (const earlier of sent.values()) if (earlier.settled) earlier.settledForGood = true
      }
    }
    rig.clock.advance(random.uint32() % 4)
  }
}

function submitRandom(rig: SpoolRig, random: Random, sent: Map<string, Sent>, mutant: Mutant): void {
  const transaction = rig.spool.submissions.begin(0)
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
  const channel = rig.spool.channels[0] as (typeof rig.spool.channels)[number]
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
