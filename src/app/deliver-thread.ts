/** Entry of a deliver thread. */
import { workerData } from 'node:worker_threads'
import { runDeliverThread } from './deliver-loop.ts'
import type { DeliverThreadData } from './exchange.ts'
import { serveMain } from './serve-main.ts'

await serveMain(async () => ({ ...runDeliverThread(workerData as DeliverThreadData), addresses: [], recovery: null }))
