/** Entry of the thread that waits for the disk of the message store and the tally: fsyncs, and moves what was written ahead into the files. */
import { workerData } from 'node:worker_threads'
import { diskWorks } from '../events/events.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { DiskAnswer, DiskOrder, StoreDiskThreadData } from './store-disk.ts'

const { port, done: memory } = workerData as StoreDiskThreadData
const done = new Int32Array(memory)

port.on('message', ({ number, work, path }: DiskOrder) => {
  port.postMessage({ number, failure: failureOf(() => diskWorks[work](path)) } satisfies DiskAnswer)
  // Behind the answer: whoever waits for this finds it.
  Atomics.store(done, 0, number)
  Atomics.notify(done, 0)
})

function failureOf(act: () => void): DiskAnswer['failure'] {
  try {
    act()
    return null
  } catch (error) {
    if (!(error instanceof PosthasteError)) throw error
    const { code, message, cure, exitCode } = error
    return { code, message, cure, exitCode }
  }
}
