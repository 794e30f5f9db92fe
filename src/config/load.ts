/** The way from a path to a frozen configuration. Reads files, opens no socket, starts nothing. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isMap, isScalar } from 'yaml'
import { systemClock, type Clock } from '../kernel/clock.ts'
import { accountingDirectory, compile } from './compile.ts'
import type { Config, ManagementConfig } from './compiled.ts'
import { cureOf, readSecretFile, reasonOf } from './files.ts'
import { ConfigError } from './problems.ts'
import { Reader, type EffectiveValue } from './read.ts'
import { fileSchema, type FileValues } from './schema.ts'
import { emptySource, parseSource, type Source } from './source.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What flags say instead of the file. */
export interface ConfigOverrides {
  readonly dataDirectory?: string
  /** Port of the first SMTP listener. */
  readonly smtpPort?: number
  /** Port of the first listener of the sending API. */
  readonly httpPort?: number
  readonly managementPort?: number
}

export interface LoadOptions extends ConfigOverrides {
  readonly clock?: Clock
  /** Where relative paths on the command line start; the process's own by default. */
  readonly cwd?: string
}

export interface LoadedConfig {
  /** Deeply frozen and structured-cloneable. */
  readonly config: Config
  readonly warnings: readonly string[]
  /** Every option in force, in the order of the schema. */
  readonly effective: readonly EffectiveValue[]
}

const systemFile = '/etc/posthaste/posthaste.yaml'

/** `--config`, else POSTHASTE_CONFIG (empty: the sandbox), else the packaged file when there is one, else null: the sandbox. */
export function findConfigFile(flag: string | undefined, env: Environment): string | null {
  if (flag !== undefined) return flag
  const named = env['POSTHASTE_CONFIG']
  if (named !== undefined) return named === '' ? null : named
  return existsSync(systemFile) ? systemFile : null
}

/** Throws a ConfigError with every problem of the file. Null: the built-in sandbox. */
export function loadConfig(path: string | null, env: Environment, options: LoadOptions = {}): LoadedConfig {
  const cwd = options.cwd ?? process.cwd()
  const source = path === null ? emptySource(cwd) : openSource(resolve(cwd, path))
  const reader = new Reader(source, env)
  const sandbox = path === null || asksForSandbox(source)
  const values = { ...(reader.read(fileSchema, sandbox) as FileValues) }
  if (values.sandbox !== undefined && values.sandbox !== sandbox) {
    reader.problem(
      'sandbox',
      'cannot come from the environment',
      'Write true or false: it decides what the other options mean.',
    )
  }
  const effective = override(values, reader, options, cwd)
  const config = compile(values, reader, options.clock ?? systemClock)
  if (reader.problems.length > 0) throw new ConfigError(inFileOrder(reader))
  return { config: deepFreeze(config), warnings: Object.freeze(reader.warnings), effective }
}

/** The sandbox as it is without any file: nothing to configure, no way out. */
export function sandboxConfig(dataDirectory: string, overrides: ConfigOverrides = {}): LoadedConfig {
  return loadConfig(null, {}, { ...overrides, dataDirectory })
}

/** What a client of the admin API must know; null for the token means: none is asked for, or it is in the data directory. */
export interface EngineLocation extends ManagementConfig {
  readonly sandbox: boolean
  readonly dataDirectory: string
  readonly accountingDirectory: string
}

/** As much of the file as a command needs to find the engine: a broken DKIM key must not stop `posthaste status`. */
export function locateEngine(path: string | null, env: Environment, options: LoadOptions = {}): EngineLocation {
  const cwd = options.cwd ?? process.cwd()
  const source = path === null ? emptySource(cwd) : openSource(resolve(cwd, path))
  const reader = new Reader(source, env)
  const sandbox = path === null || asksForSandbox(source)
  const values = { ...(reader.read(fileSchema, sandbox) as FileValues) }
  override(values, reader, options, cwd)
  const problems = inFileOrder(reader).filter((problem) =>
    /^(management|data_directory|accounting|sandbox)\b/.test(problem.key),
  )
  if (problems.length > 0) throw new ConfigError(problems)
  const { address, port, token, token_file: tokenFile } = values.management
  const read = tokenFile === null ? null : readSecretFile(tokenFile)
  if (read !== null && !read.ok)
    throw new ConfigError([
      { file: source.file, place: null, key: 'management.token_file', what: read.what, cure: read.cure },
    ])
  return {
    address,
    port,
    token: token ?? (read?.text.trimEnd() || null),
    sandbox,
    dataDirectory: values.data_directory,
    accountingDirectory: accountingDirectory(values),
  }
}

function openSource(file: string): Source {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    const what = `cannot be read: ${reasonOf(error)}`
    throw new ConfigError([
      {
        file,
        place: null,
        key: '',
        what,
        cure: `${cureOf(error)} Without --config and ${systemFile} the sandbox is used.`,
      },
    ])
  }
  return parseSource(file, dirname(file), bytes)
}

/** Needed before the walk, because it decides defaults; a wrong value is reported by the walk. */
function asksForSandbox(source: Source): boolean {
  const { contents } = source.document
  if (!isMap(contents)) return false
  const node: unknown = contents.get('sandbox', true)
  return isScalar(node) && node.value === true
}

function override(values: FileValues, reader: Reader, overrides: LoadOptions, cwd: string): EffectiveValue[] {
  const flags = new Map<string, unknown>()
  const { dataDirectory, smtpPort, httpPort, managementPort } = overrides
  if (dataDirectory !== undefined) {
    values.data_directory = resolve(cwd, dataDirectory)
    flags.set('data_directory', values.data_directory)
  }
  const first = values.smtp.listeners?.[0]
  if (smtpPort !== undefined && first !== undefined) {
    first.port = smtpPort
    flags.set('smtp.listeners[0].port', smtpPort)
  }
  const firstHttp = values.http.listeners?.[0]
  if (httpPort !== undefined && firstHttp !== undefined) {
    firstHttp.port = httpPort
    flags.set('http.listeners[0].port', httpPort)
  }
  if (managementPort !== undefined) {
    values.management.port = managementPort
    flags.set('management.port', managementPort)
  }
  return reader.effective.map((entry) =>
    flags.has(entry.key) ? { key: entry.key, value: flags.get(entry.key), origin: 'flag', place: null } : entry,
  )
}

function inFileOrder(reader: Reader): Reader['problems'] {
  const line = (problem: Reader['problems'][number]): number =>
    problem.place === null ? 0 : problem.place.line * 10_000 + problem.place.column
  return reader.problems.toSorted((a, b) => line(a) - line(b))
}

function deepFreeze<T>(root: T): T {
  const waiting: unknown[] = [root]
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue
    Object.freeze(value)
    for (const child of Object.values(value)) if (child !== undefined) waiting.push(child)
  }
  return root
}
