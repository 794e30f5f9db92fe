/** The SMTP server's ports: how they open, how they do TLS, and how they close. */
import { addressOf, listenFailure } from '../listening.ts'
import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { ListenerConfig, SmtpConfig, TlsConfig } from '../../config/compiled.ts'
import type { Clock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import type { Clients } from '../../ports/clients.ts'
import type { MessageStore } from '../../ports/message-store.ts'
import { noQuotas, type Quotas } from '../../ports/quotas.ts'
import type { Submissions } from '../../ports/submissions.ts'
import type { ListenerTls } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import { Doors, turnAway } from './doors.ts'
import { socketBytesMax } from './limits.ts'
import { LoginGuard } from './login-guard.ts'
import { SessionMemory } from './memory.ts'
import type { IntakeCounters, IntakeLogEvent, SmtpServer } from './server.ts'

export interface SmtpIntakeOptions {
  readonly config: SmtpConfig
  /** Our name in the greeting, Received and Message-ID. */
  readonly hostname: string
  /** Null: no TLS is offered, and a listener with implicit TLS cannot start. */
  readonly tls: TlsConfig | null
  readonly submissions: Submissions
  readonly clients: Clients
  /** Left out: nobody has any. */
  readonly quotas?: Quotas
  /** Where idempotency keys are looked up. Null: messages that have one are refused. */
  readonly store: MessageStore | null
  readonly clock: Clock
  /** Gets every refusal. Best effort: it must not throw, and nothing waits for it. */
  readonly log: (event: IntakeLogEvent) => void
  readonly counters: IntakeCounters
  /** Other threads of this process listen on the same ports: the kernel spreads connections over them. Proves nothing about other programs. */
  readonly reusePort?: boolean
}

export interface SmtpIntake {
  /** Where it listens, in the order of the configuration, with the ports that the system chose for port 0. */
  readonly addresses: readonly { readonly address: string; readonly port: number }[]
  /** Open now. */
  readonly connections: number
  /**
   * Stops listening, sends idle sessions away with 421, lets open messages finish. Resolves when the last connection is gone, which
   * after `deadlineMs` it is by force.
   */
  stop(deadlineMs: number): Promise<void>
}

/** Without `tls` it is taken for a port that is greeted in plain text. */
type RefusingListener = Pick<ListenerConfig, 'address' | 'port'> & Partial<Pick<ListenerConfig, 'tls'>>

/** Throws PosthasteError when a port cannot be had or the certificate cannot be used; then none is listened on. */
export async function startSmtpIntake(options: SmtpIntakeOptions): Promise<SmtpIntake> {
  const { clock, ...shared } = options
  const server: SmtpServer = {
    quotas: noQuotas,
    ...shared,
    clock,
    guard: new LoginGuard(clock),
    deadlines: new Deadlines(clock),
    memory: new SessionMemory(options.config.connectionsMax),
    draining: false,
  }
  const doors = new Doors(server)
  const listeners = await listenOnAll(
    options.config.listeners,
    (listener) => {
      // One context each: a session ticket of one port is worth nothing on another.
      const context = secureContext(options.tls, listener)
      const mode = listener.tls === 'offered' && context === null ? 'none' : listener.tls
      const tls: ListenerTls = { mode, context }
      return createServer({ allowHalfOpen: true, highWaterMark: socketBytesMax.value }, (socket) =>
        doors.enter(socket, tls),
      )
    },
    options.reusePort,
  )
  return {
    addresses: listeners.map(addressOf),
    get connections() {
      return doors.connections.size
    },
    async stop(deadlineMs) {
      const closed = Promise.all(listeners.map(closeServer))
      server.draining = true
      for (const connection of doors.connections) connection.session.drain()
      const force = clock.after(deadlineMs, () => {
        for (const connection of doors.connections) connection.destroy()
      })
      await closed
      await doors.empty()
      force.cancel()
    },
  }
}

/** Listens where the SMTP server would, and tells everyone `reply`, a 421 line without its CRLF: mail cannot be taken now. */
export async function refuseConnections(
  configured: readonly RefusingListener[],
  reply: string,
): Promise<{ readonly addresses: SmtpIntake['addresses']; stop(): Promise<void> }> {
  const open = new Set<Socket>()
  const listeners = await listenOnAll(configured, (listener) =>
    createServer((socket) => {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      turnAway(socket, listener.tls === 'implicit' ? '' : `${reply}\r\n`)
    }),
  )
  return {
    addresses: listeners.map(addressOf),
    async stop() {
      const closed = Promise.all(listeners.map(closeServer))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

/**
 * Proves that nobody listens there, and returns the ports, also those that the system chose. With `reusePort` a second program on the same port would
 * succeed in silence, and have half of the mail.
 * @throws PosthasteError when one cannot be had
 */
export async function provePortsFree(configured: readonly RefusingListener[]): Promise<SmtpIntake['addresses']> {
  const listeners = await listenOnAll(configured, () => createServer((socket) => socket.destroy()))
  const addresses = listeners.map(addressOf)
  await Promise.all(listeners.map(closeServer))
  return addresses
}

function secureContext(tls: TlsConfig | null, listener: ListenerConfig): SecureContext | null {
  if (tls === null && listener.tls === 'implicit') {
    throw new PosthasteError(
      'tls_certificate_missing',
      `the listener on ${listener.address}:${listener.port} has implicit TLS, but there is no certificate`,
      'Configure a certificate and its key, or set the listener’s TLS to "none".',
      { exitCode: 78 },
    )
  }
  if (tls === null || listener.tls === 'none') return null
  try {
    return createSecureContext({ cert: tls.certificatePem, key: tls.keyPem, minVersion: 'TLSv1.2' }) // RFC 8996
  } catch (cause) {
    throw new PosthasteError(
      'tls_certificate_unusable',
      `the TLS certificate or its key cannot be used: ${(cause as Error).message}`,
      'Check that both are PEM, and that the key belongs to the certificate.',
      { exitCode: 78, cause },
    )
  }
}

async function listenOnAll<L extends RefusingListener>(
  configured: readonly L[],
  create: (listener: L) => Server,
  reusePort = false,
): Promise<Server[]> {
  const servers: Server[] = []
  try {
    for (const listener of configured) {
      const server = create(listener)
      await listen(server, listener, reusePort)
      servers.push(server)
    }
  } catch (error) {
    await Promise.all(servers.map(closeServer))
    throw error
  }
  return servers
}

function listen(server: Server, listener: RefusingListener, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure('smtp', listener, error)))
    server.listen({ host: listener.address, port: listener.port, backlog: 511, reusePort }, () => {
      server.removeAllListeners('error')
      // Accepting may fail for want of descriptors; those who wait are accepted later.
      server.on('error', () => {})
      resolve()
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
