/**
 * Names on disk, under `<data>/spool`:
 *
 *   intake-0/00000001.seg     accepted mail, a log per intake thread; a file is named after its segment, and renamed when it is used again
 *   outcome-0/…               what became of it
 *   stragglers/…              mail that was carried here out of segments that were nearly empty
 *   checkpoint/00000001.ckpt  the queue as it was at a moment; the two newest are kept
 *   quarantine/               copies of what was damaged
 */
import { logsMax } from '../model/submission.ts'

export const segmentFileName = (segment: number): string => `${String(segment).padStart(8, '0')}.seg`

/** Segment that a file is named after, or null for a file that is none of ours. */
export function segmentOfFile(name: string): number | null {
  const match = /^(\d{8,})\.seg$/.exec(name)
  return match === null ? null : Number(match[1])
}

/** As it stands in places and numbers; those below it are intake logs. */
export const stragglerLogNumber = logsMax - 2

export const intakeLogName = (log: number): string => `intake-${log}`
export const outcomeLog = 'outcome-0'
export const stragglerLog = 'stragglers'

/** Directory of a log that holds mail, by its number. */
export const mailLogName = (log: number): string => (log === stragglerLogNumber ? stragglerLog : intakeLogName(log))

/** The number of a log that holds mail, by the name of its directory; null for any other. */
export function mailLogNumber(name: string): number | null {
  if (name === stragglerLog) return stragglerLogNumber
  const match = /^intake-(\d{1,2})$/.exec(name)
  const log = match === null ? stragglerLogNumber : Number(match[1])
  return log < stragglerLogNumber ? log : null
}

export const checkpointDirectory = 'checkpoint'
export const quarantineDirectory = 'quarantine'
/** All of it, under the disk's root. */
export const spoolRoot = 'spool'
