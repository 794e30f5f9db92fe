/** A running HTTP intake on 127.0.0.1 with spool, clients and message store in memory, for one test. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { HttpConfig, TlsConfig } from '../../src/config/compiled.ts'
import {
  type HttpCounters,
  type HttpHealth,
  type HttpIntake,
  type HttpIntakeOptions,
  type HttpLogEvent,
  newHttpCounters,
  startHttpIntake,
} from '../../src/intake/intake.ts'
import { systemClock, VirtualClock } from '../../src/kernel/clock.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import type { Client, Clients, ClientStream, KeyClient } from '../../src/ports/clients.ts'
import { noQuotas } from '../../src/ports/quotas.ts'
import { MemoryMessageStore } from './memory-message-store.ts'
import { MemorySubmissions } from './memory-submissions.ts'

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8')

/** Valid until 2126, for localhost and 127.0.0.1. */
export const fixtureTls: TlsConfig = { certificatePem: fixture('localhost.crt'), keyPem: fixture('localhost.key') }

const smallHttpConfig: HttpConfig = {
  listeners: [{ address: '127.0.0.1', port: 0, tls: 'none' }],
  bodyBytesMax: 200_000,
  connectionsMax: 1_000,
  requestMsMax: 30_000,
  publicUrl: null,
}

/** Keys of the tenant acme, which may send as example.test, and of rival, which may as rival.test. */
export const keys = {
  acme: 'ph_acme',
  acmeSendOnly: 'ph_acme_send',
  acmeReadOnly: 'ph_acme_read',
  rival: 'ph_rival',
}

/** Of acme's stream `codes`; its `news` has none. */
export const codesDefaults = { expiresInMs: 600_000, tags: ['code', 'login'], campaign: 'security' }

class MemoryClients implements Clients {
  readonly #keys = new Map<string, KeyClient>([
    [keys.acme, keyClient('acme', 'k1', ['send', 'read'])],
    [keys.acmeSendOnly, keyClient('acme', 'k2', ['send'])],
    [keys.acmeReadOnly, keyClient('acme', 'k3', ['read'])],
    [keys.rival, keyClient('rival', 'k4', ['send', 'read'])],
  ])

  byKey(secret: string): KeyClient | null {
    return this.#keys.get(secret) ?? null
  }

  revoke(secret: string): void {
    this.#keys.delete(secret)
  }

  isCurrent(client: Client): boolean {
    return [...this.#keys.values()].some(({ credentialId }) => credentialId === client.credentialId)
  }

  stream(client: Client, name: string): ClientStream | null {
    if (client.tenant !== 'acme') return null
    const defaults = { expiresInMs: 0, tags: [], campaign: '' }
    if (name === 'news') return { mailClass: 'bulk', defaults }
    return name === 'codes' ? { mailClass: 'urgent', defaults: codesDefaults } : null
  }

  knowsNetwork(): boolean {
    return false
  }

  bySource(): null {
    return null
  }

  byLogin(): null {
    return null
  }

  maySendAs(client: Client, address: string): boolean {
    return address.toLowerCase().endsWith(client.tenant === 'acme' ? '@example.test' : '@rival.test')
  }
}

function keyClient(tenant: string, credentialId: string, scopes: KeyClient['scopes']): KeyClient {
  return { tenant, how: `key ${credentialId}`, credentialId, scopes }
}

export interface HttpRig {
  readonly intake: HttpIntake
  readonly port: number
  readonly url: string
  readonly spool: MemorySubmissions
  readonly store: MemoryMessageStore
  readonly clients: MemoryClients
  readonly counters: HttpCounters
  readonly events: HttpLogEvent[]
  health: HttpHealth
  /** POST /api/v1/emails: what is no string or buffer is sent as JSON. */
  post(body: unknown, options?: PostOptions): Promise<Answer>
  get(path: string, key?: string | null): Promise<Answer>
  /** A connection that says what the test says; closed with the test. */
  connect(): Promise<Socket>
}

export interface PostOptions {
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
  readonly gzip?: boolean
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** '' fields when it is no JSON object. */
  readonly body: Record<string, unknown>
}

type RigOptions = Partial<HttpConfig> &
  Partial<Pick<HttpIntakeOptions, 'tls' | 'idleMsMax' | 'handshakeMsMax' | 'recipientsMax' | 'clock' | 'quotas'>>

export async function startHttpRig(t: TestContext, options: RigOptions = {}): Promise<HttpRig> {
  const { tls = null, idleMsMax, handshakeMsMax, recipientsMax = 1_000, ...others } = options
  const { clock = systemClock, quotas = noQuotas, ...config } = others
  const spool = new MemorySubmissions()
  const store = new MemoryMessageStore(spool)
  const clients = new MemoryClients()
  const counters = newHttpCounters()
  const events: HttpLogEvent[] = []
  const intake = await startHttpIntake({
    confirmSender: async () => ({ outcome: 'unknown' }),
    config: { ...smallHttpConfig, ...config },
    hostname: 'mail.example.test',
    recipientsMax,
    tls,
    submissions: spool,
    clients,
    quotas,
    store,
    clock,
    random: seededRandom(1),
    counters,
    log: (event) => events.push(event),
    health: () => rig.health,
    version: '0.0.0',
    sandbox: false,
    ...(idleMsMax === undefined ? {} : { idleMsMax }),
    ...(handshakeMsMax === undefined ? {} : { handshakeMsMax }),
  })
  const port = intake.addresses[0]?.port ?? 0
  const url = `http://127.0.0.1:${port}`
  const sockets: Socket[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    spool.settle()
    const stopped = intake.stop(100)
    if (clock instanceof VirtualClock) clock.advance(100)
    await stopped
  })
  const rig: HttpRig = {
    intake,
    port,
    url,
    spool,
    store,
    clients,
    counters,
    events,
    health: { ready: true, reasons: [] },
    async post(body, { key = keys.acme, headers = {}, gzip = false } = {}) {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
      return await answerOf(
        await fetch(`${url}/api/v1/emails`, {
          method: 'POST',
          body: new Uint8Array(gzip ? gzipSync(bytes) : bytes),
          headers: {
            'content-type': 'application/json',
            ...(gzip ? { 'content-encoding': 'gzip' } : {}),
            ...authorization(key),
            ...headers,
          },
        }),
      )
    },
    get: async (path, key = keys.acme) => await answerOf(await fetch(`${url}${path}`, { headers: authorization(key) })),
    async connect() {
      const socket = connect(port, '127.0.0.1').setEncoding('latin1')
      sockets.push(socket)
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      return socket
    },
  }
  return rig
}

/** A request that every check lets through. */
export const goodEmail = {
  from: 'Ann <ann@example.test>',
  to: 'bob@example.net',
  subject: 'hello',
  text: 'line one\nline two\n',
}

function authorization(key: string | null): Record<string, string> {
  return key === null ? {} : { authorization: `Bearer ${key}` }
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '')
  const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.status, headers: response.headers, text, body }
}
