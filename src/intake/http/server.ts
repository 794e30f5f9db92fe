/** What all requests to the sending API share, and what it tells the outside about itself. */
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import type { HttpConfig } from '../../config/compiled.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import type { Clients, KeyClient } from '../../ports/clients.ts'
import type { Confirmation, Scope } from '../../ports/directory.ts'
import type { MessageStore } from '../../ports/message-store.ts'
import type { Quotas } from '../../ports/quotas.ts'
import type { Submissions } from '../../ports/submissions.ts'
import type { Peer } from '../peer.ts'
import type { LoginGuard } from '../smtp/login-guard.ts'
import type { BodyMemory } from './memory.ts'

export interface HttpServer {
  readonly config: HttpConfig
  readonly hostname: string
  readonly recipientsMax: number
  readonly submissions: Submissions
  readonly clients: Clients
  readonly quotas: Quotas
  readonly store: MessageStore
  readonly clock: Clock
  readonly random: Random
  readonly guard: LoginGuard
  readonly memory: BodyMemory
  readonly counters: HttpCounters
  readonly log: (event: HttpLogEvent) => void
  readonly health: () => HttpHealth
  /** Somebody has pressed the button behind a mailed link. Never rejects. */
  readonly confirmSender: (token: string) => Promise<Confirmation>
  readonly version: string
  readonly sandbox: boolean
  readonly idleMsMax: number
  readonly handshakeMsMax: number
  /** Open now, on all listeners. */
  connections: number
  /** By connection, what was asked last. */
  readonly asked: WeakMap<Socket, FastifyReply>
  /** New requests are refused. */
  draining: boolean
  /** Messages that are on their way to the spool, whether or not their client is still there. */
  underWay: number
  /** Called when that has become none. */
  onIdle: (() => void) | null
}

export interface HttpHealth {
  readonly ready: boolean
  readonly reasons: readonly string[]
}

/** Who asks, once it is known. */
export interface Caller {
  readonly peer: Peer
  readonly secure: boolean
  readonly client: KeyClient
}

/** A refusal or a failure, for the log: what the client was told, which may name an address or a key of its request, and nothing of its mail. */
export interface HttpLogEvent {
  /** Code of the failure catalogue. */
  readonly code: string
  readonly status: number
  /** As the client was told; of several things the first. */
  readonly detail: string
  /** Where in the request (RFC 6901), cut to a length that people read; '' is nowhere. */
  readonly pointer: string
  readonly address: string
  /** '' before it is known. */
  readonly tenant: string
  readonly credentialId: string
  /** Of a failure that is ours; null for a refusal. */
  readonly error: Error | null
}

/** Only ever grow. The owner reads them whenever it likes. */
export interface HttpCounters {
  requests: number
  messages: number
  /** Submissions that were answered with anything but 202. */
  messagesRefused: number
  /** Answered with the id of before, by their idempotency key. */
  messagesReplayed: number
  recipients: number
  contentBytes: number
  keysFailed: number
  timeouts: number
  connectionsRefused: number
}

export function newHttpCounters(): HttpCounters {
  return {
    requests: 0,
    messages: 0,
    messagesRefused: 0,
    messagesReplayed: 0,
    recipients: 0,
    contentBytes: 0,
    keysFailed: 0,
    timeouts: 0,
    connectionsRefused: 0,
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key must be good for; absent: everybody may ask. */
    scope?: Scope
  }
  interface FastifyRequest {
    /** Set where the route has a scope. */
    caller: Caller | null
  }
}
