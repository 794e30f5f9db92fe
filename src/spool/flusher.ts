/**
 * The log thread's work as a plain step over `disk`: write what the owners closed, sync it, say so. The thread calls it in a loop,
 * the simulation calls it by hand, so that both run the same code.
 *
 * Order that everything rests on: segment file there in full length, synced, under its name, and its directory synced → header written and synced →
 * batches written → fdatasync → `committedTo`. A file comes from a segment that nobody needs any more, by renaming; or it is new and zero-filled. After the first error the log is broken for good: Linux reports a failed write-back once and then
 * calls the page clean, so a second fdatasync would succeed over lost data.
 */
import { invariant } from '../kernel/assert.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { MiB } from '../kernel/units.ts'
import type { Channel } from './channel.ts'
import {
  formatVersion,
  peekBatchHeader,
  alignUp,
  batchHeaderBytes,
  segmentHeaderBytes,
  writeSegmentHeader,
} from './layout.ts'
import { segmentFileName } from './files.ts'
import { recycledSegmentsMax } from './limits.ts'

const zeros = Buffer.alloc(MiB)

export interface FlusherOptions {
  readonly disk: Disk
  readonly channel: Channel
  /** Directory of the log, under the disk's root. */
  readonly directory: string
  /** Below this much free space the log reports itself full: owners refuse new mail, outcomes still go in. */
  readonly reserveBytes: number
  readonly onError: (error: unknown) => void
}

interface OpenSegment {
  readonly segment: number
  readonly file: DiskFile
}

interface Spare {
  readonly segment: number
  readonly file: DiskFile
  filledBytes: number
}

export class Flusher {
  readonly #disk: Disk
  readonly #channel: Channel
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #onError: (error: unknown) => void
  #open: OpenSegment | null = null
  #spare: Spare | null = null
  /** Segments whose files may be used again. */
  #free: number[] = []

  constructor(options: FlusherOptions) {
    this.#disk = options.disk
    this.#channel = options.channel
    this.#directory = options.directory
    this.#reserveBytes = options.reserveBytes
    this.#onError = options.onError
    this.checkSpace()
  }

  /** Does one piece of work; false when there was none, so that the thread may sleep. */
  step(): boolean {
    if (this.#channel.state === 'broken') return false
    try {
      return this.#flush() || this.#prepare()
    } catch (error) {
      this.#channel.setState('broken')
      this.#channel.wakeOwner()
      this.#onError(error)
      return false
    }
  }

  /** Writes what is closed and nothing else, for the end of the thread. */
  drain(): void {
    while (this.step() && this.#channel.committedTo < this.#channel.closedTo);
  }

  close(): void {
    this.#open?.file.close()
    this.#spare?.file.close()
  }

  #flush(): boolean {
    const { begun, committedTo, closedTo, segmentBytes } = this.#channel
    if (!begun || closedTo === committedTo) return false
    let at = committedTo
    while (at < closedTo) {
      const segment = Math.floor(at / segmentBytes)
      const file = this.#segmentFile(segment)
      const offset = at % segmentBytes
      if (offset === 0) {
        at += segmentHeaderBytes
        continue
      }
      at = this.#writeRun(file, segment, at, Math.min(closedTo, (segment + 1) * segmentBytes))
      file.dataSync()
    }
    this.#channel.commit(closedTo)
    return true
  }

  /** Writes the batches in [from, to) of one segment. Neighbours that fill their span go out in one call; padding is not written. */
  #writeRun(file: DiskFile, segment: number, from: number, to: number): number {
    const { window, windowBytes, segmentBytes } = this.#channel
    let runAt = from
    let at = from
    while (at < to) {
      const header = peekBatchHeader(window, at % windowBytes)
      const bytes = alignUp(batchHeaderBytes + header.payloadBytes)
      const next = at + header.spanBytes
      const contiguous = bytes === header.spanBytes && next % windowBytes !== 0 && next < to
      if (!contiguous) {
        file.writeAt(window, runAt % windowBytes, at + bytes - runAt, runAt - segment * segmentBytes)
        runAt = next
      }
      at = next
    }
    return to
  }

  #segmentFile(segment: number): DiskFile {
    if (this.#open?.segment === segment) return this.#open.file
    this.#open?.file.close()
    this.#open = null
    const plan = this.#channel.segmentPlan(segment)
    while (!this.#spareIsReady()) this.#makeSpare(segment)
    const { file, segment: madeFor } = this.#spare as Spare
    invariant(madeFor === segment, 'segments follow one another')
    this.#spare = null
    const header = Buffer.alloc(segmentHeaderBytes)
    writeSegmentHeader(header, {
      version: formatVersion,
      log: this.#channel.name,
      segment,
      segmentBytes: this.#channel.segmentBytes,
      salt: plan.salt,
      firstBatch: plan.firstBatch,
      createdAtMs: plan.createdAtMs,
      previousEnd: plan.previousEnd,
    })
    file.writeAt(header, 0, header.length, 0)
    file.dataSync()
    this.#open = { segment, file }
    if (!this.#channel.open) this.#channel.setOpen()
    return file
  }

  /** The first segment as soon as it is planned, the next one when this one is half full; a MiB at a time, so that no commit waits for 64 MiB. */
  #prepare(): boolean {
    const { begun, closedTo, committedTo, segmentBytes } = this.#channel
    if (this.#removeExcess()) return true
    if (!begun) return false
    if (this.#open === null) {
      const first = Math.floor(closedTo / segmentBytes)
      if (this.#spareIsReady()) this.#segmentFile(first)
      else this.#makeSpare(first)
      return true
    }
    if (this.#spareIsReady() || committedTo % segmentBytes < segmentBytes / 2) return false
    if (this.#free.length === 0 && this.checkSpace() === 'full') return false
    this.#makeSpare(this.#open.segment + 1)
    return true
  }

  /** What a burst has left behind is given back to the file system, and all files of a log that nobody fills. True when a file was removed. */
  #removeExcess(): boolean {
    for (let segment = this.#channel.takeFree(); segment !== null; segment = this.#channel.takeFree())
      this.#free.push(segment)
    const { filled } = this.#channel
    if (this.#free.length <= (filled ? recycledSegmentsMax.value : 0)) return false
    this.#disk.remove(`${this.#directory}/${segmentFileName(this.#free.shift() as number)}`)
    // The log may be filled again one day, from where it has stopped: nothing of before may come back by then.
    if (!filled) this.#disk.syncDirectory(this.#directory)
    this.checkSpace()
    return true
  }

  #spareIsReady(): boolean {
    return this.#spare !== null && this.#spare.filledBytes >= this.#channel.segmentBytes
  }

  /** One piece of the work: a file that is free is renamed, otherwise a new one is filled bit by bit. */
  #makeSpare(segment: number): void {
    this.#spare ??= this.#recycle(segment)
    const path = `${this.#directory}/${segmentFileName(segment)}`
    this.#spare ??= { segment, file: this.#disk.create(path), filledBytes: 0 }
    if (!this.#spareIsReady()) this.#fill(this.#spare)
  }

  /** Its old content stays: no batch in it has the salt of its new life. */
  #recycle(segment: number): Spare | null {
    this.#removeExcess()
    const own = this.#free.indexOf(segment)
    const from = own === -1 ? this.#free.shift() : this.#free.splice(own, 1)[0]
    if (from === undefined) return null
    const path = `${this.#directory}/${segmentFileName(segment)}`
    if (from !== segment) this.#disk.rename(`${this.#directory}/${segmentFileName(from)}`, path)
    // Also for one that bears the name already: the process that renamed or made it may have died before this.
    this.#disk.syncDirectory(this.#directory)
    return { segment, file: this.#disk.open(path, 'write'), filledBytes: this.#channel.segmentBytes }
  }

  #fill(spare: Spare): void {
    const bytes = Math.min(zeros.length, this.#channel.segmentBytes - spare.filledBytes)
    spare.file.writeAt(zeros, 0, bytes, spare.filledBytes)
    spare.filledBytes += bytes
    // Synced in slices as well, so that the last one does not stall a commit for the whole file.
    spare.file.dataSync()
    if (spare.filledBytes >= this.#channel.segmentBytes) {
      this.#disk.syncDirectory(this.#directory)
      this.checkSpace()
    }
  }

  /** Looks at the free space; the log thread also calls it once a second. */
  checkSpace(): 'ok' | 'full' {
    const freeBytes = this.#disk.freeBytes()
    this.#channel.setFreeBytes(freeBytes)
    const state = freeBytes < this.#reserveBytes ? 'full' : 'ok'
    if (this.#channel.state !== 'broken') this.#channel.setState(state)
    return state
  }
}
