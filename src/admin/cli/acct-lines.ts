/** Lines of the accounting log: which ones are asked for, and how they look in a terminal. */
import { formatBytes, formatDuration } from '../../kernel/units.ts'
import { printable, type CliContext } from './context.ts'

/** As docs/accounting.schema.json has it, as far as it is looked at here. */
export interface AcctLine {
  readonly event: string
  readonly time: string
  readonly id: string
  readonly tenant: string
  readonly recipient: string
  readonly return_path?: string
  readonly from?: string
  readonly subject?: string
  readonly bytes?: number
  readonly via?: string
  readonly client?: string
  readonly attempt?: number
  readonly code?: number
  readonly enhanced?: string
  readonly reply?: string
  readonly host?: string
  readonly address?: string
  readonly total_ms?: number
  readonly next_attempt_at?: string
  readonly may_be_duplicate?: boolean
}

/** What is not given matches everything; texts are compared without regard to case. */
export interface AcctFilter {
  readonly events: readonly string[]
  readonly tenant: string | null
  readonly recipient: string | null
  readonly sender: string | null
  readonly id: string | null
  readonly sinceMs: number
  readonly untilMs: number
}

const texts = ['event', 'time', 'id', 'tenant', 'recipient'] as const

/** Null: it is no line of ours. */
export function readLine(text: string): AcctLine | null {
  let line: Record<string, unknown> | null
  try {
    line = JSON.parse(text) as Record<string, unknown> | null
  } catch {
    return null
  }
  if (typeof line !== 'object' || line === null || texts.some((name) => typeof line[name] !== 'string')) return null
  const { from = '', return_path: returnPath = '' } = line
  return typeof from === 'string' && typeof returnPath === 'string' ? (line as unknown as AcctLine) : null
}

/** Before it is parsed: false when it cannot be one that is asked for. */
export const mayMatch = (text: string, { id }: AcctFilter): boolean => id === null || text.includes(id)

export function matches(line: AcctLine, filter: AcctFilter): boolean {
  const { events, tenant, recipient, sender, id, sinceMs, untilMs } = filter
  const ms = Date.parse(line.time)
  return (
    (events.length === 0 || events.includes(line.event)) &&
    (id === null || line.id === id) &&
    (tenant === null || line.tenant === tenant) &&
    (recipient === null || isAddress(line.recipient, recipient)) &&
    (sender === null || isSender(line, sender)) &&
    ms >= sinceMs &&
    ms < untilMs
  )
}

/** "ann@example.com", or "@example.com" for the whole domain. */
function isAddress(address: string, asked: string): boolean {
  const lower = address.toLowerCase()
  return asked.startsWith('@') ? lower.endsWith(asked) : lower === asked
}

/** By return path or, where it is known, by From. "<>" is the null sender. */
function isSender({ return_path: returnPath, from = '' }: AcctLine, asked: string): boolean {
  if (asked === '<>') return returnPath === undefined
  const written = /<([^<>]*)>\s*$/.exec(from)?.[1] ?? from
  return isAddress(returnPath ?? '', asked) || isAddress(written, asked)
}

const styles: ReadonlyMap<string, 'green' | 'yellow' | 'red'> = new Map([
  ['delivered', 'green'],
  ['deferred', 'yellow'],
  ['uncertain', 'yellow'],
  ['bounced', 'red'],
  ['expired', 'red'],
  ['suppressed', 'red'],
])

export function describeLine(context: CliContext, line: AcctLine): string {
  const style = styles.get(line.event)
  const event = clean(line.event).padEnd(10)
  const from = line.return_path ?? ''
  const what = line.event === 'accepted' ? accepted(line) : outcome(line)
  return [
    clean(line.time),
    style === undefined ? event : context.style(style, event),
    clean(`${line.id} ${line.tenant} <${from}> to <${line.recipient}>${what}`),
  ].join('  ')
}

const accepted = ({ subject, bytes = 0, via = '', client = '' }: AcctLine): string =>
  `: ${subject === undefined ? 'no subject' : JSON.stringify(subject)}, ${formatBytes(bytes)}, by ${via} from ${client}`

function outcome(line: AcctLine): string {
  const reply = [line.code, line.enhanced, line.reply].filter((part) => part !== undefined).join(' ')
  const where = line.host === undefined ? '' : `, by ${line.host} [${line.address ?? ''}]`
  const took = line.total_ms === undefined ? '' : `, ${formatDuration(line.total_ms)}`
  const next = line.next_attempt_at === undefined ? '' : `, next attempt ${line.next_attempt_at}`
  const twice = line.may_be_duplicate === true ? ', may have arrived twice' : ''
  return `: ${reply}${where}${took}${next}${twice}`
}

/** Lines of terminals are ours to begin. */
const clean = (text: string): string => printable(text).replaceAll(/[\t\n\u2028\u2029]/g, ' ')
