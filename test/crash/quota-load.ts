/**
 * Clients that offer a tenant's mail as fast as it is taken, by SMTP from its network and by HTTP with its key, one submission at a time on each
 * connection, for one to four recipients each. What they hear is judged at once: it was taken, or refused for the quota, or, near a start, usage is
 * being counted. Anything else is wrong, but a connection that ends.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/kernel/random.ts'
import { ApiConnection, type ApiReply, apiRequest } from '../support/api-connection.ts'
import { apiSender } from '../support/api-tenant.ts'
import { SmtpClient, type SmtpReply } from '../support/smtp-client.ts'
import { acceptsConnections } from '../support/wait.ts'
import type { Offer } from './quota-checker.ts'

export interface QuotaLoadOptions {
  readonly smtpPort: number
  readonly httpPort: number
  readonly secret: string
  /** A day, of the tenant. */
  readonly quota: number
  readonly random: Random
}

const connectionsOfEach = 8
const recipientsMax = 4
/** What can be under way at once, and so be in one commit: a submission on each connection. */
export const commitGroupMax = 2 * connectionsOfEach * recipientsMax
const domains = 10
const againMs = 20
/** From "ready" on; usage is asked for every second until it is known. */
const countingMsMax = 5_000
const wrongShown = 20

export class QuotaLoad {
  readonly offers: Offer[] = []
  /** Recipients that were accepted or refused for the quota. */
  answered = 0
  /** Replies. */
  refusals = 0
  countings = 0
  /** The last "usage is being counted", since "ready". */
  countingLastMs = 0
  remainingMin = Number.POSITIVE_INFINITY
  rateHeaders = 0
  /** Told of each refusal for the quota. */
  onRefused: () => void = () => {}
  /** Of the program's present life. */
  readyAtMs = Number.POSITIVE_INFINITY
  readonly #options: QuotaLoadOptions
  readonly #wrong: string[] = []
  #numbers = 0

  constructor(options: QuotaLoadOptions) {
    this.#options = options
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#all(recipientsMax, () => signal.aborted)
  }

  /** Single recipients, until each connection was told that nothing is left. */
  async exhaust(): Promise<void> {
    await this.#all(1, (refusalsOfOne) => refusalsOfOne > 0)
  }

  wrong(): readonly string[] {
    return this.#wrong.slice(0, wrongShown)
  }

  async #all(recipients: number, done: (refusalsOfOne: number) => boolean): Promise<void> {
    const clients = Array.from({ length: connectionsOfEach }, () => [
      this.#bySmtp(recipients, done),
      this.#byHttp(recipients, done),
    ])
    await Promise.all(clients.flat())
  }

  async #bySmtp(recipients: number, done: (refusalsOfOne: number) => boolean): Promise<void> {
    let client: SmtpClient | null = null
    let refusals = 0
    while (!done(refusals)) {
      try {
        client ??= await SmtpClient.hello(this.#options.smtpPort)
        if (await this.#offerBySmtp(client, this.#newOffer(recipients))) refusals += 1
      } catch {
        // Nobody listens, or it ended in the middle; what that leaves open was noted.
        client?.destroy()
        client = null
        await sleep(againMs)
      }
    }
    client?.destroy()
  }

  /** True: the quota refused something of it. */
  async #offerBySmtp(client: SmtpClient, { id, to }: NewOffer): Promise<boolean> {
    await this.#expect(client, `MAIL FROM:<${apiSender}>`, 250)
    const taken: string[] = []
    let refused = false
    for (const rcpt of to) {
      const reply = await client.command(`RCPT TO:<${rcpt}>`)
      if (reply.code === 250) {
        taken.push(rcpt)
        continue
      }
      this.#note(id, [rcpt], reply.code)
      if (await this.#isForQuota(reply)) refused = true
    }
    if (taken.length === 0) {
      await this.#expect(client, 'RSET', 250)
      return refused
    }
    await this.#expect(client, 'DATA', 354)
    client.send(`From: ${apiSender}\r\nSubject: test ${id}\r\n\r\nOne of many.\r\n.\r\n`)
    const reply = await client.reply().catch((error: Error) => {
      this.#note(id, taken, 0)
      throw error
    })
    this.#note(id, taken, reply.code)
    if (reply.code === 250) this.answered += taken.length
    else if (await this.#isForQuota(reply, taken.length)) refused = true
    return refused
  }

  async #expect(client: SmtpClient, line: string, code: number): Promise<void> {
    const reply = await client.command(line)
    if (reply.code === code) return
    this.#wrong.push(`${line}: ${reply.lines.join(' ')}`)
    throw new Error(line)
  }

  /** Whether a refusal by SMTP is one for the quota. */
  async #isForQuota({ codes, text, lines }: SmtpReply, recipients = 1): Promise<boolean> {
    if (codes === '452 4.7.1' && text.startsWith(this.#quotaSays)) {
      this.#refused(recipients)
      return true
    }
    if (codes === '451 4.3.2' && text.startsWith('usage is being counted')) await this.#beingCounted()
    else this.#wrong.push(`by SMTP: ${lines.join(' ')}`)
    return false
  }

  async #byHttp(recipients: number, done: (refusalsOfOne: number) => boolean): Promise<void> {
    const { httpPort, secret } = this.#options
    const connection = new ApiConnection(httpPort)
    let refusals = 0
    while (!done(refusals)) {
      const { id, to } = this.#newOffer(recipients)
      const body = JSON.stringify({ from: apiSender, to, subject: `test ${id}`, text: 'One of many.\n' })
      const reply = await connection.ask(apiRequest({ path: '/api/v1/emails', secret, body }))
      if (reply === null) {
        this.#note(id, to, 0)
        while (!done(refusals) && !(await acceptsConnections(httpPort))) await sleep(againMs)
      } else {
        this.#note(id, to, reply.status === 202 ? 250 : reply.status)
        if (await this.#hear(reply, to.length)) refusals += 1
      }
    }
    connection.close()
  }

  /** True: the quota refused it. */
  async #hear({ status, head, body }: ApiReply, recipients: number): Promise<boolean> {
    if (status === 202) {
      this.answered += recipients
      this.#readRate(head)
      return false
    }
    const { code, detail } = JSON.parse(body) as { readonly code?: string; readonly detail?: string }
    const retryAfter = Number(/\r\nretry-after: *(\d+)/i.exec(head)?.[1] ?? 0)
    if (status === 429 && code === 'quota_exceeded' && detail?.startsWith(this.#quotaSays) === true && retryAfter > 0) {
      this.#readRate(head)
      this.#refused(recipients)
      return true
    }
    if (status === 503 && code === 'usage_unknown' && retryAfter > 0) await this.#beingCounted()
    else this.#wrong.push(`by HTTP: ${head.split('\r\n', 1)[0]} ${body}`)
    return false
  }

  get #quotaSays(): string {
    return `the quota of this tenant is ${this.#options.quota.toLocaleString('en-US')} messages a day, `
  }

  #readRate(head: string): void {
    const read = (name: string): number =>
      Number(new RegExp(`\\r\\nratelimit-${name}: *([^\\r]*)`, 'i').exec(head)?.[1])
    const [limit, remaining, reset] = [read('limit'), read('remaining'), read('reset')] as const
    const sound = limit === this.#options.quota && remaining >= 0 && remaining <= limit && reset > 0 && reset <= 86_400
    if (!sound) this.#wrong.push(`ratelimit-limit ${limit}, -remaining ${remaining}, -reset ${reset}`)
    this.remainingMin = Math.min(this.remainingMin, remaining)
    this.rateHeaders += 1
  }

  #refused(recipients: number): void {
    this.refusals += 1
    this.answered += recipients
    this.onRefused()
  }

  async #beingCounted(): Promise<void> {
    this.countings += 1
    const ms = performance.now() - this.readyAtMs
    this.countingLastMs = Math.max(this.countingLastMs, ms)
    if (ms > countingMsMax) this.#wrong.push(`usage is still being counted ${Math.round(ms)} ms after "ready"`)
    await sleep(againMs)
  }

  #newOffer(recipients: number): NewOffer {
    const { random } = this.#options
    const id = `q${this.#numbers++}`
    const count = 1 + (random.uint32() % recipients)
    const to = Array.from({ length: count }, (_, i) => `${id}.${i}@mail${random.uint32() % domains}.test`)
    return { id, to }
  }

  #note(id: string, to: readonly string[], code: number): void {
    for (const rcpt of to) this.offers.push({ id, rcpt, code })
  }
}

interface NewOffer {
  readonly id: string
  readonly to: readonly string[]
}
