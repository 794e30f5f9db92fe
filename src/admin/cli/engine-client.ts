/** Asks a running engine: finds its address and token as `start` did, and turns every way to fail into a sentence. */
import type { Command } from 'commander'
import { isLoopbackAddress, locateEngine, findConfigFile, readAdminToken } from '../../config/config.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { answerMsMax } from '../limits.ts'
import { fromWire } from '../wire.ts'
import type { CliContext } from './context.ts'
import { overridesOf, withConfigOptions, type ConfigFlags } from './flags.ts'

export interface EngineFlags extends ConfigFlags {
  readonly json?: boolean
}

/** Adds the flags by which every command finds the engine. */
export function withEngineOptions(command: Command): Command {
  return withConfigOptions(command).option('--json', 'print the answer of the admin API unchanged')
}

/** Prints the answer as JSON when asked to; otherwise returns it for printing. Null: it was printed. */
export async function ask<T>(context: CliContext, flags: EngineFlags, path: string): Promise<T | null> {
  const body = await askRaw(context, flags, path)
  if (flags.json === true) {
    context.print(body.toString())
    return null
  }
  return fromWire(JSON.parse(body.toString())) as T
}

/** Prints the answer, unchanged as JSON when asked to, else as `describe` puts it; returns it as it came. */
export async function tell<T>(
  context: CliContext,
  flags: EngineFlags,
  request: EngineRequest,
  describe: (answer: T) => string,
): Promise<T> {
  const body = await askRaw(context, flags, request.path, request)
  const answer = JSON.parse(body.toString()) as T
  context.print(flags.json === true ? body.toString() : describe(answer))
  return answer
}

/** What a command has the engine do. */
export interface EngineRequest {
  readonly method?: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
}

/** The bytes of a good answer. Throws a PosthasteError for every other. */
export async function askRaw(
  context: CliContext,
  flags: EngineFlags,
  path: string,
  { method, body: sent }: Omit<EngineRequest, 'path'> = {},
): Promise<Buffer> {
  const file = findConfigFile(flags.config, context.env)
  const engine = locateEngine(file, context.env, { cwd: context.cwd, ...overridesOf(flags) })
  const open = engine.sandbox && isLoopbackAddress(engine.address)
  const token = engine.token ?? (open ? null : readAdminToken(engine.dataDirectory))
  const url = `http://${reachable(engine.address)}:${engine.port}`
  let response: Response
  let body: Buffer
  try {
    response = await fetch(`${url}${path}`, {
      method: method ?? 'GET',
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: sent === undefined ? null : JSON.stringify(sent),
      signal: AbortSignal.timeout(context.answerMsMax ?? answerMsMax.value),
      redirect: 'error',
    })
    body = Buffer.from(await response.arrayBuffer())
  } catch (error) {
    throw unreachableEngine(url, error)
  }
  if (response.ok) return body
  throw refusal(url, response, body)
}

/** An address that listens for everything is reached on this machine by loopback. */
function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  if (address === '::') return '[::1]'
  return address.includes(':') ? `[${address}]` : address
}

function unreachableEngine(url: string, error: unknown): PosthasteError {
  const late = error instanceof DOMException && error.name === 'TimeoutError'
  const what = late ? `the engine at ${url} did not answer in time` : `no engine answers at ${url}`
  const cure = late
    ? 'It may be overloaded or stopped: look at its log.'
    : 'Start it with `posthaste start`, or name the configuration it runs with by --config.'
  return new PosthasteError('engine_unreachable', what, cure, { exitCode: 69, cause: error })
}

function refusal(url: string, response: Response, body: Buffer): PosthasteError {
  const type = response.headers.get('content-type') ?? ''
  if (!type.startsWith('application/problem+json')) {
    return new PosthasteError(
      'engine_unreachable',
      `what answers at ${url} is not Posthaste (HTTP ${response.status})`,
      'Set management.port or --management-port.',
      {
        exitCode: 69,
      },
    )
  }
  const problem = JSON.parse(body.toString()) as { code: string; detail: string; cure: string }
  return new PosthasteError(problem.code, problem.detail, problem.cure, {
    exitCode: exitCodeOf(response.status, problem.code),
  })
}

function exitCodeOf(status: number, code: string): number {
  if (status === 404 || status === 410) return 1
  if (status === 401) return 78
  if (status < 500) return 65
  if (code.startsWith('database_')) return 74
  return code === 'internal' ? 70 : 69
}
