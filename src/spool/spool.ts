/**
 * Stage 3, spool: makes a submission durable, and hands it to routing.
 *
 *   in   a transaction per submission: content in any split, then a commit with its envelope (ports/submissions.ts)
 *        outcomes, from the scheduler
 *   out  every submission, once, after the batch that holds it is on disk; single records by position for whoever sends them
 *
 * Always true:
 *   1. `commit` settles only after fdatasync covered the submission's last byte.
 *   2. One thread appends to a log, one thread writes its files. Nobody else ever does.
 *   3. Nothing is appended to a segment of an earlier run; nothing on disk is changed before recovery has understood it.
 *   4. A segment is used again only when it lies behind both checkpoints and all readers, and no slot points into it (pins.ts).
 *
 *   log   [ segment 41 | old ][ segment 42 | old ][ segment 43 | batch | batch | batch … ]
 *                                                         ^ committed   ^ closed  ^ open batch, in the window
 *
 * The bytes are drawn in layout.ts, the states after a crash are the table in recovery.ts.
 */
export { type LogThreadMemory, runLogThread, stopLogThread } from './log-thread.ts'
export { Channel } from './channel.ts'
export { CheckpointFiles } from './checkpoint-files.ts'
export * as spoolLimits from './limits.ts'
export { Flusher } from './flusher.ts'
export { fullTenants } from './shares.ts'
export { takeSpoolLock } from './lock.ts'
export type { Checksum } from './layout.ts'
export type { Arrival } from './arrivals.ts'
export type { RecoveryReport } from './found.ts'
export { openIntakeLog, openSpool, type Spool, type SpoolOptions } from './open.ts'
export { makeSpoolDirectories, makeSpoolMemory } from './prepare.ts'
export { intakeLogName, spoolRoot } from './files.ts'
export {
  readFacts,
  readSubmission,
  type RecipientOutcome,
  type StoredOutcome,
  type StoredSubmission,
} from './records.ts'
export { SpoolPins } from './pins.ts'
export { type RebuildReport, rebuildQueue } from './rebuild.ts'
export type { ReclaimFigures } from './reclaim.ts'
export {
  canFollow,
  isOfOtherSpool,
  logEnds,
  type ReadSubmission,
  refuseOtherSpool,
  SpoolFollower,
} from './follow.ts'
export { RecordReader, type RecordView } from './reader.ts'
export type { SubmissionLog } from './submission-log.ts'
export {
  type DumpEntry,
  dumpSpool,
  fsckSpool,
  type FsckReport,
  statSpool,
} from './inspect.ts'
