/** A deliverer with a virtual clock, real sockets on loopback, and a message store and a resolver made of Maps. */
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { openNet } from '../../src/adapters/net/net.ts'
import { createDeliverCounters, createDeliverer } from '../../src/deliver/deliver.ts'
import type { Deliverer, DeliverCounters, DelivererOptions } from '../../src/deliver/deliver.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import type { DeliveryReport, Grant } from '../../src/model/grant.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import type { DsnRequest } from '../../src/model/submission.ts'
import type { Site } from '../../src/model/site.ts'
import type { AddressAnswer, Dns } from '../../src/ports/dns.ts'
import type { Net } from '../../src/ports/net.ts'
import type { Messages, PreparedMessage } from '../../src/ports/messages.ts'
import { scriptedServer, type Script, type ScriptedServer } from './scripted-server.ts'

export interface MessageSpec {
  readonly tenant?: string
  readonly returnPath?: string
  readonly recipients?: readonly string[]
  readonly sizeBytes?: number
  readonly eightBit?: boolean
  readonly smtpUtf8?: boolean
  readonly dsn?: DsnRequest
  /** Blocks of the content; a function is called for each read. */
  readonly blocks?: readonly string[]
  readonly read?: () => Buffer | null | Promise<Buffer | null>
  readonly release?: () => void
  /** Instead of a message. */
  readonly open?: () => PreparedMessage | Promise<PreparedMessage>
}

export interface Rig {
  readonly deliverer: Deliverer
  readonly clock: VirtualClock
  readonly counters: DeliverCounters
  /** Answers of the resolver; a host that is not here does not exist. */
  readonly addresses: Map<string, AddressAnswer>
  /** Makes an address of the internet lead to a port on loopback. */
  readonly reach: Map<string, number>
  /** Addresses that were connected to, in order. */
  readonly connectedTo: string[]
  readonly reports: DeliveryReport[]
  /** Called within the deliverer's report, where a scheduler grants the next message. */
  onReport: (report: DeliveryReport) => void
  /** A polite or scripted server that ends with the test. */
  server(script?: Script): Promise<ScriptedServer>
  /** A site with one host, 127.0.0.1, at this port. */
  site(port: number, change?: Partial<Site>): Site
  /** Grants the message and returns its report. */
  send(site: Site, message?: MessageSpec, source?: string | null): Promise<DeliveryReport>
  /** Keeps the message back until a connection of the site asks for one that may follow in the same write. */
  follow(site: Site, message?: MessageSpec): Promise<DeliveryReport>
  /** The same as `send`, for its first outcome. */
  outcome(site: Site, message?: MessageSpec): Promise<Outcome>
}

const polite = {
  tenant: 'acme',
  returnPath: 'ann@example.com',
  recipients: ['bob@example.net'],
  blocks: ['Subject: hi\r\n\r\nhello\r\n'],
}

export function deliverRig(t: TestContext, change: Partial<DelivererOptions> = {}): Rig {
  const clock = new VirtualClock()
  const counters = createDeliverCounters()
  const messages = new Map<number, MessageSpec>()
  const waiting = new Map<number, (report: DeliveryReport) => void>()
  const addresses = new Map<string, AddressAnswer>()
  const reach = new Map<string, number>()
  const connectedTo: string[] = []
  const reports: DeliveryReport[] = []
  const followers: Grant[] = []
  let grants = 0
  let sites = 0
  const deliverer = createDeliverer({
    config: {
      ehloName: 'sender.example',
      connectionsPerSite: 20,
      connectionsMax: 100,
      recipientsPerTransaction: 100,
      messagesPerConnection: 100,
      idleConnectionMs: 15_000,
      tls: 'opportunistic',
      port: 25,
    },
    hostname: 'sender.example',
    messages: messagesOf(messages),
    dns: dnsOf(addresses),
    net: netOf(reach, connectedTo),
    clock,
    random: seededRandom(1),
    sandbox: false,
    counters,
    ahead: ({ site }) => {
      const at = followers.findIndex((grant) => grant.site === site)
      return at === -1 ? null : (followers.splice(at, 1)[0] as Grant)
    },
    report: (report) => {
      reports.push(report)
      rig.onReport(report)
      waiting.get(report.grant.id)?.(report)
      waiting.delete(report.grant.id)
    },
    ...change,
  })
  t.after(() => {
    const stopped = deliverer.stop(0)
    clock.advance(1)
    return stopped
  })

  const grantFor = (site: Site, message: MessageSpec, source: string | null): Grant => {
    const recipients = (message.recipients ?? polite.recipients).map((_, i) => i)
    const number = ++grants
    messages.set(number, message)
    return { id: number, site, source, number, place: 0, recipients, slots: recipients }
  }
  const reported = ({ id }: Grant): Promise<DeliveryReport> => new Promise((resolve) => void waiting.set(id, resolve))

  const rig: Rig = {
    deliverer,
    clock,
    counters,
    addresses,
    reach,
    connectedTo,
    reports,
    onReport: () => {},
    async server(script) {
      const server = await scriptedServer(script)
      t.after(() => server.close())
      return server
    },
    site: (port, siteChange) => ({
      id: sites++,
      name: `[127.0.0.1]:${port}`,
      hosts: [{ host: '127.0.0.1', preference: 0 }],
      port,
      tls: 'never',
      credentials: null,
      trusted: true,
      connectionsMax: 20,
      ...siteChange,
    }),
    send(site, message = {}, source = null) {
      const grant = grantFor(site, message, source)
      const report = reported(grant)
      deliverer.deliver(grant)
      return report
    },
    follow(site, message = {}) {
      const grant = grantFor(site, message, null)
      followers.push(grant)
      return reported(grant)
    },
    async outcome(site, message) {
      const [first] = (await rig.send(site, message)).outcomes
      if (first === undefined) throw new Error('a report without outcomes')
      return first
    },
  }
  return rig
}

function messagesOf(specs: ReadonlyMap<number, MessageSpec>): Messages {
  return {
    open(grant) {
      const spec = { ...polite, ...specs.get(grant.id) }
      if (spec.open !== undefined) return spec.open()
      const blocks = spec.blocks.map((block) => Buffer.from(block, 'latin1'))
      return {
        id: String(grant.id),
        tenant: spec.tenant,
        returnPath: spec.returnPath,
        recipients: spec.recipients,
        sizeBytes: spec.sizeBytes ?? Buffer.concat(blocks).length,
        eightBit: spec.eightBit ?? false,
        smtpUtf8: spec.smtpUtf8 ?? false,
        dsn: spec.dsn ?? null,
        read: spec.read ?? (() => blocks.shift() ?? null),
        release: spec.release ?? (() => {}),
      }
    },
  }
}

/** Certificates are judged against the one of the fixtures. */
function netOf(reach: ReadonlyMap<string, number>, connectedTo: string[]): Net {
  const net = openNet({ loopbackOnly: true })
  const ca = readFileSync(new URL('../fixtures/deliver/cert.pem', import.meta.url), 'utf8')
  return {
    connect(target) {
      connectedTo.push(target.address)
      const port = reach.get(target.address)
      return net.connect(port === undefined ? target : { ...target, address: '127.0.0.1', port })
    },
    secure: (socket, options) => net.secure(socket, { ...options, ca }),
  }
}

function dnsOf(addresses: ReadonlyMap<string, AddressAnswer>): Dns {
  return {
    mx: async () => ({ kind: 'no-data' }),
    addresses: async (host) => addresses.get(host) ?? { kind: 'no-domain' },
    txt: async () => ({ kind: 'no-data' }),
    close() {},
  }
}

export function addressesAre(...addresses: string[]): AddressAnswer {
  return { kind: 'addresses', addresses, ttlMs: 60_000 }
}
