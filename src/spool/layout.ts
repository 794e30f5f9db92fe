/**
 * What the bytes of a log mean. A log is a row of segments of equal size; a position is a byte's distance from the start of
 * segment 0, so that `position = segment × segmentBytes + offset` and nothing ever moves.
 *
 *   segment   [ header 4 KiB | batch | batch | … | zeros ]
 *   batch     [ header 64 B | record | record | … | padding to 4 KiB ]     what is committed together
 *   record    [ header 20 B | payload ]
 *
 * Checksums start from the segment's salt, a random number that is written anew at each reuse of the file and that nobody
 * outside knows: neither a former life of the file nor a mail body that looks like a batch is ever taken for one.
 *
 * Integers are little-endian; positions, times and numbers that may pass 2³² are IEEE doubles, exact up to 2⁵³.
 */
import { crc32 } from 'node:zlib'
import { KiB } from '../kernel/units.ts'

export const blockBytes = 4 * KiB
export const segmentHeaderBytes = blockBytes
export const batchHeaderBytes = 64
export const recordHeaderBytes = 20
/** 2: a file is named after its segment. In 1 the two could drift apart. */
export const formatVersion = 2

/** Continues a CRC-32 over `bytes`. Injected, so that the simulation can take it away and must then fail. */
export type Checksum = (bytes: Uint8Array, seed: number) => number
export const zlibChecksum: Checksum = (bytes, seed) => crc32(bytes, seed)

export type RecordType = (typeof recordTypes)[keyof typeof recordTypes]
export const recordTypes = {
  /** Part of a submission's content that did not fit the commit record. */
  chunk: 1,
  /** A whole submission: envelope, added headers, references to its chunks, the rest of its content. */
  submission: 2,
  /** What became of some recipients of one submission in one attempt. */
  outcome: 3,
  /** A process begins to deliver, or has stopped in good order: without the second, whatever was due may have been on its way. */
  run: 4,
} as const

/** Beside the type: recovery has written this record again, and the last 8 bytes of its payload say where it was at first. */
export const copiedBit = 256
export const originBytes = 8

const segmentMagic = Buffer.from('POSTHSEG', 'latin1')
const batchMagic = 0x42545348 // "HSTB"

export interface SegmentHeader {
  readonly version: number
  /** Which log this file belongs to, "intake" or "outcome", and its number. */
  readonly log: string
  readonly segment: number
  readonly segmentBytes: number
  readonly salt: number
  readonly firstBatch: number
  readonly createdAtMs: number
  /** Everything of the log before this position was on disk when this segment was opened: a gap before it is damage, after it a torn tail. */
  readonly previousEnd: number
}

/** Where the header's second copy is: one flipped bit in the first must not cost a whole segment. */
const headerCopyAt = 2 * KiB

/** Fits one 512-byte sector, so that a power cut leaves the old header or the new one, never a mixture. `into` is a block. */
export function writeSegmentHeader(into: Buffer, header: SegmentHeader): void {
  into.fill(0)
  segmentMagic.copy(into, 0)
  into.writeUInt32LE(header.version, 8)
  into.writeUInt32LE(header.salt, 12)
  into.writeDoubleLE(header.segment, 16)
  into.writeDoubleLE(header.segmentBytes, 24)
  into.writeDoubleLE(header.firstBatch, 32)
  into.writeDoubleLE(header.createdAtMs, 40)
  into.writeDoubleLE(header.previousEnd, 48)
  into.writeUInt8(into.write(header.log, 57, 63, 'latin1'), 56)
  into.writeUInt32LE(crc32(into.subarray(0, 508)), 508)
  into.copy(into, headerCopyAt, 0, 512)
}

/** Null when these bytes are not a whole segment header: a file that was never finished, or damage. */
export function readSegmentHeader(from: Buffer): SegmentHeader | null {
  return readHeaderCopy(from) ?? readHeaderCopy(from.subarray(headerCopyAt))
}

function readHeaderCopy(from: Buffer): SegmentHeader | null {
  if (from.length < 512 || !from.subarray(0, 8).equals(segmentMagic)) return null
  if (crc32(from.subarray(0, 508)) !== from.readUInt32LE(508)) return null
  return {
    version: from.readUInt32LE(8),
    salt: from.readUInt32LE(12),
    segment: from.readDoubleLE(16),
    segmentBytes: from.readDoubleLE(24),
    firstBatch: from.readDoubleLE(32),
    createdAtMs: from.readDoubleLE(40),
    previousEnd: from.readDoubleLE(48),
    log: from.toString('latin1', 57, 57 + from.readUInt8(56)),
  }
}

export interface BatchHeader {
  readonly segment: number
  /** Counts every batch of the log from 1, without gaps inside a segment. */
  readonly batch: number
  /** Everything before this position was known to be on disk when this batch was closed. */
  readonly committedThrough: number
  /** Bytes of records behind this header. */
  readonly payloadBytes: number
  readonly records: number
  /** CRC over the record headers; each of these holds the CRC of its own payload. */
  readonly recordsCrc: number
  /** Distance to the next batch, a multiple of the block size. */
  readonly spanBytes: number
}

export function writeBatchHeader(
  into: Buffer,
  at: number,
  header: BatchHeader,
  salt: number,
  checksum: Checksum,
): void {
  into.writeUInt32LE(batchMagic, at)
  into.writeDoubleLE(header.segment, at + 8)
  into.writeDoubleLE(header.batch, at + 16)
  into.writeDoubleLE(header.committedThrough, at + 24)
  into.writeUInt32LE(header.payloadBytes, at + 32)
  into.writeUInt32LE(header.records, at + 36)
  into.writeUInt32LE(header.recordsCrc, at + 40)
  into.writeUInt32LE(header.spanBytes, at + 44)
  into.fill(0, at + 48, at + batchHeaderBytes)
  into.writeUInt32LE(checksum(into.subarray(at + 8, at + batchHeaderBytes), salt), at + 4)
}

/** Null when there is no batch header written under this salt. */
export function readBatchHeader(from: Buffer, at: number, salt: number, checksum: Checksum): BatchHeader | null {
  if (at + batchHeaderBytes > from.length || from.readUInt32LE(at) !== batchMagic) return null
  if (checksum(from.subarray(at + 8, at + batchHeaderBytes), salt) !== from.readUInt32LE(at + 4)) return null
  return peekBatchHeader(from, at)
}

/** The same without a check, for bytes of our own memory. */
export function peekBatchHeader(from: Buffer, at: number): BatchHeader {
  return {
    segment: from.readDoubleLE(at + 8),
    batch: from.readDoubleLE(at + 16),
    committedThrough: from.readDoubleLE(at + 24),
    payloadBytes: from.readUInt32LE(at + 32),
    records: from.readUInt32LE(at + 36),
    recordsCrc: from.readUInt32LE(at + 40),
    spanBytes: from.readUInt32LE(at + 44),
  }
}

/** Payload length, type (and `copiedBit`) and sequence; the CRC is filled in by `sealRecord` once the payload is in place behind it. */
export function writeRecordHeader(
  into: Buffer,
  at: number,
  type: number,
  sequence: number,
  payloadBytes: number,
): void {
  into.writeUInt32LE(payloadBytes, at)
  into.writeUInt32LE(type, at + 4)
  into.writeDoubleLE(sequence, at + 8)
}

export function sealRecord(into: Buffer, at: number, payloadBytes: number, salt: number, checksum: Checksum): void {
  into.writeUInt32LE(recordCrc(into, at, payloadBytes, salt, checksum), at + 16)
}

/** Is the record at `at` whole and what it was when it was sealed? */
export function recordIsWhole(from: Buffer, at: number, salt: number, checksum: Checksum): boolean {
  if (at + recordHeaderBytes > from.length) return false
  const payloadBytes = from.readUInt32LE(at)
  if (at + recordHeaderBytes + payloadBytes > from.length) return false
  return recordCrc(from, at, payloadBytes, salt, checksum) === from.readUInt32LE(at + 16)
}

function recordCrc(bytes: Buffer, at: number, payloadBytes: number, salt: number, checksum: Checksum): number {
  const payload = at + recordHeaderBytes
  return checksum(bytes.subarray(payload, payload + payloadBytes), checksum(bytes.subarray(at, at + 16), salt))
}

export const recordPayloadBytes = (from: Buffer, at: number): number => from.readUInt32LE(at)
export const recordType = (from: Buffer, at: number): RecordType =>
  (from.readUInt32LE(at + 4) & ~copiedBit) as RecordType
/** Where the record at `at`, which is at `position` of the log, was when it was written for the first time: what was read stays known by it. */
export const recordOrigin = (from: Buffer, at: number, position: number): number =>
  (from.readUInt32LE(at + 4) & copiedBit) === 0
    ? position
    : from.readDoubleLE(at + recordHeaderBytes + recordPayloadBytes(from, at) - originBytes)
export const recordSequence = (from: Buffer, at: number): number => from.readDoubleLE(at + 8)

export const alignUp = (bytes: number): number => Math.ceil(bytes / blockBytes) * blockBytes
