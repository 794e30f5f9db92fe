/** The entry of a thread that delivers, with a bug: it breaks over mail from poison@example.com. */
import { workerData } from 'node:worker_threads'
import { runDeliverThread } from '../../src/app/deliver-loop.ts'
import type { DeliverThreadData, SchedulerThreadData } from '../../src/app/exchange.ts'
import { runSchedulerThread } from '../../src/app/scheduler-loop.ts'
import { serveMain } from '../../src/app/serve-main.ts'
import { invariant } from '../../src/kernel/assert.ts'
import type { Messages, PreparedMessage } from '../../src/ports/messages.ts'

const poisoned = (messages: Messages): Messages => ({
  open(grant) {
    const opened = messages.open(grant)
    return opened instanceof Promise ? opened.then(examine) : examine(opened)
  },
})

function examine(message: PreparedMessage): PreparedMessage {
  invariant(message.returnPath !== 'poison@example.com', 'this is the bug')
  return message
}

const data = workerData as DeliverThreadData | SchedulerThreadData
await serveMain(async (log, say) =>
  'intakeHere' in data
    ? runSchedulerThread(data, log, say, poisoned)
    : { ...runDeliverThread(data, poisoned), addresses: [], recovery: null },
)
