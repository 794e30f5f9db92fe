/** `posthaste start` and `posthaste version`. */
import type { Command } from 'commander'
import { findConfigFile, loadConfig } from '../../config/config.ts'
import type { CliContext } from './context.ts'
import { overridesOf, parsePort, withConfigOptions, type ConfigFlags } from './flags.ts'

export function registerStart(program: Command, context: CliContext): void {
  withConfigOptions(program.command('start').description('run the engine in the foreground'))
    .option('--smtp-port <port>', 'port of the first SMTP listener, instead of the configured one', parsePort)
    .option(
      '--http-port <port>',
      'port of the first listener of the sending API, instead of the configured one',
      parsePort,
    )
    .action(async (flags: ConfigFlags) => {
      const file = findConfigFile(flags.config, context.env)
      const { config, warnings } = loadConfig(file, context.env, { cwd: context.cwd, ...overridesOf(flags) })
      const startApp = await context.loadApp()
      context.exitCode = await startApp({ config, warnings, version: context.version })
    })
}

export function registerVersion(program: Command, context: CliContext): void {
  program
    .command('version')
    .description('print the version')
    .option('--json', 'as JSON')
    .action((flags: { json?: boolean }) => {
      const versions = { posthaste: context.version, node: process.versions.node }
      context.print(
        flags.json === true ? JSON.stringify(versions) : `posthaste ${versions.posthaste} on Node ${versions.node}`,
      )
    })
}
