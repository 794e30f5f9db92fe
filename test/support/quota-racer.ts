/** Takes from row 0 until nothing is left, in ones and threes, and gives a third of it back; says how many it kept. */
import { parentPort, workerData } from 'node:worker_threads'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { day, QuotaTable } from '../../src/tenancy/quotas.ts'

const { memory, startMs, limit } = workerData as { memory: SharedArrayBuffer; startMs: number; limit: number }
const table = new QuotaTable(memory, new VirtualClock(startMs))
let kept = 0
for (let turn = 0; ; turn++) {
  const messages = turn % 2 === 0 ? 3 : 1
  const part = table.take(0, day, messages, limit)
  if (part === null || part === undefined) {
    if (messages === 1) break
    continue
  }
  if (turn % 3 === 0) table.giveBack(part, messages)
  else kept += messages
}
parentPort?.postMessage(kept)
