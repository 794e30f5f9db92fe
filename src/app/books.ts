/**
 * What is kept of what the logs say, each record read once for all of it: the message store, and the tally. Both know when it comes again.
 *
 *   logs ─▶ follower ─▶ store   committed every second, synced every few
 *                    └▶ tally   both every second, because mail is let go when it is on disk
 *
 * Nobody here waits for a disk: what must be on it is put there by another thread (store-disk.ts), one sync of each at a time. The logs are held from where
 * the one that is further behind must read them again.
 */
import { join } from 'node:path'
import type { MessageTable, StoreDisk, Tally } from '../events/events.ts'
import type { NoticeKind } from '../feedback/feedback.ts'
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { minuteMs, secondMs } from '../kernel/units.ts'
import type { LogMarks } from '../model/log-mark.ts'
import type { Disk } from '../ports/disk.ts'
import { logEnds, type LogThreadMemory, refuseOtherSpool, SpoolFollower } from '../spool/spool.ts'
import type { ThreadLog } from './exchange.ts'
import type { Heads } from './heads.ts'
import { setAside } from './set-aside.ts'

const storeSyncEveryMs = 10 * secondMs
const commitEveryMs = secondMs
const pruneEveryMs = 10 * minuteMs

export interface BooksOptions {
  readonly disk: Disk
  readonly dataDirectory: string
  readonly memory: LogThreadMemory
  readonly clock: Clock
  readonly log: ThreadLog
  readonly openTally: () => Tally<NoticeKind>
  /** Null when no store is kept. */
  readonly openStore: (() => MessageTable) | null
  readonly heads: Heads
  readonly storeDisk: StoreDisk
  /** What the tally says is on disk. */
  readonly onTallySynced: () => void
  /** Calls back with the message in hand, so that a death over it is known. */
  readonly take: (number: number, act: () => void) => void
}

export class Books {
  readonly #options: BooksOptions
  #store: MessageTable | null
  #tally: Tally<NoticeKind>
  #follower: SpoolFollower | null = null
  /** From where the logs are held for the store. */
  #storePositions: LogMarks = new Map()
  #tallyPositions: LogMarks = new Map()
  #caughtUp = false
  #storeDirty = false
  #storeOpen = false
  #tallyDirty = false
  /** Those that are under way. */
  #storeSync: object | null = null
  #tallySync: object | null = null
  /** Of a sync, to be thrown where whoever drives this hears of it. */
  #failure: unknown = null
  #syncedMs: number
  #storeCommittedMs = 0
  #tallyCommittedMs: number
  #prunedMs = 0

  constructor(options: BooksOptions) {
    this.#options = options
    this.#store = options.openStore?.() ?? null
    this.#tally = options.openTally()
    this.#syncedMs = this.#tallyCommittedMs = options.clock.monotonicMs()
  }

  get store(): MessageTable | null {
    return this.#store
  }

  get tally(): Tally<NoticeKind> {
    return this.#tally
  }

  get following(): boolean {
    return this.#follower !== null
  }

  get behindBytes(): number {
    return this.#follower?.behindBytes ?? 0
  }

  /** Once the logs' ends are known. */
  begin(): void {
    try {
      this.#follower = this.#follow()
    } catch (error) {
      if (!(error instanceof PosthasteError) || error.code !== 'store_of_other_spool') throw error
      this.#setAside(error)
      this.#follower = this.#follow()
    }
    // A process that was killed has committed them, and nobody knows whether they are on disk.
    this.#tally.sync()
    this.#store?.sync(this.#store.positions)
    this.#storePositions = this.#store?.positions ?? this.#follower.positions
    this.#tallyPositions = this.#tally.positions
  }

  #follow(): SpoolFollower {
    const { disk, memory, heads, take } = this.#options
    // Each for itself: the one that is further behind says nothing of the other.
    for (const { positions } of [this.#tally, ...(this.#store === null ? [] : [this.#store])])
      refuseOtherSpool(positions, logEnds(memory))
    return new SpoolFollower({
      disk,
      memory,
      from: this.#store === null ? this.#tally.positions : lower(this.#store.positions, this.#tally.positions),
      onSubmission: (number, submission, facts, mark) =>
        take(number, () => {
          heads.note(number, submission, facts)
          this.#store?.submission(number, submission, facts)
          this.#tally.submission(number, submission, facts, mark)
        }),
      onOutcome: (number, outcome, mark) =>
        take(number, () => {
          this.#store?.outcome(number, outcome)
          this.#tally.outcome(number, outcome, mark, () => heads.of(number, outcome.place))
        }),
    })
  }

  /** Numbers of the spool that they were made from mean other messages in this one. */
  #setAside({ message, cure }: PosthasteError): void {
    const directory = join(this.#options.dataDirectory, 'store')
    this.#store?.close()
    this.#tally.close()
    const { to, removed } = setAside(directory)
    this.#options.log('error', message, { cure, to })
    for (const path of removed)
      this.#options.log('warn', 'removed a message store that was set aside long ago', { path })
    this.#store = this.#options.openStore?.() ?? null
    this.#tally = this.#options.openTally()
  }

  aim(): void {
    this.#follower?.aim()
  }

  /** Reads about so many bytes. True when all was read that was there at the last `aim`. */
  step(bytesMax: number): boolean {
    const follower = this.#follower
    if (follower === null) return false
    const before = follower.bytesRead
    const done = follower.step(bytesMax)
    if (follower.bytesRead !== before) this.#storeDirty = this.#storeOpen = this.#tallyDirty = true
    if (done) this.#caughtUp = true
    return done
  }

  /** All was read that was on disk when it began. Before, a notice may be called due that a former life has sent: its own record is still to be read. */
  get caughtUp(): boolean {
    return this.#caughtUp
  }

  /** By name of the log: everything before was read. */
  get read(): LogMarks {
    return this.#follower?.positions ?? new Map()
  }

  /** Something of the tally has changed that no log said. */
  touch(): void {
    this.#tallyDirty = true
  }

  /** Now and then. True when the tally was committed. @param elsewhere what it keeps for others */
  keep(nowMs: number, elsewhere: () => LogMarks): boolean {
    if (this.#failure !== null) throw this.#failure
    const monotonicMs = this.#options.clock.monotonicMs()
    const commits =
      (this.#tallyDirty || this.#tally.waits) &&
      this.#tallySync === null &&
      monotonicMs - this.#tallyCommittedMs >= commitEveryMs
    if (commits) this.#commitTally(nowMs, elsewhere())
    if (this.#store !== null) this.#keepStore(this.#store, monotonicMs)
    return commits
  }

  #commitTally(nowMs: number, elsewhere: LogMarks): void {
    const positions = this.read
    this.#writeTally(positions, nowMs, elsewhere)
    const sync = (this.#tallySync = {})
    this.#tally.syncElsewhere(this.#options.storeDisk).then(
      () => {
        if (this.#tallySync !== sync) return
        this.#tallySync = null
        this.#tallyPositions = positions
        this.#options.onTallySynced()
      },
      (error: unknown) => (this.#failure = error),
    )
  }

  #writeTally(positions: LogMarks, nowMs: number, elsewhere: LogMarks): void {
    this.#tally.commit(new Map([...positions, ...elsewhere]), nowMs)
    this.#tallyDirty = false
    this.#tallyCommittedMs = this.#options.clock.monotonicMs()
  }

  #keepStore(store: MessageTable, monotonicMs: number): void {
    const syncs = this.#storeDirty && this.#storeSync === null && monotonicMs - this.#syncedMs >= storeSyncEveryMs
    const commits = syncs || (this.#storeOpen && monotonicMs - this.#storeCommittedMs >= commitEveryMs)
    if (commits) {
      store.commit()
      this.#storeOpen = false
      this.#storeCommittedMs = monotonicMs
    }
    if (syncs) this.#syncStore(store, monotonicMs)
    if (monotonicMs - this.#prunedMs >= pruneEveryMs || this.#prunedMs === 0) {
      this.#prunedMs = monotonicMs
      store.prune()
    }
  }

  #syncStore(store: MessageTable, monotonicMs: number): void {
    const positions = this.read
    const sync = (this.#storeSync = {})
    this.#storeDirty = false
    this.#syncedMs = monotonicMs
    store.syncElsewhere(positions).then(
      (synced) => {
        if (this.#storeSync !== sync) return
        this.#storeSync = null
        if (synced) this.#storePositions = positions
      },
      (error: unknown) => (this.#failure = error),
    )
  }

  /** Nothing of the logs is needed here before these positions, should this thread begin anew. */
  get heldFrom(): LogMarks {
    return this.#store === null ? this.#tallyPositions : lower(this.#storePositions, this.#tallyPositions)
  }

  /** Notices are made, for good, of all outcomes before these positions. */
  get told(): LogMarks {
    return this.#tallyPositions
  }

  release(heldFrom: LogMarks, told: LogMarks): void {
    this.#follower?.release(heldFrom)
    this.#follower?.told(told)
  }

  /** Everything that is on disk is in the books, for good; or what could be read until then. */
  drain(untilMs: number, nowMs: number, elsewhere: LogMarks): void {
    const follower = this.#follower
    if (follower === null) return
    follower.aim()
    while (!follower.step(stepBytes) && this.#options.clock.monotonicMs() < untilMs);
    this.#save(nowMs, elsewhere)
  }

  /** In this thread, which has nothing else to do any more. */
  #save(nowMs: number, elsewhere: LogMarks): void {
    const { storeDisk } = this.#options
    storeDisk.finish()
    if (storeDisk.failure !== null) throw storeDisk.failure
    this.#storeSync = this.#tallySync = null
    const positions = this.read
    this.#writeTally(positions, nowMs, elsewhere)
    this.#tally.sync()
    this.#tallyPositions = positions
    this.#store?.sync(positions)
    this.#storePositions = positions
  }

  /** Closes the books. */
  finish(nowMs: number, elsewhere: LogMarks): void {
    this.#save(nowMs, elsewhere)
    this.#store?.close()
    this.#tally.close()
    this.#follower = null
  }
}

const stepBytes = 512 * 1024

/** By name of the log, the lower one; a log that one of them does not name is held from its beginning. */
export function lower(one: LogMarks, other: LogMarks): LogMarks {
  const positions = new Map<string, number>()
  for (const [log, position] of one) positions.set(log, Math.min(position, other.get(log) ?? 0))
  return positions
}
