/** Postfix's own load tools, which only speak SMTP: smtp-source and smtp-sink (Debian package postfix). */
import { spawn } from 'node:child_process'
import { acceptsConnections, until } from '../../test/support/wait.ts'

export interface Sink {
  readonly port: number
  /** Messages taken so far. */
  received(): number
  stop(): Promise<void>
}

/** It must not run as root, and it counts each final dot on its standard output (-c). */
export async function startSink(port: number, moreOptions: readonly string[] = []): Promise<Sink> {
  const backlog = '1000'
  const sink = spawn('smtp-sink', ['-u', 'nobody', '-c', ...moreOptions, `127.0.0.1:${port}`, backlog], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let received = 0
  sink.stdout.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000)
    const last = [...output.matchAll(/mesg=(\d+)/g)].at(-1)
    // The tail may end inside a number; a count only ever grows.
    received = Math.max(received, Number(last?.[1] ?? 0))
  })
  sink.stderr.pipe(process.stderr)
  await until(10_000, 'smtp-sink did not start', () => {
    if (sink.exitCode !== null) throw new Error(`smtp-sink ended with ${sink.exitCode}`)
    return acceptsConnections(port)
  })
  return {
    port,
    received: () => received,
    stop: () =>
      new Promise((resolve) => {
        sink.once('exit', () => resolve())
        sink.kill()
      }),
  }
}

export interface SourceOptions {
  readonly port: number
  readonly messages: number
  readonly bytes: number
  readonly sessions: number
  readonly to?: string
  /** Of each message; their names are made by putting a number in front of `to`. */
  readonly recipients?: number
}

/** Sends all of it over kept sessions (-d) and settles when the last one was acknowledged; rejects when any was not. */
export function runSource(options: SourceOptions): Promise<void> {
  const { port, messages, bytes, sessions, to = 'ben@example.net', recipients = 1 } = options
  const load = ['-d', '-s', String(sessions), '-m', String(messages), '-l', String(bytes), '-r', String(recipients)]
  const source = spawn('smtp-source', [...load, '-f', 'ann@example.com', '-t', to, `127.0.0.1:${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaints = ''
  source.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
  return new Promise((resolve, reject) => {
    source.on('error', reject)
    source.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`smtp-source ended with ${code}: ${complaints}`)),
    )
  })
}
