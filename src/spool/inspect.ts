/** What `posthaste spool fsck|stat|dump` and `message show` read. Nothing here writes; a running engine may hold the spool. */
import type { Disk } from '../ports/disk.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { inLog } from '../model/submission.ts'
import { listCheckpoints, readCheckpoint } from './checkpoint.ts'
import { mailLogName, outcomeLog, quarantineDirectory, spoolRoot } from './files.ts'
import { recordTypes, zlibChecksum } from './layout.ts'
import { readOutcome, readSubmission, type StoredOutcome, type StoredSubmission } from './records.ts'
import { type LogRecovery, type RecoveredRecord, scanLog } from './recovery.ts'
import { mailLogs, QueueTable, scanSpool } from './scan.ts'
import { openLogFiles } from './segments.ts'

export interface LogStat {
  readonly log: string
  readonly segments: number
  /** Files that wait to be used again are among them. */
  readonly bytes: number
  readonly firstSegment: number
  readonly lastSegment: number
  readonly oldestAtMs: number
}

const logNames = (disk: Disk): string[] => [...mailLogs(disk).map(mailLogName), outcomeLog]

export function statSpool(disk: Disk): LogStat[] {
  return logNames(disk).flatMap((log) => {
    const { segments, spares } = openLogFiles(disk, `${spoolRoot}/${log}`)
    const [first] = segments
    // Most spools never have stragglers.
    if (first === undefined) return []
    return {
      log,
      segments: segments.length,
      bytes: (segments.length + spares.length) * first.header.segmentBytes,
      firstSegment: first.header.segment,
      lastSegment: segments.at(-1)?.header.segment ?? 0,
      oldestAtMs: first.header.createdAtMs,
    }
  })
}

export interface FsckReport {
  readonly clean: boolean
  readonly logs: readonly {
    readonly log: string
    readonly segments: number
    readonly records: number
    readonly provenThrough: number
    readonly tornBytes: number
    readonly damage: readonly { readonly position: number; readonly bytes: number }[]
    readonly brokenFiles: readonly string[]
  }[]
  readonly checkpoints: readonly { readonly number: number; readonly whole: boolean }[]
  /** Why the queue cannot be told; null when it can. */
  readonly queueLost: string | null
  readonly submissions: number
  readonly pendingRecipients: number
  /** Chunks whose submission was never committed: their clients never saw a 250. */
  readonly orphanChunks: number
  /** In the queue, and part of their content is gone: ids, or numbers where the record itself is gone. */
  readonly damagedSubmissions: readonly string[]
  readonly quarantined: readonly string[]
}

/** Reads all logs whole and looks for every legal state that recovery knows. */
export function fsckSpool(disk: Disk): FsckReport {
  const { table, lost, damaged } = tableOf(disk)
  const outcomes = scanLog(disk, `${spoolRoot}/${outcomeLog}`, () => {})
  const logs: FsckReport['logs'][number][] = []
  const seen = new Set<number>()
  const missing = new Set(table.rows.keys())
  const damagedSubmissions: string[] = [...damaged]
  let orphanChunks = 0
  for (const log of mailLogs(disk)) {
    const chunks = new Set<number>()
    const used = new Set<number>()
    const recovery = scanLog(disk, `${spoolRoot}/${mailLogName(log)}`, (record) => {
      if (record.type === recordTypes.chunk) chunks.add(record.position)
      if (record.type !== recordTypes.submission) return
      seen.add(record.sequence)
      const submission = readSubmission(record.payload, 0)
      for (const { position } of submission.chunks) used.add(position)
      if (!isLivingCopy(table, log, record)) return
      missing.delete(record.sequence)
      if (!submission.chunks.every(({ position }) => chunks.has(position))) damagedSubmissions.push(submission.id)
    })
    orphanChunks += [...chunks].filter((position) => !used.has(position)).length
    if (recovery.files.segments.length + recovery.files.broken.length > 0)
      logs.push(describe(mailLogName(log), recovery))
  }
  logs.push(describe(outcomeLog, outcomes))
  for (const number of missing) damagedSubmissions.push(`number ${number}`)
  return {
    clean:
      lost === null &&
      damagedSubmissions.length === 0 &&
      logs.every((log) => log.damage.length === 0 && log.brokenFiles.length === 0),
    logs,
    checkpoints: listCheckpoints(disk).map((number) => ({ number, whole: readCheckpoint(disk, number) !== null })),
    queueLost: lost,
    submissions: seen.size,
    pendingRecipients: [...table.rows.values()].reduce((sum, rows) => sum + rows.length, 0),
    orphanChunks,
    damagedSubmissions: [...new Set(damagedSubmissions)],
    quarantined: disk.list(`${spoolRoot}/${quarantineDirectory}`),
  }
}

/** The queue as a start would make it now. */
function tableOf(disk: Disk): {
  readonly table: QueueTable
  readonly lost: string | null
  readonly damaged: readonly string[]
} {
  const table = new QueueTable()
  try {
    const { damagedSubmissions } = scanSpool({ disk, checksum: zlibChecksum, sink: table })
    return { table, lost: null, damaged: damagedSubmissions }
  } catch (error) {
    if (!(error instanceof PosthasteError) || error.code !== 'spool_checkpoints_damaged') throw error
    return { table: new QueueTable(), lost: error.message, damaged: [] }
  }
}

/** Of several copies of a record, the one that its rows point to. */
function isLivingCopy(table: QueueTable, log: number, { sequence, position }: RecoveredRecord): boolean {
  const place = inLog(log, position)
  return table.rows.get(sequence)?.some((row) => row.place === place) === true
}

function describe(log: string, recovery: LogRecovery): FsckReport['logs'][number] {
  return {
    log,
    segments: recovery.files.segments.length,
    records: recovery.records,
    provenThrough: recovery.provenThrough,
    tornBytes: recovery.tornBytes,
    damage: recovery.damage.map(({ position, bytes }) => ({ position, bytes })),
    brokenFiles: recovery.files.broken,
  }
}

export interface DumpEntry {
  readonly number: number
  readonly submission: StoredSubmission
  /** SHA-256 is computed over these; null when a chunk is gone. */
  readonly content: Buffer | null
  /** Attempts' outcomes, in the order of the log, as far as it goes back. */
  readonly outcomes: readonly StoredOutcome[]
  /** Indexes of recipients without a final outcome. */
  readonly pending: readonly number[]
}

/** Calls back for every submission whose record is still there, with its content and what became of it. Holds the outcomes in memory. */
export function dumpSpool(disk: Disk, onEntry: (entry: DumpEntry) => void): void {
  const { table } = tableOf(disk)
  const outcomes = new Map<number, StoredOutcome[]>()
  scanLog(disk, `${spoolRoot}/${outcomeLog}`, (record) => {
    if (record.type !== recordTypes.outcome) return
    const list = outcomes.get(record.sequence)
    if (list === undefined) outcomes.set(record.sequence, [readOutcome(record.payload, 0)])
    else list.push(readOutcome(record.payload, 0))
  })
  const seen = new Set<number>()
  for (const log of mailLogs(disk)) {
    const chunks = new Map<number, Buffer>()
    scanLog(disk, `${spoolRoot}/${mailLogName(log)}`, (record) => {
      if (record.type === recordTypes.chunk) chunks.set(record.position, Buffer.from(record.payload))
      if (record.type !== recordTypes.submission || seen.has(record.sequence)) return
      const rows = table.rows.get(record.sequence)
      if (rows !== undefined && !isLivingCopy(table, log, record)) return
      seen.add(record.sequence)
      const submission = readSubmission(record.payload, 0)
      const parts = submission.chunks.map(({ position }) => chunks.get(position) ?? null)
      parts.push(record.payload.subarray(submission.inlineOffset, submission.inlineOffset + submission.inlineBytes))
      onEntry({
        number: record.sequence,
        submission,
        content: parts.every((part) => part !== null) ? Buffer.concat(parts) : null,
        outcomes: outcomes.get(record.sequence) ?? [],
        pending: rows?.map(({ recipient }) => recipient).sort((a, b) => a - b) ?? [],
      })
      for (const { position } of submission.chunks) chunks.delete(position)
    })
  }
}
