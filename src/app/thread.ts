/** One thread that main talks to. */
import type { Confirmation } from '../ports/directory.ts'
import { type MessagePort, Worker } from 'node:worker_threads'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { secondMs } from '../kernel/units.ts'
import type {
  DeliverThreadData,
  FromThread,
  Fullness,
  EventsThreadData,
  IntakeThreadData,
  LogThreadData,
  SchedulerThreadData,
  ThreadLog,
  ToThread,
} from './exchange.ts'
import { askMsMax } from './limits.ts'

export type Role = 'scheduler' | 'intake' | 'deliver' | 'events' | 'store-disk' | 'log'

export interface ThreadOptions {
  readonly name: string
  readonly entry: URL
  readonly data: SchedulerThreadData | IntakeThreadData | DeliverThreadData | EventsThreadData
  readonly log: ThreadLog
  readonly onFull?: (fullness: Fullness) => void
  readonly onConfirmSender?: (token: string) => Promise<Confirmation>
  /** Called once, with what it died of or could not start for. Null: it was ended from outside. */
  readonly onEnd: (error: Error | null) => void
}

export type Ready = Extract<FromThread, { kind: 'ready' }>
type Asking = Extract<ToThread, { ask: number }>
type Answer = Extract<FromThread, { ask: number }>

export function entryOf(role: Role): URL {
  // The same files, as TypeScript from a clone and as JavaScript from a package.
  return new URL(`./${role}-thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
}

/** For the log: what has a cure needs no stack. Between threads an error keeps what it has, and not its class. */
export function deathOf(error: Error | null): { readonly error: string; readonly cure?: string } {
  if (error === null) return { error: 'it was ended from outside' }
  const { cure } = error as Partial<PosthasteError>
  return typeof cure === 'string' ? { error: error.message, cure } : { error: error.stack ?? error.message }
}

export function startLogThread(data: LogThreadData): Worker {
  return new Worker(entryOf('log'), { name: 'log', workerData: data })
}

export class Thread {
  readonly name: string
  readonly worker: Worker
  /** Rejects when it cannot start, with the cure, or dies before it has. */
  readonly ready: Promise<Ready>
  readonly #options: ThreadOptions
  readonly #clock: Clock
  readonly #asked = new Map<number, (answer: Answer | null) => void>()
  #nextAsk = 1
  #isReady: (ready: Ready) => void = () => {}
  #cannotStart: (error: Error) => void = () => {}
  #onDrained: () => void = () => {}
  #error: Error | null = null
  #ended = false
  #running = false

  constructor(options: ThreadOptions, clock: Clock = systemClock) {
    this.#options = options
    this.#clock = clock
    this.name = options.name
    this.worker = new Worker(options.entry, { name: options.name, workerData: options.data })
    this.ready = new Promise<Ready>((resolve, reject) => {
      this.#isReady = resolve
      this.#cannotStart = reject
    })
    this.ready.catch(() => {})
    this.worker.on('message', (message: FromThread) => this.#hear(message))
    this.worker.on('error', (error) => (this.#error = error instanceof Error ? error : new Error(String(error))))
    this.worker.on('exit', () => this.#end())
  }

  get state(): 'starting' | 'running' | 'stopped' {
    return this.#ended ? 'stopped' : this.#running ? 'running' : 'starting'
  }

  post(message: ToThread, transfer: readonly MessagePort[] = []): void {
    this.worker.postMessage(message, transfer)
  }

  /** Null when it does not answer in time, or ends. */
  ask(question: (ask: number) => Asking): Promise<Answer | null> {
    if (this.#ended) return Promise.resolve(null)
    const ask = this.#nextAsk++
    return new Promise((resolve) => {
      const answered = (answer: Answer | null): void => {
        late.cancel()
        this.#asked.delete(ask)
        resolve(answer)
      }
      const late = this.#clock.after(askMsMax.value, () => answered(null))
      this.#asked.set(ask, answered)
      this.post(question(ask))
    })
  }

  /** Settles when it says that nothing is open any more, or ends, or a second after the deadline. */
  drain(deadlineMs: number): Promise<void> {
    if (this.#ended) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrained = resolve
      this.#clock.after(deadlineMs + secondMs, resolve)
      this.post({ kind: 'drain', deadlineMs })
    })
  }

  #hear(message: FromThread): void {
    switch (message.kind) {
      case 'ready':
        this.#running = true
        return this.#isReady(message)
      case 'failed':
        this.#error = new PosthasteError(message.code, message.message, message.cure, { exitCode: message.exitCode })
        return this.#cannotStart(this.#error)
      case 'log':
        return this.#options.log(message.level, message.message, message.fields)
      case 'full':
        return this.#options.onFull?.(message)
      case 'drained':
        return this.#onDrained()
      case 'confirm-sender': {
        const { request, token } = message
        const answer = this.#options.onConfirmSender?.(token) ?? Promise.resolve({ outcome: 'later' } as const)
        return void answer.then((confirmation) => this.post({ kind: 'confirmed', request, confirmation }))
      }
      case 'figures':
      case 'took':
      case 'sent':
        return this.#asked.get(message.ask)?.(message)
    }
  }

  #end(): void {
    this.#ended = true
    this.#cannotStart(
      new PosthasteError('thread_died', `the thread ${this.name} died while starting`, 'the log has the reason', {}),
    )
    this.#onDrained()
    for (const answered of this.#asked.values()) answered(null)
    this.#options.onEnd(this.#error)
  }
}
