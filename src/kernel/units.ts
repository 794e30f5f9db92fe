/** Numbers with units, in and out. Names elsewhere carry the unit; these parse and print it for people. */

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

export const secondMs = 1_000
export const minuteMs = 60_000
export const hourMs = 3_600_000
export const dayMs = 86_400_000

const byteUnits: Record<string, number> = {
  B: 1,
  KB: 1_000,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB,
  MiB,
  GiB,
  TiB: 1024 * GiB,
}
const durationUnits: Record<string, number> = { ms: 1, s: secondMs, m: minuteMs, h: hourMs, d: dayMs }

/** "50MiB", "1.5 GB", "4096B" → bytes; null when it is not a size. A bare number is refused: it does not say what it counts. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?) ?(B|[KMGT]B|[KMGT]iB)$/.exec(text)
  if (match === null) return null
  return Math.round(Number(match[1]) * (byteUnits[match[2] as string] as number))
}

/** "1500ms", "30s", "5m", "72h", "7d" → milliseconds; null when it is not a duration. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(text)
  if (match === null) return null
  return Math.round(Number(match[1]) * (durationUnits[match[2] as string] as number))
}

export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(1))} ${unit}`
  }
  return `${bytes} B`
}

export function formatDuration(ms: number): string {
  for (const [unit, size] of [
    ['d', dayMs],
    ['h', hourMs],
    ['m', minuteMs],
    ['s', secondMs],
  ] as const) {
    if (ms >= size) return `${Number((ms / size).toFixed(1))}${unit}`
  }
  return `${ms}ms`
}
