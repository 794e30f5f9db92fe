/** What listens: SMTP and the sending API, with what both need of the rest. In an intake thread, or in the scheduler's. */
import type { Config } from '../config/config.ts'
import {
  type HttpIntake,
  type HttpLogEvent,
  type IntakeLogEvent,
  newHttpCounters,
  newIntakeCounters,
  type SmtpIntake,
  startHttpIntake,
  startSmtpIntake,
} from '../intake/intake.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import type { Confirmation, DirectorySnapshot } from '../ports/directory.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import type { Submissions } from '../ports/submissions.ts'
import type { Channel } from '../spool/spool.ts'
import { clientsOf, type LiveClients, QuotaTable, TenantQuotas } from '../tenancy/tenancy.ts'
import { NewsCount } from './directory-news.ts'
import type { FromThread, Place, ThreadFigures, ThreadLog, ToThread } from './exchange.ts'
import { sendMail } from './outbox.ts'
import { Refusals } from './refusals.ts'
import { StoreClient } from './store-client.ts'

export interface DoorsOptions {
  readonly config: Config
  readonly version: string
  readonly submissions: Submissions
  readonly directory: Pick<DirectorySnapshot, 'version' | 'intake'>
  readonly quotaMemory: SharedArrayBuffer
  readonly channel: Channel
  readonly log: ThreadLog
  readonly reusePort: boolean
  readonly confirmSender: (token: string) => Promise<Confirmation>
}

export class Doors {
  readonly #options: DoorsOptions
  readonly #clients: LiveClients
  readonly #quotas: TenantQuotas
  readonly #news: NewsCount
  readonly #store: StoreClient
  readonly #refusals: Refusals
  readonly #smtpCounters = newIntakeCounters()
  readonly #httpCounters = newHttpCounters()
  #smtp: SmtpIntake | null = null
  #http: HttpIntake | null = null

  constructor(options: DoorsOptions) {
    this.#options = options
    const { config, directory, quotaMemory, submissions } = options
    this.#store = new StoreClient({ clock: systemClock, send: (mail) => sendMail(submissions, mail) })
    this.#refusals = new Refusals(this.#store, systemClock)
    this.#clients = clientsOf(config.tenants, directory, { anySender: config.sandbox, clock: systemClock })
    this.#quotas = new TenantQuotas(new QuotaTable(quotaMemory, systemClock), directory)
    this.#news = new NewsCount(directory.version)
  }

  async open(): Promise<void> {
    const { config, version, submissions, log, reusePort, confirmSender } = this.#options
    const { hostname, tls, sandbox } = config
    const clients = this.#clients
    const quotas = this.#quotas
    const store = config.store.enabled ? this.#store : null
    this.#smtp = await startSmtpIntake({
      config: config.smtp,
      hostname,
      tls,
      submissions,
      clients,
      quotas,
      store,
      clock: systemClock,
      counters: this.#smtpCounters,
      log: (event: IntakeLogEvent) => this.#refused({ ...event }),
      reusePort,
    })
    if (store === null) return
    this.#http = await startHttpIntake({
      config: config.http,
      recipientsMax: config.smtp.recipientsMax,
      hostname,
      tls,
      submissions,
      clients,
      quotas,
      store,
      clock: systemClock,
      random: systemRandom,
      counters: this.#httpCounters,
      log: ({ error, ...event }: HttpLogEvent) =>
        error === null
          ? this.#refused({ ...event })
          : log('error', 'a request failed', { ...event, error: error.stack }),
      reusePort,
      sandbox,
      version,
      confirmSender,
      health: () => this.#health(),
    })
  }

  get addresses(): readonly Place[] {
    return this.#smtp?.addresses ?? []
  }

  get httpAddresses(): readonly Place[] {
    return this.#http?.addresses ?? []
  }

  get figures(): NonNullable<ThreadFigures['intake']> {
    const counters: Record<string, number> = { ...this.#smtpCounters }
    for (const [name, value] of Object.entries(this.#httpCounters))
      counters[`http${name.charAt(0).toUpperCase()}${name.slice(1)}`] = value
    return { connections: (this.#smtp?.connections ?? 0) + (this.#http?.connections ?? 0), counters }
  }

  hear(message: ToThread): FromThread | Promise<FromThread> | null {
    if (message.kind === 'store') this.#store.attach(message.port)
    if (message.kind === 'send') return this.#send(message.ask, message.mail)
    if (message.kind !== 'directory') return null
    if (message.intake !== undefined && this.#news.isNews(message)) {
      this.#clients.put(message.intake)
      this.#quotas.put(message.intake)
    }
    return { kind: 'took', ask: message.ask }
  }

  #refused(event: Record<string, unknown>): void {
    if (this.#options.config.accounting.enabled) this.#refusals.add(event)
    else this.#options.log('info', 'refused', event)
  }

  async #send(ask: number, mail: OutgoingMail): Promise<FromThread> {
    // A buffer is a plain array of bytes on this side of the port.
    const content = Buffer.from(mail.content)
    return { kind: 'sent', ask, failure: await sendMail(this.#options.submissions, { ...mail, content }) }
  }

  /** In the midst of other work. */
  poll(): void {
    this.#store.poll()
  }

  async stop(deadlineMs: number): Promise<void> {
    await Promise.all([this.#smtp?.stop(deadlineMs), this.#http?.stop(deadlineMs)])
  }

  #health(): { ready: boolean; reasons: string[] } {
    const { state } = this.#options.channel
    if (state === 'ok') return { ready: true, reasons: [] }
    return { ready: false, reasons: [state === 'full' ? 'the disk is below its reserve' : 'the disk failed'] }
  }
}
