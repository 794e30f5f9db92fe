/** What `posthaste spool fsck|stat|dump` and `message show` read. Nothing here writes; a running engine may hold the spool. */
import type { Disk } from '../ports/disk.ts'
import { uuidTimeMs } from '../kernel/ids.ts'
import { intakeLog, outcomeLog, quarantineDirectory, spoolRoot } from './files.ts'
import {
  recordHeaderBytes,
  recordPayloadBytes,
  recordSequence,
  recordType,
  recordTypes,
  zlibChecksum,
} from './layout.ts'
import { OutcomeFold } from './pending.ts'
import { readOutcome, readSubmission, type StoredOutcome, type StoredSubmission } from './records.ts'
import { type LogRecovery, scanLog } from './recovery.ts'
import { eachRecord, openLogFiles, type SegmentFile, walkSegment } from './segments.ts'

export interface LogStat {
  readonly log: string
  readonly segments: number
  readonly bytes: number
  readonly firstSegment: number
  readonly lastSegment: number
  readonly oldestAtMs: number
}

export function statSpool(disk: Disk): LogStat[] {
  return [intakeLog, outcomeLog].map((log) => {
    const { segments } = openLogFiles(disk, `${spoolRoot}/${log}`)
    for (const { file } of segments) file.close()
    return {
      log,
      segments: segments.length,
      bytes: segments.reduce((sum, { header }) => sum + header.segmentBytes, 0),
      firstSegment: segments[0]?.header.segment ?? 0,
      lastSegment: segments.at(-1)?.header.segment ?? 0,
      oldestAtMs: segments[0]?.header.createdAtMs ?? 0,
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
  readonly submissions: number
  readonly pendingRecipients: number
  /** Chunks whose submission was never committed: their clients never saw a 250. */
  readonly orphanChunks: number
  readonly damagedSubmissions: readonly string[]
  readonly quarantined: readonly string[]
}

/** Maps the spool to the legal states of recovery.ts, or says where it is damaged. */
export function fsckSpool(disk: Disk): FsckReport {
  const fold = new OutcomeFold()
  const outcomes = scanLog(disk, `${spoolRoot}/${outcomeLog}`, (record) => {
    if (record.type === recordTypes.outcome) fold.add(record.sequence, readOutcome(record.payload, 0))
  })
  const chunks = new Set<number>()
  const damagedSubmissions: string[] = []
  const seen = new Set<number>()
  let pendingRecipients = 0
  const used = new Set<number>()
  const intake = scanLog(disk, `${spoolRoot}/${intakeLog}`, (record) => {
    if (record.type === recordTypes.chunk) chunks.add(record.position)
    if (record.type !== recordTypes.submission) return
    const submission = readSubmission(record.payload, 0)
    for (const { position } of submission.chunks) used.add(position)
    if (seen.has(record.sequence)) return
    seen.add(record.sequence)
    pendingRecipients += fold.pending(record.sequence, submission.recipients.length).length
    if (!submission.chunks.every(({ position }) => chunks.has(position))) damagedSubmissions.push(submission.id)
  })
  const logs = [describe(intakeLog, intake), describe(outcomeLog, outcomes)]
  return {
    clean:
      damagedSubmissions.length === 0 && logs.every((log) => log.damage.length === 0 && log.brokenFiles.length === 0),
    logs,
    submissions: seen.size,
    pendingRecipients,
    orphanChunks: [...chunks].filter((position) => !used.has(position)).length,
    damagedSubmissions,
    quarantined: disk.list(`${spoolRoot}/${quarantineDirectory}`),
  }
}

function describe(log: string, recovery: LogRecovery): FsckReport['logs'][number] {
  for (const { file } of recovery.files.segments) file.close()
  return {
    log,
    segments: recovery.files.segments.length,
    records: recovery.records,
    provenThrough: recovery.provenThrough,
    tornBytes: recovery.tornBytes,
    damage: recovery.damage.map(({ position, bytes }) => ({ position, bytes })),
    brokenFiles: recovery.brokenFiles,
  }
}

export interface DumpEntry {
  readonly sequence: number
  readonly submission: StoredSubmission
  /** SHA-256 is computed over these; null when a chunk is gone. */
  readonly content: Buffer | null
  /** Every attempt's outcomes, in the order of the log. */
  readonly outcomes: readonly StoredOutcome[]
  /** Indexes of recipients without a final outcome. */
  readonly pending: readonly number[]
}

/** Calls back for every submission of the spool with its content and what became of it. Holds the outcomes in memory. */
export function dumpSpool(disk: Disk, onEntry: (entry: DumpEntry) => void): void {
  const fold = new OutcomeFold()
  const outcomes = new Map<number, StoredOutcome[]>()
  const outcomeScan = scanLog(disk, `${spoolRoot}/${outcomeLog}`, (record) => {
    if (record.type !== recordTypes.outcome) return
    const stored = readOutcome(record.payload, 0)
    fold.add(record.sequence, stored)
    const list = outcomes.get(record.sequence)
    if (list === undefined) outcomes.set(record.sequence, [stored])
    else list.push(stored)
  })
  const chunks = new Map<number, Buffer>()
  const chunksOf = new Map<number, number[]>()
  const seen = new Set<number>()
  const intakeScan = scanLog(disk, `${spoolRoot}/${intakeLog}`, (record) => {
    if (record.type === recordTypes.chunk) {
      chunks.set(record.position, Buffer.from(record.payload))
      chunksOf.set(record.sequence, [...(chunksOf.get(record.sequence) ?? []), record.position])
    }
    if (record.type !== recordTypes.submission || seen.has(record.sequence)) return
    seen.add(record.sequence)
    const submission = readSubmission(record.payload, 0)
    const parts = submission.chunks.map(({ position }) => chunks.get(position) ?? null)
    parts.push(record.payload.subarray(submission.inlineOffset, submission.inlineOffset + submission.inlineBytes))
    onEntry({
      sequence: record.sequence,
      submission,
      content: parts.every((part) => part !== null) ? Buffer.concat(parts) : null,
      outcomes: outcomes.get(record.sequence) ?? [],
      pending: fold.pending(record.sequence, submission.recipients.length).map(({ recipient }) => recipient),
    })
    for (const position of chunksOf.get(record.sequence) ?? []) chunks.delete(position)
    chunksOf.delete(record.sequence)
  })
  for (const { file } of [...outcomeScan.files.segments, ...intakeScan.files.segments]) file.close()
}

export interface FoundSubmission {
  readonly sequence: number
  readonly submission: StoredSubmission
  readonly outcomes: readonly StoredOutcome[]
}

/**
 * Looks for a submission by its public id in the files, for one that no slot knows any more. Its id says when it was made, so only segments
 * of that time are read. Null when it is not there: never accepted, or its records are gone.
 */
export function findSubmission(disk: Disk, id: Buffer): FoundSubmission | null {
  const acceptedAtMs = uuidTimeMs(id)
  let found: { sequence: number; submission: StoredSubmission } | null = null
  // The commit follows the id by as long as its content took to arrive.
  scanTime(disk, intakeLog, acceptedAtMs - 60_000, acceptedAtMs + 3_600_000, (type, sequence, payload) => {
    if (type !== recordTypes.submission || !payload.subarray(0, 16).equals(id)) return
    found = { sequence, submission: readSubmission(payload, 0) }
  })
  const hit = found as { sequence: number; submission: StoredSubmission } | null
  if (hit === null) return null
  const outcomes: StoredOutcome[] = []
  scanTime(disk, outcomeLog, acceptedAtMs - 60_000, Number.POSITIVE_INFINITY, (_type, sequence, payload) => {
    if (sequence === hit.sequence) outcomes.push(readOutcome(payload, 0))
  })
  return { sequence: hit.sequence, submission: hit.submission, outcomes }
}

function scanTime(
  disk: Disk,
  log: string,
  fromMs: number,
  toMs: number,
  onRecord: (type: number, sequence: number, payload: Buffer) => void,
): void {
  const { segments } = openLogFiles(disk, `${spoolRoot}/${log}`)
  for (const [i, segment] of segments.entries()) {
    const nextCreatedAtMs = segments[i + 1]?.header.createdAtMs ?? Number.POSITIVE_INFINITY
    if (segment.header.createdAtMs <= toMs && nextCreatedAtMs >= fromMs) readSegment(segment, onRecord)
    segment.file.close()
  }
}

function readSegment(segment: SegmentFile, onRecord: (type: number, sequence: number, payload: Buffer) => void): void {
  const ignoreDamage = (): void => {}
  walkSegment(
    segment,
    0,
    zlibChecksum,
    (batch) =>
      eachRecord(batch, (at) => {
        const payload = batch.bytes.subarray(
          at + recordHeaderBytes,
          at + recordHeaderBytes + recordPayloadBytes(batch.bytes, at),
        )
        onRecord(recordType(batch.bytes, at), recordSequence(batch.bytes, at), payload)
      }),
    ignoreDamage,
  )
}
