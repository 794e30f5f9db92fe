/** Starts the log thread and the engine thread, and decides what their ends mean. */
import { Worker } from 'node:worker_threads'
import type { Config } from '../config/config.ts'
import { refuseConnections } from '../intake/intake.ts'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { secondMs } from '../kernel/units.ts'
import { Channel, type LogThreadMemory, makeSpoolMemory, type RecoveryReport, stopLogThread } from '../spool/spool.ts'
import type {
  EngineFigures,
  EngineThreadData,
  FromEngine,
  FromLogThread,
  LiveRecipient,
  LogThreadData,
  ToEngine,
} from './exchange.ts'
import type { Log } from './log.ts'

/** Back-off after a failed disk: 1 s, doubled up to a minute. */
const restartMsMax = 60 * secondMs
const askMsMax = 5 * secondMs

/** The same files, as TypeScript from a clone and as JavaScript from a package. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

export type EngineState = 'starting' | 'ready' | 'draining' | 'degraded'

export interface SupervisorOptions {
  readonly config: Config
  readonly log: Log
  readonly sandboxSink: { readonly address: string; readonly port: number } | null
}

/** Does not keep the process alive. */
const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())

interface Threads {
  readonly engine: Worker
  readonly logThread: Worker
  readonly memory: LogThreadMemory
  readonly channels: readonly Channel[]
}

export class Supervisor {
  readonly #options: SupervisorOptions
  #threads: Threads | null = null
  #stopping = false
  #onStopAsked: () => void = () => {}
  readonly #stopAsked = new Promise<void>((resolve) => (this.#onStopAsked = resolve))
  #failures = 0
  #nextAsk = 1
  readonly #asked = new Map<number, (answer: FromEngine) => void>()
  #onDied: (exitCode: number) => void = () => {}
  #drained: () => void = () => {}
  /** Ends a start that is under way. */
  #startFailed: ((error: Error) => void) | null = null

  state: EngineState = 'starting'
  /** Why the state is not `ready`. */
  reason = 'starting'
  restarts = 0
  addresses: readonly { readonly address: string; readonly port: number }[] = []
  recovery: RecoveryReport | null = null
  /** Settles with an exit code when a thread dies of a bug. */
  readonly died: Promise<number>

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.died = new Promise((resolve) => (this.#onDied = resolve))
  }

  /** Settles when mail is accepted. @throws PosthasteError when it cannot be */
  async start(): Promise<void> {
    const { sandboxSink } = this.#options
    const config = this.#config
    const memory = makeSpoolMemory(openDisk(config.dataDirectory), config.spool, 1)
    const logData: LogThreadData = {
      dataDirectory: config.dataDirectory,
      memory,
      reserveBytes: config.spool.reserveBytes,
    }
    const engineData: EngineThreadData = {
      config,
      memory,
      sandboxSink: sandboxSink === null ? null : { address: sandboxSink.address, port: sandboxSink.port },
    }
    const logThread = this.#thread('log', logData)
    const engine = this.#thread('engine', engineData)
    const threads: Threads = {
      engine,
      logThread,
      memory,
      channels: memory.channels.map((channel) => new Channel(channel)),
    }
    this.#threads = threads
    logThread.on('message', ({ log, message }: FromLogThread) => this.#diskFailed(threads, log, message))
    for (const worker of [engine, logThread]) {
      worker.on('error', (error) => this.#bug(threads, error as Error))
      worker.on('exit', (code) => this.#bug(threads, new Error(`a thread ended with ${code}`)))
    }
    try {
      await new Promise<void>((resolve, reject) => {
        this.#startFailed = reject
        engine.on('message', (message: FromEngine) => this.#hear(message, resolve, reject))
        void this.died.then(() =>
          reject(new PosthasteError('engine_died', 'the engine died while starting', 'the log has the reason', {})),
        )
      })
    } finally {
      this.#startFailed = null
    }
  }

  /** Health without asking anybody: the state of the logs is in shared memory. */
  health(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = []
    if (this.state !== 'ready') reasons.push(this.reason)
    for (const channel of this.#threads?.channels ?? []) {
      if (channel.state === 'full')
        reasons.push(`the disk is below its reserve: new mail is refused with 452 (${channel.name})`)
    }
    return { ready: reasons.length === 0, reasons: [...new Set(reasons)] }
  }

  async figures(): Promise<EngineFigures | null> {
    const answer = await this.#ask((ask) => ({ kind: 'figures', ask }))
    return answer?.kind === 'figures' ? answer.figures : null
  }

  async live(number: number): Promise<readonly LiveRecipient[]> {
    const answer = await this.#ask((ask) => ({ kind: 'live', ask, number }))
    return answer?.kind === 'live' ? answer.recipients : []
  }

  workers(): { readonly name: string; readonly worker: Worker }[] {
    const threads = this.#threads
    return threads === null
      ? []
      : [
          { name: 'engine', worker: threads.engine },
          { name: 'log', worker: threads.logThread },
        ]
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
    if (drainable) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve
        threads.engine.once('exit', () => resolve())
        setTimeout(resolve, deadlineMs + secondMs).unref()
        threads.engine.postMessage({ kind: 'drain', deadlineMs } satisfies ToEngine)
      })
    }
    await this.#end(threads)
  }

  /** As configured, and where the system chose a port the one that it chose: a restart must not move it. */
  get #config(): Config {
    const { config } = this.#options
    const listeners = config.smtp.listeners.map((listener, i) => ({ ...listener, ...this.addresses[i] }))
    return { ...config, smtp: { ...config.smtp, listeners } }
  }

  #thread(name: string, workerData: EngineThreadData | LogThreadData): Worker {
    return new Worker(new URL(`./${name}-thread.${extension}`, import.meta.url), { name, workerData })
  }

  #hear(message: FromEngine, ready: () => void, failed: (error: Error) => void): void {
    switch (message.kind) {
      case 'ready':
        this.state = 'ready'
        this.reason = ''
        this.#failures = 0
        this.addresses = message.addresses
        this.recovery = message.recovery
        return ready()
      case 'failed':
        return failed(new PosthasteError(message.code, message.message, message.cure, { exitCode: message.exitCode }))
      case 'log':
        return this.#options.log[message.level](message.fields, message.message)
      case 'drained':
        return this.#drained()
      case 'figures':
      case 'live':
        this.#asked.get(message.ask)?.(message)
        this.#asked.delete(message.ask)
    }
  }

  async #ask(question: (ask: number) => ToEngine): Promise<FromEngine | null> {
    const threads = this.#threads
    if (threads === null) return null
    const ask = this.#nextAsk++
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#asked.delete(ask)
        resolve(null)
      }, askMsMax)
      this.#asked.set(ask, (answer) => {
        clearTimeout(late)
        resolve(answer)
      })
      threads.engine.postMessage(question(ask))
    })
  }

  /** A broken invariant: nothing of this process is to be trusted any more. */
  #bug(threads: Threads, error: Error): void {
    if (this.#stopping || this.#threads !== threads) return
    this.#options.log.fatal({ error: error.stack }, 'a thread died: exiting, so that recovery starts from the disk')
    this.state = 'degraded'
    this.reason = 'a thread died'
    this.#onDied(70)
  }

  #diskFailed(threads: Threads, log: string, message: string): void {
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
    this.state = 'degraded'
    this.reason = `the disk failed under log ${log}: ${message}`
    this.#options.log.error({ log, message }, 'the disk failed: no mail is accepted until it works again')
    void this.#startAgain(threads)
  }

  /** Waiting clients have a moment to read their 451; then the listeners say 421 until recovery has gone through. */
  async #startAgain(threads: Threads): Promise<void> {
    await delay(200)
    await this.#end(threads)
    while (!this.#stopping) {
      await this.#refuseFor(Math.min(restartMsMax, secondMs * 2 ** this.#failures))
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
    const refusing = await refuseConnections(
      this.#config.smtp.listeners,
      '421 4.3.0 mail cannot be stored now, try again later',
    ).catch(() => null)
    if (!this.#stopping) await Promise.race([delay(waitMs), this.#stopAsked])
    await refusing?.stop()
  }

  async #end(threads: Threads): Promise<void> {
    if (this.#threads === threads) this.#threads = null
    stopLogThread(threads.memory)
    const ended = new Promise<void>((resolve) => threads.logThread.once('exit', () => resolve()))
    if (threads.logThread.threadId !== -1) await Promise.race([ended, delay(5 * secondMs)])
    await Promise.all([threads.engine.terminate(), threads.logThread.terminate()])
  }
}
