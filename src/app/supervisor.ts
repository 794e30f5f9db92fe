/** Starts the mail threads, and decides what it means when they cannot go on. */
import type { Config } from '../config/config.ts'
import { refuseConnections, refuseRequests } from '../intake/intake.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { secondMs } from '../kernel/units.ts'
import type { RecoveryReport } from '../spool/spool.ts'
import { type Failure, failures } from '../model/failures.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import type { DirectoryChange } from '../ports/directory.ts'
import type { EngineFigures, Place } from './exchange.ts'
import type { Layout } from './layout.ts'
import { diskRestartMsMax } from './limits.ts'
import type { Log } from './log.ts'
import { MailThreads, type MailThreadsOptions, type RunningThread } from './mail-threads.ts'
import { Strikes } from './strikes.ts'

export type EngineState = 'starting' | 'ready' | 'draining' | 'degraded'

export interface SupervisorOptions
  extends Pick<
    MailThreadsOptions,
    'entries' | 'version' | 'directory' | 'quotaMemory' | 'suppressed' | 'store' | 'onConfirmSender'
  > {
  readonly config: Config
  readonly layout: Layout
  readonly log: Log
  readonly sandboxSink: Place | null
}

/** The pause after so many starts that failed in a row. */
export const diskRestartMs = (failures: number): number => Math.min(diskRestartMsMax.value, secondMs * 2 ** failures)

/** Does not keep the process alive. */
const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #strikes: Strikes
  #threads: MailThreads | null = null
  /** Not ours any more, and not all of them have stopped yet. */
  #leaving: MailThreads | null = null
  #stopping = false
  #onStopAsked: () => void = () => {}
  readonly #stopAsked = new Promise<void>((resolve) => (this.#onStopAsked = resolve))
  #failures = 0
  #onDied: (exitCode: number) => void = () => {}
  /** Ends a start that is under way. */
  #startFailed: ((error: Error) => void) | null = null

  state: EngineState = 'starting'
  /** Why the state is not `ready`. */
  reason = 'starting'
  restarts = 0
  addresses: readonly Place[] = []
  httpAddresses: readonly Place[] = []
  recovery: RecoveryReport | null = null
  /** Settles with an exit code when a thread dies of a bug. */
  readonly died: Promise<number>

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#strikes = new Strikes(options.config.dataDirectory, (error) =>
      options.log.error({ error: error.message }, 'strikes.json cannot be written'),
    )
    this.died = new Promise((resolve) => (this.#onDied = resolve))
  }

  /** Settles when mail is accepted. @throws PosthasteError when it cannot be */
  async start(): Promise<void> {
    const threads: MailThreads = new MailThreads({
      ...this.#options,
      config: this.#config,
      strikes: this.#strikes,
      onDiskFailed: (log, message) => this.#diskFailed(threads, log, message),
      onBug: (error) => this.#bug(threads, error),
    })
    this.#threads = threads
    const failed = new Promise<never>((_, reject) => (this.#startFailed = reject))
    try {
      const { addresses, httpAddresses, recovery } = await Promise.race([threads.start(), failed])
      this.state = 'ready'
      this.reason = ''
      this.#failures = 0
      this.addresses = addresses
      this.httpAddresses = httpAddresses
      this.recovery = recovery
    } finally {
      this.#startFailed = null
    }
  }

  /** Health without asking anybody: the state of the logs is in shared memory. */
  health(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = []
    if (this.state !== 'ready') reasons.push(this.reason)
    const full = (this.#threads?.channels ?? []).filter(({ state }) => state === 'full').map(({ name }) => name)
    if (full.length > 0)
      reasons.push(
        `the disk is below its reserve: new mail is refused with 452, by HTTP with 503 (${[...new Set(full)].join(', ')})`,
      )
    return { ready: reasons.length === 0, reasons }
  }

  /** Settles when every thread works by it. */
  async takeChange(change: DirectoryChange): Promise<void> {
    await (this.#threads ?? this.#leaving)?.takeChange(change)
  }

  /** Settles when every thread asks that set. */
  async takeSuppressed(memory: SharedArrayBuffer): Promise<void> {
    await (this.#threads ?? this.#leaving)?.takeSuppressed(memory)
  }

  /** Port `outbox`. */
  async send(mail: OutgoingMail): Promise<Failure | null> {
    return (await this.#threads?.send(mail)) ?? (this.#threads === null ? failures.spoolBroken : null)
  }

  async figures(): Promise<EngineFigures | null> {
    return (await this.#threads?.figures()) ?? null
  }

  workers(): readonly RunningThread[] {
    return this.#threads?.workers() ?? []
  }

  /** Messages that are set aside, because the program died over them twice. */
  get setAside(): number {
    return this.#strikes.quarantined.length
  }

  /** Drains when there is time for it, and ends the threads. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true
    this.#onStopAsked()
    this.reason = 'draining'
    const drainable = this.state === 'ready' && deadlineMs > 0
    this.state = 'draining'
    const threads = this.#threads
    if (threads === null) return
    if (drainable) await threads.drain(deadlineMs)
    await this.#end(threads)
  }

  /** As configured, and where the system chose a port the one that it chose: a restart must not move it. */
  get #config(): Config {
    const { config } = this.#options
    const listeners = config.smtp.listeners.map((listener, i) => ({ ...listener, ...this.addresses[i] }))
    const httpListeners = config.http.listeners.map((listener, i) => ({ ...listener, ...this.httpAddresses[i] }))
    return { ...config, smtp: { ...config.smtp, listeners }, http: { ...config.http, listeners: httpListeners } }
  }

  /** A broken invariant: nothing of this process is to be trusted any more. */
  #bug(threads: MailThreads, error: Error): void {
    if (this.#stopping || this.#threads !== threads) return
    this.#options.log.fatal({ error: error.stack }, 'a thread died: exiting, so that recovery starts from the disk')
    this.state = 'degraded'
    this.reason = 'a thread died'
    this.#startFailed?.(
      new PosthasteError('engine_died', 'the engine died while starting', 'the log has the reason', {}),
    )
    this.#onDied(70)
  }

  #diskFailed(threads: MailThreads, log: string, message: string): void {
    if (this.#stopping || this.#threads !== threads) return
    if (this.#startFailed !== null) {
      // Whoever asked for the start decides: main gives up, a restart waits and tries again.
      const what = `the disk failed under log ${log}: ${message}`
      this.#startFailed(
        new PosthasteError('spool_broken', what, 'make room or mend the disk, then start again', { exitCode: 74 }),
      )
      return
    }
    this.#threads = null
    this.#leaving = threads
    this.state = 'degraded'
    this.reason = `the disk failed under log ${log}: ${message}`
    this.#options.log.error({ log, message }, 'the disk failed: no mail is accepted until it works again')
    void this.#startAgain(threads)
  }

  /** Waiting clients have a moment to read their 451; then the listeners say 421 until recovery has gone through. */
  async #startAgain(threads: MailThreads): Promise<void> {
    await delay(200)
    await this.#end(threads)
    while (!this.#stopping) {
      await this.#refuseFor(diskRestartMs(this.#failures))
      if (this.#stopping) return
      this.#failures += 1
      this.restarts += 1
      try {
        await this.start()
        this.#options.log.info({}, 'the disk works again')
        return
      } catch (error) {
        this.#options.log.error({ error: (error as Error).message }, 'the disk still fails')
        const failed = this.#threads
        this.#threads = null
        if (failed !== null) await this.#end(failed)
      }
    }
  }

  /** Says 421 on every listener for that long, or until `stop`. */
  async #refuseFor(waitMs: number): Promise<void> {
    const { smtp, http, tls } = this.#config
    const reply = '421 4.3.0 mail cannot be stored now, try again later'
    const refusing = await refuseConnections(smtp.listeners, reply).catch(() => null)
    const refusingHttp = await refuseRequests(http.listeners, tls)
    if (!this.#stopping) await Promise.race([delay(waitMs), this.#stopAsked])
    await Promise.all([refusing?.stop(), refusingHttp.stop()])
  }

  async #end(threads: MailThreads): Promise<void> {
    if (this.#threads === threads) this.#threads = null
    this.#leaving = threads
    await threads.end()
    this.#leaving = null
  }
}
