/**
 * Reading a log's files: which segments there are, the batches of one, a single record. Used by recovery, by `spool fsck|dump`, and by
 * whoever fell behind the window.
 */
import { KiB, MiB } from '../kernel/units.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { segmentFileName, segmentOfFile } from './files.ts'
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
  readonly path: string
  readonly header: SegmentHeader
}

/** What is in a log's directory. Nothing stays open. */
export interface LogFiles {
  /** By rising segment number; there are gaps where segments were reclaimed. */
  readonly segments: readonly SegmentFile[]
  /** Numbers in the names of files made or renamed for a segment that was never begun: of full length, ready to be used. */
  readonly spares: readonly number[]
  /** Files that were never finished. */
  readonly unfinished: readonly string[]
  /** Neither a whole header nor blank: damage. */
  readonly broken: readonly string[]
}

export function openLogFiles(disk: Disk, directory: string): LogFiles {
  const segments: SegmentFile[] = []
  const spares: number[] = []
  const unfinished: string[] = []
  const broken: string[] = []
  let segmentBytes = 0
  const blank: { path: string; segment: number; sizeBytes: number }[] = []
  for (const name of disk.list(directory)) {
    const segment = segmentOfFile(name)
    if (segment === null) continue
    const path = `${directory}/${name}`
    const file = disk.open(path, 'read')
    const header = readHeaderOf(file)
    if (header !== null) {
      segmentBytes = Math.max(segmentBytes, header.segmentBytes)
      if (header.segment === segment || header.version < 2) segments.push({ path, header })
      else blank.push({ path, segment, sizeBytes: file.size() })
    } else if (isBlank(file)) blank.push({ path, segment, sizeBytes: file.size() })
    else broken.push(path)
    file.close()
  }
  // Then a spare's name may be that of a segment.
  const drifted = segments.some(({ path, header }) => !isNamedAfter(path, header.segment))
  for (const { path, segment, sizeBytes } of blank) {
    if (segmentBytes > 0 && sizeBytes === segmentBytes && !drifted) spares.push(segment)
    else unfinished.push(path)
  }
  segments.sort((a, b) => a.header.segment - b.header.segment)
  return { segments, spares, unfinished, broken }
}

export function readHeaderOf(file: DiskFile): SegmentHeader | null {
  const head = Buffer.alloc(segmentHeaderBytes)
  return readSegmentHeader(head.subarray(0, file.readAt(head, 0, head.length, 0)))
}

/** False for a file of format 1 whose name has drifted from its segment. */
export const isNamedAfter = (path: string, segment: number): boolean => path.endsWith(`/${segmentFileName(segment)}`)

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
  disk: Disk,
  segment: SegmentFile,
  provenThrough: number,
  checksum: Checksum,
  onBatch: (batch: Batch) => void,
  onDamage: (damage: DamagedStretch) => void,
): SegmentEnd {
  const file = disk.open(segment.path, 'read')
  try {
    const walk = batchesOf({ file, header: segment.header, checksum }, provenThrough)
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done === true) return step.value
      if ('header' in step.value) onBatch(step.value)
      else onDamage(step.value)
    }
  } finally {
    file.close()
  }
}

export interface OpenSegment {
  readonly file: DiskFile
  readonly header: SegmentHeader
  readonly checksum: Checksum
}

/** The same one at a time. @param from offset in the segment and number of the batch there, if not from its beginning */
export function* batchesOf(
  segment: OpenSegment,
  provenThrough: number,
  from?: { readonly at: number; readonly batch: number },
): Generator<Batch | DamagedStretch, SegmentEnd, undefined> {
  const { header, file } = segment
  const size = Math.min(header.segmentBytes, file.size())
  const base = header.segment * header.segmentBytes
  let expected = from?.batch ?? header.firstBatch
  let at = from?.at ?? segmentHeaderBytes
  while (at < size) {
    const batch = readBatch(segment, at, expected)
    if (batch !== null) {
      yield { position: base + at, ...batch }
      expected += 1
      at += batch.header.spanBytes
      continue
    }
    const next = findBatch(segment, at + blockBytes, size, expected + 1)
    const damaged = base + at < provenThrough || (next !== null && next.committedThrough > base + at)
    if (!damaged) return { position: base + at, tornBytes: tornBytes(segment, at, expected) }
    const end = next?.at ?? size
    yield { position: base + at, bytes: end - at }
    at = end
    if (next !== null) expected = next.batch
  }
  return { position: base + size, tornBytes: 0 }
}

/** What was being written when the power went, as far as its header tells: what else stands here is of the file's former life. */
function tornBytes({ file, header, checksum }: OpenSegment, offset: number, expected: number): number {
  const head = Buffer.alloc(batchHeaderBytes)
  if (file.readAt(head, 0, head.length, offset) < head.length) return 0
  const batch = readBatchHeader(head, 0, header.salt, checksum)
  return batch === null || batch.batch !== expected ? 0 : batchHeaderBytes + batch.payloadBytes
}

/** The whole batch at `offset`, or null when any of its bytes is not what was written. */
function readBatch(
  { header: segmentHeader, file, checksum }: OpenSegment,
  offset: number,
  expected: number,
): { header: BatchHeader; bytes: Buffer } | null {
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
  segment: OpenSegment,
  from: number,
  size: number,
  batchMin: number,
): { at: number; batch: number; committedThrough: number } | null {
  const block = Buffer.alloc(Math.min(256 * KiB, Math.max(0, size - from)))
  let found: { at: number; batch: number; committedThrough: number } | null = null
  for (let start = from; start < size; start += block.length) {
    const bytes = segment.file.readAt(block, 0, Math.min(block.length, size - start), start)
    for (let at = 0; at + batchHeaderBytes <= bytes; at += blockBytes) {
      const header = readBatchHeader(block, at, segment.header.salt, segment.checksum)
      if (header === null || header.segment !== segment.header.segment || header.batch < batchMin) continue
      if (readBatch(segment, start + at, header.batch) === null) continue
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
