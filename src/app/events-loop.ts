/**
 * The events thread: reads all logs, keeps the message store, answers questions about messages and holds the keys of idempotency.
 *
 *   question ─▶ waits ─▶ aim at what is on disk now ─▶ read up to there ─▶ answer
 *
 * So an answer knows everything that was on disk when its question came, and nothing that a crash could take back. What was read is committed and synced
 * every few seconds; until then a death of this thread or of the machine only means reading it again.
 */
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { Claims, type MessageTable, openMessageStore } from '../events/events.ts'
import { systemClock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { systemRandom } from '../kernel/random.ts'
import { KiB, minuteMs, secondMs } from '../kernel/units.ts'
import { BadCursor } from '../ports/message-store.ts'
import { canFollow, SpoolFollower } from '../spool/spool.ts'
import { ClaimDesk, ownerBefore, OwnerNumbers } from './claim-desk.ts'
import type { EventsThreadData, ThreadFigures, ThreadLog, ToThread } from './exchange.ts'
import { storeAsksMax } from './limits.ts'
import type { ServingThread } from './serve-main.ts'
import type { FromStore, StoreQuestion, ToStore } from './store-wire.ts'

/** Between two looks at the logs when nobody asks. */
const lookEveryMs = 50
const syncEveryMs = 10 * secondMs
const pruneEveryMs = 10 * minuteMs
/** Read in one go; then whoever asks meanwhile is heard. */
const stepBytes = 512 * KiB

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
  const loop = new EventsLoop(data, log, openStore)
  return {
    addresses: [],
    recovery: null,
    figures: () => loop.figures(),
    hear: (message) => loop.hear(message),
    drain: async (deadlineMs) => loop.drain(deadlineMs),
  }
}

class EventsLoop {
  readonly #data: EventsThreadData
  readonly #log: ThreadLog
  #table: MessageTable
  #follower: SpoolFollower | null = null
  readonly #desk: ClaimDesk
  readonly #hand: Float64Array
  readonly #openStore: typeof openMessageStore
  /** Came since the last aim, and since the one before. */
  #asked: Waiting[] = []
  #aimedFor: Waiting[] = []
  #stepping = false
  #dirty = false
  #syncedMs = systemClock.monotonicMs()
  #prunedMs = 0

  constructor(data: EventsThreadData, log: ThreadLog, openStore: typeof openMessageStore) {
    this.#data = data
    this.#openStore = openStore
    this.#log = log
    this.#hand = new Float64Array(data.hand)
    this.#table = this.#open()
    const numbers = new OwnerNumbers()
    const claims = new Claims({
      clock: systemClock,
      find: (tenant, key) => this.#table.key(tenant, key),
      owners: [...data.clients, ...this.#logs.map(ownerBefore)].map((owner) => numbers.of(owner)),
    })
    this.#desk = new ClaimDesk(claims, data.memory, numbers)
    this.#begin()
  }

  hear(message: ToThread): null {
    if (message.kind === 'client') this.#listen(message.owner, message.port)
    else if (message.kind === 'client-gone') this.#desk.gone(message.owner, message.log)
    return null
  }

  figures(): ThreadFigures {
    const { messages, days, bytes } = this.#table.figures()
    return { store: { messages, days, bytes, behindBytes: this.#follower?.behindBytes ?? 0 } }
  }

  /** Everything that is on disk is in the store, for good; or what could be read in half the time, because writing it out takes time too. */
  drain(deadlineMs: number): void {
    const follower = this.#follower
    if (follower === null) return
    const untilMs = systemClock.monotonicMs() + deadlineMs / 2
    follower.aim()
    while (!follower.step(stepBytes) && systemClock.monotonicMs() < untilMs);
    this.#sync(follower)
    this.#table.close()
    this.#follower = null
  }

  #open(): MessageTable {
    const { dataDirectory, store } = this.#data.config
    return this.#openStore({
      directory: join(dataDirectory, 'store'),
      clock: systemClock,
      random: systemRandom,
      retentionDays: store.retentionDays,
      bytesMax: store.bytesMax,
      onProblem: (problem) => this.#log('error', problem, {}),
    })
  }

  /** As soon as the scheduler knows where the logs end. */
  #begin(): void {
    if (!canFollow(this.#data.memory)) return void systemClock.after(5, () => this.#begin())
    try {
      this.#follower = this.#follow()
    } catch (error) {
      if (!(error instanceof PosthasteError) || error.code !== 'store_of_other_spool') throw error
      this.#setAside(error)
      this.#follower = this.#follow()
    }
    for (const log of this.#logs) this.#desk.gone(ownerBefore(log), log)
    this.#look()
  }

  /** Those that are filled now. */
  get #logs(): number[] {
    return Array.from({ length: this.#data.memory.intakeLogs }, (_, log) => log)
  }

  #follow(): SpoolFollower {
    return new SpoolFollower({
      disk: openDisk(this.#data.config.dataDirectory),
      memory: this.#data.memory,
      from: this.#table.positions,
      onSubmission: (number, submission, facts) =>
        this.#take(number, () => this.#table.submission(number, submission, facts)),
      onOutcome: (number, outcome) => this.#take(number, () => this.#table.outcome(number, outcome)),
    })
  }

  /** A record over which threads have died is left out: the store lacks a message, and the logs can go. */
  #take(number: number, take: () => void): void {
    if (this.#data.leftOut.includes(number)) return
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

  /** Numbers of the spool that it was made from mean other messages in this one. */
  #setAside({ message, cure }: PosthasteError): void {
    const directory = join(this.#data.config.dataDirectory, 'store')
    let to = ''
    for (let n = 1; to === '' || existsSync(to); n++) to = `${directory}.other-${n}`
    this.#table.close()
    renameSync(directory, to)
    this.#log('error', message, { cure, to })
    this.#table = this.#open()
  }

  #look(): void {
    systemClock.after(lookEveryMs, () => this.#look())
    this.#step()
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
    const follower = this.#follower
    if (follower === null) return
    if (this.#aimedFor.length === 0) {
      this.#aimedFor = this.#asked
      this.#asked = []
      this.#desk.aim()
      follower.aim()
    }
    const before = follower.behindBytes
    const done = follower.step(stepBytes)
    this.#dirty ||= follower.behindBytes !== before
    if (done) {
      const answered = this.#aimedFor
      this.#aimedFor = []
      for (const waiting of answered) this.#answer(waiting)
      this.#desk.reached()
    }
    this.#keep(follower)
    if (!done || this.#asked.length > 0 || this.#desk.waits) this.#lookSoon()
  }

  #keep(follower: SpoolFollower): void {
    const nowMs = systemClock.monotonicMs()
    if (this.#dirty && nowMs - this.#syncedMs >= syncEveryMs) this.#sync(follower)
    if (nowMs - this.#prunedMs < pruneEveryMs && this.#prunedMs !== 0) return
    this.#prunedMs = nowMs
    this.#table.prune()
  }

  #sync(follower: SpoolFollower): void {
    const { positions } = follower
    this.#table.commit()
    this.#table.sync(positions)
    follower.release(positions)
    this.#dirty = false
    this.#syncedMs = systemClock.monotonicMs()
  }

  #listen(owner: string, port: MessagePort): void {
    port.on('message', (message: ToStore) => {
      switch (message.kind) {
        case 'hello':
          this.#desk.hello(owner, message.claims)
          return this.#lookSoon()
        case 'release':
          this.#desk.release(owner, message.claim)
          return this.#lookSoon()
        case 'ask':
          return this.#ask({ owner, port, ask: message.ask, question: message.question })
      }
    })
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
      const answer =
        question.kind === 'list'
          ? this.#table.list(question.tenant, question.query)
          : question.tenant === null
            ? this.#table.findAny(question.id)
            : this.#table.find(question.tenant, question.id)
      say({ kind: 'answer', ask, answer })
    } catch (error) {
      if (!(error instanceof BadCursor)) throw error
      say({ kind: 'refused', ask, why: 'bad_cursor', message: error.message })
    }
  }
}
