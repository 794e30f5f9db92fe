/** The real program as an operator runs it: in a process group of its own, with all that it says kept. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface Posthaste {
  readonly pid: number
  /** Settles at "ready"; rejects, with all that it said, when it ends before that. */
  readonly ready: Promise<void>
  /** From the start of the process to "ready"; 0 before that. */
  readonly readyAfterMs: number
  readonly ended: Promise<Ended>
  /** False once the process is gone. */
  readonly running: boolean
  /** From the announcement, so only after `ready`. */
  readonly smtpPort: number
  readonly httpPort: number
  readonly managementPort: number
  /** All that it said so far. */
  output(): string
  signal(signal: NodeJS.Signals): void
  /** SIGTERM; its exit code, null when it had to be killed because it did not drain in time. */
  stop(): Promise<number | null>
  /** SIGKILL to the whole group; settles when the process is gone. */
  kill(): Promise<void>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** Compiling the program anew costs a second of CPU at each of a hundred starts. */
export const compiled =
  process.env['NODE_COMPILE_CACHE'] ?? fileURLToPath(new URL('../../node_modules/.cache/compiled', import.meta.url))
/** What the program promises. */
const drainMsMax = 30_000

/** Starts `posthaste …`; a helper that waits for what is wanted of it comes on top. `logTo`: a descriptor, instead of what `output` has. */
export function launch(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  logTo: number | 'pipe' = 'pipe',
): Posthaste {
  const child = spawn(process.execPath, [main, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', logTo],
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: compiled, ...env },
  })
  const stdout: Buffer[] = []
  let said = ''
  let stderr = ''
  let running = true
  let readyAfterMs = 0
  const startedMs = performance.now()
  let tellReady: () => void = () => {}
  let refuseReady: (error: Error) => void = () => {}
  const ready = new Promise<void>((resolve, reject) => {
    tellReady = resolve
    refuseReady = reject
  })
  ready.catch(() => {})
  child.stdout?.on('data', (bytes: Buffer) => {
    stdout.push(bytes)
    said += bytes.toString('latin1')
    if (readyAfterMs > 0 || !said.endsWith('\nready\n')) return
    readyAfterMs = performance.now() - startedMs
    tellReady()
  })
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  const killGroup = (): void => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  process.once('exit', killGroup)
  const ended = new Promise<Ended>((resolve) => {
    child.once('exit', () => (running = false))
    child.once('close', (code) => {
      process.removeListener('exit', killGroup)
      refuseReady(new Error(`Posthaste ended with ${code} before it was ready:\n${said}${stderr}`))
      resolve({ code, stdout: Buffer.concat(stdout), stderr })
    })
  })
  const port = (pattern: RegExp): number => Number(pattern.exec(said)?.[1] ?? 0)
  return {
    pid: child.pid as number,
    ready,
    ended,
    get readyAfterMs() {
      return readyAfterMs
    },
    get running() {
      return running
    },
    get smtpPort() {
      return port(/send mail to .*?:(\d+) by SMTP/)
    },
    get httpPort() {
      return port(/sending API +https?:\/\/.*?:(\d+)/)
    },
    get managementPort() {
      return port(/management +http:\/\/.*:(\d+)/)
    },
    output: () => said + stderr,
    signal: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM')
      const tooLate = setTimeout(killGroup, drainMsMax)
      const { code } = await ended
      clearTimeout(tooLate)
      return code
    },
    async kill() {
      killGroup()
      await ended
    },
  }
}
