/** What a command gets: where it runs, where it prints, and how it leaves. */
import { styleText } from 'node:util'
import type { Config, Environment } from '../../config/config.ts'
import type { LimitTable } from '../limit-table.ts'

/** The engine, started by `posthaste start`; settles with the exit code once it has drained. */
export type StartApp = (options: {
  readonly config: Config
  readonly warnings: readonly string[]
  readonly version: string
}) => Promise<number>

interface Streams {
  readonly isTTY?: boolean
  readonly columns?: number
  write(chunk: string | Uint8Array): unknown
  /** Whoever reads it may leave: `… | head`. */
  on?(event: 'error', listener: (error: Error) => void): unknown
}

export interface CliOptions {
  readonly version: string
  readonly env: Environment
  readonly cwd: string
  readonly stdout: Streams
  readonly stderr: Streams
  /** Loads the engine only when it is started: other commands must answer at once. */
  readonly loadApp: () => Promise<StartApp>
  /** The table of limits, which knows every folder; loaded when it is asked for. */
  readonly loadLimits: () => Promise<(config: Config) => LimitTable>
  /** Ends what would go on for ever: for tests. Without it the process is ended. */
  readonly ended?: AbortSignal
  /** How long the engine may take to answer. Default limits.ts. */
  readonly answerMsMax?: number
}

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

export interface CliContext extends CliOptions {
  /** Set by a command that ends otherwise than well. */
  exitCode: number
  /** A line, or lines, for people on standard output. */
  print(text: string): void
  /** Plain unless standard output is a terminal that wants colour. */
  style(style: Style, text: string): string
}

export function createContext(options: CliOptions): CliContext {
  const colour = options.stdout.isTTY === true && (options.env['NO_COLOR'] ?? '') === ''
  return {
    ...options,
    exitCode: 0,
    print: (text) => void options.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    style: (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text),
  }
}

/** Mail and replies come from strangers: their control characters must not reach the terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (control) => {
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
