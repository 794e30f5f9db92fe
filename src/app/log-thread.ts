/** Entry of the log thread. It blocks for good, so it talks by shared memory, and by a message only when the disk fails. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { systemClock } from '../kernel/clock.ts'
import { runLogThread } from '../spool/spool.ts'
import type { FromLogThread, LogThreadData } from './exchange.ts'

if (isMainThread || parentPort === null) throw new Error('this file is started by app.ts, in a thread')
const port = parentPort
const { dataDirectory, memory, reserveBytes } = workerData as LogThreadData

runLogThread({
  disk: openDisk(dataDirectory),
  clock: systemClock,
  memory,
  reserveBytes,
  onError: (log, error) =>
    port.postMessage({ kind: 'broken', log, message: (error as Error).message } satisfies FromLogThread),
})
