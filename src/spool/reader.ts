/**
 * Reading a log that is being written: the tail, batch by batch, out of the window; and single records, out of the window or from the file.
 */
import { invariant } from '../kernel/assert.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { MessageDamaged } from '../ports/messages.ts'
import { Channel } from './channel.ts'
import { segmentFileName, spoolRoot } from './files.ts'
import {
  batchHeaderBytes,
  type Checksum,
  peekBatchHeader,
  recordHeaderBytes,
  recordIsWhole,
  recordPayloadBytes,
  recordSequence,
  type RecordType,
  recordType,
  segmentHeaderBytes,
  zlibChecksum,
} from './layout.ts'

/** Calls `onRecord` once for every record that becomes durable, in order. `bytes[at]` is the payload's first byte, valid during the call. */
export class TailReader {
  readonly #channel: Channel
  readonly #onRecord: (type: RecordType, sequence: number, position: number, bytes: Buffer, at: number) => void
  #position: number

  constructor(
    channel: Channel,
    onRecord: (type: RecordType, sequence: number, position: number, bytes: Buffer, at: number) => void,
  ) {
    this.#channel = channel
    this.#onRecord = onRecord
    this.#position = channel.committedTo
  }

  /** Position up to which everything has been read. */
  get position(): number {
    return this.#position
  }

  poll(): void {
    const { window, windowBytes, segmentBytes, committedTo } = this.#channel
    while (this.#position < committedTo) {
      if (this.#position % segmentBytes === 0) {
        this.#position += segmentHeaderBytes
        continue
      }
      const batchAt = this.#position % windowBytes
      invariant(
        this.#channel.writtenTo - this.#position <= windowBytes,
        `reader of ${this.#channel.name} fell behind the window`,
      )
      const header = peekBatchHeader(window, batchAt)
      let at = batchAt + batchHeaderBytes
      for (let i = 0; i < header.records; i++) {
        const position = this.#position + (at - batchAt)
        this.#onRecord(recordType(window, at), recordSequence(window, at), position, window, at + recordHeaderBytes)
        at += recordHeaderBytes + recordPayloadBytes(window, at)
      }
      this.#position += header.spanBytes
    }
  }
}

export interface RecordView {
  readonly bytes: Buffer
  /** Offset and length of the payload in `bytes`. */
  readonly at: number
  readonly payloadBytes: number
}

/** Which file holds a segment, and under which salt. */
export interface SegmentPlace {
  readonly fileOrdinal: number
  readonly salt: number
}

/** Segment files kept open for reading: 64 × 64 MiB are a backlog of 4 GiB without an open per message. */
const openFilesMax = 64

interface OpenFile {
  readonly file: DiskFile
  /** Reads under way: a file is closed under none of them. */
  readers: number
}

/** Single records by position. Keeps the files that were read last open. */
export class RecordReader {
  readonly #disk: Disk
  readonly #channel: Channel
  readonly #places: ReadonlyMap<number, SegmentPlace>
  readonly #checksum: Checksum
  /** The one read longest ago comes first. */
  readonly #files = new Map<number, OpenFile>()

  constructor(
    disk: Disk,
    channel: Channel,
    places: ReadonlyMap<number, SegmentPlace>,
    checksum: Checksum = zlibChecksum,
  ) {
    this.#disk = disk
    this.#channel = channel
    this.#places = places
    this.#checksum = checksum
  }

  /** The record if the window still holds it: a view, to be copied before anything else runs. */
  fromWindow(position: number, sequence: number): RecordView | null {
    const { window, windowBytes, writtenTo } = this.#channel
    if (writtenTo - position > windowBytes || position >= this.#channel.closedTo) return null
    const at = position % windowBytes
    if (recordSequence(window, at) !== sequence) return null
    return { bytes: window, at: at + recordHeaderBytes, payloadBytes: recordPayloadBytes(window, at) }
  }

  /** The record from its file, checked. @throws MessageDamaged when it is not what was committed. */
  async fromFile(position: number, sequence: number, expectedBytes = 16 * 1024): Promise<RecordView> {
    const segment = Math.floor(position / this.#channel.segmentBytes)
    const where = this.#places.get(segment)
    if (where === undefined) throw new MessageDamaged(`segment ${segment} of ${this.#channel.name} is gone`)
    const open = this.#open(where.fileOrdinal)
    open.readers += 1
    try {
      return await this.#read(open.file, where.salt, position, sequence, expectedBytes)
    } finally {
      open.readers -= 1
    }
  }

  async #read(
    file: DiskFile,
    salt: number,
    position: number,
    sequence: number,
    expectedBytes: number,
  ): Promise<RecordView> {
    const offset = position % this.#channel.segmentBytes
    let bytes = await read(file, offset, recordHeaderBytes + expectedBytes)
    const whole = bytes.length < recordHeaderBytes ? 0 : recordHeaderBytes + recordPayloadBytes(bytes, 0)
    if (whole > this.#channel.segmentBytes)
      throw new MessageDamaged(`record at ${position} of ${this.#channel.name} has no sane length`)
    if (whole > bytes.length) bytes = await read(file, offset, whole)
    if (
      bytes.length < recordHeaderBytes ||
      !recordIsWhole(bytes, 0, salt, this.#checksum) ||
      recordSequence(bytes, 0) !== sequence
    ) {
      throw new MessageDamaged(`record at ${position} of ${this.#channel.name} fails its checksum`)
    }
    return { bytes, at: recordHeaderBytes, payloadBytes: whole - recordHeaderBytes }
  }

  close(): void {
    for (const { file } of this.#files.values()) file.close()
    this.#files.clear()
  }

  #open(fileOrdinal: number): OpenFile {
    let open = this.#files.get(fileOrdinal)
    if (open === undefined) {
      this.#closeOldest()
      const file = this.#disk.open(`${spoolRoot}/${this.#channel.name}/${segmentFileName(fileOrdinal)}`, 'read')
      open = { file, readers: 0 }
    } else this.#files.delete(fileOrdinal)
    this.#files.set(fileOrdinal, open)
    return open
  }

  #closeOldest(): void {
    if (this.#files.size < openFilesMax) return
    for (const [fileOrdinal, { file, readers }] of this.#files) {
      if (readers > 0) continue
      file.close()
      this.#files.delete(fileOrdinal)
      return
    }
  }
}

async function read(file: DiskFile, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  return buffer.subarray(0, await file.readAtLater(buffer, 0, length, offset))
}
