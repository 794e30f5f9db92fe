/**
 * From what is on disk to what is true. This recovery reads every log whole; checkpoints will shorten the way, not the rules.
 *
 * Legal states of a log after a crash, and what recovery makes of them. Anything else is damage.
 *
 *   on disk                                                     what it means                             what is done
 *   ----------------------------------------------------------  ----------------------------------------  -----------------------------------------
 *   no file, or directory missing                               first start                               start at segment 1
 *   file shorter than a segment or blank, without header        died while making a spare file            removed
 *   header, no batch                                            died before the first commit in it        segment is skipped
 *   whole batches, then blank                                   died between commits                      all of it is read
 *   whole batches, then anything else, unproven                 died during a commit (torn tail)          cut there; bytes counted
 *   whole batch, unproven                                       written, perhaps not synced               read, and written again into a new segment
 *   chunks without a submission record                          died or gave up before the commit         ignored, counted as orphans
 *   same submission in two segments                             was written again by an earlier recovery  the later copy counts
 *
 *   a gap that a later batch or segment proves committed        damage                                    copied to quarantine, counted, alarm
 *   a submission whose chunk is gone                            damage                                    listed as damaged, never sent
 *   a header that is neither whole nor blank                    damage                                    file moved to quarantine, alarm
 *   a segment of a newer format                                 a newer program wrote it                  start is refused, nothing is touched
 *
 * "Proven" is any position before the `committedThrough` of a whole batch or the `previousEnd` of a segment header. Nothing is ever appended to
 * an old segment: an earlier failed sync may have left pages that read well and are not on disk.
 */
import { PosthasteError } from '../kernel/errors.ts'
import type { Disk } from '../ports/disk.ts'
import { segmentFileName } from './files.ts'
import {
  type Checksum,
  formatVersion,
  recordHeaderBytes,
  recordPayloadBytes,
  recordSequence,
  type RecordType,
  recordType,
  zlibChecksum,
} from './layout.ts'
import {
  type DamagedStretch,
  eachRecord,
  type LogFiles,
  openLogFiles,
  type SegmentFile,
  walkSegment,
} from './segments.ts'

/** One record as recovery saw it. `payload` is valid only during the call. */
export interface RecoveredRecord {
  readonly type: RecordType
  readonly sequence: number
  readonly position: number
  readonly payload: Buffer
}

export interface LogRecovery {
  readonly files: LogFiles
  readonly nextSegment: number
  readonly nextFileOrdinal: number
  readonly nextBatch: number
  readonly provenThrough: number
  /** Highest sequence seen in any record. */
  readonly sequenceMax: number
  readonly records: number
  /** To be written again before anything else. Copies. */
  readonly unproven: readonly RecoveredRecord[]
  readonly tornBytes: number
  readonly damage: readonly (DamagedStretch & { readonly segment: SegmentFile })[]
  readonly brokenFiles: readonly string[]
}

/**
 * Reads the log in `directory`, record by record in order. Changes nothing on disk.
 * @throws PosthasteError `spool_newer_format` when a segment was written by a later version
 */
export function scanLog(
  disk: Disk,
  directory: string,
  onRecord: (record: RecoveredRecord) => void,
  checksum: Checksum = zlibChecksum,
): LogRecovery {
  const files = openLogFiles(disk, directory)
  refuseNewerFormat(files, directory)
  const damage: (DamagedStretch & { segment: SegmentFile })[] = []
  let nextBatch = 1
  let sequenceMax = 0
  let records = 0
  let tornBytes = 0
  let provenThrough = 0
  let unproven: RecoveredRecord[] = []
  for (const { header } of files.segments) provenThrough = Math.max(provenThrough, header.previousEnd)

  for (const [i, segment] of files.segments.entries()) {
    nextBatch = Math.max(nextBatch, segment.header.firstBatch)
    const end = walkSegment(
      segment,
      files.segments[i + 1]?.header.previousEnd ?? 0,
      checksum,
      (batch) => {
        nextBatch = batch.header.batch + 1
        if (batch.header.committedThrough > provenThrough) {
          provenThrough = batch.header.committedThrough
          unproven = unproven.filter((record) => record.position >= provenThrough)
        }
        eachRecord(batch, (at, position) => {
          const payload = batch.bytes.subarray(
            at + recordHeaderBytes,
            at + recordHeaderBytes + recordPayloadBytes(batch.bytes, at),
          )
          const record = {
            type: recordType(batch.bytes, at),
            sequence: recordSequence(batch.bytes, at),
            position,
            payload,
          }
          sequenceMax = Math.max(sequenceMax, record.sequence)
          records += 1
          if (batch.position >= provenThrough) unproven.push({ ...record, payload: Buffer.from(payload) })
          onRecord(record)
        })
      },
      (stretch) => damage.push({ ...stretch, segment }),
    )
    tornBytes += end.tornBytes
  }
  const last = files.segments.at(-1)
  return {
    files,
    nextSegment: (last?.header.segment ?? 0) + 1,
    nextFileOrdinal: files.fileOrdinalMax + 1,
    nextBatch,
    provenThrough,
    sequenceMax,
    records,
    unproven,
    tornBytes,
    damage,
    brokenFiles: files.headerless.filter((file) => !file.blank).map((file) => file.path),
  }
}

function refuseNewerFormat(files: LogFiles, directory: string): void {
  for (const { header, fileOrdinal } of files.segments) {
    if (header.version <= formatVersion) continue
    throw new PosthasteError(
      'spool_newer_format',
      `${directory}/${segmentFileName(fileOrdinal)} has format ${header.version}, this program reads up to ${formatVersion}`,
      'start the newer version that wrote it, or point `data` at another directory; nothing was changed',
      { exitCode: 78 },
    )
  }
}

/** Sets aside what recovery found damaged, and removes files that were never finished. Returns the copies' names. */
export function quarantineDamage(disk: Disk, directory: string, quarantine: string, recovery: LogRecovery): string[] {
  const kept: string[] = []
  if (recovery.damage.length > 0 || recovery.brokenFiles.length > 0) disk.makeDirectory(quarantine)
  for (const { position, bytes, segment } of recovery.damage) {
    const name = `${quarantine}/${directory.replaceAll('/', '-')}-${segment.header.segment}-${position % segment.header.segmentBytes}.bin`
    if (disk.list(quarantine).includes(name.slice(quarantine.length + 1))) continue
    const copy = Buffer.alloc(bytes)
    const length = segment.file.readAt(copy, 0, bytes, position % segment.header.segmentBytes)
    const file = disk.create(name)
    file.writeAt(copy, 0, length, 0)
    file.dataSync()
    file.close()
    kept.push(name)
  }
  for (const path of recovery.brokenFiles) {
    const name = `${quarantine}/${path.replaceAll('/', '-')}`
    disk.rename(path, name)
    kept.push(name)
  }
  for (const file of recovery.files.headerless) if (file.blank) disk.remove(file.path)
  if (kept.length > 0) disk.syncDirectory(quarantine)
  if (recovery.files.headerless.length > 0) disk.syncDirectory(directory)
  return kept
}
