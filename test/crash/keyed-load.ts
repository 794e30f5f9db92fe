/**
 * Clients that race: for every key of idempotency each of them sends the request on a connection of its own, all at once, and repeats it until it is
 * answered, as a client does whose connection broke or who was told 503.
 *
 *   client 0 ── 16 connections ──┐
 *   …                            ├──▶ key 1, 2, 3, …: 16 keys under way, one connection of each client per key
 *   client 7 ── 16 connections ──┘
 *
 * For some keys some of them want another message, and some hang up when they have sent theirs. What was answered and what arrived is written into the
 * key's record; keyed-checker.ts judges it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/kernel/random.ts'
import type { ReceivedMessage } from '../../src/sandbox/sandbox.ts'
import { ApiConnection, type ApiReply, apiRequest } from '../support/api-connection.ts'
import { apiSender } from '../support/api-tenant.ts'
import type { KeyRecord, Variant } from './keyed-checker.ts'

export interface KeyedLoadOptions {
  readonly port: number
  readonly secret: string
  readonly random: Random
}

const clientCount = 8
const keysUnderWay = 16
/** Shares of the keys. */
const otherBodyShare = 0.1
const hangUpShare = 0.15
const nobodyStaysShare = 0.02
const repeatMs = 100
/** A restart of the program is the longest that a client has to wait. */
const answerMsMax = 60_000
const domains = 10
const wrongShown = 20
const largeClients = 3
const largeText = 'It takes its time to store this.\n'.repeat(400_000)

export class KeyedLoad {
  readonly records: KeyRecord[] = []
  readonly #wrong: string[] = []
  /** Answers 503, and connections that ended without an answer. */
  refused = 0
  cut = 0
  hungUp = 0
  /** From the first request of a key until its last client has an answer. */
  slowestMs = 0
  /** Told of each arrival, before the receiver answers. */
  onArrival: (record: KeyRecord) => void = () => {}
  readonly #options: KeyedLoadOptions
  readonly #connections: readonly (readonly ApiConnection[])[]
  /** Of keys whose message is not the usual one. */
  readonly #texts = new Map<KeyRecord, string>()
  #closed = false
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: KeyedLoadOptions) {
    this.#options = options
    this.#connections = Array.from({ length: clientCount }, () =>
      Array.from({ length: keysUnderWay }, () => new ApiConnection(options.port)),
    )
  }

  /** Until `count` keys more were raced for, or the signal. */
  async run(count: number, signal?: AbortSignal): Promise<void> {
    const end = this.records.length + count
    await this.#inTurn(async (slot) => {
      if (this.records.length >= end || signal?.aborted === true) return false
      await this.#counted(this.#race(this.#newRecord(''), slot))
      return true
    })
  }

  /** A key for a message that takes a thread a good while to store; three clients, on connections of their own. */
  async raceForLarge(): Promise<void> {
    const record = this.#newRecord(largeText)
    const connections = Array.from({ length: largeClients }, () => new ApiConnection(this.#options.port))
    await this.#counted(Promise.all(connections.map((one) => this.#untilAnswered(record, 'a', one))))
    for (const connection of connections) connection.close()
  }

  /** Settles when every key is answered that is raced for now. */
  async underWay(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  /** Both bodies once more, for each of these keys: what is asked later, or of another life of the program, is answered as before. */
  async again(records: readonly KeyRecord[]): Promise<void> {
    const left = [...records]
    await this.#inTurn(async (slot) => {
      const record = left.pop()
      if (record === undefined) return false
      await this.#once(record, slot)
      return true
    })
  }

  take({ envelope, content, times }: Pick<ReceivedMessage, 'envelope' | 'content' | 'times'>): void {
    const header = content?.toString('latin1', 0, 2_000) ?? ''
    const record = this.records[Number(/^k(\d+)@/.exec(envelope.to[0] ?? '')?.[1] ?? -1)]
    const id = /^Message-ID: <([^@]+)@/im.exec(header)?.[1]
    const variant = /^Subject: body ([ab])\r/m.exec(header)?.[1]
    if (record === undefined || id === undefined || variant === undefined) {
      const what = `${envelope.to.join()} ${JSON.stringify(header.slice(0, 300))}`
      return void this.#wrong.push(`arrived, and is of no key: ${what}`)
    }
    record.arrivals.push({ id, variant: variant as Variant, receivedMs: times.receivedMs })
    this.onArrival(record)
  }

  /** Answers that are neither 202, 409 nor 503, and mail that nobody sent. */
  wrong(): readonly string[] {
    return this.#wrong.slice(0, wrongShown)
  }

  /** Whoever still waits for an answer gives up. */
  close(): void {
    this.#closed = true
    for (const connection of this.#connections.flat()) connection.close()
  }

  #newRecord(text: string): KeyRecord {
    const record: KeyRecord = { number: this.records.length, answers: [], arrivals: [] }
    this.records.push(record)
    if (text !== '') this.#texts.set(record, text)
    return record
  }

  async #counted(race: Promise<unknown>): Promise<void> {
    const settled = race.then(() => {})
    this.#underWay.add(settled)
    await settled.finally(() => this.#underWay.delete(settled))
  }

  /** Calls `work` for every slot again and again until it has no more. */
  async #inTurn(work: (slot: number) => Promise<boolean>): Promise<void> {
    await Promise.all(
      Array.from({ length: keysUnderWay }, async (_, slot) => {
        while (await work(slot));
      }),
    )
  }

  async #race(record: KeyRecord, slot: number): Promise<void> {
    const { random } = this.#options
    const startMs = performance.now()
    const others = random.fraction() < otherBodyShare ? 1 + (random.uint32() % (clientCount - 1)) : 0
    const chance = random.fraction()
    const leave = chance < nobodyStaysShare ? clientCount : chance < hangUpShare ? 1 + (random.uint32() % 4) : 0
    // Whichever comes first, and whoever leaves, is each one's turn.
    const turn = random.uint32() % clientCount
    const outcomes = this.#connections.map(async (client, index) => {
      const place = (index + turn) % clientCount
      const variant = place < others ? 'b' : 'a'
      const connection = client[slot] as ApiConnection
      if (place >= clientCount - leave) {
        this.hungUp += 1
        await connection.askAndHangUp(this.#request(record, variant))
      } else await this.#untilAnswered(record, variant, connection)
    })
    await Promise.all(outcomes)
    if (!record.answers.some(({ status }) => status === 202)) await this.#once(record, slot)
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs)
  }

  /** First what the record says was accepted: where nobody knows, it is for the first one to be. */
  async #once(record: KeyRecord, slot: number): Promise<void> {
    const won = record.answers.find(({ status }) => status === 202)?.variant
    const order: readonly Variant[] = won === 'b' ? ['b', 'a'] : ['a', 'b']
    for (const [index, variant] of order.entries()) {
      const client = (record.number + index) % clientCount
      await this.#untilAnswered(record, variant, this.#connections[client]?.[slot] as ApiConnection)
    }
  }

  #request(record: KeyRecord, variant: Variant): string {
    const { number } = record
    const to = `k${number}@mail${number % domains}.test`
    const body = JSON.stringify({
      from: apiSender,
      to,
      subject: `body ${variant}`,
      text: this.#texts.get(record) ?? `For key ${number}.\n`,
    })
    return apiRequest({ path: '/api/v1/emails', secret: this.#options.secret, idempotencyKey: `key-${number}`, body })
  }

  async #untilAnswered(record: KeyRecord, variant: Variant, connection: ApiConnection): Promise<void> {
    const request = this.#request(record, variant)
    const deadlineMs = performance.now() + answerMsMax
    for (;;) {
      const reply = await connection.ask(request)
      if (reply?.status === 202 || reply?.status === 409) return void record.answers.push(answerOf(reply, variant))
      if (reply === null) this.cut += 1
      else if (reply.status === 503) this.refused += 1
      else return void this.#wrong.push(`key ${record.number}: ${reply.head.split('\r\n', 1)[0]} ${reply.body}`)
      if (this.#closed) throw new Error('the load was ended')
      if (performance.now() > deadlineMs) throw new Error(`key ${record.number} has no answer in ${answerMsMax} ms`)
      await sleep(repeatMs)
    }
  }
}

function answerOf({ status, head, body }: ApiReply, variant: Variant): KeyRecord['answers'][number] {
  const { id, detail } = JSON.parse(body) as { readonly id?: string; readonly detail?: string }
  const named = id ?? /became (\S+)$/.exec(detail ?? '')?.[1] ?? '(none)'
  return { variant, status: status as 202 | 409, id: named, replayed: /\r\nidempotent-replayed: true/i.test(head) }
}
