/**
 * A scriptable DNS server on one address, over UDP and TCP: zones are plain data, and each name can misbehave. It answers as a
 * recursive resolver does (aliases followed, SOA with negative answers, truncation at the asker's payload size).
 *
 *   const dns = await startFakeDns({ 'example.com': { MX: [[10, 'mx.example.com']] }, 'mx.example.com': { A: ['127.0.0.1'] } })
 *   dns.zone.set('example.com', { fault: { kind: 'servfail' } })   // changed while it runs
 *   dns.questions                                                   // what was asked, in order
 *
 * By itself: node test/support/fake-dns.ts --port 5353 --zone zone.json [--address 127.0.0.1]
 */
import { type Answer, decode, encode, type Packet, type Question } from 'dns-packet'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { parseArgs } from 'node:util'

export interface FakeRecords {
  readonly MX?: readonly (readonly [preference: number, exchange: string])[]
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  /** Each is one record; split into strings of 255 bytes on the wire (RFC 1035 §3.3.14), as DKIM keys need. */
  readonly TXT?: readonly string[]
  readonly CNAME?: string
  readonly PTR?: string
  /** Sent with negative answers for this name and those below it. Without any: 60 s each. False: none is sent. */
  readonly SOA?: { readonly ttl: number; readonly minimum: number } | false
  /** Seconds, for all records of the name. */
  readonly ttl?: number
  readonly fault?: Fault
}

export type Fault = FaultKind & {
  /** Only the first so many questions; then the name answers as it should. */
  readonly times?: number
  /** Only questions of this type. */
  readonly type?: string
  /** Over TCP as well. Without it TCP is well-behaved. */
  readonly overTcp?: boolean
}

type FaultKind =
  | {
      readonly kind:
        | 'drop'
        | 'servfail'
        | 'refused'
        | 'truncated'
        | 'wrong-id'
        | 'wrong-question'
        | 'wrong-case'
        | 'wrong-source'
    }
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** The right id, then these bytes in place of the rest. */
  | { readonly kind: 'malformed'; readonly hex: string }

export type FakeZone = Readonly<Record<string, FakeRecords>>

export interface FakeDnsOptions {
  readonly port?: number
  readonly address?: string
  /** Answers FORMERR to questions with EDNS, as very old servers do. */
  readonly refusesEdns?: boolean
  /** Repeats every question in lower case. */
  readonly losesCase?: boolean
  /** Leaves following aliases to the asker. */
  readonly leavesAliases?: boolean
}

export interface Asked {
  readonly name: string
  readonly type: string
  readonly over: 'udp' | 'tcp'
  /** As it came, letters' case included. */
  readonly asWritten: string
  readonly id: number
  readonly port: number
}

export interface FakeDns {
  readonly port: number
  /** As the configuration wants it: "127.0.0.1#5353". */
  readonly server: string
  readonly zone: Map<string, FakeRecords>
  readonly questions: Asked[]
  close(): Promise<void>
}

const rcodes = { noError: 0, formatError: 1, serverFailure: 2, noSuchName: 3, refused: 5 } as const
const recursionAvailable = 0x80
const recursionDesired = 0x100
const truncatedFlag = 0x200
const aliasesMax = 16

export async function startFakeDns(zone: FakeZone, options: FakeDnsOptions = {}): Promise<FakeDns> {
  const server = new FakeServer(zone, options)
  await server.listen()
  return server
}

class FakeServer implements FakeDns {
  readonly zone: Map<string, FakeRecords>
  readonly questions: Asked[] = []
  port = 0
  readonly #options: FakeDnsOptions
  readonly #address: string
  readonly #faultsLeft = new Map<Fault, number>()
  readonly #connections = new Set<Socket>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #udp: UdpSocket | null = null
  #tcp: Server | null = null

  constructor(zone: FakeZone, options: FakeDnsOptions) {
    this.zone = new Map(Object.entries(zone).map(([name, records]) => [name.toLowerCase(), records]))
    this.#options = options
    this.#address = options.address ?? '127.0.0.1'
  }

  get server(): string {
    return `${this.#address}#${this.port}`
  }

  /** TCP first, then UDP on the same number; a free port for one may be taken for the other, so a few are tried. */
  async listen(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const tcp = createServer((connection) => this.#serve(connection))
      tcp.listen(this.#options.port ?? 0, this.#address)
      await once(tcp, 'listening')
      const bound = tcp.address()
      if (bound === null || typeof bound === 'string') throw new Error('no port')
      const udp = createSocket(this.#address.includes(':') ? 'udp6' : 'udp4')
      try {
        udp.bind(bound.port, this.#address)
        await once(udp, 'listening')
      } catch (error) {
        tcp.close()
        if (this.#options.port !== undefined || tries === 5) throw error
        continue
      }
      udp.on('message', (bytes, from) => this.#datagram(udp, bytes, from))
      this.#udp = udp
      this.#tcp = tcp
      this.port = bound.port
      return
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const connection of this.#connections) connection.destroy()
    const closed = this.#tcp === null ? null : once(this.#tcp, 'close')
    this.#tcp?.close()
    this.#udp?.close()
    await closed
  }

  #datagram(udp: UdpSocket, bytes: Buffer, from: { address: string; port: number }): void {
    const query = readQuery(bytes)
    if (query === null) return
    this.#answer(query, 'udp', from.port, (reply, fault) => {
      if (fault !== 'wrong-source') return udp.send(reply, from.port, from.address)
      const stranger = createSocket('udp4')
      stranger.send(reply, from.port, from.address, () => stranger.close())
    })
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection)
    let received = Buffer.alloc(0)
    connection.on('error', () => connection.destroy())
    connection.on('close', () => this.#connections.delete(connection))
    connection.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0)
        const query = readQuery(received.subarray(2, end))
        received = received.subarray(end)
        if (query === null) {
          connection.destroy()
          return
        }
        this.#answer(query, 'tcp', connection.remotePort ?? 0, (reply) => {
          const prefix = Buffer.alloc(2)
          prefix.writeUInt16BE(reply.length)
          connection.write(Buffer.concat([prefix, reply]))
        })
      }
    })
  }

  #answer(
    query: Query,
    over: 'udp' | 'tcp',
    port: number,
    send: (reply: Buffer, fault: Fault['kind'] | null) => void,
  ): void {
    const { question } = query
    const name = question.name.toLowerCase()
    this.questions.push({ name, type: question.type, over, asWritten: question.name, id: query.id, port })
    const fault = this.#fault(name, question.type, over)
    if (fault?.kind === 'drop') return
    if (fault?.kind === 'delay') {
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        send(this.#reply(query, over, null), null)
      }, fault.delayMs)
      this.#timers.add(timer)
      return
    }
    send(this.#reply(query, over, fault), fault?.kind ?? null)
  }

  #fault(name: string, type: string, over: 'udp' | 'tcp'): Fault | null {
    const fault = this.#records(name)?.fault
    if (fault === undefined || (over === 'tcp' && fault.overTcp !== true) || (fault.type ?? type) !== type) return null
    const left = this.#faultsLeft.get(fault) ?? fault.times ?? Infinity
    this.#faultsLeft.set(fault, left - 1)
    return left > 0 ? fault : null
  }

  #reply(query: Query, over: 'udp' | 'tcp', fault: Fault | null): Buffer {
    const question = { ...query.question }
    if (this.#options.losesCase) question.name = question.name.toLowerCase()
    let id = query.id
    let found: Found = this.#options.refusesEdns && query.edns ? { rcode: rcodes.formatError } : this.#find(question)
    if (fault?.kind === 'malformed') return Buffer.concat([idBytes(id), Buffer.from(fault.hex, 'hex')])
    if (fault?.kind === 'truncated') found = { rcode: rcodes.noError, truncated: true }
    if (fault?.kind === 'servfail') found = { rcode: rcodes.serverFailure }
    if (fault?.kind === 'refused') found = { rcode: rcodes.refused }
    if (fault?.kind === 'wrong-id') id = (id + 1) & 0xffff
    if (fault?.kind === 'wrong-question') question.name = `not-${question.name}`
    if (fault?.kind === 'wrong-case') question.name = swapCase(question.name)
    const reply = encodeReply(id, question, found, query.edns)
    if (over === 'tcp' || reply.length <= query.payloadBytes) return reply
    return encodeReply(id, question, { rcode: found.rcode, truncated: true }, query.edns)
  }

  /** What a recursive server would find, aliases followed. */
  #find(question: Question): Found {
    const answers: Answer[] = []
    let name = question.name.toLowerCase()
    for (let aliases = 0; ; aliases++) {
      const records = this.#records(name)
      if (records === undefined)
        return { rcode: this.#exists(name) ? rcodes.noError : rcodes.noSuchName, answers, authorities: this.#soa(name) }
      const own = recordsOf(name, question.type, records)
      answers.push(...own)
      if (own.length > 0) return { rcode: rcodes.noError, answers }
      if (records.CNAME === undefined) return { rcode: rcodes.noError, answers, authorities: this.#soa(name) }
      answers.push({ type: 'CNAME', name, ttl: records.ttl ?? 60, class: 'IN', data: records.CNAME })
      name = records.CNAME.toLowerCase()
      if (this.#options.leavesAliases || aliases === aliasesMax) return { rcode: rcodes.noError, answers }
    }
  }

  #records(name: string): FakeRecords | undefined {
    return this.zone.get(name) ?? this.zone.get(`*${name.slice(name.indexOf('.'))}`)
  }

  /** RFC 8020: a name exists when there is anything below it. */
  #exists(name: string): boolean {
    return [...this.zone.keys()].some((known) => known.endsWith(`.${name}`))
  }

  #soa(name: string): Answer[] {
    let zone = name
    while (zone.includes('.') && this.zone.get(zone)?.SOA === undefined) zone = zone.slice(zone.indexOf('.') + 1)
    const soa = this.zone.get(zone)?.SOA ?? { ttl: 60, minimum: 60 }
    if (soa === false) return []
    const data = {
      mname: 'ns.test',
      rname: 'hostmaster.test',
      serial: 1,
      refresh: 60,
      retry: 60,
      expire: 60,
      minimum: soa.minimum,
    }
    return [{ type: 'SOA', name: zone, ttl: soa.ttl, class: 'IN', data }]
  }
}

interface Found {
  readonly rcode: number
  readonly answers?: Answer[]
  readonly authorities?: Answer[]
  readonly truncated?: boolean
}

interface Query {
  readonly id: number
  readonly question: Question
  readonly edns: boolean
  readonly payloadBytes: number
}

function readQuery(bytes: Buffer): Query | null {
  try {
    const packet = decode(bytes)
    const question = packet.questions?.[0]
    if (question === undefined) return null
    const options = packet.additionals?.find((record) => record.type === 'OPT')
    return {
      id: packet.id ?? 0,
      question,
      edns: options !== undefined,
      payloadBytes: Math.max(512, options?.udpPayloadSize ?? 512),
    }
  } catch {
    return null
  }
}

function encodeReply(id: number, question: Question, found: Found, edns: boolean): Buffer {
  const packet: Packet = {
    type: 'response',
    id,
    flags: recursionDesired | recursionAvailable | (found.truncated ? truncatedFlag : 0) | found.rcode,
    questions: [question],
    answers: found.answers ?? [],
    authorities: found.authorities ?? [],
  }
  if (edns && found.rcode !== rcodes.formatError) {
    packet.additionals = [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ]
  }
  return encode(packet)
}

function recordsOf(name: string, type: string, records: FakeRecords): Answer[] {
  const common = { name, ttl: records.ttl ?? 60, class: 'IN' } as const
  switch (type) {
    case 'MX':
      return (records.MX ?? []).map(([preference, exchange]) => ({
        ...common,
        type: 'MX',
        data: { preference, exchange },
      }))
    case 'A':
      return (records.A ?? []).map((data) => ({ ...common, type: 'A', data }))
    case 'AAAA':
      return (records.AAAA ?? []).map((data) => ({ ...common, type: 'AAAA', data }))
    case 'TXT':
      return (records.TXT ?? []).map((text) => ({ ...common, type: 'TXT', data: strings(text) }))
    case 'PTR':
      return records.PTR === undefined ? [] : [{ ...common, type: 'PTR', data: records.PTR }]
    default:
      return []
  }
}

function strings(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  const parts = []
  for (let start = 0; start === 0 || start < bytes.length; start += 255) parts.push(bytes.subarray(start, start + 255))
  return parts
}

function swapCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  )
}

function idBytes(id: number): Buffer {
  return Buffer.from([id >> 8, id & 0xff])
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, zone: { type: 'string' }, address: { type: 'string', default: '127.0.0.1' } },
  })
  if (values.port === undefined || values.zone === undefined) {
    process.stderr.write('usage: node test/support/fake-dns.ts --port N --zone FILE.json [--address 127.0.0.1]\n')
    process.exit(64)
  }
  const dns = await startFakeDns(JSON.parse(readFileSync(values.zone, 'utf8')), {
    port: Number(values.port),
    address: values.address,
  })
  process.stdout.write(`${JSON.stringify({ listening: dns.server })}\n`)
  const stop = (): void => void dns.close()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}
