/**
 * The events thread's end of the thread that waits for the disk in its place. A failure is for good: whoever has lost what was to be on disk must not hear
 * later that it is there.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { DiskWork, StoreDisk } from '../events/events.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { storeDiskMsMax } from './limits.ts'
import { entryOf } from './thread.ts'

export interface StoreDiskThreadData {
  readonly port: MessagePort
  /** The number of the last work that was done. */
  readonly done: SharedArrayBuffer
}

export interface DiskOrder {
  readonly number: number
  readonly work: DiskWork
  readonly path: string
}

export interface DiskAnswer {
  readonly number: number
  /** As PosthasteError has it; null: it is done. */
  readonly failure: {
    readonly code: string
    readonly message: string
    readonly cure: string
    readonly exitCode: number
  } | null
}

interface Waiting {
  readonly settle: () => void
  readonly fail: (error: Error) => void
}

export class StoreDiskThread implements StoreDisk {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #done = new Int32Array(new SharedArrayBuffer(4))
  readonly #waiting = new Map<number, Waiting>()
  readonly #answerMsMax: number
  #ordered = 0
  #failure: Error | null = null

  /** Others are for tests. */
  constructor(entry: URL = entryOf('store-disk'), answerMsMax: number = storeDiskMsMax.value) {
    this.#answerMsMax = answerMsMax
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    const workerData: StoreDiskThreadData = { port: port2, done: this.#done.buffer }
    this.#worker = new Worker(entry, { name: 'store-disk', workerData, transferList: [port2] })
    this.#port.on('message', (answer: DiskAnswer) => this.#hear(answer))
    // The thread that has it lives by something else, and takes its errors for its own.
    this.#port.unref()
    this.#worker.unref()
    this.#worker.on('error', (error) => {
      throw error
    })
  }

  get failure(): Error | null {
    return this.#failure
  }

  sync(path: string): Promise<void> {
    return this.#order('sync', path)
  }

  checkpoint(path: string): Promise<void> {
    return this.#order('checkpoint', path)
  }

  /** @throws PosthasteError `store_failed` when the disk does not answer */
  finish(): void {
    let before = Atomics.load(this.#done, 0)
    while (before !== this.#ordered) {
      Atomics.wait(this.#done, 0, before, this.#answerMsMax)
      const now = Atomics.load(this.#done, 0)
      if (now === before) throw notAnswering(this.#answerMsMax)
      before = now
    }
    // What they have failed with must be known from here on.
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port))
      this.#hear(next.message as DiskAnswer)
  }

  close(): void {
    this.#port.close()
    void this.#worker.terminate()
  }

  #order(work: DiskWork, path: string): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const number = ++this.#ordered
    this.#port.postMessage({ number, work, path } satisfies DiskOrder)
    return new Promise((settle, fail) => this.#waiting.set(number, { settle, fail }))
  }

  #hear({ number, failure }: DiskAnswer): void {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    if (failure === null) return waiting?.settle()
    const { code, message, cure, exitCode } = failure
    this.#failure = new PosthasteError(code, message, cure, { exitCode })
    waiting?.fail(this.#failure)
  }
}

function notAnswering(ms: number): PosthasteError {
  return new PosthasteError(
    'store_failed',
    `the disk of the message store has not answered for ${ms / 1000} s`,
    'Look for errors of the disk in the system log.',
    { exitCode: 74 },
  )
}
