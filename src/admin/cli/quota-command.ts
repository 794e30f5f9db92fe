/** `posthaste tenant quota`: how much a tenant, a key or a login may send, and what it has used of it. */
import { InvalidArgumentError, type Command } from 'commander'
import { PosthasteError } from '../../kernel/errors.ts'
import { formatBytes, parseBytes } from '../../kernel/units.ts'
import type { QuotaWire } from '../directory-wire.ts'
import type { CliContext } from './context.ts'
import { askRaw, tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { count, table } from './table.ts'
import { pathOf } from './tenant-path.ts'

interface QuotaFlags extends EngineFlags {
  readonly key?: string
  readonly login?: string
  readonly perSecond?: number
  readonly perDay?: number
  readonly perMonth?: number
  readonly spoolSize?: number
  readonly spoolRecipients?: number
  readonly clear?: boolean
}

export function registerQuota(tenant: Command, context: CliContext): void {
  withEngineOptions(
    tenant.command('quota <tenant>').description('what it may send and has sent; with limits, what it may from now on'),
  )
    .option('--key <id>', 'of this key, beside what its tenant has')
    .option('--login <user>', 'of this SMTP login, beside what its tenant has')
    .option('--per-second <n>', 'messages a second, one for each recipient; 0: no limit', wholeNumber)
    .option('--per-day <n>', 'the same a day, in UTC', wholeNumber)
    .option('--per-month <n>', 'the same a calendar month, in UTC', wholeNumber)
    .option('--spool-size <size>', 'of its mail that waits to be delivered, such as 5GiB; 0: no limit', size)
    .option('--spool-recipients <n>', 'recipients that wait to be delivered to', wholeNumber)
    .option('--clear', 'no limit but those that are given')
    .action(async (called: string, flags: QuotaFlags) => {
      const path = quotaPath(called, flags)
      const given = limitsOf(flags)
      const changes = flags.clear === true || Object.keys(given).length > 0
      const kept = changes && flags.clear !== true ? await limitsNow(context, flags, path) : {}
      const request = changes ? ({ method: 'PUT', path, body: { ...kept, ...given } } as const) : { path }
      await tell<QuotaWire>(context, flags, request, (quota) => describe(context, quota))
    })
}

function quotaPath(tenant: string, { key, login }: QuotaFlags): string {
  if (key !== undefined && login !== undefined)
    throw new PosthasteError('bad_flags', '--key and --login are given', 'Give one of them.', { exitCode: 64 })
  if (key !== undefined) return pathOf(tenant, 'keys', key, 'quota')
  return login === undefined ? pathOf(tenant, 'quota') : pathOf(tenant, 'logins', login, 'quota')
}

type Limits = Partial<Record<keyof QuotaWire['limits'], number>>

function limitsOf(flags: QuotaFlags): Limits {
  return {
    ...(flags.perSecond !== undefined && { messages_per_second: flags.perSecond }),
    ...(flags.perDay !== undefined && { messages_per_day: flags.perDay }),
    ...(flags.perMonth !== undefined && { messages_per_month: flags.perMonth }),
    ...(flags.spoolSize !== undefined && { spool_bytes: flags.spoolSize }),
    ...(flags.spoolRecipients !== undefined && { spool_recipients: flags.spoolRecipients }),
  }
}

/** Those that the flags do not name stay as they are. */
async function limitsNow(context: CliContext, flags: QuotaFlags, path: string): Promise<Limits> {
  const { limits } = JSON.parse((await askRaw(context, flags, path)).toString()) as QuotaWire
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null)) as Limits
}

function describe(context: CliContext, { of, limits, used }: QuotaWire): string {
  const sizes = new Set<keyof QuotaWire['limits']>(['spool_bytes'])
  const rows = names.flatMap(([name, title]) => {
    const limit = limits[name]
    if (limit === null) return []
    const show = sizes.has(name) ? formatBytes : count
    const has = used?.[name] ?? null
    return [[title, show(limit), has === null ? 'being counted' : show(has)]]
  })
  if (rows.length === 0) return `No quota: this ${of} may send as much as it likes.`
  return table(
    context,
    [
      { title: `QUOTA OF THE ${of.toUpperCase()}` },
      { title: 'LIMIT', align: 'right' },
      { title: 'USED', align: 'right' },
    ],
    rows,
  )
}

const names = [
  ['messages_per_second', 'messages this second'],
  ['messages_per_day', 'messages today (UTC)'],
  ['messages_per_month', 'messages this month (UTC)'],
  ['spool_bytes', 'waiting in the spool'],
  ['spool_recipients', 'recipients that wait'],
] as const satisfies readonly (readonly [keyof QuotaWire['limits'], string])[]

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is a whole number; 0 is no limit.')
}

function size(text: string): number {
  const bytes = text === '0' ? 0 : parseBytes(text)
  if (bytes !== null) return bytes
  throw new InvalidArgumentError('A size has a unit, such as 500MiB or 5GiB; 0 is no limit.')
}
