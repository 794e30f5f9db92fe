/** The sending API's ports: how they open, and how they close. */
import { addressOf, listenFailure } from '../listening.ts'
import { createSecureContext } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { HttpConfig, HttpListenerConfig, TlsConfig } from '../../config/compiled.ts'
import type { Clock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import type { Random } from '../../kernel/random.ts'
import type { Clients } from '../../ports/clients.ts'
import type { Confirmation } from '../../ports/directory.ts'
import type { MessageStore } from '../../ports/message-store.ts'
import { noQuotas, type Quotas } from '../../ports/quotas.ts'
import type { Submissions } from '../../ports/submissions.ts'
import { LoginGuard } from '../smtp/login-guard.ts'
import { buildApp, type Certificate } from './app.ts'
import { handshakeMsMax, idleMsMax } from './limits.ts'
import { BodyMemory } from './memory.ts'
import type { HttpCounters, HttpHealth, HttpLogEvent, HttpServer } from './server.ts'

export interface HttpIntakeOptions {
  readonly config: HttpConfig
  /** Our name in Received and Message-ID. */
  readonly hostname: string
  /** Of one message; `smtp.recipients_max` is everybody's. */
  readonly recipientsMax: number
  /** Null: a listener with implicit TLS cannot start. */
  readonly tls: TlsConfig | null
  readonly submissions: Submissions
  readonly clients: Clients
  /** Left out: nobody has any. */
  readonly quotas?: Quotas
  readonly store: MessageStore
  readonly clock: Clock
  readonly random: Random
  readonly counters: HttpCounters
  /** Gets every refusal and failure. Best effort: it must not throw, and nothing waits for it. */
  readonly log: (event: HttpLogEvent) => void
  /** Somebody has pressed the button behind a mailed link. Never rejects. */
  readonly confirmSender: (token: string) => Promise<Confirmation>
  /** What /readyz says. */
  readonly health: () => HttpHealth
  readonly version: string
  /** For the reference page: it says that nothing leaves this machine. */
  readonly sandbox: boolean
  /** Other threads of this process listen on the same ports: the kernel spreads connections over them. Proves nothing about other programs. */
  readonly reusePort?: boolean
  /** Default limits.ts. */
  readonly idleMsMax?: number
  readonly handshakeMsMax?: number
}

export interface HttpIntake {
  /** Where it listens, in the order of the configuration, with the ports that the system chose for port 0. */
  readonly addresses: readonly { readonly address: string; readonly port: number }[]
  /** Open now. */
  readonly connections: number
  /** Held by bodies of requests now. */
  readonly memoryBytes: number
  /**
   * Refuses new requests with 503 and lets those under way finish. Resolves when the last one is done and its connection gone, which after
   * `deadlineMs` it is by force.
   */
  stop(deadlineMs: number): Promise<void>
}

/** Throws PosthasteError when a port cannot be had or the certificate cannot be used; then none is listened on. */
export async function startHttpIntake(options: HttpIntakeOptions): Promise<HttpIntake> {
  const { config, tls, reusePort = false, ...shared } = options
  const server: HttpServer = {
    idleMsMax: idleMsMax.value,
    handshakeMsMax: handshakeMsMax.value,
    quotas: noQuotas,
    ...shared,
    config,
    guard: new LoginGuard(options.clock),
    memory: new BodyMemory(config.bodyBytesMax),
    asked: new WeakMap(),
    connections: 0,
    draining: false,
    underWay: 0,
    onIdle: null,
  }
  const apps = await listenOnAll(server, tls, reusePort)
  return {
    addresses: apps.map(({ server }) => addressOf(server)),
    get connections() {
      return server.connections
    },
    get memoryBytes() {
      return server.memory.bytes
    },
    stop: (deadlineMs) => stop(server, apps, deadlineMs),
  }
}

async function stop(server: HttpServer, apps: readonly FastifyInstance[], deadlineMs: number): Promise<void> {
  server.draining = true
  const closed = Promise.all(apps.map((app) => app.close()))
  await new Promise<void>((resolve) => {
    const force = server.clock.after(deadlineMs, () => {
      for (const app of apps) app.server.closeAllConnections()
      resolve()
    })
    // A client that hung up is gone, but its message is not.
    void closed.then(() => {
      const done = (): void => {
        force.cancel()
        resolve()
      }
      if (server.underWay === 0) done()
      else server.onIdle = done
    })
  })
  await closed
}

async function listenOnAll(server: HttpServer, tls: TlsConfig | null, reusePort: boolean): Promise<FastifyInstance[]> {
  const apps: FastifyInstance[] = []
  try {
    for (const listener of server.config.listeners) {
      const app = buildApp(server, certificateFor(listener, tls))
      apps.push(app)
      await app.ready()
      await listen(app, listener, reusePort)
    }
  } catch (error) {
    await Promise.all(apps.map((app) => app.close()))
    throw error
  }
  return apps
}

function certificateFor(listener: HttpListenerConfig, tls: TlsConfig | null): Certificate | null {
  if (listener.tls === 'none') return null
  if (tls === null) {
    throw new PosthasteError(
      'tls_certificate_missing',
      `the HTTP listener on ${listener.address}:${listener.port} has implicit TLS, but there is no certificate`,
      'Configure a certificate and its key, or set the listener’s TLS to "none".',
      { exitCode: 78 },
    )
  }
  const certificate = { cert: tls.certificatePem, key: tls.keyPem }
  try {
    createSecureContext(certificate)
  } catch (cause) {
    throw new PosthasteError(
      'tls_certificate_unusable',
      `the TLS certificate or its key cannot be used: ${(cause as Error).message}`,
      'Check that both are PEM, and that the key belongs to the certificate.',
      { exitCode: 78, cause },
    )
  }
  return certificate
}

function listen(app: FastifyInstance, { address, port }: HttpListenerConfig, reusePort: boolean): Promise<void> {
  const { server } = app
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(listenFailure('http', { address, port }, error))
    server.once('error', failed)
    server.listen({ host: address, port, backlog: 511, reusePort }, () => {
      server.off('error', failed)
      // Accepting may fail for want of descriptors; those who wait are accepted later.
      server.on('error', () => {})
      resolve()
    })
  })
}
