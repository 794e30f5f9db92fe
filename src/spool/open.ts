/** Brings the spool up: scan, set damage aside, open new segments, write again what nothing proves to be on disk. */
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'
import { MiB } from '../kernel/units.ts'
import type { SpoolConfig } from '../config/compiled.ts'
import type { Disk } from '../ports/disk.ts'
import { Channel, type ChannelMemory, makeChannelMemory } from './channel.ts'
import { intakeLog, outcomeLog, spoolRoot } from './files.ts'
import { type Checksum, zlibChecksum } from './layout.ts'
import { type LogThreadMemory, wakeLogThread } from './log-thread.ts'
import { OutcomeLog } from './outcome-log.ts'
import { RecordReader, type SegmentPlace } from './reader.ts'
import type { StoredSubmission } from './records.ts'
import type { LogRecovery } from './recovery.ts'
import { Rewrite, SubmissionTail } from './rewrite.ts'
import { type PendingSubmission, type RecoveryReport, scanSpool } from './scan.ts'
import { checkSizes, refuseOtherSegmentSize } from './sizes.ts'
import { SubmissionLog } from './submission-log.ts'
import { LogWriter } from './writer.ts'

/** Outcomes are committed this late: at 1,000 a second at most 10 are forgotten by a crash. */
const outcomeCommitDelayMs = 10

export interface SpoolOptions {
  readonly disk: Disk
  readonly config: SpoolConfig
  readonly memory: LogThreadMemory
  readonly clock: Clock
  readonly random: Random
  /** Where salts come from; the simulation takes them away. */
  readonly salts?: Random
  readonly checksum?: Checksum
}

export interface Spool {
  readonly submissions: SubmissionLog
  readonly outcomes: OutcomeLog
  /** Records of the intake log, by position. */
  readonly records: RecordReader
  readonly recovery: RecoveryReport
  readonly channels: readonly Channel[]
  /** True once the first segments exist and everything recovery wrote again is on disk: act on pending submissions only from then on. */
  settled(): boolean
  /** Calls back for every submission that becomes durable, and for those that were pending at start, once each. */
  poll(onSubmission: (sequence: number, position: number, submission: StoredSubmission) => void): void
  takePending(): readonly PendingSubmission[]
  close(): void
}

/**
 * Shared memory for the logs of one disk: made by main, handed to the log thread and to the owner.
 * @throws PosthasteError `spool_sizes` when segment and window do not fit each other
 */
export function makeSpoolMemory({ segmentBytes, windowBytes }: SpoolConfig): LogThreadMemory {
  checkSizes(segmentBytes, windowBytes)
  const outcomeBytes = Math.min(segmentBytes, 16 * MiB)
  return {
    channels: [
      makeChannelMemory(intakeLog, segmentBytes, windowBytes),
      makeChannelMemory(outcomeLog, outcomeBytes, outcomeBytes % windowBytes === 0 ? windowBytes : outcomeBytes),
    ],
    wake: new SharedArrayBuffer(8),
  }
}

/** Directories of the spool, with their names on disk. @throws PosthasteError when the place cannot be written */
export function makeSpoolDirectories(disk: Disk): void {
  try {
    for (const path of [spoolRoot, `${spoolRoot}/${intakeLog}`, `${spoolRoot}/${outcomeLog}`]) disk.makeDirectory(path)
    disk.syncDirectory('')
    disk.syncDirectory(spoolRoot)
  } catch (cause) {
    throw new PosthasteError(
      'spool_unwritable',
      `the spool cannot be created or written: ${(cause as Error).message}`,
      'give the data directory to the user that Posthaste runs as, or choose another one with `data` or --data',
      { exitCode: 73, cause },
    )
  }
}

export function openSpool(options: SpoolOptions): Spool {
  const { disk, clock, random, config } = options
  const checksum = options.checksum ?? zlibChecksum
  for (const memory of options.memory.channels) refuseOtherSegmentSize(disk, memory)
  const scanned = scanSpool(disk, checksum)
  const intakeWriter = openWriter(options, 0, scanned.intake, checksum, scanned.places)
  const outcomeWriter = openWriter(options, 1, scanned.outcomes, checksum, null)
  // The tail starts before the rewritten records, which therefore reach the scheduler like any other.
  const tail = new SubmissionTail(intakeWriter.channel, scanned.pending)
  const rewrites = [
    new Rewrite(intakeWriter, scanned.intake.unproven),
    new Rewrite(outcomeWriter, scanned.outcomes.unproven),
  ] as const
  tail.pass(rewrites[0].endsAt)
  const submissions = new SubmissionLog({
    writer: intakeWriter,
    clock,
    random,
    nextSequence: Math.max(scanned.intake.sequenceMax, scanned.outcomes.sequenceMax) + 1,
    commitDelayMs: config.commitDelayMs,
    commitBytesMax: config.commitBytesMax,
  })
  const outcomes = new OutcomeLog({ writer: outcomeWriter, clock, commitDelayMs: outcomeCommitDelayMs })
  const records = new RecordReader(disk, intakeWriter.channel, scanned.places, checksum)
  wakeLogThread(options.memory)
  return {
    submissions,
    outcomes,
    records,
    channels: [intakeWriter.channel, outcomeWriter.channel],
    recovery: scanned.report,
    settled: () => intakeWriter.channel.open && outcomeWriter.channel.open && rewrites.every((rewrite) => rewrite.done),
    poll(onSubmission) {
      tail.poll(onSubmission)
      intakeWriter.releaseTo(tail.position)
      outcomeWriter.releaseTo(outcomeWriter.channel.committedTo)
      // Only now is there room: no other wake may come, should the log thread have nothing left to do.
      if (rewrites.some((rewrite) => !rewrite.done)) {
        for (const rewrite of rewrites) rewrite.poll()
        tail.pass(rewrites[0].endsAt)
      }
      outcomes.poll()
      submissions.poll()
    },
    takePending: () => tail.takePending(),
    close: () => records.close(),
  }
}

function openWriter(
  { memory, clock, random, salts }: SpoolOptions,
  index: number,
  recovery: LogRecovery,
  checksum: Checksum,
  places: Map<number, SegmentPlace> | null,
): LogWriter {
  return new LogWriter({
    channel: new Channel(memory.channels[index] as ChannelMemory),
    wake: new Int32Array(memory.wake),
    clock,
    random: salts ?? random,
    checksum,
    nextSegment: recovery.nextSegment,
    nextFileOrdinal: recovery.nextFileOrdinal,
    nextBatch: recovery.nextBatch,
    previousEnd: recovery.provenThrough,
    onSegment: (plan) => places?.set(plan.segment, plan),
  })
}
