/**
 * The real program as a benchmark runs it: on loopback, with a configuration that is merged from what stands alone, what the benchmark
 * needs and what `--set` says. It can be killed, which a test of stories has no use for, and may take as long to start as it likes.
 */
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { freePort } from '../../test/support/engine.ts'
import { acceptsConnections, until } from '../../test/support/wait.ts'
import type { Setting } from './options.ts'

/** A tree of sections; values as YAML has them. */
export type Sections = { readonly [name: string]: unknown }

export interface EngineOptions {
  readonly directory: string
  readonly port: number
  readonly config: Sections
  readonly settings: readonly Setting[]
  /** Put before the command line, to start it in a control group. */
  readonly prefix: readonly string[]
  /** Options of Node. */
  readonly nodeOptions?: readonly string[]
  /** Longest time until the port answers. Default 60 s. */
  readonly startMsMax?: number
}

export interface Engine {
  readonly port: number
  readonly processId: number
  readonly dataDirectory: string
  /** All that it printed. */
  log(): string
  /** The samples of /metrics, by name and labels as they are written there. */
  metrics(): Promise<ReadonlyMap<string, number>>
  /** SIGTERM, and SIGKILL if draining takes longer than promised. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** Draining takes at most 30 s. */
const stopMsMax = 40_000

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { directory, port, prefix, nodeOptions = [], startMsMax = 60_000 } = options
  mkdirSync(directory, { recursive: true })
  const managementPort = await freePort()
  const configFile = join(directory, 'posthaste.yaml')
  const logFile = join(directory, 'engine.log')
  const dataDirectory = join(directory, 'data')
  writeFileSync(configFile, stringify(configOf(options, dataDirectory, managementPort)))

  const commandLine = [...prefix, process.execPath, ...nodeOptions, main, 'start', '--config', configFile]
  const [command, ...commandArguments] = commandLine as [string, ...string[]]
  const child = spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'], cwd: directory })
  const log = createWriteStream(logFile, { flags: 'a' })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const ended = once(child, 'exit')
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    child.kill(signal)
    const killer = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
    await ended
    clearTimeout(killer)
    log.end()
  }
  const engine: Engine = {
    port,
    processId: child.pid as number,
    dataDirectory,
    log: () => readFileSync(logFile, 'utf8'),
    metrics: () => readMetrics(managementPort, join(dataDirectory, 'admin-token')),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
  try {
    await until(startMsMax, `Posthaste did not answer on port ${port}`, () => {
      if (child.exitCode !== null) throw new Error(`Posthaste ended with ${child.exitCode}:\n${engine.log()}`)
      return acceptsConnections(port)
    })
  } catch (error) {
    await engine.kill()
    throw error
  }
  return engine
}

function configOf({ port, config, settings }: EngineOptions, dataDirectory: string, managementPort: number): Sections {
  const alone: Sections = {
    hostname: 'posthaste.test',
    data_directory: dataDirectory,
    smtp: { listeners: [{ address: '127.0.0.1', port, tls: 'none' }] },
    tenants: [{ name: 'bench', networks: ['127.0.0.0/8'] }],
    http: { listeners: [{ port: 0 }] },
    management: { address: '127.0.0.1', port: managementPort },
    log: { level: 'warn' },
  }
  return settings.reduce(
    (merged, [path, value]) =>
      merge(
        merged,
        path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value),
      ),
    merge(alone, config),
  ) as Sections
}

/** Sections are merged, everything else is replaced. */
function merge(under: unknown, over: unknown): unknown {
  if (!isSection(under) || !isSection(over)) return over
  const merged = Object.entries(over).map(([name, value]): [string, unknown] => [name, merge(under[name], value)])
  return { ...under, ...Object.fromEntries(merged) }
}

const isSection = (value: unknown): value is Sections =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

async function readMetrics(port: number, tokenFile: string): Promise<ReadonlyMap<string, number>> {
  const authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization } })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`the metrics were refused with ${answer.status}: ${text.slice(0, 200)}`)
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    samples.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}
