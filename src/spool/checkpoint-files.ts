/**
 * The log thread's part of a checkpoint: writes one range, syncs it, says so. The scheduler fills the next one meanwhile, so that neither of
 * them ever works for longer than a MiB takes.
 *
 *   scheduler   fills the buffer, asks         idle → asked
 *   log thread  writes, syncs                  asked → done | failed
 *   scheduler   sees it                        done → idle
 */
import { MiB } from '../kernel/units.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { checkpointDirectoryPath, checkpointPath, listCheckpoints, rangeHeaderBytes } from './checkpoint.ts'
import { rangeBytesMax } from './limits.ts'

/** As a range, so that a commit waits no longer than for one of them. */
const syncEveryBytes = MiB

const words = { state: 0, first: 1, last: 2, bytes: 3, number: 4, count: 8 } as const
const states = { idle: 0, asked: 1, done: 2, failed: 3 } as const

export interface CheckpointMemory {
  readonly control: SharedArrayBuffer
  readonly buffer: SharedArrayBuffer
}

export const makeCheckpointMemory = (): CheckpointMemory => ({
  control: new SharedArrayBuffer(words.count * 4),
  buffer: new SharedArrayBuffer(rangeHeaderBytes + rangeBytesMax.value),
})

/** The scheduler's end. */
export class CheckpointPort {
  readonly buffer: Buffer
  readonly #control: Int32Array
  readonly #wake: Int32Array

  constructor(memory: CheckpointMemory, wake: Int32Array) {
    this.buffer = Buffer.from(memory.buffer)
    this.#control = new Int32Array(memory.control)
    this.#wake = wake
  }

  /** Hands over the first `bytes` of the buffer for checkpoint `number`. */
  write(number: number, bytes: number, first: boolean, last: boolean): void {
    this.#control[words.number] = number
    this.#control[words.bytes] = bytes
    this.#control[words.first] = first ? 1 : 0
    this.#control[words.last] = last ? 1 : 0
    Atomics.store(this.#control, words.state, states.asked)
    Atomics.add(this.#wake, 0, 1)
    Atomics.notify(this.#wake, 0)
  }

  /** What became of the last write; 'busy' until that is known. */
  take(): 'busy' | 'done' | 'failed' {
    const state = Atomics.load(this.#control, words.state)
    if (state === states.asked) return 'busy'
    Atomics.store(this.#control, words.state, states.idle)
    return state === states.failed ? 'failed' : 'done'
  }
}

export interface CheckpointFilesOptions {
  readonly disk: Disk
  readonly memory: CheckpointMemory
  /** Called after each write, whatever came of it, so that the scheduler looks. */
  readonly onDone: () => void
}

/** The log thread's end. */
export class CheckpointFiles {
  readonly #disk: Disk
  readonly #control: Int32Array
  readonly #buffer: Buffer
  readonly #onDone: () => void
  #file: DiskFile | null = null
  #writtenBytes = 0
  #unsyncedBytes = 0
  /** What is left of an end. */
  #toDo: (() => void)[] = []

  constructor({ disk, memory, onDone }: CheckpointFilesOptions) {
    this.#disk = disk
    this.#control = new Int32Array(memory.control)
    this.#buffer = Buffer.from(memory.buffer)
    this.#onDone = onDone
  }

  /** False when nothing was asked. A checkpoint that fails costs no mail: the logs are kept for longer. */
  step(): boolean {
    const control = this.#control
    if (Atomics.load(control, words.state) !== states.asked) return false
    let state: number = states.done
    try {
      const rest = this.#toDo.shift()
      if (rest === undefined) this.#write(control[words.number] as number, control[words.bytes] as number)
      else rest()
    } catch {
      this.#giveUp(control[words.number] as number)
      state = states.failed
    }
    if (this.#toDo.length > 0) return true
    Atomics.store(control, words.state, state)
    this.#onDone()
    return true
  }

  #write(number: number, bytes: number): void {
    if (this.#control[words.first] === 1) this.#create(number)
    const file = this.#file
    if (file === null) throw new Error('the checkpoint was given up')
    file.writeAt(this.#buffer, 0, bytes, this.#writtenBytes)
    this.#writtenBytes += bytes
    this.#unsyncedBytes += bytes
    const last = this.#control[words.last] === 1
    // A small queue is synced once, a large one bit by bit: a file that grows costs the file system's journal each time.
    if (!last && this.#unsyncedBytes < syncEveryBytes) return
    file.dataSync()
    this.#unsyncedBytes = 0
    if (!last) return
    this.close()
    // Each in a step of its own, so that a commit waits for one sync and not for three.
    this.#toDo.push(
      () => this.#disk.syncDirectory(checkpointDirectoryPath),
      () => this.#removeOld(number),
    )
  }

  #create(number: number): void {
    this.close()
    this.#writtenBytes = this.#unsyncedBytes = 0
    this.#file = this.#disk.create(checkpointPath(number))
  }

  /** All but this one and the one before it. */
  #removeOld(number: number): void {
    const before = listCheckpoints(this.#disk).filter((other) => other < number)
    for (const old of before.slice(0, -1)) this.#disk.remove(checkpointPath(old))
    // Before anything is reclaimed: one that came back after a power cut would know of segments that are gone.
    if (before.length > 1) this.#disk.syncDirectory(checkpointDirectoryPath)
  }

  /** What is left of it must not count as one of the two. */
  #giveUp(number: number): void {
    this.#toDo = []
    this.close()
    try {
      this.#disk.remove(checkpointPath(number))
    } catch {
      // It was never made, or the disk fails: then the next start removes it.
    }
  }

  close(): void {
    this.#file?.close()
    this.#file = null
  }
}
