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

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}

const results = fileURLToPath(new URL('../results/', import.meta.url))

/** Results in `local/` are nobody's business; named ones (--save NAME) are kept in the repository. Returns the file's path. */
export function saveResult(benchmark: string, name: string, result: object): string {
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
  const file = name === '' ? join(results, 'local', `${benchmark}-${stamp}.json`) : join(results, `${name}.json`)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
  return relative(process.cwd(), file)
}
