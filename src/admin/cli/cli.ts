/**
 * The command line. Each group of commands is registered by one function of the list below; a command throws a PosthasteError for
 * what the user can cure, and everything else is our bug.
 *
 * Exit codes (sysexits.h): 0 done, 1 not found or not verified, 64 wrong usage, 65 wrong argument or damaged spool, 69 the engine does not answer, 70 a bug,
 * 74 the disk cannot be read, 78 wrong configuration.
 */
import { Command, CommanderError } from 'commander'
import { PosthasteError } from '../../kernel/errors.ts'
import { registerAcct } from './acct-command.ts'
import { registerBenchCommands } from './bench-commands.ts'
import { registerConfig } from './config-command.ts'
import { createContext, type CliContext, type CliOptions } from './context.ts'
import { registerCredentials } from './credential-commands.ts'
import { registerDomain } from './domain-commands.ts'
import { registerMessage } from './message-command.ts'
import { registerNetwork } from './network-commands.ts'
import { registerSandbox } from './sandbox-command.ts'
import { registerSpool } from './spool-command.ts'
import { registerStart, registerVersion } from './start-command.ts'
import { registerStatus } from './status-command.ts'
import { registerSenderAndStream } from './stream-commands.ts'
import { registerSuppression } from './suppression-command.ts'
import { registerTenant } from './tenant-commands.ts'

export type { CliContext, CliOptions, StartApp } from './context.ts'

type CommandRegistrar = (program: Command, context: CliContext) => void

/** In the order of the help text. */
const registrars: readonly CommandRegistrar[] = [
  registerStart,
  registerStatus,
  registerMessage,
  registerTenant,
  registerCredentials,
  registerNetwork,
  registerDomain,
  registerSenderAndStream,
  registerSuppression,
  registerSandbox,
  registerSpool,
  registerAcct,
  registerConfig,
  registerBenchCommands,
  registerVersion,
]

/** Runs one command; settles with the exit code and never rejects. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  const context = createContext(options)
  const program = new Command('posthaste')
    .description('A self-hosted email sending platform.')
    .version(options.version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void options.stdout.write(text),
      writeErr: (text) => void options.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'posthaste: ')),
    })
  program.showHelpAfterError('  `posthaste help` lists the commands.')
  for (const register of registrars) register(program, context)
  for (const group of program.commands) {
    pointToHelp(group, group.name())
    for (const command of group.commands) pointToHelp(command, `${group.name()} ${command.name()}`)
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
    return context.exitCode
  } catch (error) {
    // Commander has printed its own message, help or version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64
    return complain(error, context, args.includes('--json'))
  }
}

/** Whoever called a command in a wrong way is told where its own help is. */
function pointToHelp(command: Command, path: string): void {
  command.showHelpAfterError(`  \`posthaste ${path} --help\` says what it takes.`)
}

function complain(error: unknown, { stderr }: CliContext, json: boolean): number {
  if (error instanceof PosthasteError) {
    const { code, message, cure } = error
    stderr.write(json ? `${JSON.stringify({ code, message, cure })}\n` : `posthaste: ${message}\n  ${cure}\n`)
    return error.exitCode
  }
  stderr.write(
    `posthaste: this is a bug, please report it:\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  return 70
}
