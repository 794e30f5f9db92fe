/** What the files say at the start: both logs read whole, folded together, damage set aside. */
import type { Disk } from '../ports/disk.ts'
import { intakeLog, outcomeLog, quarantineDirectory, spoolRoot } from './files.ts'
import { type Checksum, recordTypes } from './layout.ts'
import { isStop } from './outcome-log.ts'
import { OutcomeFold, type PendingRecipient } from './pending.ts'
import type { SegmentPlace } from './reader.ts'
import { readOutcome, readSubmission, type StoredSubmission } from './records.ts'
import { type LogRecovery, quarantineDamage, scanLog } from './recovery.ts'

/** A submission with recipients that still wait, as recovery found it. */
export interface PendingSubmission {
  readonly sequence: number
  readonly position: number
  readonly submission: StoredSubmission
  readonly recipients: readonly PendingRecipient[]
}

export interface RecoveryReport {
  readonly submissions: number
  readonly pendingSubmissions: number
  readonly pendingRecipients: number
  readonly rewritten: number
  readonly tornBytes: number
  readonly damagedBytes: number
  /** Ids of submissions whose content is gone; they stay listed and are never sent. */
  readonly damagedSubmissions: readonly string[]
  readonly quarantined: readonly string[]
  /** The last process ended with nothing under way: what is pending was not on its way to anybody. */
  readonly stoppedInOrder: boolean
}

export interface ScannedSpool {
  readonly intake: LogRecovery
  readonly outcomes: LogRecovery
  /** By sequence. */
  readonly pending: Map<number, PendingSubmission>
  /** Where the segments of earlier runs are. */
  readonly places: Map<number, SegmentPlace>
  readonly report: RecoveryReport
}

/** Reads, and changes nothing on disk but what quarantine needs. */
export function scanSpool(disk: Disk, checksum: Checksum): ScannedSpool {
  const outcomes = scanOutcomes(disk, checksum)
  const intake = scanIntake(disk, checksum, outcomes.fold)
  const logs = [
    [intakeLog, intake.recovery],
    [outcomeLog, outcomes.recovery],
  ] as const
  const quarantine = `${spoolRoot}/${quarantineDirectory}`
  const quarantined = logs.flatMap(([log, recovery]) =>
    quarantineDamage(disk, `${spoolRoot}/${log}`, quarantine, recovery),
  )
  const places = new Map<number, SegmentPlace>()
  for (const { header, fileOrdinal } of intake.recovery.files.segments)
    places.set(header.segment, { fileOrdinal, salt: header.salt })
  for (const [, recovery] of logs) for (const { file } of recovery.files.segments) file.close()
  const sum = (of: (recovery: LogRecovery) => number): number => of(intake.recovery) + of(outcomes.recovery)
  const pending = [...intake.pending.values()]
  return {
    intake: intake.recovery,
    outcomes: outcomes.recovery,
    pending: intake.pending,
    places,
    report: {
      submissions: intake.submissions,
      pendingSubmissions: pending.length,
      pendingRecipients: pending.reduce((total, { recipients }) => total + recipients.length, 0),
      rewritten: sum(({ unproven }) => unproven.length),
      tornBytes: sum(({ tornBytes }) => tornBytes),
      damagedBytes: sum(({ damage }) => damage.reduce((total, { bytes }) => total + bytes, 0)),
      damagedSubmissions: intake.damagedSubmissions,
      quarantined,
      stoppedInOrder: outcomes.stoppedInOrder,
    },
  }
}

interface ScannedOutcomes {
  readonly recovery: LogRecovery
  readonly fold: OutcomeFold
  readonly stoppedInOrder: boolean
}

function scanOutcomes(disk: Disk, checksum: Checksum): ScannedOutcomes {
  const fold = new OutcomeFold()
  let stoppedInOrder = false
  const recovery = scanLog(
    disk,
    `${spoolRoot}/${outcomeLog}`,
    (record) => {
      if (record.type === recordTypes.outcome) fold.add(record.sequence, readOutcome(record.payload, 0))
      if (record.type === recordTypes.run) stoppedInOrder = isStop(record.payload)
    },
    checksum,
  )
  return { recovery, fold, stoppedInOrder }
}

function scanIntake(disk: Disk, checksum: Checksum, outcomes: OutcomeFold) {
  const pending = new Map<number, PendingSubmission>()
  const chunks = new Set<number>()
  const damagedSubmissions: string[] = []
  let submissions = 0
  const recovery = scanLog(
    disk,
    `${spoolRoot}/${intakeLog}`,
    (record) => {
      if (record.type === recordTypes.chunk) chunks.add(record.position)
      if (record.type !== recordTypes.submission) return
      submissions += 1
      const submission = readSubmission(record.payload, 0)
      const recipients = outcomes.pending(record.sequence, submission.recipients.length)
      if (recipients.length === 0) return
      if (submission.chunks.every((chunk) => chunks.has(chunk.position))) {
        pending.set(record.sequence, { sequence: record.sequence, position: record.position, submission, recipients })
      } else damagedSubmissions.push(submission.id)
    },
    checksum,
  )
  return { recovery, pending, damagedSubmissions, submissions }
}
