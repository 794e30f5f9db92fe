/**
 * What follows from what the scan has found: what is set aside and reported, where each log goes on, and which of its files are there. It must not outlive
 * the opening of the spool, because all that recovery read hangs on it.
 */
import type { Disk } from '../ports/disk.ts'
import type { Channel } from './channel.ts'
import { type CheckpointLog, checkpointPath } from './checkpoint.ts'
import { mailLogNumber, quarantineDirectory, spoolRoot, stragglerLogNumber } from './files.ts'
import type { LogSegments } from './pins.ts'
import { quarantineDamage } from './recovery.ts'
import type { ScannedLog, ScannedSpool } from './scan.ts'
import type { LogStart } from './writer.ts'

export interface RecoveryReport {
  /** Of the checkpoint that recovery began with; 0: there was none, and all logs were read. */
  readonly checkpoint: number
  readonly checkpointsDamaged: number
  readonly records: number
  readonly pendingRecipients: number
  /** In the queue, and the segment that holds them is not there. */
  readonly recipientsWithoutSegment: number
  readonly rewritten: number
  readonly tornBytes: number
  readonly damagedBytes: number
  /** Ids of submissions whose content is gone; they stay listed and are never sent. */
  readonly damagedSubmissions: readonly string[]
  readonly quarantined: readonly string[]
  /** The last process ended with nothing under way: what is pending was not on its way to anybody. */
  readonly stoppedInOrder: boolean
}

/** Undefined: the log of that name is new. */
function scannedLog(scanned: ScannedSpool, name: string): ScannedLog | undefined {
  const number = mailLogNumber(name)
  return number === null ? scanned.outcomes : scanned.mail.get(number)
}

/** Where its writer goes on. */
export const startOf = (log: ScannedLog | undefined): LogStart => ({
  nextSegment: log?.recovery.nextSegment ?? 1,
  nextBatch: log?.recovery.nextBatch ?? 1,
  previousEnd: log?.recovery.provenThrough ?? 0,
})

/** What is on disk of this log; files that stand ready go to the log thread at once. */
export function noteFiles(segments: LogSegments, scanned: ScannedSpool): void {
  const log = scannedLog(scanned, segments.channel.name)
  if (log === undefined) return
  const { files, nextSegment } = log.recovery
  for (const spare of files.spares) segments.channel.offerFree(spare)
  segments.found(
    files.segments.map(({ header }) => header.segment),
    nextSegment,
  )
}

/** As the next checkpoint has to know them. */
export const foundLogs = (channels: readonly Channel[], scanned: ScannedSpool): Map<string, CheckpointLog> =>
  new Map(channels.map((channel) => [channel.name, foundLog(channel, scanned)]))

/** A log that nobody writes: all of it was read, so it lies behind the queue. */
function foundLog({ name, segmentBytes }: Channel, scanned: ScannedSpool): CheckpointLog {
  const number = mailLogNumber(name)
  const { nextSegment, nextBatch } = startOf(scannedLog(scanned, name))
  const position = nextSegment * segmentBytes
  const nextSequence = number === null ? 1 : (scanned.nextSequences.get(number) ?? 1)
  return { name, position, keepFrom: position, nextSegment, nextBatch, nextSequence }
}

/**
 * What nothing proves to be on disk is written again into its log; a log of a thread that there is no more has nobody to do that. The queue is about to
 * count on it all the same.
 */
export function syncUnwritten(disk: Disk, scanned: ScannedSpool, intakeLogs: number): void {
  for (const [log, { recovery }] of scanned.mail) {
    const [first] = recovery.unproven
    if (log < intakeLogs || log === stragglerLogNumber || first === undefined) continue
    for (const { path, header } of recovery.files.segments) {
      if ((header.segment + 1) * header.segmentBytes <= first.position) continue
      const file = disk.open(path, 'write')
      file.dataSync()
      file.close()
    }
  }
}

/** What a start reads on top of its checkpoint. */
export function tailBytesOf({ outcomes, mail }: ScannedSpool): number {
  let bytes = 0
  for (const { recovery, known } of [outcomes, ...mail.values()])
    bytes += Math.max(0, recovery.provenThrough - (known?.position ?? 0))
  return bytes
}

/** Sets aside what is damaged, and says what was found. */
export function tidyUp(disk: Disk, scanned: ScannedSpool): RecoveryReport {
  const quarantine = `${spoolRoot}/${quarantineDirectory}`
  const logs = [scanned.outcomes, ...scanned.mail.values()]
  const quarantined = logs.flatMap(({ name, recovery }) =>
    quarantineDamage(disk, `${spoolRoot}/${name}`, quarantine, recovery),
  )
  // A newer one would take the place of a whole one among the two that are kept.
  for (const number of scanned.brokenCheckpoints) disk.remove(checkpointPath(number))
  const sum = (of: (log: ScannedLog) => number): number => logs.reduce((total, log) => total + of(log), 0)
  return {
    checkpoint: scanned.checkpoints[0]?.head.number ?? 0,
    checkpointsDamaged: scanned.brokenCheckpoints.length,
    records: sum(({ recovery }) => recovery.records),
    pendingRecipients: scanned.pendingRecipients,
    recipientsWithoutSegment: scanned.recipientsWithoutSegment,
    rewritten: sum(({ recovery }) => recovery.unproven.length),
    tornBytes: sum(({ recovery }) => recovery.tornBytes),
    damagedBytes: sum(({ recovery }) => recovery.damage.reduce((total, { bytes }) => total + bytes, 0)),
    damagedSubmissions: scanned.damagedSubmissions,
    quarantined,
    stoppedInOrder: scanned.stoppedInOrder,
  }
}
