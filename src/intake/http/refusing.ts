/** While mail cannot be taken: every request to the sending API hears why, and when to come again. */
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { HttpListenerConfig, TlsConfig } from '../../config/compiled.ts'
import { failures } from '../../model/failures.ts'
import { problemText, retryAfterSeconds } from './problem.ts'

/** Listens where the API would; a port that cannot be had is left out, because the API itself will say so. */
export async function refuseRequests(
  configured: readonly HttpListenerConfig[],
  tls: TlsConfig | null,
): Promise<{ stop(): Promise<void> }> {
  const servers = await Promise.all(configured.map((listener) => refuseOn(listener, tls)))
  return {
    async stop() {
      await Promise.all(servers.map(close))
    },
  }
}

function refuseOn({ address, port, tls: how }: HttpListenerConfig, tls: TlsConfig | null): Promise<Server | null> {
  const body = problemText(failures.spoolBroken)
  const server =
    how === 'implicit' && tls !== null
      ? createTlsServer({ cert: tls.certificatePem, key: tls.keyPem, minVersion: 'TLSv1.2' }) // RFC 8996
      : createServer()
  server.on('request', (request, response) => {
    request.resume()
    response.writeHead(failures.spoolBroken.http, {
      'content-type': 'application/problem+json',
      'retry-after': String(retryAfterSeconds(failures.spoolBroken.code)),
      connection: 'close',
    })
    response.end(body)
  })
  return new Promise((resolve) => {
    server.once('error', () => resolve(null))
    server.listen({ host: address, port }, () => resolve(server))
  })
}

function close(server: Server | null): Promise<void> {
  return new Promise((resolve) => {
    if (server === null) return resolve()
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
