/**
 * The bytes of a checkpoint: the queue as it was while the file was written, and the positions from which the logs must be read again on top of it.
 *
 *   file    [ range | range | … | range ]        head, rows…, flows…, learned…, end
 *   range   kind u32 | index u32 | payload bytes u32 | CRC-32 over the three and the payload, begun with the checkpoint's number
 *
 * The queue goes on while it is written, so rows are not all of one moment. Reading the logs again makes up for it: a row that is there already is
 * not entered again, an outcome carries its attempt's number, and whoever settled after its row was written settles again.
 *
 * A checkpoint without its end, or with any bad byte, is none: then the one before it serves, with more of the logs to read.
 */
import { crc32 } from 'node:zlib'
import { PosthasteError } from '../kernel/errors.ts'
import { invariant } from '../kernel/assert.ts'
import type { QueueFlow } from '../model/queue.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { checkpointDirectory, spoolRoot } from './files.ts'
import { partBytesMax, rangeBytesMax } from './limits.ts'
import type { KnownLog } from './recovery.ts'

export const rangeHeaderBytes = 16
const version = 1

export const rangeKinds = { head: 1, rows: 2, flows: 3, learned: 4, end: 5 } as const
export type RangeKind = (typeof rangeKinds)[keyof typeof rangeKinds]

/** A log as the checkpoint knows it. */
export interface CheckpointLog extends KnownLog {
  readonly name: string
  /** Segments that begin from here on are not behind this checkpoint: chunks of open transactions may lie before `position`. */
  readonly keepFrom: number
  readonly nextSequence: number
}

export interface CheckpointHead {
  readonly version: number
  readonly number: number
  readonly createdAtMs: number
  readonly logs: readonly CheckpointLog[]
}

interface CheckpointEnd {
  readonly ranges: number
  readonly rows: number
}

export interface Checkpoint {
  readonly path: string
  readonly head: CheckpointHead
  readonly flows: ReadonlyMap<number, QueueFlow>
  readonly learned: readonly unknown[]
  readonly rows: number
  readonly bytes: number
}

export const checkpointDirectoryPath = `${spoolRoot}/${checkpointDirectory}`
const fileName = (number: number): string => `${String(number).padStart(8, '0')}.ckpt`
export const checkpointPath = (number: number): string => `${checkpointDirectoryPath}/${fileName(number)}`

function numberOfFile(name: string): number | null {
  const match = /^(\d{8,})\.ckpt$/.exec(name)
  return match === null ? null : Number(match[1])
}

/** Seals a range whose payload stands behind its header at the start of `buffer`. Returns its length. */
export function sealRange(
  buffer: Buffer,
  kind: RangeKind,
  index: number,
  payloadBytes: number,
  checkpoint: number,
): number {
  buffer.writeUInt32LE(kind, 0)
  buffer.writeUInt32LE(index, 4)
  buffer.writeUInt32LE(payloadBytes, 8)
  buffer.writeUInt32LE(rangeCrc(buffer, payloadBytes, checkpoint), 12)
  return rangeHeaderBytes + payloadBytes
}

function rangeCrc(bytes: Buffer, payloadBytes: number, checkpoint: number): number {
  const payload = bytes.subarray(rangeHeaderBytes, rangeHeaderBytes + payloadBytes)
  return crc32(payload, crc32(bytes.subarray(0, 12), checkpoint % 2 ** 32))
}

export function sealJson(buffer: Buffer, kind: RangeKind, index: number, json: string, checkpoint: number): number {
  const bytes = Buffer.byteLength(json)
  invariant(bytes <= rangeBytesMax.value, `a range of ${bytes} bytes`)
  return sealRange(buffer, kind, index, buffer.write(json, rangeHeaderBytes, 'utf8'), checkpoint)
}

/** JSON arrays that together hold all entries. */
export function* jsonParts(entries: Iterable<unknown>): Generator<string, undefined> {
  let part: string[] = []
  let bytes = 0
  for (const entry of entries) {
    const json = JSON.stringify(entry)
    part.push(json)
    bytes += Buffer.byteLength(json) + 1
    if (bytes < partBytesMax.value) continue
    yield `[${part.join(',')}]`
    part = []
    bytes = 0
  }
  if (part.length > 0) yield `[${part.join(',')}]`
}

/** As they stand in a checkpoint. */
export function* flowEntries(flows: Iterable<QueueFlow>): Generator<readonly [number, string, string], undefined> {
  for (const { id, domain, tenant } of flows) yield [id, domain, tenant]
}

/** Numbers of the files that are there, rising, whole or not. */
export function listCheckpoints(disk: Disk): number[] {
  return disk
    .list(checkpointDirectoryPath)
    .map(numberOfFile)
    .filter((number) => number !== null)
}

/** All of it checked, without its rows; null when it is not whole. @throws PosthasteError `spool_newer_format` */
export function readCheckpoint(disk: Disk, number: number): Checkpoint | null {
  let head: CheckpointHead | null = null
  const learned: unknown[] = []
  let end: CheckpointEnd | null = null
  let ranges = 0
  const flows = new Map<number, QueueFlow>()
  const bytes = eachRange(disk, number, (kind, payload) => {
    ranges += 1
    if (kind === rangeKinds.rows) return
    const value: unknown = JSON.parse(payload.toString('utf8'))
    if (kind === rangeKinds.head) head = refuseNewer(value as CheckpointHead)
    else if (kind === rangeKinds.learned) for (const entry of value as unknown[]) learned.push(entry)
    else if (kind === rangeKinds.flows)
      for (const [id, domain, tenant] of value as [number, string, string][]) flows.set(id, { id, domain, tenant })
    else end = value as CheckpointEnd
  })
  const last = end as CheckpointEnd | null
  const first = head as CheckpointHead | null
  if (bytes === null || first === null || last === null || last.ranges !== ranges) return null
  if (first.version !== version || first.number !== number) return null
  return { path: checkpointPath(number), head: first, flows, learned, rows: last.rows, bytes }
}

/** Its bytes are whole, so it is no damage: to pass it over would be to remove it. */
function refuseNewer(head: CheckpointHead): CheckpointHead {
  if (head.version <= version) return head
  throw new PosthasteError(
    'spool_newer_format',
    `${checkpointPath(head.number)} has format ${head.version}, this program reads up to ${version}`,
    'start the newer version that wrote it, or point `data` at another directory; nothing was changed',
    { exitCode: 78 },
  )
}

/** Blocks of rows, valid during the call. */
export function eachRows(disk: Disk, checkpoint: Checkpoint, onRows: (rows: Buffer) => void): void {
  eachRange(disk, checkpoint.head.number, (kind, payload) => {
    if (kind === rangeKinds.rows) onRows(payload)
  })
}

/** Calls back for every range of the file; null when one is not what was written. Returns the file's length. */
function eachRange(disk: Disk, number: number, onRange: (kind: RangeKind, payload: Buffer) => void): number | null {
  let file: DiskFile
  try {
    file = disk.open(checkpointPath(number), 'read')
  } catch {
    return null
  }
  try {
    const size = file.size()
    const buffer = Buffer.alloc(Math.min(size, rangeHeaderBytes + rangeBytesMax.value))
    let at = 0
    for (let index = 0; at < size; index++) {
      const bytes = file.readAt(buffer, 0, Math.min(buffer.length, size - at), at)
      if (bytes < rangeHeaderBytes) return null
      const payloadBytes = buffer.readUInt32LE(8)
      if (rangeHeaderBytes + payloadBytes > bytes || buffer.readUInt32LE(4) !== index) return null
      if (rangeCrc(buffer, payloadBytes, number) !== buffer.readUInt32LE(12)) return null
      const kind = buffer.readUInt32LE(0) as RangeKind
      onRange(kind, buffer.subarray(rangeHeaderBytes, rangeHeaderBytes + payloadBytes))
      at += rangeHeaderBytes + payloadBytes
      if (kind === rangeKinds.end) return at === size ? size : null
    }
    return null
  } finally {
    file.close()
  }
}

export const newHead = (number: number, createdAtMs: number, logs: readonly CheckpointLog[]): CheckpointHead => ({
  version,
  number,
  createdAtMs,
  logs,
})
