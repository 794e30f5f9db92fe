/** A spool with its flusher on a simulated disk, driven by hand. */
import { type Random, seededRandom } from '../../src/kernel/random.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import type { SpoolConfig } from '../../src/config/compiled.ts'
import type { Failure } from '../../src/model/failures.ts'
import type { SubmissionHead } from '../../src/model/submission.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { isFailure } from '../../src/ports/submissions.ts'
import {
  Channel,
  type Checksum,
  Flusher,
  makeSpoolDirectories,
  makeSpoolMemory,
  openSpool,
  type Spool,
  spoolRoot,
  type StoredSubmission,
} from '../../src/spool/spool.ts'
import { SimulatedDisk } from './simulated-disk.ts'

export const smallSpool: SpoolConfig = {
  segmentBytes: 128 * 1024,
  windowBytes: 64 * 1024,
  reserveBytes: 0,
  commitDelayMs: 2,
  commitBytesMax: 16 * 1024,
}

export interface SpoolRig {
  readonly spool: Spool
  readonly disk: Disk
  readonly clock: VirtualClock
  readonly flushers: readonly Flusher[]
  readonly seen: { sequence: number; position: number; submission: StoredSubmission }[]
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
  } = {},
): SpoolRig {
  const disk = options.disk ?? new SimulatedDisk()
  const clock = options.clock ?? new VirtualClock()
  const random = options.random ?? seededRandom(1)
  const config = options.config ?? smallSpool
  makeSpoolDirectories(disk)
  const memory = makeSpoolMemory(config)
  const spool = openSpool({
    disk,
    config,
    memory,
    clock,
    random,
    ...(options.checksum && { checksum: options.checksum }),
    ...(options.salts && { salts: options.salts }),
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
  const seen: SpoolRig['seen'] = []
  const poll = (): void => spool.poll((sequence, position, submission) => seen.push({ sequence, position, submission }))
  const pump = (): boolean => {
    let worked = false
    for (const flusher of flushers) worked = flusher.step() || worked
    poll()
    return worked
  }
  const settle = (): void => {
    for (let i = 0; i < 100_000; i++) {
      const worked = pump()
      clock.advance(20)
      spool.outcomes.flush()
      if (!worked && !pump()) return
    }
    throw new Error('the spool does not come to rest')
  }
  return { spool, disk, clock, flushers, seen, errors, pump, settle }
}

export function headFor(recipients: readonly string[], overrides: Partial<SubmissionHead> = {}): SubmissionHead {
  return {
    tenant: 'acme',
    returnPath: 'sender@acme.example',
    recipients,
    mailClass: 'transactional',
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
  const transaction = rig.spool.submissions.begin(content.length)
  if (isFailure(transaction)) return transaction
  const piece = options.piece ?? content.length
  for (let at = 0; at < content.length; at += piece) {
    transaction.append(content, at, Math.min(content.length, at + piece))
  }
  transaction.commit(headFor(options.recipients ?? ['ann@example.net']), (failure) => settled(failure, transaction.id))
  return transaction.id
}
