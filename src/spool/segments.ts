/**
 * Reading a log's files: which segments there are, the batches of one, a single record. Used by recovery, by `spool fsck|dump`, and by
 * whoever fell behind the window.
 */
import { KiB, MiB } from '../kernel/units.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { segmentFileName, segmentFileOrdinal } from './files.ts'
import {
  type BatchHeader,
  blockBytes,
  batchHeaderBytes,
  type Checksum,
  readBatchHeader,
  readSegmentHeader,
  recordHeaderBytes,
  recordIsWhole,
  recordPayloadBytes,
  type SegmentHeader,
  segmentHeaderBytes,
} from './layout.ts'

export interface SegmentFile {
  readonly directory: string
  readonly fileOrdinal: number
  readonly header: SegmentHeader
  readonly file: DiskFile
}

/** A file without a whole header: never finished when nothing but zeros follows, otherwise damaged. */
export interface HeaderlessFile {
  readonly path: string
  readonly fileOrdinal: number
  readonly sizeBytes: number
  readonly blank: boolean
}

export interface LogFiles {
  /** By rising segment number. */
  readonly segments: readonly SegmentFile[]
  readonly headerless: readonly HeaderlessFile[]
  readonly fileOrdinalMax: number
}

export function openLogFiles(disk: Disk, directory: string): LogFiles {
  const segments: SegmentFile[] = []
  const headerless: HeaderlessFile[] = []
  let fileOrdinalMax = 0
  for (const name of disk.list(directory)) {
    const fileOrdinal = segmentFileOrdinal(name)
    if (fileOrdinal === null) continue
    fileOrdinalMax = Math.max(fileOrdinalMax, fileOrdinal)
    const path = `${directory}/${segmentFileName(fileOrdinal)}`
    const file = disk.open(path, 'read')
    const head = Buffer.alloc(segmentHeaderBytes)
    const header = readSegmentHeader(head.subarray(0, file.readAt(head, 0, head.length, 0)))
    if (header !== null) segments.push({ directory, fileOrdinal, header, file })
    else {
      headerless.push({ path, fileOrdinal, sizeBytes: file.size(), blank: isBlank(file) })
      file.close()
    }
  }
  segments.sort((a, b) => a.header.segment - b.header.segment)
  return { segments, headerless, fileOrdinalMax }
}

const zeros = Buffer.alloc(MiB)

function isBlank(file: DiskFile): boolean {
  const size = file.size()
  const block = Buffer.alloc(Math.min(MiB, size))
  for (let at = 0; at < size; at += block.length) {
    const bytes = file.readAt(block, 0, block.length, at)
    if (!block.subarray(0, bytes).equals(zeros.subarray(0, bytes))) return false
  }
  return true
}

export interface Batch {
  /** Position in the log. */
  readonly position: number
  readonly header: BatchHeader
  /** Header and records; valid until the next call. */
  readonly bytes: Buffer
}

/** How the walk over a segment ended. */
export interface SegmentEnd {
  readonly position: number
  /** Bytes behind the end that are neither blank nor proven to have been committed: what was being written when the power went. */
  readonly tornBytes: number
}

/** A stretch that was committed once and is not readable now. */
export interface DamagedStretch {
  readonly position: number
  readonly bytes: number
}

/**
 * Walks the batches of one segment in order; calls back for each whole one and for each damaged stretch.
 * @param provenThrough what the next segment says was on disk when it was opened; a gap before it is damage. Batches of this segment may prove more.
 */
export function walkSegment(
  segment: SegmentFile,
  provenThrough: number,
  checksum: Checksum,
  onBatch: (batch: Batch) => void,
  onDamage: (damage: DamagedStretch) => void,
): SegmentEnd {
  const { header, file } = segment
  const size = Math.min(header.segmentBytes, file.size())
  const base = header.segment * header.segmentBytes
  let expected = header.firstBatch
  let at = segmentHeaderBytes
  while (at < size) {
    const batch = readBatch(segment, at, expected, checksum)
    if (batch !== null) {
      onBatch({ position: base + at, ...batch })
      expected += 1
      at += batch.header.spanBytes
      continue
    }
    const next = findBatch(segment, at + blockBytes, size, expected + 1, checksum)
    const damaged = base + at < provenThrough || (next !== null && next.committedThrough > base + at)
    if (!damaged) return { position: base + at, tornBytes: bytesInUse(file, at, size) }
    const end = next?.at ?? size
    onDamage({ position: base + at, bytes: end - at })
    at = end
    if (next !== null) expected = next.batch
  }
  return { position: base + size, tornBytes: 0 }
}

/** From `from` to the last byte that is not zero. */
function bytesInUse(file: DiskFile, from: number, size: number): number {
  const block = Buffer.alloc(Math.min(MiB, size - from))
  let used = 0
  for (let at = from; at < size; at += block.length) {
    const bytes = file.readAt(block, 0, Math.min(block.length, size - at), at)
    for (let i = bytes - 1; i >= 0; i--) {
      if (block[i] === 0) continue
      used = at + i + 1 - from
      break
    }
    // A commit is far shorter than this: zeros for a whole block are the untouched rest of the file.
    if (used < at - from) break
  }
  return used
}

/** The whole batch at `offset`, or null when any of its bytes is not what was written. */
function readBatch(
  segment: SegmentFile,
  offset: number,
  expected: number,
  checksum: Checksum,
): { header: BatchHeader; bytes: Buffer } | null {
  const { header: segmentHeader, file } = segment
  const head = Buffer.alloc(batchHeaderBytes)
  if (file.readAt(head, 0, head.length, offset) < head.length) return null
  const header = readBatchHeader(head, 0, segmentHeader.salt, checksum)
  if (header === null || header.segment !== segmentHeader.segment || header.batch !== expected) return null
  const end = batchHeaderBytes + header.payloadBytes
  if (offset + end > segmentHeader.segmentBytes || header.spanBytes % blockBytes !== 0 || header.spanBytes < end)
    return null
  const bytes = Buffer.allocUnsafe(end)
  if (file.readAt(bytes, 0, end, offset) < end) return null
  return recordsAreWhole(bytes, header, segmentHeader.salt, checksum) ? { header, bytes } : null
}

function recordsAreWhole(bytes: Buffer, header: BatchHeader, salt: number, checksum: Checksum): boolean {
  let at = batchHeaderBytes
  let crc = salt
  for (let i = 0; i < header.records; i++) {
    if (!recordIsWhole(bytes, at, salt, checksum)) return false
    crc = checksum(bytes.subarray(at, at + recordHeaderBytes), crc)
    at += recordHeaderBytes + recordPayloadBytes(bytes, at)
  }
  return crc === header.recordsCrc && at === bytes.length
}

/** The next whole batch of this life of the segment at or after `from`, and what it or any batch behind it proves. */
function findBatch(
  segment: SegmentFile,
  from: number,
  size: number,
  batchMin: number,
  checksum: Checksum,
): { at: number; batch: number; committedThrough: number } | null {
  const block = Buffer.alloc(Math.min(256 * KiB, Math.max(0, size - from)))
  let found: { at: number; batch: number; committedThrough: number } | null = null
  for (let start = from; start < size; start += block.length) {
    const bytes = segment.file.readAt(block, 0, Math.min(block.length, size - start), start)
    for (let at = 0; at + batchHeaderBytes <= bytes; at += blockBytes) {
      const header = readBatchHeader(block, at, segment.header.salt, checksum)
      if (header === null || header.segment !== segment.header.segment || header.batch < batchMin) continue
      if (readBatch(segment, start + at, header.batch, checksum) === null) continue
      if (found === null) found = { at: start + at, batch: header.batch, committedThrough: header.committedThrough }
      else found.committedThrough = Math.max(found.committedThrough, header.committedThrough)
    }
  }
  return found
}

/** Calls back for every record of a batch. Offsets are into `batch.bytes`. */
export function eachRecord(batch: Batch, onRecord: (at: number, position: number) => void): void {
  let at = batchHeaderBytes
  for (let i = 0; i < batch.header.records; i++) {
    onRecord(at, batch.position + at)
    at += recordHeaderBytes + recordPayloadBytes(batch.bytes, at)
  }
}
