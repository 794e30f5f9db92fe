/** Flags that say which configuration is meant, the same for every command. */
import { InvalidArgumentError, type Command } from 'commander'
import type { ConfigOverrides } from '../../config/config.ts'

export interface ConfigFlags {
  readonly config?: string
  readonly data?: string
  readonly smtpPort?: number
  readonly httpPort?: number
  readonly managementPort?: number
}

export function withConfigOptions(command: Command): Command {
  return command
    .option(
      '--config <file>',
      'configuration file; else $POSTHASTE_CONFIG, else /etc/posthaste/posthaste.yaml, else the sandbox',
    )
    .option('--data <directory>', 'data directory, instead of the configured one')
    .option('--management-port <port>', 'port of the admin API, instead of the configured one', parsePort)
}

export function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('A port is a whole number from 0 to 65535.')
}

export function overridesOf(flags: ConfigFlags): ConfigOverrides {
  return {
    ...(flags.data === undefined ? {} : { dataDirectory: flags.data }),
    ...(flags.smtpPort === undefined ? {} : { smtpPort: flags.smtpPort }),
    ...(flags.httpPort === undefined ? {} : { httpPort: flags.httpPort }),
    ...(flags.managementPort === undefined ? {} : { managementPort: flags.managementPort }),
  }
}

/** Gathers a flag that is given several times. */
export const several = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
]
