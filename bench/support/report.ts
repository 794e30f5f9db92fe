/** Figures for people and for later: a table on standard output, JSON in bench/results/. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

export interface Spread {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}

const results = fileURLToPath(new URL('../results/', import.meta.url))

/** Results in `local/` are nobody's business; named ones (--save NAME) are kept in the repository. Returns the file's path. */
export function saveResult(benchmark: string, name: string, result: object, picture?: string): string {
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const stem = name === '' ? join(results, 'local', `${benchmark}-${stamp}`) : join(results, name)
  mkdirSync(join(stem, '..'), { recursive: true })
  writeFileSync(`${stem}.json`, `${JSON.stringify(result, null, 2)}\n`)
  if (picture !== undefined) writeFileSync(`${stem}.svg`, picture)
  return `${relative(process.cwd(), stem)}.json${picture === undefined ? '' : ' and .svg'}`
}

/** "0.165 (0.153–0.180)". */
export function medianAndRange(values: readonly number[], digits: number): string {
  const told = (value: number): string => value.toFixed(digits)
  return values.length === 1
    ? told(median(values))
    : `${told(median(values))} (${told(Math.min(...values))}–${told(Math.max(...values))})`
}

/** Ends a benchmark's output: the machine's facts, and the file that holds it all. */
export function printEnd(facts: Readonly<Record<string, string>>, file: string): void {
  for (const [name, value] of Object.entries(facts)) console.log(`${name}: ${value}`)
  console.log(`\nwritten: ${file}`)
}
