/** Bounds of the spool, each with its arithmetic. */
import { limit } from '../kernel/limits.ts'
import { KiB } from '../kernel/units.ts'

/** What a transaction holds in memory before it spills: 10,000 sessions in content × 64 KiB = 640 MiB at the very worst. */
export const stageBytes = limit({
  value: 64 * KiB,
  unit: 'bytes per open transaction',
  owner: 'spool',
  breach: 'spilled to the log as a chunk',
})

/** Replies that wait for one flush. 10,000 sessions with one message each, and as many HTTP requests. */
export const commitsWaitingMax = limit({ value: 20_000, unit: 'commits', owner: 'spool', breach: '452 4.3.1' })
