/** `posthaste config check | show | limits | reference`. */
import type { Command } from 'commander'
import {
  ConfigError,
  configurationReference,
  findConfigFile,
  jsonSchema,
  loadConfig,
  type EffectiveValue,
  type LoadedConfig,
} from '../../config/config.ts'
import { limitMarkdown, limitText, totalValue } from '../limit-table.ts'
import type { CliContext } from './context.ts'
import { overridesOf, withConfigOptions, type ConfigFlags } from './flags.ts'
import { table } from './table.ts'

/** Longer lines are hard to read, and shorter ones leave no room for the third column. */
const [narrowest, widest] = [100, 120]

type Flags = ConfigFlags & { readonly json?: boolean; readonly markdown?: boolean }

export function registerConfig(program: Command, context: CliContext): void {
  const config = program.command('config').description('look at the configuration; nothing is started')
  withConfigOptions(config.command('check').description('list every mistake of the file; exit code 78 if there is any'))
    .option('--json', 'as JSON')
    .action((flags: Flags) => check(context, flags))
  withConfigOptions(config.command('show').description('print every option in force and where it came from'))
    .option('--json', 'as JSON')
    .action((flags: Flags) => show(context, flags))
  withConfigOptions(
    config.command('limits').description('print every bound, where it comes from, and what they cost together'),
  )
    .option('--json', 'as JSON')
    .option('--markdown', 'as docs/limits.md has it')
    .action((flags: Flags) => limits(context, flags))
  config
    .command('reference')
    .description('print the reference of all options as Markdown')
    .option('--json', 'as JSON Schema, for editors')
    .action((flags: Flags) =>
      context.print(flags.json === true ? JSON.stringify(jsonSchema(), null, 2) : configurationReference()),
    )
}

function load(context: CliContext, flags: Flags): LoadedConfig {
  return loadConfig(findConfigFile(flags.config, context.env), context.env, { cwd: context.cwd, ...overridesOf(flags) })
}

function check(context: CliContext, flags: Flags): void {
  try {
    const { config, warnings } = load(context, flags)
    if (flags.json === true) {
      context.print(JSON.stringify({ file: config.file, ok: true, problems: [], warnings }))
      return
    }
    for (const warning of warnings) context.print(`${context.style('yellow', 'warning')}: ${warning}`)
    context.print(
      config.file === null ? 'there is no configuration file: the built-in sandbox is used' : `${config.file} is fine`,
    )
  } catch (error) {
    if (!(error instanceof ConfigError) || flags.json !== true) throw error
    context.print(
      JSON.stringify({ file: error.problems[0]?.file ?? null, ok: false, problems: error.problems, warnings: [] }),
    )
    context.exitCode = error.exitCode
  }
}

function show(context: CliContext, flags: Flags): void {
  const { config, effective, warnings } = load(context, flags)
  if (flags.json === true) {
    context.print(JSON.stringify({ file: config.file, options: effective, warnings }))
    return
  }
  const rows = effective.map((entry) => [entry.key, valueText(entry), originText(entry)])
  context.print(table(context, [{ title: 'OPTION' }, { title: 'VALUE' }, { title: 'FROM' }], rows))
}

async function limits(context: CliContext, flags: Flags): Promise<void> {
  const { config } = load(context, flags)
  const table = (await context.loadLimits())(config)
  if (flags.json === true) {
    const totals = table.totals.map((total) => ({ ...total, value: totalValue(total) }))
    return context.print(JSON.stringify({ file: config.file, limits: table.limits, totals }))
  }
  if (flags.markdown === true) return context.print(limitMarkdown(table))
  const width = Math.min(Math.max(context.stdout.columns ?? widest, narrowest), widest)
  context.print(limitText(table, width, (text) => context.style('bold', text)))
}

function valueText({ value, meaning }: EffectiveValue): string {
  if (typeof value === 'string') return value
  return meaning ?? JSON.stringify(value)
}

function originText({ origin, place }: EffectiveValue): string {
  return origin === 'file' && place !== null ? `line ${place.line}` : origin
}
