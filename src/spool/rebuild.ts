/**
 * A queue from the logs alone, for when no checkpoint is whole and the logs do not go back to their beginning. Whatever is there without a final
 * outcome is queued; what was accepted before the outcome log begins may have been delivered already, and is flagged.
 */
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { type QueueFlow, queueRowBytes, writeQueueRow } from '../model/queue.ts'
import { mailLogNumber, mailLogName, outcomeLog, quarantineDirectory, spoolRoot } from './files.ts'
import type { Disk } from '../ports/disk.ts'
import {
  type CheckpointLog,
  checkpointDirectoryPath,
  checkpointPath,
  flowEntries,
  jsonParts,
  listCheckpoints,
  newHead,
  rangeHeaderBytes,
  rangeKinds,
  readCheckpoint,
  sealJson,
  sealRange,
} from './checkpoint.ts'
import { zlibChecksum } from './layout.ts'
import { rangeBytesMax } from './limits.ts'
import { mailLogs, QueueTable, type ScannedLog, type ScannedSpool, scanSpool } from './scan.ts'
import { openLogFiles } from './segments.ts'

export interface RebuildReport {
  /** Of the checkpoint that was written. */
  readonly checkpoint: number
  readonly recipients: number
  /** Numbers of the submissions that may be sent twice. */
  readonly inDoubt: ReadonlySet<number>
  /** Checkpoints that were not whole, set aside. */
  readonly quarantined: readonly string[]
}

/**
 * The spool must not be in use. @throws PosthasteError `spool_checkpoint_whole` when nothing has to be rebuilt, unless `force`
 */
export function rebuildQueue(disk: Disk, clock: Clock, force: boolean): RebuildReport {
  const numbers = listCheckpoints(disk)
  const whole = numbers.find((number) => readCheckpoint(disk, number) !== null)
  if (whole !== undefined && !force) {
    throw new PosthasteError(
      'spool_checkpoint_whole',
      `checkpoint ${whole} is whole: a start needs nothing else`,
      'just start Posthaste; with --force the queue is made of the logs all the same, and more may be sent twice',
      { exitCode: 1 },
    )
  }
  syncAll(disk)
  const table = new QueueTable()
  const scanned = scanSpool({ disk, checksum: zlibChecksum, sink: table, everything: true })
  const [first] = scanned.outcomes.recovery.files.segments
  const outcomesFromMs = first === undefined || first.header.segment === 1 ? 0 : first.header.createdAtMs
  const inDoubt = new Set<number>()
  for (const rows of table.rows.values()) {
    for (const row of rows) {
      if (row.acceptedAtMs > outcomesFromMs) continue
      row.mayBeDuplicate = true
      inDoubt.add(row.number)
    }
  }
  const quarantined = setAside(disk, numbers)
  const number = Math.max(0, ...numbers) + 1
  writeCheckpoint(disk, number, clock.nowMs(), logsOf(scanned), table)
  return { checkpoint: number, recipients: scanned.pendingRecipients, inDoubt, quarantined }
}

/** What was read is about to count as being on disk. */
function syncAll(disk: Disk): void {
  for (const name of [outcomeLog, ...mailLogs(disk).map(mailLogName)]) {
    for (const { path } of openLogFiles(disk, `${spoolRoot}/${name}`).segments) {
      const file = disk.open(path, 'write')
      file.dataSync()
      file.close()
    }
  }
}

function setAside(disk: Disk, numbers: readonly number[]): string[] {
  if (numbers.length === 0) return []
  const quarantine = `${spoolRoot}/${quarantineDirectory}`
  disk.makeDirectory(quarantine)
  const kept = numbers.map((number) => {
    const name = `${quarantine}/checkpoint-${number}.ckpt`
    disk.rename(checkpointPath(number), name)
    return name
  })
  disk.syncDirectory(quarantine)
  disk.syncDirectory(spoolRoot)
  disk.syncDirectory(checkpointDirectoryPath)
  return kept
}

function logsOf(scanned: ScannedSpool): CheckpointLog[] {
  const logOf = ({ name, recovery }: ScannedLog): CheckpointLog => {
    const { nextSegment, nextBatch, files } = recovery
    const position = nextSegment * (files.segments[0]?.header.segmentBytes ?? 0)
    const log = mailLogNumber(name)
    const nextSequence = log === null ? 1 : (scanned.nextSequences.get(log) ?? 1)
    return { name, position, keepFrom: position, nextSegment, nextBatch, nextSequence }
  }
  return [scanned.outcomes, ...scanned.mail.values()].map(logOf)
}

function writeCheckpoint(
  disk: Disk,
  number: number,
  nowMs: number,
  logs: readonly CheckpointLog[],
  table: QueueTable,
): void {
  const file = disk.create(checkpointPath(number))
  const buffer = Buffer.alloc(rangeHeaderBytes + rangeBytesMax.value)
  let ranges = 0
  let at = 0
  const write = (bytes: number): void => {
    file.writeAt(buffer, 0, bytes, at)
    at += bytes
    ranges += 1
  }
  write(sealJson(buffer, rangeKinds.head, ranges, JSON.stringify(newHead(number, nowMs, logs)), number))
  const rows = [...table.rows.values()].flat()
  const flowIds = new Map<string, number>()
  const flows: QueueFlow[] = []
  const perRange = Math.floor(rangeBytesMax.value / queueRowBytes)
  for (let from = 0; from < rows.length; from += perRange) {
    const part = rows.slice(from, from + perRange)
    for (const [i, row] of part.entries()) {
      const { domain, tenant } = table.flows.get(row) as { domain: string; tenant: string }
      const key = `${tenant} ${domain}`
      const flow = flowIds.get(key) ?? flows.push({ id: flows.length, domain, tenant }) - 1
      flowIds.set(key, flow)
      writeQueueRow(buffer, rangeHeaderBytes + i * queueRowBytes, { ...row, flow })
    }
    write(sealRange(buffer, rangeKinds.rows, ranges, part.length * queueRowBytes, number))
  }
  for (const part of jsonParts(flowEntries(flows))) write(sealJson(buffer, rangeKinds.flows, ranges, part, number))
  const end = JSON.stringify({ ranges: ranges + 1, rows: rows.length })
  write(sealJson(buffer, rangeKinds.end, ranges, end, number))
  file.dataSync()
  file.close()
  disk.syncDirectory(checkpointDirectoryPath)
}
