/** A running SMTP intake on 127.0.0.1 with a spool in memory, for one test. */
import { readFileSync } from 'node:fs'
import { hash } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { ListenerConfig, SmtpConfig, TenantConfig, TlsConfig } from '../../src/config/compiled.ts'
import {
  type IntakeCounters,
  type IntakeLogEvent,
  newIntakeCounters,
  type SmtpIntake,
  startSmtpIntake,
} from '../../src/intake/intake.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import type { Clients } from '../../src/ports/clients.ts'
import type { MessageStore } from '../../src/ports/message-store.ts'
import { noQuotas, type Quotas } from '../../src/ports/quotas.ts'
import { clientsOf } from '../../src/tenancy/tenancy.ts'
import { MemorySubmissions } from './memory-submissions.ts'
import { SmtpClient } from './smtp-client.ts'

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8')

/** Valid until 2126, for localhost and 127.0.0.1. */
const testTls: TlsConfig = { certificatePem: fixture('localhost.crt'), keyPem: fixture('localhost.key') }

export const smallSmtpConfig: SmtpConfig = {
  listeners: [{ address: '127.0.0.1', port: 0, tls: 'offered' }],
  messageBytesMax: 200_000,
  recipientsMax: 1_000,
  connectionsMax: 100,
  connectionsPerAddressMax: 50,
  idleMsMax: 300_000,
  contentBytesPerSecondMin: 500,
  authWithoutTlsOnLoopback: false,
}

/** 127.0.0.1 and the login app / "open sesame" may send; any other 127.x is a stranger. */
const testTenants: readonly TenantConfig[] = [
  {
    name: 'acme',
    networks: ['127.0.0.1/32'],
    logins: [{ user: 'app', passwordSha256: hash('sha256', 'open sesame', 'hex') }],
  },
]

const ofFile = clientsOf(testTenants, { intake: [] }, { anySender: false, clock: new VirtualClock() })

/** Those of `testTenants` alone; plain, so that a test can put something else in place of a part. */
export const fileClients: Clients = {
  knowsNetwork: (address) => ofFile.knowsNetwork(address),
  bySource: (address, sender) => ofFile.bySource(address, sender),
  byLogin: (user, password, address) => ofFile.byLogin(user, password, address),
  byKey: (secret, address) => ofFile.byKey(secret, address),
  isCurrent: (client) => ofFile.isCurrent(client),
  stream: (client, name) => ofFile.stream(client, name),
  maySendAs: (client, address) => ofFile.maySendAs(client, address),
}

export interface SmtpRig {
  readonly intake: SmtpIntake
  readonly port: number
  readonly spool: MemorySubmissions
  readonly clock: SteppedClock
  readonly counters: IntakeCounters
  readonly events: IntakeLogEvent[]
  /** Connected, greeted, EHLO said. */
  hello(options?: Parameters<typeof SmtpClient.connect>[1]): Promise<SmtpClient>
}

/** Real time for the greeting's few milliseconds, virtual time for everything that is long. */
class SteppedClock extends VirtualClock {
  override after(delayMs: number, fire: () => void): ReturnType<VirtualClock['after']> {
    if (delayMs > 100) return super.after(delayMs, fire)
    const timer = setTimeout(fire, delayMs)
    return { refresh: () => void timer.refresh(), cancel: () => clearTimeout(timer) }
  }
}

export interface RigOptions extends Partial<SmtpConfig> {
  readonly tls?: TlsConfig | null
  readonly listener?: ListenerConfig['tls']
  readonly clients?: Clients
  readonly store?: MessageStore
  readonly quotas?: Quotas
}

export async function startRig(t: TestContext, options: RigOptions = {}): Promise<SmtpRig> {
  const {
    tls = testTls,
    listener = 'offered',
    clients = fileClients,
    store = null,
    quotas = noQuotas,
    ...config
  } = options
  const spool = new MemorySubmissions()
  const clock = new SteppedClock()
  const counters = newIntakeCounters()
  const events: IntakeLogEvent[] = []
  const intake = await startSmtpIntake({
    config: { ...smallSmtpConfig, listeners: [{ address: '127.0.0.1', port: 0, tls: listener }], ...config },
    hostname: 'mail.example.test',
    tls,
    submissions: spool,
    clients,
    quotas,
    store,
    clock,
    counters,
    log: (event) => events.push(event),
  })
  const port = intake.addresses[0]?.port ?? 0
  const open: SmtpClient[] = []
  t.after(async () => {
    for (const client of open) client.destroy()
    const stopped = intake.stop(1)
    clock.advance(10_000)
    await stopped
  })
  return {
    intake,
    port,
    spool,
    clock,
    counters,
    events,
    async hello(connectOptions) {
      const client = await SmtpClient.hello(port, connectOptions)
      open.push(client)
      return client
    },
  }
}

/** A message that every check lets through. */
export const goodMessage =
  'From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nSubject: hello\r\n\r\nline one\r\nline two\r\n'
