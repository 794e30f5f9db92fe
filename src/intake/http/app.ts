/** The routes on one listener: who may ask, who answers, and how errors look. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { rethrowBug } from '../../kernel/assert.ts'
import { secondMs } from '../../kernel/units.ts'
import { failures, type HttpFailure, httpFailures } from '../../model/failures.ts'
import { peerOf } from '../peer.ts'
import { lingerMsMax } from '../smtp/limits.ts'
import { identify } from './callers.ts'
import { registerSenderConfirmation } from './confirm-sender.ts'
import { headerBytesMax, parameterCharactersMax } from './limits.ts'
import { createPages } from './pages.ts'
import { Problem, type ProblemDetails, problemText, sendProblem } from './problem.ts'
import { createReaders } from './read.ts'
import { contentTypeCure, createSendEmail } from './send.ts'
import type { HttpLogEvent, HttpServer } from './server.ts'
import { operations, type OperationId } from './operations.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** `certificate` null: plain HTTP. */
export function buildApp(server: HttpServer, certificate: Certificate | null): FastifyInstance {
  const app = newApp(server, certificate)
  app.server.on('connection', (socket: Socket) => enter(server, socket))
  // Routes read their bodies themselves: bounded, unpacked, and checked more strictly than a parser would.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.decorateRequest('caller', null)
  app.addHook('onRequest', (request, reply, done) => done(admit(server, request, reply)))
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (server.draining) void reply.header('connection', 'close')
    done()
  })
  answerErrors(app, server)
  addRoutes(app, server)
  return app
}

function newApp(server: HttpServer, certificate: Certificate | null): FastifyInstance {
  const { requestMsMax } = server.config
  // Node takes its bounds as options of the server that Fastify makes; set later, requestTimeout alone would not bound a body.
  const bounds = {
    maxHeaderSize: headerBytesMax.value,
    requestTimeout: requestMsMax,
    headersTimeout: requestMsMax,
    connectionsCheckingInterval: Math.min(5 * secondMs, Math.ceil(requestMsMax / 3)),
  }
  return fastify({
    requestTimeout: requestMsMax,
    keepAliveTimeout: server.idleMsMax,
    forceCloseConnections: false,
    return503OnClosing: false,
    ...(certificate === null
      ? { http: bounds }
      : { https: { ...bounds, ...certificate, minVersion: 'TLSv1.2', handshakeTimeout: server.handshakeMsMax } }), // RFC 8996
    frameworkErrors: (error, request, reply) => refusePath(server, error, request, reply),
    clientErrorHandler: (error, socket) => refuseConnection(server, error, socket),
    routerOptions: { maxParamLength: parameterCharactersMax.value },
  }) as FastifyInstance
}

function addRoutes(app: FastifyInstance, server: HttpServer): void {
  const { email, status, list } = createReaders(server)
  const handlers: Readonly<Record<OperationId, Handler>> = {
    sendEmail: createSendEmail(server),
    listEmails: list,
    getEmail: email,
    getEmailStatus: status,
    ...createPages(server),
  }
  for (const { id, method, path, scope } of operations) {
    app.route({
      method: method.toUpperCase(),
      url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: handlers[id],
      config: scope === null ? {} : { scope },
    })
  }
  registerSenderConfirmation(app, { confirm: server.confirmSender })
}

/** A connection too many hears nothing: whoever speaks first would be the client. */
function enter(server: HttpServer, socket: Socket): void {
  if (server.connections >= server.config.connectionsMax) {
    server.counters.connectionsRefused++
    return void socket.destroy()
  }
  server.connections++
  socket.once('close', () => server.connections--)
}

/** Before anything else of a request. What it returns is answered. */
function admit(server: HttpServer, request: FastifyRequest, reply: FastifyReply): Problem | undefined {
  server.counters.requests++
  server.asked.set(request.raw.socket, reply)
  if (server.draining) return new Problem(failures.draining)
  const { scope } = request.routeOptions.config
  if (scope === undefined) return undefined
  try {
    request.caller = identify(server, request, scope)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

function answerErrors(app: FastifyInstance, server: HttpServer): void {
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.replace(/\?.*$/, '')
    const methods = methodsOf(path)
    if (methods === '') {
      const bare = path.replace(/\/+$/, '')
      const cure = methodsOf(bare) === '' ? 'The root, /, tells where to begin.' : 'Leave out the slash at the end.'
      return refuse(server, request, reply, httpFailures.routeUnknown, { cure })
    }
    void reply.header('allow', methods)
    return refuse(server, request, reply, httpFailures.methodNotAllowed, { cure: `Use ${methods}.` })
  })
  app.setErrorHandler((error: FastifyError | Problem, request, reply) => {
    // A bug of ours ends the thread, as anywhere; that the client hears of it first does no harm.
    setImmediate(() => rethrowBug(error))
    if (error instanceof Problem) return refuse(server, request, reply, error.failure, error.details)
    const status = error.statusCode ?? 500
    if (status === 415)
      return refuse(server, request, reply, httpFailures.contentTypeUnknown, { cure: contentTypeCure })
    if (status < 500) return refuse(server, request, reply, { ...httpFailures.malformedRequest, http: status }, {})
    return refuse(server, request, reply, httpFailures.internal, { cure: 'The server’s log has the reason.' }, error)
  })
}

/** '' when there is nothing at this path. RFC 9110 §9.3.2: what can be asked for by GET can by HEAD. */
function methodsOf(path: string): string {
  const methods = operations.filter((operation) => isPathOf(operation.path, path)).map(({ method }) => method)
  return methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : ['POST'])).join(', ')
}

function isPathOf(template: string, path: string): boolean {
  const parts = path.split('/')
  const wanted = template.split('/')
  return (
    wanted.length === parts.length &&
    wanted.every((part, i) => (part.startsWith('{') ? parts[i] !== '' : part === parts[i]))
  )
}

function refuse(
  server: HttpServer,
  request: FastifyRequest,
  reply: FastifyReply,
  failure: HttpFailure,
  details: ProblemDetails,
  error: Error | null = null,
): FastifyReply {
  const { client } = request.caller ?? { client: null }
  server.log({
    code: failure.code,
    status: failure.http,
    ...said(failure, details),
    address: peerOf(request.raw.socket).address,
    tenant: client?.tenant ?? '',
    credentialId: client?.credentialId ?? '',
    error,
  })
  return sendProblem(reply, failure, details)
}

/** The length of a pointer is that of keys in the request, and nobody reads megabytes. */
const shownCharacters = 200

function said({ say }: HttpFailure, details: ProblemDetails): Pick<HttpLogEvent, 'detail' | 'pointer'> {
  const { errors = [] } = details
  const { detail = say, pointer = '' } = errors[0] ?? details
  return {
    detail: errors.length > 1 ? `${detail}, and ${errors.length - 1} more` : detail,
    pointer: pointer.slice(0, shownCharacters),
  }
}

/** Before any route: the path cannot be decoded, or a part of it is too long. It is not repeated. */
function refusePath(server: HttpServer, error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const failure = error.statusCode === 414 ? httpFailures.pathTooLong : httpFailures.malformedPath
  void refuse(server, request, reply, failure, {})
}

/** Before there is a request: it came too slowly, its header was too big, or it is not HTTP. */
function refuseConnection(server: HttpServer, error: NodeJS.ErrnoException, socket: Socket): void {
  const failure = connectionFailure(error)
  if (failure === null) return void socket.destroy()
  if (failure === failures.timedOut) server.counters.timeouts++
  const { address } = peerOf(socket)
  const { code, http: status } = failure
  server.log({ code, status, ...said(failure, {}), address, tenant: '', credentialId: '', error: null })
  // An answer to a request that is whole is still to come: this one would be taken for it.
  const asked = server.asked.get(socket)
  const waiting = asked !== undefined && asked.request.raw.complete && !asked.raw.writableEnded
  if (waiting || !socket.writable) return void socket.destroy()
  const body = problemText(failure)
  const head = `HTTP/1.1 ${failure.http} ${STATUS_CODES[failure.http]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
  socket.end(head + body)
  // Closing over bytes that were not read would reset the connection, and this answer with it.
  socket.resume()
  const linger = server.clock.after(lingerMsMax.value, () => socket.destroy())
  socket.once('close', () => linger.cancel())
}

/** Null: a connection that broke, or that did not come to speak HTTP for want of TLS. Nobody would understand an answer. */
function connectionFailure({ code = '' }: NodeJS.ErrnoException): HttpFailure | null {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return failures.timedOut
  if (code === 'HPE_HEADER_OVERFLOW') return httpFailures.requestHeaderTooBig
  return code.startsWith('HPE_') ? httpFailures.malformedRequest : null
}
