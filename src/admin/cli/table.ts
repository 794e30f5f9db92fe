/** Columns of text for a terminal. */
import { printable, type CliContext } from './context.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** Titles and rows; the last column is cut at the edge of the terminal, the others are as wide as they need. */
export function table(context: CliContext, columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => printable(cell).replaceAll(/[\t\n]/g, ' ')))
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map((row) => (row[i] ?? '').length)))
  const lastStart = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  const lastWidthMax = Math.max(10, (context.stdout.columns ?? 160) - lastStart)
  const line = (row: readonly string[]): string =>
    columns
      .map((column, i) => {
        const cell = row[i] ?? ''
        const width = widths[i] as number
        if (column.align === 'right') return cell.padStart(width)
        if (i < columns.length - 1) return cell.padEnd(width)
        return cell.length > lastWidthMax ? `${cell.slice(0, lastWidthMax - 1)}…` : cell
      })
      .join('  ')
      .trimEnd()
  return [context.style('dim', line(columns.map((column) => column.title))), ...cells.map(line)].join('\n')
}

/** "12,345". */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** "0", "0.25", "12.3", "1,234": as many digits as say something. */
export function rate(value: number): string {
  return count(value >= 100 ? Math.round(value) : Number(value.toFixed(value >= 10 ? 1 : 2)))
}
