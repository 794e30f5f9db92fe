/**
 * From what is on disk to what is true: the part that reads one log. A checkpoint shortens the way, not the rules: with one, segments before its position are
 * not looked at.
 *
 * Legal states of a log after a crash, and what recovery makes of them. Anything else is damage.
 *
 *   on disk                                                     what it means                             what is done
 *   ----------------------------------------------------------  ----------------------------------------  -----------------------------------------
 *   no file, or directory missing                               first start                               start at segment 1
 *   file shorter than a segment, without header                 died while making a spare file            removed
 *   blank, or under another name than its header's segment      made or renamed for a segment to come     used again
 *   header, no batch                                            died before the first commit in it        segment is skipped
 *   whole batches, then blank                                   died between commits                      all of it is read
 *   whole batches, then anything else, unproven                 died during a commit (torn tail)          cut there; bytes counted
 *   whole batch, unproven                                       written, perhaps not synced               read, and written again into a new segment
 *   chunks without a submission record                          died or gave up before the commit         ignored, counted as orphans
 *   same submission in two segments                             was written again by an earlier recovery, the later copy counts
 *                                                               or carried to the stragglers
 *   a gap in the row of segments                                reclaimed                                 nothing
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
import { segmentFileName, spoolRoot } from './files.ts'
import {
  type Checksum,
  formatVersion,
  recordHeaderBytes,
  recordOrigin,
  recordPayloadBytes,
  recordSequence,
  type RecordType,
  recordType,
  zlibChecksum,
} from './layout.ts'
import {
  type DamagedStretch,
  eachRecord,
  isNamedAfter,
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
  /** Where it was when it was written for the first time. */
  readonly origin: number
  readonly payload: Buffer
}

export interface LogRecovery {
  readonly files: LogFiles
  readonly nextSegment: number
  readonly nextBatch: number
  readonly provenThrough: number
  readonly records: number
  /** To be written again before anything else. Copies. */
  readonly unproven: readonly RecoveredRecord[]
  readonly tornBytes: number
  readonly damage: readonly (DamagedStretch & { readonly segment: SegmentFile })[]
}

/** What a checkpoint knows of a log. */
export interface KnownLog {
  /** Everything before is known already, and was on disk when it became known: its records are not reported. */
  readonly position: number
  /** Lowest numbers that may be given next; the segments that had lower ones may be gone. */
  readonly nextSegment: number
  readonly nextBatch: number
}

const nothingKnown: KnownLog = { position: 0, nextSegment: 1, nextBatch: 1 }

/**
 * Reads the log in `directory`, record by record in order. Changes nothing on disk.
 * @throws PosthasteError `spool_newer_format` when a segment was written by a later version
 */
export function scanLog(
  disk: Disk,
  directory: string,
  onRecord: (record: RecoveredRecord) => void,
  known: KnownLog = nothingKnown,
  checksum: Checksum = zlibChecksum,
): LogRecovery {
  const from = known.position
  const files = openLogFiles(disk, directory)
  refuseNewerFormat(files)
  const damage: (DamagedStretch & { segment: SegmentFile })[] = []
  let nextBatch = known.nextBatch
  let records = 0
  let tornBytes = 0
  let endsAt = 0
  let provenThrough = from
  let unproven: RecoveredRecord[] = []
  for (const { header } of files.segments) provenThrough = Math.max(provenThrough, header.previousEnd)
  const first = firstToRead(files.segments, from)

  for (const [i, segment] of files.segments.entries()) {
    if (i < first) continue
    nextBatch = Math.max(nextBatch, segment.header.firstBatch)
    const end = walkSegment(
      disk,
      segment,
      provenBy(segment, files.segments[i + 1]),
      checksum,
      (batch) => {
        nextBatch = Math.max(nextBatch, batch.header.batch + 1)
        if (batch.header.committedThrough > provenThrough) {
          provenThrough = batch.header.committedThrough
          unproven = unproven.filter((record) => record.position >= provenThrough)
        }
        if (batch.position < from) return
        eachRecord(batch, (at, position) => {
          const payload = batch.bytes.subarray(
            at + recordHeaderBytes,
            at + recordHeaderBytes + recordPayloadBytes(batch.bytes, at),
          )
          const record = {
            type: recordType(batch.bytes, at),
            sequence: recordSequence(batch.bytes, at),
            position,
            origin: recordOrigin(batch.bytes, at, position),
            payload,
          }
          records += 1
          if (batch.position >= provenThrough) unproven.push({ ...record, payload: Buffer.from(payload) })
          onRecord(record)
        })
      },
      (stretch) => damage.push({ ...stretch, segment }),
    )
    tornBytes += end.tornBytes
    endsAt = end.position
  }
  const last = files.segments.at(-1)
  return {
    files,
    nextSegment: Math.max((last?.header.segment ?? 0) + 1, known.nextSegment),
    nextBatch,
    // A checkpoint may name the end of the segment: what was never written is not missing.
    provenThrough: Math.min(provenThrough, endsAt),
    records,
    unproven,
    tornBytes,
    damage,
  }
}

/** The segment that holds `from`, and the last one in any case: it says which batch comes next. */
function firstToRead(segments: readonly SegmentFile[], from: number): number {
  const at = segments.findLastIndex(({ header }) => header.segment * header.segmentBytes <= from)
  return Math.max(0, at)
}

/** What the next segment says of this one's end. One in between that was reclaimed may have said less: this one's tail was torn, and nobody remembers. */
const provenBy = (segment: SegmentFile, next: SegmentFile | undefined): number =>
  next?.header.segment === segment.header.segment + 1 ? next.header.previousEnd : 0

function refuseNewerFormat(files: LogFiles): void {
  for (const { header, path } of files.segments) {
    if (header.version <= formatVersion) continue
    throw new PosthasteError(
      'spool_newer_format',
      `${path} has format ${header.version}, this program reads up to ${formatVersion}`,
      'start the newer version that wrote it, or point `data` at another directory; nothing was changed',
      { exitCode: 78 },
    )
  }
}

/** Sets aside what recovery found damaged, and removes files that were never finished. Returns the copies' names. */
export function quarantineDamage(disk: Disk, directory: string, quarantine: string, recovery: LogRecovery): string[] {
  const kept: string[] = []
  const { broken, unfinished } = recovery.files
  if (recovery.damage.length > 0 || broken.length > 0) disk.makeDirectory(quarantine)
  for (const { position, bytes, segment } of recovery.damage) {
    const offset = position % segment.header.segmentBytes
    const name = `${quarantine}/${directory.replaceAll('/', '-')}-${segment.header.segment}-${offset}.bin`
    if (disk.list(quarantine).includes(name.slice(quarantine.length + 1))) continue
    copyStretch(disk, segment.path, offset, bytes, name)
    kept.push(name)
  }
  for (const path of broken) {
    const name = `${quarantine}/${path.replaceAll('/', '-')}`
    disk.rename(path, name)
    kept.push(name)
  }
  for (const path of unfinished) disk.remove(path)
  // Format 1: a name never lies below its segment, so in rising order each name is free when its turn comes.
  for (const { path, header } of recovery.files.segments) {
    if (isNamedAfter(path, header.segment)) continue
    disk.rename(path, `${directory}/${segmentFileName(header.segment)}`)
    disk.syncDirectory(directory)
  }
  if (kept.length > 0) {
    disk.syncDirectory(quarantine)
    disk.syncDirectory(spoolRoot)
  }
  if (broken.length + unfinished.length > 0) disk.syncDirectory(directory)
  return kept
}

function copyStretch(disk: Disk, from: string, offset: number, bytes: number, to: string): void {
  const source = disk.open(from, 'read')
  const copy = Buffer.alloc(bytes)
  const length = source.readAt(copy, 0, bytes, offset)
  source.close()
  const file = disk.create(to)
  file.writeAt(copy, 0, length, 0)
  file.dataSync()
  file.close()
}
