/**
 * Port `message store` in a thread that serves clients: every question goes to the events thread. When that is being started again, questions wait for its
 * successor, which is told first which claims are held.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import {
  type HardBounce,
  type PackedMessage,
  type TenantUsage,
  unpackMessage,
  unpackSummary,
} from '../events/events.ts'
import { invariant } from '../kernel/assert.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Failure, failures } from '../model/failures.ts'
import {
  BadCursor,
  type Claim,
  type MessagePage,
  type MessageQuery,
  type MessageRecord,
  type MessageStore,
  type MessageSummary,
  StoreUnavailable,
} from '../ports/message-store.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import { EndedMessages } from './ended-messages.ts'
import { noticesUnderWayMax, storeAskMsMax, storeAsksMax } from './limits.ts'
import type { FromStore, HeldClaim, StoreAnswer, StoreQuestion, ToStore } from './store-wire.ts'

interface Asked {
  readonly question: StoreQuestion
  readonly settle: (answer: StoreAnswer) => void
  readonly fail: (error: Error) => void
  readonly askedMs: number
}

export interface StoreClientOptions {
  readonly clock: Clock
  /** Takes mail that the events thread has written; absent where none is taken. */
  readonly send?: (mail: OutgoingMail) => Promise<Failure | null>
  /** Takes addresses that do not exist. Rejected, they come again. */
  readonly takeBounces?: (bounces: readonly HardBounce[]) => Promise<void>
}

export class StoreClient implements MessageStore {
  readonly #options: StoreClientOptions
  readonly #clock: Clock
  /** Ids of mail that is on its way to the disk, or has lately come there: the events thread may have died, and another one asks again. */
  readonly #sending = new Map<string, Promise<Failure | null>>()
  #takingBounces = false
  #port: MessagePort | null = null
  #nextAsk = 1
  readonly #asked = new Map<number, Asked>()
  readonly #held = new Map<number, HeldClaim>()
  readonly #ended: EndedMessages
  #sweeping = false

  constructor(options: StoreClientOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#ended = new EndedMessages(options.clock)
  }

  /** To the events thread, or to its successor. */
  attach(port: MessagePort): void {
    this.#port?.close()
    this.#port = port
    port.on('message', (message: FromStore) => this.#hear(message, port))
    this.#say({ kind: 'hello', claims: [...this.#held.values()] })
    for (const [ask, { question }] of this.#asked) this.#say({ kind: 'ask', ask, question })
  }

  /** Hears what has come already. Called in the midst of other work, because the loop may be long in coming round to it. */
  poll(): void {
    const port = this.#port
    if (port === null || this.#asked.size === 0) return
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      this.#hear(next.message as FromStore, port)
  }

  async find(tenant: string, id: string): Promise<MessageRecord | null> {
    const known = this.#ended.get(tenant, id)
    if (known !== null) return known
    const record = await this.#find(tenant, id)
    if (record !== null) this.#ended.note(tenant, id, record, record)
    return record
  }

  /** For the operator. */
  findAny(id: string): Promise<MessageRecord | null> {
    return this.#find(null, id)
  }

  async #find(tenant: string | null, id: string): Promise<MessageRecord | null> {
    const packed = (await this.#ask({ kind: 'find', tenant, id, withTries: true })) as PackedMessage | null
    return packed === null ? null : unpackMessage(packed)
  }

  async status(tenant: string, id: string): Promise<MessageSummary | null> {
    const known = this.#ended.status(tenant, id)
    if (known !== null) return known
    const packed = (await this.#ask({ kind: 'find', tenant, id, withTries: false })) as PackedMessage | null
    if (packed === null) return null
    const summary = unpackSummary(packed)
    this.#ended.note(tenant, id, summary, null)
    return summary
  }

  list(tenant: string, query: MessageQuery): Promise<MessagePage> {
    return this.#ask({ kind: 'list', tenant, query }) as Promise<MessagePage>
  }

  claim(tenant: string, key: string, requestSha256: string): Promise<Claim> {
    return this.#ask({ kind: 'claim', tenant, key, requestSha256 }) as Promise<Claim>
  }

  /** How many recipients were accepted; null: by whatever credential. */
  usage(tenant: string, credential: string | null): Promise<TenantUsage> {
    return this.#ask({ kind: 'usage', tenant, credential }) as Promise<TenantUsage>
  }

  /** For the file of what was refused. Nobody waits for it. */
  refused(events: readonly Record<string, unknown>[]): void {
    this.#say({ kind: 'refused', events })
  }

  release(claim: number): void {
    if (!this.#held.delete(claim)) return
    this.#say({ kind: 'release', claim })
  }

  #say(message: ToStore): void {
    this.#port?.postMessage(message)
  }

  #ask(question: StoreQuestion): Promise<StoreAnswer> {
    if (this.#asked.size >= storeAsksMax.value)
      return Promise.reject(new StoreUnavailable('too many questions wait for the message store'))
    this.poll()
    const ask = this.#nextAsk++
    return new Promise((settle, fail) => {
      this.#asked.set(ask, { question, settle, fail, askedMs: this.#clock.monotonicMs() })
      this.#say({ kind: 'ask', ask, question })
      this.#sweepLater()
    })
  }

  /** What it asks for is answered by the port that it came by: to a successor the same number means something else. */
  #hear(message: FromStore, port: MessagePort): void {
    if (message.kind === 'send') return void this.#send(message.send, message.mail, port)
    if (message.kind === 'bounces') return void this.#takeBounces(message.bounces, port)
    this.#answered(message)
  }

  async #send(send: number, mail: OutgoingMail, port: MessagePort): Promise<void> {
    const failure = await this.#sent(mail)
    port.postMessage({ kind: 'sent', send, failure } satisfies ToStore)
  }

  /** Once for each id. */
  async #sent(mail: OutgoingMail): Promise<Failure | null> {
    const { id } = mail
    invariant(id !== undefined, 'mail of the events thread has an id')
    // A buffer is a plain array of bytes on this side of the port.
    const content = Buffer.from(mail.content)
    const sent =
      this.#sending.get(id) ?? this.#options.send?.({ ...mail, content }) ?? Promise.resolve(failures.draining)
    this.#sending.set(id, sent)
    const failure = await sent
    if (failure !== null) this.#sending.delete(id)
    else this.#forgetOldest()
    return failure
  }

  /** More than an events thread can have asked for and not heard of. */
  #forgetOldest(): void {
    if (this.#sending.size > 2 * noticesUnderWayMax.value)
      this.#sending.delete(this.#sending.keys().next().value as string)
  }

  async #takeBounces(bounces: readonly HardBounce[], port: MessagePort): Promise<void> {
    const last = bounces.at(-1)
    if (last === undefined || this.#takingBounces) return
    this.#takingBounces = true
    try {
      await this.#options.takeBounces?.(bounces)
      port.postMessage({ kind: 'bounces-taken', through: last.bounce } satisfies ToStore)
    } catch {
      // They come again, and whoever takes them has said why.
    } finally {
      this.#takingBounces = false
    }
  }

  #answered(message: Extract<FromStore, { kind: 'answer' | 'refused' }>): void {
    const asked = this.#asked.get(message.ask)
    if (asked === undefined) return this.#answeredTooLate(message)
    this.#asked.delete(message.ask)
    if (message.kind === 'answer') {
      this.#noteClaim(asked.question, message.answer)
      return asked.settle(message.answer)
    }
    asked.fail(message.why === 'bad_cursor' ? new BadCursor(message.message) : new StoreUnavailable(message.message))
  }

  #noteClaim(question: StoreQuestion, answer: StoreAnswer): void {
    if (question.kind !== 'claim' || answer === null || !('kind' in answer) || answer.kind !== 'new') return
    const { tenant, key } = question
    const { claim } = answer
    this.#held.set(claim, { claim, tenant, key })
  }

  /** Nobody waits for it any more; but a claim would be held for good. */
  #answeredTooLate(message: Extract<FromStore, { kind: 'answer' | 'refused' }>): void {
    if (message.kind !== 'answer' || message.answer === null || !('kind' in message.answer)) return
    if (message.answer.kind === 'new') this.#say({ kind: 'release', claim: message.answer.claim })
  }

  /** One timer for all. */
  #sweepLater(): void {
    if (this.#sweeping) return
    this.#sweeping = true
    this.#clock.after(storeAskMsMax.value / 8, () => {
      this.#sweeping = false
      const before = this.#clock.monotonicMs() - storeAskMsMax.value
      for (const [ask, { askedMs, fail }] of this.#asked) {
        if (askedMs >= before) break
        this.#asked.delete(ask)
        fail(new StoreUnavailable('the message store does not answer in time'))
      }
      if (this.#asked.size > 0) this.#sweepLater()
    })
  }
}
