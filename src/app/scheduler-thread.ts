/** Entry of the scheduler's thread. */
import { workerData } from 'node:worker_threads'
import type { SchedulerThreadData } from './exchange.ts'
import { runSchedulerThread } from './scheduler-loop.ts'
import { serveMain } from './serve-main.ts'

await serveMain((log, say) => runSchedulerThread(workerData as SchedulerThreadData, log, say))
