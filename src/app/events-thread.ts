/** Entry of the events thread. */
import { workerData } from 'node:worker_threads'
import { runEventsThread } from './events-loop.ts'
import type { EventsThreadData } from './exchange.ts'
import { serveMain } from './serve-main.ts'

await serveMain((log) => runEventsThread(workerData as EventsThreadData, log))
