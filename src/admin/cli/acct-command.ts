/** `posthaste acct tail | query`: reads the accounting log, rotated files too, whether an engine runs or not. */
import { type Command, InvalidArgumentError } from 'commander'
import { stat } from 'node:fs/promises'
import { findConfigFile, locateEngine } from '../../config/config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { hourMs, parseDuration } from '../../kernel/units.ts'
import type { TenantWire } from '../directory-wire.ts'
import { tailLinesMax } from '../limits.ts'
import { allLines, type Reading, Tail } from './acct-files.ts'
import { type AcctFilter, type AcctLine, describeLine, matches, mayMatch, readLine } from './acct-lines.ts'
import type { CliContext } from './context.ts'
import { askRaw } from './engine-client.ts'
import { type ConfigFlags, overridesOf, several, withConfigOptions } from './flags.ts'
import { pathOf } from './tenant-path.ts'

type TailFlags = ConfigFlags & { readonly lines: number; readonly follow?: boolean; readonly json?: boolean }

type QueryFlags = ConfigFlags & {
  readonly event?: readonly string[]
  readonly tenant?: string
  readonly recipient?: string
  readonly sender?: string
  readonly id?: string
  readonly since?: number
  readonly until?: number
  readonly json?: boolean
}

const eventNames = [
  'accepted',
  'delivered',
  'bounced',
  'deferred',
  'expired',
  'uncertain',
  'suppressed',
  'deleted',
] as const

export function registerAcct(program: Command, context: CliContext): void {
  const acct = program
    .command('acct')
    .description('read the accounting log: what happened to every message, rotated files too')
  withConfigOptions(acct.command('tail').description('the last lines of it'))
    .option('-n, --lines <count>', 'how many', parseCount, 10)
    .option('-f, --follow', 'go on with what comes, through rotations, until interrupted')
    .option('--json', 'the lines as they are in the file')
    .action((flags: TailFlags) => reading(context, flags, (read) => tail(context, flags, read)))
  withConfigOptions(
    acct.command('query').description('the lines that match all of these; exit code 1 when there are none'),
  )
    .option('--event <event>', `${eventNames.join(', ')}; may be given several times`, severalEvents)
    .option('--tenant <tenant>', 'of this tenant: as the lines name it, or by its name while the engine runs')
    .option('--recipient <address>', 'to this address, or to @domain')
    .option('--sender <address>', 'return path or From: an address, @domain, or "<>"')
    .option('--id <id>', 'of this message')
    .option('--since <time>', 'from then on: 2026-11-22, 2026-11-22T13:00:00Z, or 2h for two hours ago', parseTime)
    .option('--until <time>', 'before then', parseTime)
    .option('--json', 'the lines as they are in the file')
    .action((flags: QueryFlags) => reading(context, flags, (read) => query(context, flags, read)))
}

/** Finds the directory by the configuration, and turns what goes wrong into sentences. */
async function reading(
  context: CliContext,
  flags: ConfigFlags,
  read: (reading: Reading) => Promise<void>,
): Promise<void> {
  const file = findConfigFile(flags.config, context.env)
  const { accountingDirectory: directory } = locateEngine(file, context.env, {
    cwd: context.cwd,
    ...overridesOf(flags),
  })
  try {
    await stat(directory)
    await read({ directory, onTrouble: (text) => void context.stderr.write(`posthaste: ${text}\n`) })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof PosthasteError || code === undefined || !/^E[A-Z]+$/.test(code)) throw error
    if (code === 'ENOENT')
      throw new PosthasteError(
        'accounting_missing',
        `there is no accounting log in ${directory}`,
        'Name the right place by --data or --config; the first `posthaste start` makes it, unless `accounting.enabled` is false.',
        { exitCode: 1 },
      )
    throw new PosthasteError(
      'accounting_unreadable',
      `the accounting log in ${directory} cannot be read: ${message}`,
      code === 'EACCES' || code === 'EPERM'
        ? 'Run this as the user that Posthaste runs as, or as one of its group.'
        : 'Look at the disk that it is on.',
      { exitCode: 74, cause: error },
    )
  }
}

/** Prints lines; says at the end how many there were that nobody can read. */
class Printer {
  printed = 0
  unreadable = 0
  readonly #context: CliContext
  readonly #json: boolean

  constructor(context: CliContext, json: boolean) {
    this.#context = context
    this.#json = json
  }

  readonly print = (lines: readonly string[], isAsked: (line: AcctLine) => boolean = () => true): void => {
    let text = ''
    for (const line of lines) {
      const read = readLine(line)
      if (read === null) this.unreadable += 1
      else if (isAsked(read)) {
        this.printed += 1
        text += `${this.#json ? line : describeLine(this.#context, read)}\n`
      }
    }
    if (text !== '') this.#context.print(text)
  }

  end({ onTrouble }: Reading): void {
    if (this.unreadable > 0) onTrouble(`lines that are none of the accounting log were left out: ${this.unreadable}`)
  }
}

/** Ended by whoever called, or when nobody reads on: `… | head`. */
function endOf(context: CliContext): AbortSignal {
  const left = new AbortController()
  context.stdout.on?.('error', () => left.abort())
  return context.ended === undefined ? left.signal : AbortSignal.any([context.ended, left.signal])
}

async function tail(context: CliContext, flags: TailFlags, read: Reading): Promise<void> {
  const ended = endOf(context)
  const printer = new Printer(context, flags.json === true)
  const files = new Tail(read)
  try {
    printer.print(await files.last(flags.lines))
    if (flags.follow === true) await files.follow(printer.print, ended)
  } finally {
    await files.close()
  }
  printer.end(read)
}

async function query(context: CliContext, flags: QueryFlags, read: Reading): Promise<void> {
  const ended = endOf(context)
  const printer = new Printer(context, flags.json === true)
  const filter = filterOf(flags, await tenantInLines(context, flags))
  // A file is named for the time at which it was rotated; a clock that was set back may have left younger lines in it.
  for await (const lines of allLines(read, filter.sinceMs - hourMs)) {
    printer.print(filter.id === null ? lines : lines.filter((line) => mayMatch(line, filter)), (line) =>
      matches(line, filter),
    )
    if (ended.aborted) break
  }
  printer.end(read)
  if (printer.printed === 0) context.exitCode = 1
}

/** Lines have the id of a tenant of the directory, which only the engine knows by its name. */
async function tenantInLines(context: CliContext, flags: QueryFlags): Promise<string | null> {
  const { tenant = null } = flags
  if (tenant === null) return null
  try {
    const answer = await askRaw(context, flags, pathOf(tenant))
    return (JSON.parse(answer.toString()) as TenantWire).id
  } catch (error) {
    // It stands in the configuration file, it was given by its id, or nobody can say.
    if (error instanceof PosthasteError) return tenant
    throw error
  }
}

const filterOf = (flags: QueryFlags, tenant: string | null): AcctFilter => ({
  events: flags.event ?? [],
  tenant,
  recipient: flags.recipient?.toLowerCase() ?? null,
  sender: flags.sender?.toLowerCase() ?? null,
  id: flags.id?.toLowerCase() ?? null,
  sinceMs: flags.since ?? Number.NEGATIVE_INFINITY,
  untilMs: flags.until ?? Number.POSITIVE_INFINITY,
})

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) <= tailLinesMax.value) return Number(text)
  throw new InvalidArgumentError(`It is a whole number up to ${tailLinesMax.value}.`)
}

function severalEvents(text: string, before: readonly string[] | undefined): readonly string[] {
  if (!eventNames.some((name) => name === text))
    throw new InvalidArgumentError(`It is one of ${eventNames.join(', ')}.`)
  return several(text, before)
}

function parseTime(text: string): number {
  const agoMs = parseDuration(text)
  if (agoMs !== null) return systemClock.nowMs() - agoMs
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (!Number.isNaN(ms)) return ms
  throw new InvalidArgumentError('Write it like 2026-11-22 (UTC), 2026-11-22T13:00:00Z, or 2h for two hours ago.')
}
