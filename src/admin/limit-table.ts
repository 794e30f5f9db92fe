/** The table of limits as text for a terminal and as Markdown for docs/limits.md. Filled by app/limit-table.ts, which knows every folder. */
import type { Limit } from '../kernel/limits.ts'
import { formatBytes, formatDuration, KiB } from '../kernel/units.ts'

export interface LimitTable {
  /** Those of one owner stand together. */
  readonly limits: readonly Limit[]
  readonly totals: readonly LimitTotal[]
}

/** What several limits come to together. */
export interface LimitTotal {
  readonly name: string
  readonly unit: string
  readonly parts: readonly { readonly what: string; readonly count: number; readonly each: number }[]
  /** What stands beside the sum. */
  readonly beside: string
}

const inThousands = (value: number): string => value.toLocaleString('en-US')

/** "512 B", "5m", "20 MX records". */
function limitValue({ value, unit }: Pick<Limit, 'value' | 'unit'>): string {
  const [first = '', ...rest] = unit.split(' ')
  const suffix = rest.length === 0 ? '' : ` ${rest.join(' ')}`
  if (first === 'bytes') return `${sizeText(value)}${suffix}`
  if (first === 'ms') return `${formatDuration(value)}${suffix}`
  return `${inThousands(value)} ${unit}`
}

/** Exact where the unit would round: "1,232 B", not "1.2 KiB". */
function sizeText(bytes: number): string {
  return bytes < 64 * KiB && bytes % KiB !== 0 ? `${inThousands(bytes)} B` : formatBytes(bytes)
}

export function totalValue({ parts }: LimitTotal): number {
  return parts.reduce((sum, { count, each }) => sum + count * each, 0)
}

interface TotalRow {
  readonly what: string
  readonly how: string
  readonly value: string
}

function totalRows(total: LimitTotal): TotalRow[] {
  const text = (value: number): string => limitValue({ value, unit: total.unit })
  const rows = total.parts.map(({ what, count, each }) => ({
    what,
    how: count === 1 || each === 1 ? '' : `${inThousands(count)} × ${text(each)}`,
    value: text(count * each),
  }))
  return [...rows, { what: 'together', how: '', value: text(totalValue(total)) }]
}

const nameWidth = 39
const valueWidth = 33

/** Lines of at most `width` columns; `heading` makes owners and totals stand out. */
export function limitText({ limits, totals }: LimitTable, width: number, heading: (text: string) => string): string {
  const lines: string[] = []
  let owner = ''
  for (const limit of limits) {
    if (limit.owner !== owner) lines.push('', heading(limit.owner))
    owner = limit.owner
    const breach = wrap(limit.breach, width - nameWidth - valueWidth)
    lines.push(`  ${limit.name}`.padEnd(nameWidth) + limitValue(limit).padEnd(valueWidth) + (breach[0] ?? ''))
    for (const rest of breach.slice(1)) lines.push(' '.repeat(nameWidth + valueWidth) + rest)
    for (const line of wrap(limit.why, width - 6)) lines.push(`      ${line}`)
  }
  for (const total of totals) {
    lines.push('', heading(total.name))
    for (const { what, how, value } of totalRows(total))
      lines.push(`  ${what.padEnd(52)}${how.padEnd(28)}${value.padStart(14)}`)
    lines.push(`      ${total.beside}`)
  }
  return lines.slice(1).join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return [...lines, line]
}

const opening = `# Limits

This page is printed by \`posthaste config limits --markdown\` for a file that sets nothing but \`hostname\`. Without the flag the
command prints the table for a terminal, with \`--json\` for a program, and always with the values of your own file.

Everything that a peer, a message or a load could make large has a bound, and every bound has a test at its edge with its name in
the title: what still passes, and what does not. Names with an underscore are options, set in the file: [configuration.md](configuration.md).
The others are not to be set.
`

export function limitMarkdown({ limits, totals }: LimitTable): string {
  const parts = [opening]
  for (const [owner, ofOwner] of Map.groupBy(limits, (limit) => limit.owner)) {
    const rows = ofOwner.map((limit) => row([`\`${limit.name}\``, limitValue(limit), limit.why, limit.breach]))
    parts.push(
      `## ${owner}\n`,
      row(['limit', 'value', 'where it comes from', 'beyond it']),
      '|---|---|---|---|',
      ...rows,
      '',
    )
  }
  for (const total of totals) {
    const rows = totalRows(total).map(({ what, how, value }) => row([what, how, value]))
    parts.push(`## Together: ${total.name}\n`, row(['what', '', '']), '|---|---|---:|', ...rows, '')
    parts.push(`${capital(total.beside)}.\n`)
  }
  return `${parts.join('\n').trimEnd()}\n`
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
