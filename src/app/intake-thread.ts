/** Entry of an intake thread. */
import { workerData } from 'node:worker_threads'
import type { IntakeThreadData } from './exchange.ts'
import { runIntakeThread } from './intake-loop.ts'
import { serveMain } from './serve-main.ts'

await serveMain((log, say) => runIntakeThread(workerData as IntakeThreadData, log, say))
