/** Names on disk. `<data>/spool/<log>/00000001.seg`; what is damaged is copied to `<data>/spool/quarantine/`. */

export const segmentFileName = (ordinal: number): string => `${String(ordinal).padStart(8, '0')}.seg`

/** Ordinal of a segment file's name, or null for a file that is none of ours. */
export function segmentFileOrdinal(name: string): number | null {
  const match = /^(\d{8})\.seg$/.exec(name)
  return match === null ? null : Number(match[1])
}

export const intakeLog = 'intake-0'
export const outcomeLog = 'outcome-0'
export const quarantineDirectory = 'quarantine'
/** All of it, under the disk's root. */
export const spoolRoot = 'spool'
