/** The queue as it is written down: a row per recipient that still waits for an end, and the flows that rows refer to. */

export interface QueueRow {
  /** Of the submission (model/submission.ts). */
  number: number
  /** Where its record is. */
  place: number
  /** How many segments before its record's hold chunks of it. */
  span: number
  /** This recipient's share of what is stored. */
  bytes: number
  /** Index into the submission's recipients. */
  recipient: number
  acceptedAtMs: number
  /** 0: at once. */
  nextAttemptAtMs: number
  /** Seconds from acceptance to the time at which it is given up; 0: as the configuration says. */
  lifeS: number
  /** Made so far. */
  attempts: number
  mayBeDuplicate: boolean
  /** Fails every process that touches it: kept, and never sent by itself. */
  quarantined: boolean
  /** Which of the flows. */
  flow: number
}

export interface QueueFlow {
  readonly id: number
  readonly domain: string
  readonly tenant: string
}

/**
 * row   number f64 | place f64 | accepted f64 | next attempt f64 | flow u32 | recipient u32 | bytes u32 | attempts u16 | span u16 | flags + 4 × life f64
 */
export const queueRowBytes = 56
const duplicateBit = 1
const quarantineBit = 2
const flagValues = 4

export function writeQueueRow(into: Buffer, at: number, row: QueueRow): void {
  into.writeDoubleLE(row.number, at)
  into.writeDoubleLE(row.place, at + 8)
  into.writeDoubleLE(row.acceptedAtMs, at + 16)
  into.writeDoubleLE(row.nextAttemptAtMs, at + 24)
  into.writeUInt32LE(row.flow, at + 32)
  into.writeUInt32LE(row.recipient, at + 36)
  into.writeUInt32LE(row.bytes, at + 40)
  into.writeUInt16LE(row.attempts, at + 44)
  into.writeUInt16LE(row.span, at + 46)
  const flags = (row.mayBeDuplicate ? duplicateBit : 0) | (row.quarantined ? quarantineBit : 0)
  into.writeDoubleLE(flags + row.lifeS * flagValues, at + 48)
}

export const emptyRow = (): QueueRow => ({
  number: 0,
  place: 0,
  span: 0,
  bytes: 0,
  recipient: 0,
  acceptedAtMs: 0,
  nextAttemptAtMs: 0,
  lifeS: 0,
  attempts: 0,
  mayBeDuplicate: false,
  quarantined: false,
  flow: 0,
})

/** Fills `row`, so that ten million of them cost no allocation. */
export function readQueueRow(from: Buffer, at: number, row: QueueRow): void {
  const flagsAndLife = from.readDoubleLE(at + 48)
  const flags = flagsAndLife % flagValues
  row.number = from.readDoubleLE(at)
  row.place = from.readDoubleLE(at + 8)
  row.acceptedAtMs = from.readDoubleLE(at + 16)
  row.nextAttemptAtMs = from.readDoubleLE(at + 24)
  row.flow = from.readUInt32LE(at + 32)
  row.recipient = from.readUInt32LE(at + 36)
  row.bytes = from.readUInt32LE(at + 40)
  row.lifeS = Math.floor(flagsAndLife / flagValues)
  row.attempts = from.readUInt16LE(at + 44)
  row.span = from.readUInt16LE(at + 46)
  row.mayBeDuplicate = (flags & duplicateBit) !== 0
  row.quarantined = (flags & quarantineBit) !== 0
}
