/**
 * The threads through which mail goes, from one start to their end: started in order, watched, replaced when they die, and drained in order.
 *
 *   start   log, events and deliver threads, scheduler: recovery → ports proven free → intake threads
 *   drain   intake threads → scheduler: hold, deliver threads, outcomes on disk, checkpoint → events thread → log thread
 *
 * Intake: its sessions are lost, what it committed is safe, the next one goes on in its log. Deliver: what it had reported counts, the rest is granted
 * again. Events: the next one reads on from where the store is. Scheduler or log: the process ends.
 */
import { MessageChannel, type Worker } from 'node:worker_threads'
import { openDisk } from '../adapters/embedded/embedded.ts'
import type { Config } from '../config/config.ts'
import { provePortsFree } from '../intake/intake.ts'
import { systemClock } from '../kernel/clock.ts'
import { secondMs } from '../kernel/units.ts'
import { Channel, type LogThreadMemory, makeSpoolMemory, stopLogThread } from '../spool/spool.ts'
import { QuotaTable } from '../tenancy/tenancy.ts'
import { Crew, sumFigures } from './crew.ts'
import { connectionsEach, makeDeliverRings } from './deliver-pool.ts'
import type { DeliverRings, EngineFigures, FromLogThread, Fullness, Place } from './exchange.ts'
import { type DirectoryNews, measuredOf } from './directory-news.ts'
import { makeHand, messageInHand } from './hand.ts'
import { type Failure, failures } from '../model/failures.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import type { Confirmation, DirectoryChange, DirectorySnapshot } from '../ports/directory.ts'
import type { Layout } from './layout.ts'
import type { Log } from './log.ts'
import type { Strikes } from './strikes.ts'
import type { StoreClient } from './store-client.ts'
import { mainClient } from './store-clients.ts'
import { deathOf, entryOf, type Ready, type Role, startLogThread, Thread } from './thread.ts'

export interface MailThreadsOptions {
  readonly config: Config
  readonly layout: Layout
  readonly sandboxSink: Place | null
  readonly log: Log
  readonly strikes: Strikes
  readonly version: string
  /** As it is now: whoever is hired begins with it. */
  readonly directory: () => DirectorySnapshot
  /** Of what quotas count: nothing is known of it when threads start. */
  readonly quotaMemory: SharedArrayBuffer
  /** The set of suppressed addresses, as it is now. */
  readonly suppressed: () => SharedArrayBuffer
  readonly onConfirmSender: (token: string) => Promise<Confirmation>
  /** Main's own questions to the message store. */
  readonly store: StoreClient
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
  /** One. */
  readonly #events: Crew
  readonly #seats: DeliverSeat[]
  #addresses: readonly Place[] = []
  #httpAddresses: readonly Place[] = []
  /** What intake threads must know, also those that are started later. */
  #fullness: Fullness | null = null
  #ending = false
  /** By number of the message, how often the events thread died over it. */
  readonly #storeStrikes = new Map<number, number>()
  /** Threads that ask the message store, and hold keys of idempotency. A name is never given twice. */
  readonly #clients = new Map<string, Thread>()

  constructor(options: MailThreadsOptions) {
    this.#options = options
    const { config, layout } = options
    new QuotaTable(options.quotaMemory, systemClock).forgetAll()
    const memory = makeSpoolMemory(openDisk(config.dataDirectory), config.spool, Math.max(1, layout.intake), true)
    this.#memory = memory
    this.channels = memory.channels.map((channel) => new Channel(channel))
    this.#seats = Array.from({ length: layout.deliver }, newSeat)
    this.#intake = new Crew(layout.intake, (log) => this.#hireIntake(log))
    this.#deliver = new Crew(layout.deliver, (index) => this.#hireDeliver(index))
    this.#events = new Crew(1, () => this.#hireEvents())
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
    this.#events.start()
  }

  /** Settles when mail is accepted. @throws PosthasteError when it cannot be */
  async start(): Promise<Pick<Ready, 'addresses' | 'httpAddresses' | 'recovery'>> {
    const { layout, config } = this.#options
    const [{ addresses, httpAddresses, recovery }] = await Promise.all([
      this.#scheduler.ready,
      ...[...this.#deliver.threads, ...this.#events.threads].map(({ ready }) => ready),
    ])
    this.#addresses = addresses
    this.#httpAddresses = httpAddresses
    if (layout.intake > 0) {
      this.#addresses = await provePortsFree(config.smtp.listeners)
      this.#httpAddresses = await provePortsFree(config.http.listeners)
      this.#intake.start()
      await Promise.all(this.#intake.threads.map(({ ready }) => ready))
    }
    return { addresses: this.#addresses, httpAddresses: this.#httpAddresses, recovery }
  }

  /**
   * Settles when every thread works by it. Threads are told at once, before anybody else is hired, so that none misses a change.
   * @throws Error when a thread does not answer in time
   */
  async takeChange({ version, intake, preparing }: DirectoryChange): Promise<void> {
    const { layout } = this.#options
    const tell = async (thread: Thread, part: Omit<DirectoryNews, 'version'>): Promise<void> => {
      const answer = await thread.ask((ask) => ({ kind: 'directory', ask, ...part, version }))
      if (answer === null && thread.state === 'running') throw new Error(`${thread.name} does not answer`)
    }
    await Promise.all([
      tell(this.#scheduler, {
        ...(layout.intake === 0 && { intake }),
        ...(layout.deliver === 0 && { preparing }),
        measured: measuredOf(intake),
      }),
      ...this.#intake.threads.map((thread) => tell(thread, { intake })),
      ...this.#deliver.threads.map((thread) => tell(thread, { preparing })),
    ])
  }

  /** Settles when every thread asks that set. */
  async takeSuppressed(memory: SharedArrayBuffer): Promise<void> {
    await Promise.all(
      [this.#scheduler, ...this.#deliver.threads].map(async (thread) => {
        const answer = await thread.ask((ask) => ({ kind: 'suppressed', ask, memory }))
        if (answer === null && thread.state === 'running') throw new Error(`${thread.name} does not answer`)
      }),
    )
  }

  /** Mail that Posthaste writes itself. Settles when it is on disk (null), or with the reason that nothing was taken. */
  async send(mail: OutgoingMail): Promise<Failure | null> {
    const thread = this.#options.layout.intake === 0 ? this.#scheduler : this.#intake.threads[0]
    const answer = await thread?.ask((ask) => ({ kind: 'send', ask, mail }))
    return answer?.kind === 'sent' ? answer.failure : failures.intakeBusy
  }

  /** Null when the scheduler does not answer. */
  async figures(): Promise<EngineFigures | null> {
    const [answer, events, ...others] = await Promise.all([
      this.#scheduler.ask((ask) => ({ kind: 'figures', ask })),
      this.#events.figures(),
      this.#intake.figures(),
      this.#deliver.figures(),
    ])
    if (answer?.kind !== 'figures' || answer.figures.queue === undefined) return null
    const { intake, deliver } = sumFigures([answer.figures, ...others.flat()])
    const connections = { smtpIn: intake.connections, deliverActive: deliver.active, deliverIdle: deliver.idle }
    const store = events[0]?.store ?? null
    const record = events[0]?.record ?? null
    return { ...answer.figures.queue, connections, intake: intake.counters, deliver: deliver.counters, store, record }
  }

  workers(): readonly RunningThread[] {
    const crews = [
      ['intake', this.#intake],
      ['deliver', this.#deliver],
      ['events', this.#events],
    ] as const
    return [
      { name: 'scheduler', worker: this.#scheduler.worker, state: this.#scheduler.state, restarts: 0 },
      { name: 'log', worker: this.#logThread, state: 'running', restarts: 0 },
      ...crews.flatMap(([role, crew]) =>
        crew.status.map(({ thread, restarts }, index) => ({
          name: role === 'events' ? role : `${role}-${index}`,
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
    this.#events.stop()
    await Promise.all(this.#events.threads.map((thread) => thread.drain(storeDrainMs)))
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
      this.#events.end(),
      this.#scheduler.worker.terminate(),
      this.#logThread.terminate(),
    ])
  }

  #schedulerData(): ConstructorParameters<typeof Thread>[0]['data'] {
    const { config, version, layout, sandboxSink, strikes, quotaMemory } = this.#options
    return {
      config,
      version,
      memory: this.#memory,
      sandboxSink: sandboxSink === null ? null : { address: sandboxSink.address, port: sandboxSink.port },
      intakeHere: layout.intake === 0,
      directory: this.#directoryFor({ intake: layout.intake === 0, preparing: layout.deliver === 0 }),
      quotaMemory,
      measured: this.#options.directory().intake.map(measuredOf),
      rings: this.#seats.map(({ rings }) => rings),
      hand: this.#schedulerHand,
      suppressed: this.#options.suppressed(),
      quarantined: strikes.quarantined,
    }
  }

  /** A thread is not given what it has no use for: hashes of keys are one thing, keys that sign another. */
  #directoryFor(use: { readonly intake: boolean; readonly preparing: boolean }): DirectorySnapshot {
    const { version, intake, preparing } = this.#options.directory()
    return { version, intake: use.intake ? intake : [], preparing: use.preparing ? preparing : [] }
  }

  #hireIntake(log: number): Thread {
    const { config, version, layout, quotaMemory } = this.#options
    const listeners = config.smtp.listeners.map((listener, i) => ({ ...listener, ...this.#addresses[i] }))
    const httpListeners = config.http.listeners.map((listener, i) => ({ ...listener, ...this.#httpAddresses[i] }))
    const data = {
      version,
      config: { ...config, smtp: { ...config.smtp, listeners }, http: { ...config.http, listeners: httpListeners } },
      memory: this.#memory,
      log,
      reusePort: layout.intake > 1,
      directory: this.#directoryFor({ intake: true, preparing: false }),
      quotaMemory,
    }
    const owner = `intake-${log}, ${this.#intake.status[log]?.restarts ?? 0}`
    const thread = this.#hire('intake', `intake-${log}`, data, (error) => {
      this.#died(`intake-${log}`, error)
      for (const events of this.#events.threads) events.post({ kind: 'client-gone', owner, log })
      this.#clients.delete(owner)
      this.#intake.died(log)
    })
    this.#endIfUnable(thread)
    this.#clients.set(owner, thread)
    for (const events of this.#events.threads) this.#connect(events, owner, thread)
    if (this.#fullness !== null) thread.post({ ...this.#fullness, kind: 'full' })
    return thread
  }

  #hireDeliver(index: number): Thread {
    const { config, layout } = this.#options
    const seat = this.#seats[index] as DeliverSeat
    const connectionsMax = connectionsEach(config.delivery.connectionsMax, layout.deliver)
    const own = { ...config, delivery: { ...config.delivery, connectionsMax } }
    const directory = this.#directoryFor({ intake: false, preparing: true })
    const { rings, hand } = seat
    const suppressed = this.#options.suppressed()
    const data = { config: own, memory: this.#memory, rings, hand, directory, suppressed }
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

  #hireEvents(): Thread {
    const { config, layout, store } = this.#options
    if (layout.intake === 0) this.#clients.set('scheduler', this.#scheduler)
    const hand = makeHand()
    const leftOut = [...this.#storeStrikes].filter(([, times]) => times >= 2).map(([number]) => number)
    const data = { config, memory: this.#memory, clients: [...this.#clients.keys()], hand, leftOut }
    const thread = this.#hire('events', 'events', data, (error) => {
      this.#died('events', error)
      this.#strikeStore(messageInHand(hand))
      this.#events.died(0)
    })
    this.#endIfUnable(thread)
    for (const [owner, client] of this.#clients) this.#connect(thread, owner, client)
    const { port1, port2 } = new MessageChannel()
    thread.post({ kind: 'client', owner: mainClient, port: port2 }, [port2])
    store.attach(port1)
    return thread
  }

  /** The store died over this message: the second time it does without it. */
  #strikeStore(submission: number): void {
    if (submission === 0) return
    const times = (this.#storeStrikes.get(submission) ?? 0) + 1
    this.#storeStrikes.set(submission, times)
    this.#options.log.error({ submission, times }, 'the message store cannot take this message')
  }

  #connect(events: Thread, owner: string, client: Thread): void {
    const { port1, port2 } = new MessageChannel()
    events.post({ kind: 'client', owner, port: port2 }, [port2])
    client.post({ kind: 'store', port: port1 }, [port1])
  }

  #hire(
    role: Role,
    name: string,
    data: ConstructorParameters<typeof Thread>[0]['data'],
    onEnd: (error: Error | null) => void,
  ): Thread {
    const { log, entries, onConfirmSender } = this.#options
    return new Thread({
      onConfirmSender,
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
    thread.ready.catch(() => {
      if (thread.state !== 'stopped' && !this.#ending) void thread.worker.terminate()
    })
  }

  #died(name: string, error: Error | null): void {
    this.#options.log.error({ thread: name, ...deathOf(error) }, 'a thread died: another one takes its place')
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

/** It reads what the scheduler wrote last. */
const storeDrainMs = 5 * secondMs

const newSeat = (): DeliverSeat => ({ rings: makeDeliverRings(), hand: makeHand() })
