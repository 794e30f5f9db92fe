/**
 * The events thread: reads all logs, keeps the books (books.ts) and the accounting log, sends notices, answers questions about messages and holds the keys of
 * idempotency.
 *
 *   question ─▶ waits ─▶ aim at what is on disk now ─▶ read up to there ─▶ answer
 *
 * So an answer knows everything that was on disk when its question came, and nothing that a crash could take back. What was read is committed now and then,
 * and put on disk by a thread that waits for it (store-disk.ts); until then a death of this thread or of the machine only means reading it again.
 */
import { join } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { Claims, openMessageStore, Tally } from '../events/events.ts'
import { isHardBounce, NoticeBudget, noticeFor, type NoticeKind } from '../feedback/feedback.ts'
import { systemClock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { systemRandom } from '../kernel/random.ts'
import { hourMs, KiB } from '../kernel/units.ts'
import type { LogMarks } from '../model/log-mark.ts'
import { BadCursor } from '../ports/message-store.ts'
import { canFollow, Channel, RecordReader } from '../spool/spool.ts'
import { Accounting } from './accounting.ts'
import { Books, lower } from './books.ts'
import { ClaimDesk, ownerBefore, OwnerNumbers } from './claim-desk.ts'
import type { EventsThreadData, ThreadFigures, ThreadLog, ToThread } from './exchange.ts'
import { Heads } from './heads.ts'
import { storeAsksMax } from './limits.ts'
import { NoticeGate } from './notice-gate.ts'
import { NoticeDesk } from './notice-desk.ts'
import type { ServingThread } from './serve-main.ts'
import { StoreClients } from './store-clients.ts'
import { StoreDiskThread } from './store-disk.ts'
import type { FromStore, StoreAnswer, StoreQuestion, ToStore } from './store-wire.ts'

/** Between two looks at the logs when nobody asks: while there is something new each time, and otherwise. */
const lookEveryMs = 50
const idleLookEveryMs = 250
/** Read in one go; then whoever asks meanwhile is heard. */
const stepBytes = 512 * KiB
const bouncesAtOnce = 200

interface Waiting {
  readonly owner: string
  readonly port: MessagePort
  readonly ask: number
  readonly question: StoreQuestion
}

/** @param openStore tests break one there */
export async function runEventsThread(
  data: EventsThreadData,
  log: ThreadLog,
  openStore: typeof openMessageStore = openMessageStore,
): Promise<ServingThread> {
  const loop = new EventsLoop({ data, log, openStore })
  return {
    addresses: [],
    recovery: null,
    figures: () => loop.figures(),
    hear: (message) => loop.hear(message),
    drain: (deadlineMs) => loop.drain(deadlineMs),
  }
}

interface EventsLoopOptions {
  readonly data: EventsThreadData
  readonly log: ThreadLog
  readonly openStore: typeof openMessageStore
}

class EventsLoop {
  readonly #options: EventsLoopOptions
  readonly #storeDisk = new StoreDiskThread()
  readonly #books: Books
  readonly #heads: Heads
  readonly #records: RecordReader
  readonly #accounting: Accounting | null
  readonly #gate: NoticeGate
  readonly #notices: NoticeDesk
  readonly #clients: StoreClients
  readonly #desk: ClaimDesk
  readonly #hand: Float64Array
  /** Came since the last aim, and since the one before. */
  #asked: Waiting[] = []
  #aimedFor: Waiting[] = []
  #stepping = false
  #accountedMs = 0
  #drained = false

  constructor(options: EventsLoopOptions) {
    const { data, log } = options
    const { config, memory } = data
    this.#options = options
    this.#hand = new Float64Array(data.hand)
    const channels = memory.channels.map((channel) => new Channel(channel))
    this.#records = new RecordReader(openDisk(config.dataDirectory), channels, config.spool.segmentBytes)
    this.#heads = new Heads(this.#records)
    this.#books = new Books({
      disk: openDisk(config.dataDirectory),
      dataDirectory: config.dataDirectory,
      memory,
      clock: systemClock,
      log,
      heads: this.#heads,
      storeDisk: this.#storeDisk,
      onTallySynced: () => {
        if (this.#books.caughtUp) this.#notices.look()
      },
      openStore: config.store.enabled ? () => this.#openStore() : null,
      openTally: () => this.#openTally(),
      take: (number, act) => this.#take(number, act),
    })
    this.#accounting = this.#makeAccounting()
    this.#clients = new StoreClients((owner, port, message) => this.#heard(owner, port, message))
    this.#gate = new NoticeGate(memory)
    this.#notices = new NoticeDesk({
      tally: () => this.#books.tally,
      config: config.notices,
      hostname: config.hostname,
      records: this.#records,
      clock: systemClock,
      log,
      isOpen: () => this.#gate.isOpen(this.#books.read),
      take: (number, act) => this.#take(number, act),
      send: (mail) => this.#clients.send(mail),
      touch: () => this.#books.touch(),
    })
    const numbers = new OwnerNumbers()
    const claims = new Claims({
      clock: systemClock,
      find: (tenant, key) => this.#books.store?.key(tenant, key) ?? null,
      owners: [...data.clients, ...this.#logs.map(ownerBefore)].map((owner) => numbers.of(owner)),
    })
    this.#desk = new ClaimDesk(claims, memory, numbers)
    this.#begin()
  }

  hear(message: ToThread): null {
    if (message.kind === 'client') this.#clients.listen(message.owner, message.port)
    else if (message.kind === 'client-gone') {
      this.#gate.died(message.log)
      this.#clients.gone(message.owner)
      this.#desk.gone(message.owner, message.log)
    }
    return null
  }

  figures(): ThreadFigures {
    const store = this.#books.store?.figures()
    const { behindBytes } = this.#books
    return {
      ...(store !== undefined && {
        store: { messages: store.messages, days: store.days, bytes: store.bytes, behindBytes },
      }),
      record: { ...this.#books.tally.figures(), accounting: this.#accounting?.figures() ?? null },
    }
  }

  /** Everything that is on disk is in the books, for good; or what could be read in half the time, because writing it out takes time too. */
  async drain(deadlineMs: number): Promise<void> {
    if (!this.#books.following) return
    // Lines take the disk's time, and rows this thread's.
    const accounted = this.#accounting?.drain(deadlineMs)
    this.#books.drain(systemClock.monotonicMs() + deadlineMs / 2, systemClock.nowMs(), this.#elsewhere())
    await accounted
    this.#drained = true
    this.#notices.stop()
    this.#books.finish(systemClock.nowMs(), this.#elsewhere())
    this.#storeDisk.close()
  }

  #openStore(): ReturnType<typeof openMessageStore> {
    const { data, openStore } = this.#options
    const { dataDirectory, store } = data.config
    return openStore({
      directory: join(dataDirectory, 'store'),
      clock: systemClock,
      random: systemRandom,
      retentionDays: store.retentionDays,
      bytesMax: store.bytesMax,
      onProblem: (problem) => this.#problem(problem),
      disk: this.#storeDisk,
    })
  }

  #openTally(): Books['tally'] {
    const { dataDirectory, notices, retry, sandbox } = this.#options.data.config
    const budget = new NoticeBudget(notices.perHourMax)
    const tally = Tally.open<NoticeKind>({
      directory: join(dataDirectory, 'store'),
      groupMs: notices.groupWithinMs,
      noticeFor: (question) => noticeFor(question, notices),
      // Magic recipients of the sandbox are to bounce every time.
      isHardBounce: sandbox ? () => false : isHardBounce,
      mayTell: (returnPath, nowMs) => budget.take(returnPath, nowMs),
      lifeMs: retry.expireAfterMs,
      onProblem: (problem) => this.#problem(problem),
    })
    // Whoever forges a return path must not profit by a restart.
    for (const { returnPath, openedMs } of tally.begunSince(systemClock.nowMs() - hourMs))
      budget.take(returnPath, openedMs)
    return tally
  }

  #problem(problem: string): void {
    this.#options.log('error', problem, {})
  }

  /** As soon as the scheduler knows where the logs end. */
  #begin(): void {
    const { memory } = this.#options.data
    if (!canFollow(memory)) return void systemClock.after(5, () => this.#begin())
    this.#books.begin()
    this.#gate.begin()
    this.#accounting?.begin(this.#books.tally.positions)
    this.#release()
    for (const log of this.#logs) this.#desk.gone(ownerBefore(log), log)
    this.#look()
  }

  #makeAccounting(): Accounting | null {
    const { config, memory } = this.#options.data
    if (!config.accounting.enabled) return null
    return new Accounting({
      config: config.accounting,
      disk: openDisk(config.dataDirectory),
      memory,
      heads: this.#heads,
      clock: systemClock,
      onProblem: (problem) => this.#problem(problem),
      onRoom: () => this.#lookSoon(),
      take: (number, act) => this.#take(number, act),
    })
  }

  /** Those that are filled now. */
  get #logs(): number[] {
    return Array.from({ length: this.#options.data.memory.intakeLogs }, (_, log) => log)
  }

  /** A record over which threads have died is left out: the books lack a message, and the logs can go. */
  #take(number: number, take: () => void): void {
    if (this.#options.data.leftOut.includes(number)) return
    const hand = this.#hand
    hand[0] = number
    try {
      take()
    } catch (error) {
      // The disk is nobody's fault.
      if (error instanceof PosthasteError) hand[0] = 0
      throw error
    }
    hand[0] = 0
  }

  #look(): void {
    if (this.#drained) return
    const isIdle = this.#books.behindBytes === 0
    this.#step()
    // Also when nothing comes any more: on a full disk what is let go is what lets mail come again.
    this.#release()
    systemClock.after(isIdle ? idleLookEveryMs : lookEveryMs, () => this.#look())
  }

  #lookSoon(): void {
    if (this.#stepping) return
    this.#stepping = true
    setImmediate(() => {
      this.#stepping = false
      this.#step()
    })
  }

  #step(): void {
    const books = this.#books
    if (!books.following || this.#drained) return
    if (this.#aimedFor.length === 0) {
      this.#aimedFor = this.#asked
      this.#asked = []
      this.#desk.aim()
      books.aim()
    }
    const done = books.step(stepBytes)
    if (done) {
      const answered = this.#aimedFor
      this.#aimedFor = []
      for (const waiting of answered) this.#answer(waiting)
      this.#desk.reached()
      this.#gate.reached()
    }
    const hurry = !done || this.#asked.length > 0 || this.#desk.waits
    const accounted = this.#account(hurry)
    if (books.keep(systemClock.nowMs(), this.#elsewhere)) this.#committed()
    if (hurry || !accounted) this.#lookSoon()
  }

  /** Whoever asks is heard first, but not for ever: what the accounting log waits for is kept in the spool. True when there is no more for it. */
  #account(hurry: boolean): boolean {
    const nowMs = systemClock.monotonicMs()
    if (this.#accounting === null || (hurry && nowMs - this.#accountedMs < lookEveryMs)) return true
    this.#accountedMs = nowMs
    return this.#accounting.step()
  }

  /** Addresses in it outlive this process. Should the machine lose them, the logs tell them again. */
  #committed(): void {
    const bounces = this.#books.tally.bounces(bouncesAtOnce)
    if (bounces.length > 0) this.#clients.tellMain({ kind: 'bounces', bounces })
  }

  /** The accounting log, too, asks of each outcome whose it was: until then the mail must stay. */
  #release(): void {
    const accounted = this.#accounting?.heldFrom
    const before = (positions: LogMarks): LogMarks =>
      accounted === undefined ? positions : lower(positions, accounted)
    this.#books.release(before(this.#books.heldFrom), before(this.#books.told))
  }

  readonly #elsewhere = (): LogMarks => this.#accounting?.kept ?? new Map()

  #heard(owner: string, port: MessagePort, message: Exclude<ToStore, { kind: 'sent' }>): void {
    // The books are closed.
    if (this.#drained) return
    switch (message.kind) {
      case 'hello':
        this.#desk.hello(owner, message.claims)
        return this.#lookSoon()
      case 'release':
        this.#desk.release(owner, message.claim)
        return this.#lookSoon()
      case 'bounces-taken':
        this.#books.tally.bouncesTaken(message.through)
        return this.#books.touch()
      case 'refused':
        return this.#accounting?.refused(message.events)
      case 'ask':
        return this.#ask({ owner, port, ask: message.ask, question: message.question })
    }
  }

  /** Far behind, nobody is answered, and whoever asked has given up long before: not all of that is kept. */
  #ask(waiting: Waiting): void {
    if (this.#asked.length >= storeAsksMax.value) {
      const message = 'too many questions wait for the message store'
      const refused: FromStore = { kind: 'refused', ask: waiting.ask, why: 'unavailable', message }
      return waiting.port.postMessage(refused)
    }
    this.#asked.push(waiting)
    this.#lookSoon()
  }

  #answer({ owner, port, ask, question }: Waiting): void {
    const say = (message: FromStore): void => port.postMessage(message)
    if (question.kind === 'claim') {
      const message = 'another request with this key takes too long, or too many wait'
      return this.#desk.take(owner, question, (answer) =>
        say(answer === null ? { kind: 'refused', ask, why: 'unavailable', message } : { kind: 'answer', ask, answer }),
      )
    }
    try {
      say({ kind: 'answer', ask, answer: this.#answerTo(question) })
    } catch (error) {
      if (!(error instanceof BadCursor)) throw error
      say({ kind: 'refused', ask, why: 'bad_cursor', message: error.message })
    }
  }

  #answerTo(question: Exclude<StoreQuestion, { kind: 'claim' }>): StoreAnswer {
    const { store, tally } = this.#books
    if (question.kind === 'usage') return tally.usage(question.tenant, question.credential, systemClock.nowMs())
    if (question.kind === 'list') return store?.list(question.tenant, question.query) ?? { messages: [], next: null }
    const { tenant, id, withTries } = question
    return store?.find(tenant, id, withTries) ?? null
  }
}
