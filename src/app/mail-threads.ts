/**
 * The threads through which mail goes, from one start to their end: started in order, watched, replaced when they die, and drained in order.
 *
 *   start   log and deliver threads, scheduler: recovery → ports proven free → intake threads
 *   drain   intake threads → scheduler: hold, deliver threads, outcomes on disk, checkpoint → log thread
 *
 * Intake: its sessions are lost, what it committed is safe, the next one goes on in its log. Deliver: what it had reported counts, the rest is granted
 * again. Scheduler or log: the process ends.
 */
import type { Worker } from 'node:worker_threads'
import { openDisk } from '../adapters/embedded/embedded.ts'
import type { Config } from '../config/config.ts'
import { provePortsFree } from '../intake/intake.ts'
import { systemClock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import { Channel, type LogThreadMemory, makeSpoolMemory, type RecoveryReport, stopLogThread } from '../spool/spool.ts'
import { Crew, sumFigures } from './crew.ts'
import { connectionsEach, makeDeliverRings } from './deliver-pool.ts'
import type { DeliverRings, EngineFigures, FromLogThread, Fullness, LiveRecipient, Place } from './exchange.ts'
import { makeHand, messageInHand } from './hand.ts'
import type { Layout } from './layout.ts'
import type { Log } from './log.ts'
import type { Strikes } from './strikes.ts'
import { entryOf, type Role, startLogThread, Thread } from './thread.ts'

export interface MailThreadsOptions {
  readonly config: Config
  readonly layout: Layout
  readonly sandboxSink: Place | null
  readonly log: Log
  readonly strikes: Strikes
  readonly onDiskFailed: (log: string, message: string) => void
  /** Nothing of this process is to be trusted any more. */
  readonly onBug: (error: Error) => void
  /** Instead of our own, for tests. */
  readonly entries?: Partial<Record<Role, URL>>
}

export interface RunningThread {
  readonly name: string
  /** Null while it waits to be started again. */
  readonly worker: Worker | null
  readonly state: 'starting' | 'running' | 'stopped'
  readonly restarts: number
}

interface DeliverSeat {
  rings: DeliverRings
  hand: SharedArrayBuffer
}

export class MailThreads {
  readonly channels: readonly Channel[]
  readonly #options: MailThreadsOptions
  readonly #memory: LogThreadMemory
  readonly #logThread: Worker
  readonly #scheduler: Thread
  readonly #schedulerHand = makeHand()
  readonly #intake: Crew
  readonly #deliver: Crew
  readonly #seats: DeliverSeat[]
  #addresses: readonly Place[] = []
  /** What intake threads must know, also those that are started later. */
  #fullness: Fullness | null = null
  #ending = false

  constructor(options: MailThreadsOptions) {
    this.#options = options
    const { config, layout } = options
    const memory = makeSpoolMemory(openDisk(config.dataDirectory), config.spool, Math.max(1, layout.intake))
    this.#memory = memory
    this.channels = memory.channels.map((channel) => new Channel(channel))
    this.#seats = Array.from({ length: layout.deliver }, newSeat)
    this.#intake = new Crew(layout.intake, (log) => this.#hireIntake(log))
    this.#deliver = new Crew(layout.deliver, (index) => this.#hireDeliver(index))
    this.#logThread = startLogThread({
      dataDirectory: config.dataDirectory,
      memory,
      reserveBytes: config.spool.reserveBytes,
    })
    this.#logThread.on('message', ({ log, message }: FromLogThread) => options.onDiskFailed(log, message))
    this.#logThread.on('error', (error) => this.#bug(error as Error))
    this.#logThread.on('exit', (code) => this.#bug(new Error(`the log thread ended with ${code}`)))
    this.#deliver.start()
    this.#scheduler = this.#hire('scheduler', 'scheduler', this.#schedulerData(), (error) => {
      if (error !== null) this.#strike(this.#schedulerHand, error)
      this.#bug(error ?? new Error('the scheduler ended'))
    })
  }

  /** Settles when mail is accepted. @throws PosthasteError when it cannot be */
  async start(): Promise<{ readonly addresses: readonly Place[]; readonly recovery: RecoveryReport | null }> {
    const { layout, config } = this.#options
    const [{ addresses, recovery }] = await Promise.all([
      this.#scheduler.ready,
      ...this.#deliver.threads.map(({ ready }) => ready),
    ])
    this.#addresses = addresses
    if (layout.intake > 0) {
      this.#addresses = await provePortsFree(config.smtp.listeners)
      this.#intake.start()
      await Promise.all(this.#intake.threads.map(({ ready }) => ready))
    }
    return { addresses: this.#addresses, recovery }
  }

  /** Null when the scheduler does not answer. */
  async figures(): Promise<EngineFigures | null> {
    const [answer, ...others] = await Promise.all([
      this.#scheduler.ask((ask) => ({ kind: 'figures', ask })),
      this.#intake.figures(),
      this.#deliver.figures(),
    ])
    if (answer?.kind !== 'figures' || answer.figures.queue === undefined) return null
    const { intake, deliver } = sumFigures([answer.figures, ...others.flat()])
    const connections = { smtpIn: intake.connections, deliverActive: deliver.active, deliverIdle: deliver.idle }
    return { ...answer.figures.queue, connections, intake: intake.counters, deliver: deliver.counters }
  }

  async live(number: number): Promise<readonly LiveRecipient[]> {
    const answer = await this.#scheduler.ask((ask) => ({ kind: 'live', ask, number }))
    return answer?.kind === 'live' ? answer.recipients : []
  }

  workers(): readonly RunningThread[] {
    const crews = [
      ['intake', this.#intake],
      ['deliver', this.#deliver],
    ] as const
    return [
      { name: 'scheduler', worker: this.#scheduler.worker, state: this.#scheduler.state, restarts: 0 },
      { name: 'log', worker: this.#logThread, state: 'running', restarts: 0 },
      ...crews.flatMap(([role, crew]) =>
        crew.status.map(({ thread, restarts }, index) => ({
          name: `${role}-${index}`,
          worker: thread?.worker ?? null,
          state: thread?.state ?? 'starting',
          restarts,
        })),
      ),
    ]
  }

  /** Takes no more mail, and has what became of all that was under way on disk. */
  async drain(deadlineMs: number): Promise<void> {
    const own = this.#options.layout.intake > 0 ? deadlineMs / 3 : 0
    this.#intake.stop()
    await Promise.all(this.#intake.threads.map((thread) => thread.drain(own)))
    this.#deliver.stop()
    await this.#scheduler.drain(deadlineMs - own)
  }

  async end(): Promise<void> {
    this.#ending = true
    stopLogThread(this.#memory)
    const ended = new Promise<void>((resolve) => this.#logThread.once('exit', () => resolve()))
    const tooLate = new Promise<void>((resolve) => systemClock.after(5 * secondMs, resolve))
    if (this.#logThread.threadId !== -1) await Promise.race([ended, tooLate])
    await Promise.all([
      this.#intake.end(),
      this.#deliver.end(),
      this.#scheduler.worker.terminate(),
      this.#logThread.terminate(),
    ])
  }

  #schedulerData(): ConstructorParameters<typeof Thread>[0]['data'] {
    const { config, layout, sandboxSink, strikes } = this.#options
    return {
      config,
      memory: this.#memory,
      sandboxSink: sandboxSink === null ? null : { address: sandboxSink.address, port: sandboxSink.port },
      intakeHere: layout.intake === 0,
      rings: this.#seats.map(({ rings }) => rings),
      hand: this.#schedulerHand,
      quarantined: strikes.quarantined,
    }
  }

  #hireIntake(log: number): Thread {
    const { config, layout } = this.#options
    const listeners = config.smtp.listeners.map((listener, i) => ({ ...listener, ...this.#addresses[i] }))
    const data = {
      config: { ...config, smtp: { ...config.smtp, listeners } },
      memory: this.#memory,
      log,
      reusePort: layout.intake > 1,
    }
    const thread = this.#hire('intake', `intake-${log}`, data, (error) => {
      this.#died(`intake-${log}`, error)
      this.#intake.died(log)
    })
    this.#endIfUnable(thread)
    if (this.#fullness !== null) thread.post({ ...this.#fullness, kind: 'full' })
    return thread
  }

  #hireDeliver(index: number): Thread {
    const { config, layout } = this.#options
    const seat = this.#seats[index] as DeliverSeat
    const connectionsMax = connectionsEach(config.delivery.connectionsMax, layout.deliver)
    const own = { ...config, delivery: { ...config.delivery, connectionsMax } }
    const data = { config: own, memory: this.#memory, rings: seat.rings, hand: seat.hand }
    const thread = this.#hire('deliver', `deliver-${index}`, data, (error) => {
      this.#died(`deliver-${index}`, error)
      if (error !== null) this.#strike(seat.hand, error)
      Object.assign(seat, newSeat())
      this.#scheduler.post({ kind: 'deliverer-died', thread: index, rings: seat.rings })
      this.#deliver.died(index)
    })
    this.#endIfUnable(thread)
    if (this.#deliver.status[index]?.restarts !== 0)
      thread.ready.then(
        () => this.#scheduler.post({ kind: 'deliverer-ready', thread: index }),
        () => {},
      )
    return thread
  }

  #hire(
    role: Role,
    name: string,
    data: ConstructorParameters<typeof Thread>[0]['data'],
    onEnd: (error: Error | null) => void,
  ): Thread {
    const { log, entries } = this.#options
    return new Thread({
      name,
      entry: entries?.[role] ?? entryOf(role),
      data,
      log: (level, message, fields) => log[level](fields, message),
      onFull: (fullness) => {
        this.#fullness = fullness
        for (const thread of this.#intake.threads) thread.post({ ...fullness, kind: 'full' })
      },
      onEnd: (error) => {
        if (!this.#ending) onEnd(error)
      },
    })
  }

  /** A successor that cannot start has its end too, so that another one tries after a while. */
  #endIfUnable(thread: Thread): void {
    thread.ready.catch((error: Error) => {
      if (thread.state === 'stopped' || this.#ending) return
      this.#options.log.error({ thread: thread.name, error: error.message }, 'a thread cannot start')
      void thread.worker.terminate()
    })
  }

  #died(name: string, error: Error | null): void {
    const reason = error === null ? 'it was ended from outside' : error.stack
    this.#options.log.error({ thread: name, error: reason }, 'a thread died: another one takes its place')
  }

  /** A bug while a message was in hand counts against that message. */
  #strike(hand: SharedArrayBuffer, error: Error): void {
    const { strikes, log } = this.#options
    const submission = messageInHand(hand)
    if (submission === 0) return
    log.error({ submission, error: error.message }, 'the thread died over this message')
    if (strikes.add(submission, error, systemClock.nowMs()))
      this.#scheduler.post({ kind: 'quarantine', number: submission })
  }

  #bug(error: Error): void {
    if (!this.#ending) this.#options.onBug(error)
  }
}

const newSeat = (): DeliverSeat => ({ rings: makeDeliverRings(), hand: makeHand() })
