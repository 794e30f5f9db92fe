/** The real program, started as an operator would, in a folder of its own, with a configuration file of the test's. */
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { acceptsConnections, until } from './wait.ts'

export interface EngineOptions {
  readonly directory: string
  readonly port: number
  /** YAML beyond what is needed to stand alone on loopback; it must not repeat a section of `engineConfig`. */
  readonly config: string
  /** Put before the command line, to start it in a control group. */
  readonly prefix?: readonly string[]
  /** The program's command line up to its arguments; from this clone unless given. */
  readonly program?: readonly string[]
}

export interface Engine {
  readonly port: number
  readonly managementPort: number
  /** All that it printed. */
  log(): string
  /** SIGTERM, and SIGKILL if draining takes longer than promised. Its exit code; null when it had to be killed. */
  stop(): Promise<number | null>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const startMsMax = 30_000
/** Draining takes at most 30 s. */
const stopMsMax = 40_000

export async function startEngine({ directory, port, config, prefix = [], program }: EngineOptions): Promise<Engine> {
  mkdirSync(directory, { recursive: true })
  const managementPort = await freePort()
  const configFile = join(directory, 'posthaste.yaml')
  const logFile = join(directory, 'engine.log')
  writeFileSync(configFile, engineConfig(directory, port, managementPort) + config)
  writeFileSync(logFile, '')

  const commandLine = [...(program ?? [process.execPath, main]), 'start', '--config', configFile]
  const [command, ...commandArguments] = [...prefix, ...commandLine] as [string, ...string[]]
  const engine = spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] })
  const log = createWriteStream(logFile, { flags: 'a' })
  engine.stdout.pipe(log, { end: false })
  engine.stderr.pipe(log, { end: false })
  const ended = new Promise<number | null>((resolve) => engine.once('exit', (code) => resolve(code)))

  const stop = async (): Promise<number | null> => {
    engine.kill('SIGTERM')
    const killer = setTimeout(() => engine.kill('SIGKILL'), stopMsMax)
    const exitCode = await ended
    clearTimeout(killer)
    log.end()
    return exitCode
  }
  const started = { port, managementPort, log: () => readFileSync(logFile, 'utf8'), stop }
  try {
    await until(startMsMax, `Posthaste did not answer on port ${port}`, () => {
      if (engine.exitCode !== null) throw new Error(`Posthaste ended with ${engine.exitCode}:\n${started.log()}`)
      return acceptsConnections(port)
    })
  } catch (error) {
    await stop()
    throw error
  }
  return started
}

function engineConfig(directory: string, port: number, managementPort: number): string {
  return `hostname: posthaste.test
data_directory: ${join(directory, 'data')}
smtp:
  listeners: [{ address: 127.0.0.1, port: ${port}, tls: none }]
tenants: [{ name: tests, networks: [127.0.0.0/8] }]
http: { listeners: [{ port: 0 }] }
management: { address: 127.0.0.1, port: ${managementPort} }
`
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
