/**
 * Reading a log that is being written: the tail, batch by batch, out of the window; and single records, out of the window or from the file.
 */
import { invariant } from '../kernel/assert.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { logOf, valueOf } from '../model/submission.ts'
import { MessageDamaged } from '../ports/messages.ts'
import { Channel } from './channel.ts'
import { mailLogName, mailLogNumber, segmentFileName, spoolRoot } from './files.ts'
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
import { openFilesMax } from './limits.ts'
import { readHeaderOf } from './segments.ts'

/** Calls `onRecord` once for every record that becomes durable, in order. `bytes[at]` is the payload's first byte, valid during the call. */
export class TailReader {
  readonly #channel: Channel
  readonly #onRecord: (type: RecordType, number: number, position: number, bytes: Buffer, at: number) => void
  #position: number
  /** Records before this one were written by recovery, and are known. */
  #knownTo = 0

  constructor(
    channel: Channel,
    onRecord: (type: RecordType, number: number, position: number, bytes: Buffer, at: number) => void,
  ) {
    this.#channel = channel
    this.#onRecord = onRecord
    this.#position = channel.committedTo
  }

  get name(): string {
    return this.#channel.name
  }

  /** Position up to which everything has been read. */
  get position(): number {
    return this.#position
  }

  /** Everything before `position` is known already. */
  pass(position: number): void {
    this.#knownTo = position
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
        const payloadAt = at + recordHeaderBytes
        if (position >= this.#knownTo)
          this.#onRecord(recordType(window, at), recordSequence(window, at), position, window, payloadAt)
        at = payloadAt + recordPayloadBytes(window, at)
      }
      this.#position += header.spanBytes
    }
    this.#channel.setReadTo(this.#position)
  }
}

export interface RecordView {
  readonly bytes: Buffer
  /** Offset and length of the payload in `bytes`. */
  readonly at: number
  readonly payloadBytes: number
}

interface OpenFile {
  readonly file: DiskFile
  readonly salt: number
  /** Reads under way: a file is closed under none of them. */
  readers: number
}

/**
 * Single records by place. A place that somebody waits for points into a segment that is not used again; which salt it has its own header says. Keeps
 * the files that were read last open.
 */
export class RecordReader {
  readonly #disk: Disk
  readonly #channels = new Map<number, Channel>()
  readonly #segmentBytes: number
  readonly #checksum: Checksum
  /** By place of the segment's begin; the one read longest ago comes first. */
  readonly #files = new Map<string, OpenFile>()

  /** @param channels of the logs that hold mail; for any other log there is no window, only its files. */
  constructor(disk: Disk, channels: readonly Channel[], segmentBytes: number, checksum: Checksum = zlibChecksum) {
    this.#disk = disk
    this.#segmentBytes = segmentBytes
    this.#checksum = checksum
    for (const channel of channels) {
      const log = mailLogNumber(channel.name)
      if (log !== null) this.#channels.set(log, channel)
    }
  }

  /** The record if the window still holds it: a view, to be copied before anything else runs, and then to be trusted only if `stillThere`. */
  fromWindow(place: number, number: number): RecordView | null {
    const channel = this.#channels.get(logOf(place))
    const position = valueOf(place)
    if (channel === undefined || !channel.begun) return null
    const { window, windowBytes, writtenTo } = channel
    if (writtenTo - position > windowBytes || position >= channel.closedTo) return null
    // Another life of the log, before this process.
    if (position < channel.beganAt) return null
    const at = position % windowBytes
    if (recordSequence(window, at) !== number) return null
    return { bytes: window, at: at + recordHeaderBytes, payloadBytes: recordPayloadBytes(window, at) }
  }

  /** Asked after copying, by whoever is not the log's owner: was nothing written over the record meanwhile? */
  stillThere(place: number): boolean {
    const channel = this.#channels.get(logOf(place))
    return channel !== undefined && channel.writtenTo - valueOf(place) <= channel.windowBytes
  }

  /** The record from its file, checked. @throws MessageDamaged when it is not what was committed. */
  async fromFile(place: number, number: number, expectedBytes = 16 * 1024): Promise<RecordView> {
    const open = this.#open(logOf(place), Math.floor(valueOf(place) / this.#segmentBytes))
    open.readers += 1
    try {
      return await this.#read(open, place, number, expectedBytes)
    } finally {
      open.readers -= 1
    }
  }

  /** The same without a promise, while this thread waits: for those who have nothing else to do. @throws MessageDamaged */
  fromFileNow(place: number, number: number, expectedBytes = 4 * 1024): RecordView {
    const { file, salt } = this.#open(logOf(place), Math.floor(valueOf(place) / this.#segmentBytes))
    const offset = valueOf(place) % this.#segmentBytes
    let bytes = readNow(file, offset, recordHeaderBytes + expectedBytes)
    const whole = this.#wholeBytes(bytes, place)
    if (whole > bytes.length) bytes = readNow(file, offset, whole)
    return this.#checked(bytes, whole, salt, place, number)
  }

  async #read({ file, salt }: OpenFile, place: number, number: number, expectedBytes: number): Promise<RecordView> {
    const offset = valueOf(place) % this.#segmentBytes
    let bytes = await read(file, offset, recordHeaderBytes + expectedBytes)
    const whole = this.#wholeBytes(bytes, place)
    if (whole > bytes.length) bytes = await read(file, offset, whole)
    return this.#checked(bytes, whole, salt, place, number)
  }

  #wholeBytes(bytes: Buffer, place: number): number {
    const whole = bytes.length < recordHeaderBytes ? 0 : recordHeaderBytes + recordPayloadBytes(bytes, 0)
    if (whole > this.#segmentBytes) throw new MessageDamaged(`${recordAt(place)} has no sane length`)
    return whole
  }

  #checked(bytes: Buffer, whole: number, salt: number, place: number, number: number): RecordView {
    if (
      bytes.length < recordHeaderBytes ||
      !recordIsWhole(bytes, 0, salt, this.#checksum) ||
      recordSequence(bytes, 0) !== number
    ) {
      throw new MessageDamaged(`${recordAt(place)} fails its checksum`)
    }
    return { bytes, at: recordHeaderBytes, payloadBytes: whole - recordHeaderBytes }
  }

  close(): void {
    for (const { file } of this.#files.values()) file.close()
    this.#files.clear()
  }

  #open(log: number, segment: number): OpenFile {
    const path = `${spoolRoot}/${mailLogName(log)}/${segmentFileName(segment)}`
    let open = this.#files.get(path)
    if (open === undefined) {
      this.#closeOldest()
      open = openSegment(this.#disk, path, segment)
    } else this.#files.delete(path)
    this.#files.set(path, open)
    return open
  }

  #closeOldest(): void {
    if (this.#files.size < openFilesMax.value) return
    for (const [path, { file, readers }] of this.#files) {
      if (readers > 0) continue
      file.close()
      this.#files.delete(path)
      return
    }
  }
}

function openSegment(disk: Disk, path: string, segment: number): OpenFile {
  let file: DiskFile
  try {
    file = disk.open(path, 'read')
  } catch (cause) {
    throw new MessageDamaged(`${path} cannot be opened: ${(cause as Error).message}`, { cause })
  }
  const header = readHeaderOf(file)
  if (header?.segment !== segment) {
    file.close()
    throw new MessageDamaged(`${path} is not segment ${segment}`)
  }
  return { file, salt: header.salt, readers: 0 }
}

const recordAt = (place: number): string => `record at ${valueOf(place)} of ${mailLogName(logOf(place))}`

function readNow(file: DiskFile, offset: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  return buffer.subarray(0, file.readAt(buffer, 0, length, offset))
}

async function read(file: DiskFile, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  return buffer.subarray(0, await file.readAtLater(buffer, 0, length, offset))
}
