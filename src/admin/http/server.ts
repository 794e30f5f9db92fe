/** The management listener: guard first, then routes; errors are problem details and never show our inside. */
import type { AddressInfo } from 'node:net'
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { PosthasteError } from '../../kernel/errors.ts'
import { formatBytes, secondMs } from '../../kernel/units.ts'
import {
  bodyBytesMax,
  connectionsMax,
  headerBytesMax,
  idleMsMax,
  parameterCharactersMax,
  requestMsMax,
} from '../limits.ts'
import type { EngineView } from '../view.ts'
import { readOnlyJson } from './body.ts'
import { createGuard } from './guard.ts'
import { problem, refusal } from './problem.ts'
import { registerAdminRoutes, registerHealthRoutes } from './routes.ts'

export interface AdminServerOptions {
  readonly address: string
  /** 0: the system chooses; see `AdminServer.address`. */
  readonly port: number
  /** Null only for the sandbox on loopback: then nobody is asked for a token. */
  readonly token: string | null
  /** Further names that clients may use for us in the Host header. */
  readonly names?: readonly string[]
  /** Told of what a route threw: a bug, or a store that failed. */
  readonly onError?: (error: Error) => void
  /** Default limits.ts. */
  readonly requestMsMax?: number
  readonly idleMsMax?: number
}

export interface AdminServer {
  /** Throws a PosthasteError that names address and port when they cannot be had. */
  start(): Promise<void>
  /** Closes the listener and every connection. */
  stop(): Promise<void>
  /** Where it listens; port 0 until it was started. */
  readonly address: { readonly address: string; readonly port: number }
}

export function createAdminServer(engine: EngineView, options: AdminServerOptions): AdminServer {
  const app = buildApp(engine, options)
  return {
    get address() {
      const bound = app.server.address() as AddressInfo | null
      return bound === null ? { address: options.address, port: 0 } : { address: bound.address, port: bound.port }
    },
    async start() {
      try {
        await app.listen({ host: options.address, port: options.port })
      } catch (error) {
        await app.close()
        throw listenError(error as NodeJS.ErrnoException, options)
      }
    },
    stop: async () => await app.close(),
  }
}

function buildApp(engine: EngineView, options: AdminServerOptions): FastifyInstance {
  const requestTimeout = options.requestMsMax ?? requestMsMax.value
  const app = fastify({
    bodyLimit: bodyBytesMax.value,
    requestTimeout,
    keepAliveTimeout: options.idleMsMax ?? idleMsMax.value,
    forceCloseConnections: true,
    http: {
      // Node bounds a body's time only when it is an option of the server that Fastify makes.
      requestTimeout,
      maxHeaderSize: headerBytesMax.value,
      connectionsCheckingInterval: Math.min(5 * secondMs, requestTimeout / 3),
    },
    frameworkErrors: refusePath,
    routerOptions: { maxParamLength: parameterCharactersMax.value },
  })
  app.server.maxConnections = connectionsMax.value
  app.addHook('onRequest', createGuard({ address: options.address, token: options.token, names: options.names ?? [] }))
  app.addHook('onSend', async (_, reply) => {
    void reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
  })
  readOnlyJson(app)
  answerErrors(app, options.onError ?? (() => undefined))
  registerHealthRoutes(app, engine)
  registerAdminRoutes(app, engine)
  return app
}

function answerErrors(app: FastifyInstance, onError: (error: Error) => void): void {
  app.setNotFoundHandler((request, reply) =>
    problem(
      reply,
      404,
      'no_such_route',
      `there is no ${request.method} ${request.url.slice(0, 200)} here`,
      'The admin API begins with /api/v1/admin/.',
    ),
  )
  app.setErrorHandler((error: FastifyError | PosthasteError, _request, reply) => {
    if (error instanceof PosthasteError) {
      const refused = refusal(reply, error)
      if (reply.statusCode === 500) onError(error)
      if (refused !== null) return refused
    }
    const status = ('statusCode' in error ? error.statusCode : undefined) ?? 500
    if (status === 415) {
      const what = 'the body is not application/json'
      return problem(reply, status, 'not_json_type', what, 'Send JSON, and say so in Content-Type.')
    }
    if (status === 413) {
      const what = `the body is larger than ${formatBytes(bodyBytesMax.value)}`
      return problem(reply, status, 'body_too_big', what, 'Send it in several requests.')
    }
    if (status < 500)
      return problem(reply, status, (error.code ?? 'bad_request').toLowerCase(), error.message, 'Correct the request.')
    onError(error)
    return problem(reply, 500, 'internal', 'this request failed inside the engine', 'The engine’s log has the reason.')
  })
}

/** Before any route or guard: the path cannot be decoded, or a part of it is too long. It is not repeated. */
function refusePath({ statusCode = 400 }: FastifyError, _: FastifyRequest, reply: FastifyReply): void {
  const long = statusCode === 414
  const what = long ? 'a part of the path is too long' : 'the path cannot be decoded'
  void problem(reply, statusCode, long ? 'path_too_long' : 'bad_path', what, 'Correct the request.')
}

function listenError(error: NodeJS.ErrnoException, { address, port }: AdminServerOptions): PosthasteError {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`
  const fail = (what: string, cure: string, exitCode: number): PosthasteError =>
    new PosthasteError('management_listen', `management cannot listen on ${where}: ${what}`, cure, {
      exitCode,
      cause: error,
    })
  switch (error.code ?? '') {
    case 'EADDRINUSE':
      return fail(
        'another program does',
        'Is an engine running already (posthaste status)? Else set management.port or --management-port.',
        69,
      )
    case 'EACCES':
      return fail('permission denied', 'Ports below 1024 need CAP_NET_BIND_SERVICE; set management.port.', 78)
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return fail(
        'this machine has no such address',
        'Set management.address to one of its own, such as 127.0.0.1.',
        78,
      )
    default:
      return fail(error.code ?? error.message, 'Set management.address and management.port.', 69)
  }
}
