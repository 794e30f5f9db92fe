/** A spool with its flusher on a simulated disk, driven by hand. */
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { type Clock, VirtualClock } from '../../src/kernel/clock.ts'
import type { SpoolConfig } from '../../src/config/compiled.ts'
import type { Failure } from '../../src/model/failures.ts'
import type { QueueRow } from '../../src/model/queue.ts'
import { noFacts, type SubmissionHead } from '../../src/model/submission.ts'
import type { Disk } from '../../src/ports/disk.ts'
import type { QueueSink, QueueSource } from '../../src/ports/queue.ts'
import { isFailure } from '../../src/ports/submissions.ts'
import {
  type Arrival,
  Channel,
  CheckpointFiles,
  type Checksum,
  dumpSpool,
  Flusher,
  type LogThreadMemory,
  makeSpoolDirectories,
  makeSpoolMemory,
  openIntakeLog,
  openSpool,
  type Spool,
  SpoolPins,
  spoolRoot,
  type StoredOutcome,
  type SubmissionLog,
} from '../../src/spool/spool.ts'
import { QueueRig } from './queue-rig.ts'
import { SimulatedDisk } from './simulated-disk.ts'

export const smallSpool: SpoolConfig = {
  segmentBytes: 128 * 1024,
  windowBytes: 64 * 1024,
  reserveBytes: 0,
  commitDelayMs: 2,
  commitBytesMax: 16 * 1024,
  tenantShare: 0.25,
  checkpointAfterBytes: 2 ** 40,
}

export interface SpoolRig {
  readonly spool: Spool
  readonly memory: LogThreadMemory
  readonly disk: Disk
  readonly clock: VirtualClock
  readonly queue: QueueRig
  /** Of log 0. */
  readonly submissions: SubmissionLog
  /** Whoever fills each log; with several logs, from when the spool has settled. */
  readonly owners: readonly SubmissionLog[]
  /** The owner of a log dies where it stands, and another one goes on. */
  replaceOwner(log: number): void
  readonly flushers: readonly Flusher[]
  readonly checkpoints: CheckpointFiles
  /** What came in during this life. */
  readonly seen: Arrival[]
  readonly errors: unknown[]
  /** Lets the log thread do one step of each log, then tells the owner. */
  pump(): boolean
  /** Until nothing is left to do. */
  settle(): void
}

export function openRig(
  options: {
    disk?: Disk
    random?: Random
    clock?: VirtualClock
    config?: SpoolConfig
    checksum?: Checksum
    salts?: Random
    /** More than one: each is filled by an owner of its own, as by an intake thread. */
    intakeLogs?: number
    /** False: the only log, too, is filled by an owner of its own. */
    intakeHere?: boolean
    stageBytesMax?: number
    onArrival?: (arrival: Arrival) => void
    onPins?: (pins: SpoolPins) => void
    /** A reader of events reads along: `memory` is for it. */
    followed?: boolean
    /** In the place of `rig.queue`, which then stays empty. */
    makeQueue?: (pins: SpoolPins) => QueueSource & QueueSink
  } = {},
): SpoolRig {
  const disk = options.disk ?? new SimulatedDisk()
  const clock = options.clock ?? new VirtualClock()
  const random = options.random ?? seededRandom(1)
  const config = options.config ?? smallSpool
  const intakeLogs = options.intakeLogs ?? 1
  const intakeHere = intakeLogs === 1 && (options.intakeHere ?? true)
  makeSpoolDirectories(disk, intakeLogs)
  const memory = makeSpoolMemory(disk, config, intakeLogs, options.followed)
  const pins = new SpoolPins(memory.channels)
  options.onPins?.(pins)
  const queue = new QueueRig(pins)
  const otherQueue = options.makeQueue?.(pins)
  const seen: SpoolRig['seen'] = []
  const spool = openSpool({
    disk,
    config,
    memory,
    clock,
    random,
    pins,
    queue: otherQueue ?? queue,
    intakeHere,
    onArrival: (arrival) => {
      seen.push(arrival)
      if (otherQueue === undefined) queue.arrive(arrival)
      options.onArrival?.(arrival)
    },
    ...(options.checksum && { checksum: options.checksum }),
    ...(options.salts && { salts: options.salts }),
    ...(options.stageBytesMax && { stageBytesMax: options.stageBytesMax }),
  })
  const errors: unknown[] = []
  const flushers = memory.channels.map(
    (channel) =>
      new Flusher({
        disk,
        channel: new Channel(channel),
        directory: `${spoolRoot}/${channel.name}`,
        reserveBytes: config.reserveBytes,
        onError: (error) => errors.push(error),
      }),
  )
  const checkpoints = new CheckpointFiles({ disk, memory: memory.checkpoint, onDone: () => {} })
  const owners: SubmissionLog[] = spool.submissions === null ? [] : [spool.submissions]
  const lives: { ended: boolean }[] = []
  const replaceOwner = (log: number): void => {
    const before = lives[log]
    if (before !== undefined) before.ended = true
    const life = (lives[log] = { ended: false })
    const { salts, checksum, stageBytesMax } = options
    const asked = { ...(salts && { salts }), ...(checksum && { checksum }), ...(stageBytesMax && { stageBytesMax }) }
    owners[log] = openIntakeLog({ memory, log, config, clock: mortal(clock, life), random, ...asked })
  }
  const pump = (): boolean => {
    let worked = false
    for (const flusher of flushers) worked = flusher.step() || worked
    worked = checkpoints.step() || worked
    spool.poll()
    if (!intakeHere) for (const owner of owners) owner.poll()
    return worked
  }
  const settle = (): void => {
    for (let i = 0; i < 100_000; i++) {
      const worked = pump()
      clock.advance(20)
      spool.outcomes.flush()
      if (worked || pump()) continue
      if (spool.settled() && owners.length === 0) for (let log = 0; log < intakeLogs; log++) replaceOwner(log)
      return
    }
    throw new Error('the spool does not come to rest')
  }
  return {
    spool,
    memory,
    get submissions() {
      return owners[0] as SubmissionLog
    },
    owners,
    replaceOwner,
    disk,
    clock,
    queue,
    flushers,
    checkpoints,
    seen,
    errors,
    pump,
    settle,
  }
}

/** The clock of somebody who may die: what was to happen later does not. */
const mortal = (clock: Clock, life: { readonly ended: boolean }): Clock => ({
  nowMs: () => clock.nowMs(),
  monotonicMs: () => clock.monotonicMs(),
  after: (delayMs, fire) => clock.after(delayMs, () => life.ended || fire()),
})

export function headFor(recipients: readonly string[], overrides: Partial<SubmissionHead> = {}): SubmissionHead {
  return {
    tenant: 'acme',
    returnPath: 'sender@acme.example',
    recipients,
    mailClass: 'transactional',
    expiresAtMs: 0,
    cuts: [],
    facts: noFacts,
    addedHeaders: 'Received: from x by y; now\r\n',
    fromDomain: 'acme.example',
    client: '127.0.0.1',
    eightBit: false,
    smtpUtf8: false,
    dotLines: false,
    ...overrides,
  }
}

/** Submits `content` in pieces of `piece` bytes. Returns the id, or the failure that met it at the door. */
export function submit(
  rig: SpoolRig,
  content: Buffer,
  settled: (failure: Failure | null, id: string) => void,
  options: { recipients?: readonly string[]; piece?: number } = {},
): string | Failure {
  const transaction = rig.submissions.begin(content.length, 'acme')
  if (isFailure(transaction)) return transaction
  const piece = options.piece ?? content.length
  for (let at = 0; at < content.length; at += piece) {
    transaction.append(content, at, Math.min(content.length, at + piece))
  }
  transaction.commit(headFor(options.recipients ?? ['ann@example.net']), (failure) => settled(failure, transaction.id))
  return transaction.id
}

/** What the queue holds, with the ids of the submissions. */
export function pendingOf(rig: SpoolRig): { number: number; id: string | undefined; rows: QueueRow[] }[] {
  const ids = new Map<number, string>()
  dumpSpool(rig.disk, ({ number, submission }) => ids.set(number, submission.id))
  return rig.queue.numbers.map((number) => ({
    number,
    id: ids.get(number),
    rows: rig.queue.rows.filter((row) => row.number === number),
  }))
}

/** The first recipient has it, at the first attempt. */
const deliveredAtOnce: StoredOutcome = {
  log: 0,
  place: 0,
  atMs: 1,
  attempt: {
    startedAtMs: 1,
    host: 'mx.example.net',
    address: '192.0.2.1',
    source: '',
    tls: '',
    reusedConnection: false,
    connectedMs: 1,
    envelopeMs: 2,
    finishedMs: 3,
  },
  recipients: [
    {
      recipient: 0,
      attempt: 1,
      outcome: { kind: 'delivered', scope: 'recipient', stage: 'final', code: 250, enhanced: '2.0.0', text: 'ok' },
      nextAttemptAtMs: 0,
      mayBeDuplicate: false,
    },
  ],
}

/** The queue forgets it, and the log knows why. */
export function deliverOne(rig: SpoolRig, number: number): void {
  const place = rig.queue.rows.find((row) => row.number === number)?.place ?? 0
  rig.spool.outcomes.append(number, { ...deliveredAtOnce, place })
  rig.queue.settle(number, 0)
}
