/** Bounds of the spool, each with its arithmetic. */
import { limit } from '../kernel/limits.ts'
import { KiB, MiB } from '../kernel/units.ts'
import { stageBuffers } from './stage-buffers.ts'

const owner = 'spool'

export const stageBytes = limit({
  name: 'spool.stage',
  value: 64 * KiB,
  unit: 'bytes per open transaction',
  owner,
  why: 'What a transaction holds in memory before it spills: 10,000 sessions in content × 64 KiB = 640 MiB at the very worst.',
  breach: 'spilled to the log as a chunk',
})

export const stagePoolBytesMax = limit({
  name: 'spool.stage-pool',
  value: stageBuffers.reduce((sum, { bytes, keptMax }) => sum + bytes * keptMax, 0),
  unit: 'bytes per intake log',
  owner,
  why: '512 × 16 KiB + 64 × 128 KiB of buffers that nobody fills now. Only a burst has more open at once.',
  breach: 'the buffer is given back to the system',
})

export const commitsWaitingMax = limit({
  name: 'spool.commits-waiting',
  value: 20_000,
  unit: 'commits',
  owner,
  why: 'Replies that wait for one flush: 10,000 sessions with one message each, and as many HTTP requests.',
  breach: '452 4.3.1',
})

export const recordBytesMax = limit({
  name: 'spool.record',
  value: 2 * MiB,
  unit: 'bytes of payload',
  owner,
  why: 'Outcomes of 1,000 recipients × 2 × 550 B = 1.1 MB. A submission: 1,000 recipients × 258 B + 16,384 chunks × 12 B + two stages of 64 KiB + head = 0.7 MB.',
  breach: 'a broken invariant: the thread dies',
})

export const batchBytesMax = limit({
  name: 'spool.batch',
  value: 4 * MiB,
  unit: 'bytes',
  owner,
  why: 'A slow disk sees several batches rather than one endless one, and each is in memory in one piece when it is read again.',
  breach: 'the next batch is begun',
})

export const segmentsPerWindowMax = limit({
  name: 'spool.segments-per-window',
  value: 16,
  unit: 'segments',
  owner,
  why: 'Keeps the plans of segments that are not made yet well inside their ring of 64 (spool.segment-ring).',
  breach: 'exit code 78',
})

export const segmentRingMax = limit({
  name: 'spool.segment-ring',
  value: 64,
  unit: 'plans of segments per log',
  owner,
  why: 'Needed: the 16 of a window that is not on disk yet (spool.segments-per-window), the open one, and the next. 40 B each.',
  breach: 'the oldest plan is gone; were it needed, 451 4.3.0 until the log is recovered',
})

export const freeRingMax = limit({
  name: 'spool.free-ring',
  value: 64,
  unit: 'segments per log',
  owner,
  why: 'Segments that nobody needs and the log thread has not taken yet: 64 × 64 MiB = 4 GiB between two of its steps.',
  breach: 'offered again with the next tick',
})

export const recycledSegmentsMax = limit({
  name: 'spool.recycled-segments',
  value: 4,
  unit: 'segments per log',
  owner,
  why: 'Files of segments that nobody needs any more, kept for the next ones: 4 × 64 MiB = 256 MiB per log. None of a log whose intake thread there is no more.',
  breach: 'the file is removed',
})

export const openFilesMax = limit({
  name: 'spool.open-files',
  value: 64,
  unit: 'files per reading thread',
  owner,
  why: 'Segments kept open for reading: 64 × 64 MiB are a backlog of 4 GiB without an open per message.',
  breach: 'the one read longest ago is closed',
})

export const carriedShareMax = limit({
  name: 'spool.carried-share',
  value: 1 / 8,
  unit: 'of a segment',
  owner,
  why: 'A segment with less living mail than this is emptied: copying an eighth frees seven.',
  breach: 'the segment stays until its mail has come to an end',
})

export const rangeBytesMax = limit({
  name: 'spool.checkpoint-range',
  value: MiB,
  unit: 'bytes of payload',
  owner,
  why: 'One write and one sync of the log thread between two commits; 18,724 recipients of 56 B.',
  breach: 'goes on in the next range',
})

export const partBytesMax = limit({
  name: 'spool.checkpoint-flows',
  value: 512 * KiB,
  unit: 'bytes of JSON',
  owner,
  why: 'Flows, and what was learned of sites, in one range: half of it, so that the entry that passes the bound still fits (20 exchangers × 255 B = 5 KB).',
  breach: 'goes on in the next range',
})

export const outcomesWaitingMax = limit({
  name: 'spool.outcomes-waiting',
  value: 2 ** 26,
  unit: 'attempts',
  owner,
  why: 'In effect shape.slots: while one waits nothing is granted, so only what was under way, what expires and what routing fails can follow.',
  breach: 'a broken invariant: exit code 70, and what waited is tried again, flagged',
})

export const outcomeCommitMsMax = limit({
  name: 'spool.outcome-delay',
  value: 10,
  unit: 'ms',
  owner,
  why: 'Nobody waits for an outcome, so they share commits: at 1,000 a second at most 10 are forgotten by a crash, and delivered again.',
  breach: 'the commit goes out',
})
