/** Entry of a scheduler's thread that takes nothing but directories, says how many, and has the disk fail with the first. */
import { workerData } from 'node:worker_threads'
import type { SchedulerThreadData } from '../../src/app/exchange.ts'
import { serveMain } from '../../src/app/serve-main.ts'
import { Channel } from '../../src/spool/spool.ts'

let taken = 0

function breakLog({ memory }: SchedulerThreadData): void {
  const [outcomes] = memory.channels
  if (outcomes === undefined) throw new Error('there is no log')
  const channel = new Channel(outcomes)
  // A segment that was never planned: the log thread gives this log up.
  channel.begin(channel.segmentBytes, 1)
  channel.close(channel.segmentBytes + 8_192, 2, new Int32Array(memory.wake))
}

await serveMain(async (log) => ({
  addresses: [],
  recovery: null,
  figures: () => ({}),
  hear(message) {
    if (message.kind !== 'directory') return null
    log('info', 'took a directory', { taken: ++taken })
    if (taken === 1) breakLog(workerData as SchedulerThreadData)
    return { kind: 'took', ask: message.ask }
  },
}))
