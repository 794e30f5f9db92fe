/**
 * What files are called:
 *
 *   acct.json                             is written
 *   acct-20261122T131850Z-1.json (.gz)    rotated then; the number tells apart those of one second
 *   acct-….json.gz.part                   is being compressed
 *   acct.state (.new)                     up to where acct.json was known to be on disk
 */
import { secondMs } from '../../kernel/units.ts'

export interface RotatedName {
  readonly name: string
  /** When it was rotated: nothing in it is newer. */
  readonly atMs: number
  readonly count: number
  readonly packed: boolean
}

export function rotatedName(base: string, atMs: number, count: number): string {
  return `${base}-${new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${count}.json`
}

/** Behind all that were rotated in the same second. */
export function nextName(base: string, nowMs: number, names: readonly string[]): string {
  const atMs = Math.floor(nowMs / secondMs) * secondMs
  const same = rotatedNames(base, names).filter((rotated) => rotated.atMs === atMs)
  return rotatedName(base, nowMs, 1 + same.reduce((most, { count }) => Math.max(most, count), 0))
}

const shape = /^([a-z]+)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d{1,6})\.json(\.gz)?$/

/** Of this base, oldest first. */
export function rotatedNames(base: string, names: readonly string[]): RotatedName[] {
  return names
    .map(read)
    .filter((rotated) => rotated !== null)
    .filter((rotated) => rotated.base === base)
    .sort((a, b) => a.atMs - b.atMs || a.count - b.count || Number(b.packed) - Number(a.packed))
}

/** Of all bases, oldest first. */
export function rotatedTimesMs(names: readonly string[]): number[] {
  return names.flatMap((name) => read(name)?.atMs ?? []).sort((a, b) => a - b)
}

function read(name: string): (RotatedName & { readonly base: string }) | null {
  const [, base = '', year, month, day, hour, minute, second, count, gz] = shape.exec(name) ?? []
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(atMs) ? null : { name, base, atMs, count: Number(count), packed: gz !== undefined }
}
