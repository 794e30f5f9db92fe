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

/** Files of segments that nobody needs any more, kept per log for its next segments: 4 × 64 MiB. What is beyond goes back to the file system. */
export const recycledSegmentsMax = limit({
  value: 4,
  unit: 'segments per log',
  owner: 'spool',
  breach: 'the file is removed',
})

/** Segment files kept open for reading: 64 × 64 MiB are a backlog of 4 GiB without an open per message. */
export const openFilesMax = limit({
  value: 64,
  unit: 'files per reading thread',
  owner: 'spool',
  breach: 'the one read longest ago is closed',
})

/** A segment with less living mail than this is emptied: copying an eighth frees seven. */
export const carriedShareMax = limit({
  value: 1 / 8,
  unit: 'of a segment',
  owner: 'spool',
  breach: 'the segment stays until its mail has come to an end',
})
