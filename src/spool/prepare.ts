/** What main makes before any thread opens the spool: directories on disk, and the memory that the threads of its logs share. */
import type { SpoolConfig } from '../config/compiled.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { MiB } from '../kernel/units.ts'
import type { Disk } from '../ports/disk.ts'
import { Channel, makeChannelMemory } from './channel.ts'
import { makeCheckpointMemory } from './checkpoint-files.ts'
import { checkpointDirectory, intakeLogName, mailLogName, outcomeLog, spoolRoot, stragglerLog } from './files.ts'
import type { LogThreadMemory } from './log-thread.ts'
import { mailLogs } from './scan.ts'
import { checkSizes } from './sizes.ts'

/**
 * Shared memory for the logs of one disk: made by main, handed to the log thread and to the owners. Logs of more intake threads than there are now keep
 * a place, because their mail is still in them.
 * @param followed a SpoolFollower reads along: until it says how far it is, no segment is used again
 * @throws PosthasteError `spool_sizes` when segment and window do not fit each other
 */
export function makeSpoolMemory(
  disk: Disk,
  config: SpoolConfig,
  intakeLogs: number,
  followed = false,
): LogThreadMemory {
  const { segmentBytes, windowBytes } = config
  checkSizes(segmentBytes, windowBytes)
  const outcomeBytes = Math.min(segmentBytes, 16 * MiB)
  const names = new Set([stragglerLog])
  for (let log = 0; log < intakeLogs; log++) names.add(intakeLogName(log))
  const filled = new Set(names)
  for (const log of mailLogs(disk)) names.add(mailLogName(log))
  const channels = [
    makeChannelMemory(outcomeLog, outcomeBytes, outcomeBytes % windowBytes === 0 ? windowBytes : outcomeBytes),
    ...[...names].map((name) => makeChannelMemory(name, segmentBytes, windowBytes, filled.has(name))),
  ]
  for (const memory of channels) {
    const channel = new Channel(memory)
    if (!followed || memory.name === stragglerLog) channel.setHeldFrom(Number.POSITIVE_INFINITY)
    if (!followed) channel.setToldTo(Number.POSITIVE_INFINITY)
  }
  return {
    channels,
    intakeLogs,
    checkpoint: makeCheckpointMemory(),
    wake: new SharedArrayBuffer(8),
  }
}

/** Directories of the spool, with their names on disk. @throws PosthasteError when the place cannot be written */
export function makeSpoolDirectories(disk: Disk, intakeLogs: number): void {
  try {
    const names = [outcomeLog, stragglerLog, checkpointDirectory]
    for (let log = 0; log < intakeLogs; log++) names.push(intakeLogName(log))
    for (const path of [spoolRoot, ...names.map((name) => `${spoolRoot}/${name}`)]) disk.makeDirectory(path)
    disk.syncDirectory('')
    disk.syncDirectory(spoolRoot)
  } catch (cause) {
    throw new PosthasteError(
      'spool_unwritable',
      `the spool cannot be created or written: ${(cause as Error).message}`,
      'give the data directory to the user that Posthaste runs as, or choose another one with `data` or --data',
      { exitCode: 73, cause },
    )
  }
}
