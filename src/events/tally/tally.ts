/**
 * What must be exact and is small: how much each tenant has sent, who is still to be told of what, and which addresses do not exist. Each record of the
 * logs counts once, also when it comes again: the marks of what was counted are committed together with the counts.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { dayMs, hourMs, MiB } from '../../kernel/units.ts'
import type { LogMark, LogMarks } from '../../model/log-mark.ts'
import type { NoticeQuestion } from '../../model/notice-question.ts'
import { isFinal, type Outcome } from '../../model/outcome.ts'
import { type DsnRequest, notifyOn, type SubmissionFacts } from '../../model/submission.ts'
import { forgetOldDamage, setAside } from '../damage.ts'
import { tallyBouncesMax, tallyKeptMsMax } from '../limits.ts'
import type { AttemptOutcome, MessageHead } from '../message-table.ts'
import {
  aheadBytesAt,
  checkpoint,
  closeQuietly,
  isDamage,
  numberOf,
  openFile,
  prepareAll,
  run,
  syncAhead,
} from '../sqlite.ts'
import type { StoreDisk } from '../store-disk.ts'
import { type DueNotice, DueNotices } from './due-notices.ts'
import { tallyKind } from './schema.ts'

export interface TalliedHead extends MessageHead {
  readonly dsn?: DsnRequest
}

export interface TalliedSubmission {
  readonly head: TalliedHead
  readonly facts: SubmissionFacts
}

export interface TallyOptions<Kind extends string> {
  readonly directory: string
  /** Outcomes of one submission that come within that time are told together. */
  readonly groupMs: number
  /** Which notice a recipient's outcome is due; null for most. */
  readonly noticeFor: (question: NoticeQuestion) => Kind | null
  /** Whether the address does not exist. */
  readonly isHardBounce: (outcome: Outcome) => boolean
  /** Whether one more notice may go to this return path within this hour. */
  readonly mayTell: (returnPath: string, nowMs: number) => boolean
  /** How long a message is tried that does not say so itself. */
  readonly lifeMs: number
  readonly onProblem: (text: string) => void
}

/** An address of which somebody should know that it does not exist. */
export interface HardBounce {
  readonly bounce: number
  readonly tenant: string
  readonly address: string
  readonly detail: string
  /** Public id of the message that found it. */
  readonly message: string
  readonly atMs: number
}

/** Days since 1970 and months since then, of UTC, with the recipients that were accepted in them. */
export interface TenantUsage {
  readonly day: number
  readonly dayMessages: number
  readonly month: number
  readonly monthMessages: number
}

const countNames = ['noticesMade', 'noticesWithheld', 'doubleBounces', 'bouncesDropped'] as const
type CountName = (typeof countNames)[number]

export type TallyFigures = Readonly<Record<CountName, number>> & { readonly noticesDue: number }

/** As `client` stands in what Posthaste writes itself. */
const ourselves = 'posthaste'

export class Tally<Kind extends string = string> {
  readonly #path: string
  readonly #options: TallyOptions<Kind>
  readonly #database: DatabaseSync
  readonly #run: Record<keyof typeof sql, StatementSync>
  readonly #notices: DueNotices
  readonly #marks: Map<string, number>
  /** From where the logs must be read again. */
  readonly positions: LogMarks
  /** What was not written yet, by tenant, credential and day. */
  readonly #used = new Map<string, { tenant: string; credential: string; day: number; messages: number }>()
  readonly #counts: Map<CountName, number>
  #asked: number
  #bounces: number
  #open = false
  #damaged = false
  #forgotAtMs = 0

  private constructor(path: string, options: TallyOptions<Kind>) {
    this.#path = path
    this.#options = options
    this.#database = openFile(path, tallyKind)
    try {
      this.#run = prepareAll(this.#database, sql)
      this.#notices = new DueNotices(this.#database, options.groupMs)
      this.#marks = new Map(pairs(this.#run.marks))
      this.positions = new Map(pairs(this.#run.positions))
      this.#counts = new Map(pairs(this.#run.counts) as [CountName, number][])
      this.#asked = numberOf(this.#database, 'SELECT count(*) FROM asked')
      this.#bounces = numberOf(this.#database, 'SELECT count(*) FROM bounces')
    } catch (error) {
      closeQuietly(this.#database)
      throw error
    }
  }

  /**
   * A damaged one is set aside: then the logs are read from their beginning, and tell what they still know.
   * Throws PosthasteError: `store_newer`, `store_in_use`, `store_full`, `store_failed`, `store_unreadable`.
   */
  static open<Kind extends string>(options: TallyOptions<Kind>): Tally<Kind> {
    const path = join(options.directory, 'tally.sqlite')
    mkdirSync(options.directory, { recursive: true, mode: 0o700 })
    forgetOldDamage(options.directory)
    try {
      return run(path, () => new Tally(path, options))
    } catch (error) {
      if (!isDamage(error)) throw error
      outOfTheWay(path, error as Error, options.onProblem)
      return run(path, () => new Tally(path, options))
    }
  }

  submission(number: number, head: TalliedHead, facts: SubmissionFacts, mark: LogMark): void {
    if (this.#isKnown(mark)) return
    this.#guarded(() => this.#submission(number, head, facts, mark))
  }

  #submission(number: number, head: TalliedHead, facts: SubmissionFacts, mark: LogMark): void {
    this.#know(mark)
    const { returnPath, client, recipients, acceptedAtMs, tenant, dsn } = head
    if (client === ourselves) {
      if (returnPath === '') this.#notices.found(head.id, number, acceptedAtMs)
      return
    }
    this.#use(tenant, facts.credentialId, Math.floor(acceptedAtMs / dayMs), recipients.length)
    const more = notifyOn.success | notifyOn.delay
    if (returnPath === '' || dsn?.recipients.some(({ notify }) => (notify & more) !== 0) !== true) return
    this.#asked += Number(this.#run.ask.run(number, recipients.length, acceptedAtMs).changes)
  }

  /** @param submissionOf reads the submission that it is about; null when it is not there any more */
  outcome(
    number: number,
    outcome: AttemptOutcome & { readonly place: number },
    mark: LogMark,
    submissionOf: () => TalliedSubmission | null,
  ): void {
    if (this.#isKnown(mark)) return
    this.#guarded(() => this.#outcome(number, outcome, mark, submissionOf))
  }

  #outcome(
    number: number,
    outcome: AttemptOutcome & { readonly place: number },
    mark: LogMark,
    submissionOf: () => TalliedSubmission | null,
  ): void {
    this.#know(mark)
    const asked = this.#asked > 0 && this.#run.isAsked.get(number) !== undefined
    let ended = 0
    let submission: TalliedSubmission | null | undefined
    for (const recipient of outcome.recipients) {
      const { kind } = recipient.outcome
      if (isFinal(kind)) ended += 1
      if (!asked && (kind === 'delivered' || !isFinal(kind))) continue
      submission ??= submissionOf()
      if (submission !== null) this.#judge(number, outcome, recipient, submission)
    }
    if (!asked || ended === 0) return
    this.#run.answer.run(ended, number)
    this.#asked -= Number(this.#run.unask.run(number).changes)
  }

  #judge(
    number: number,
    { atMs, attempt, place, recipients }: AttemptOutcome & { readonly place: number },
    { recipient, outcome, attempt: count }: AttemptOutcome['recipients'][number],
    { head, facts }: TalliedSubmission,
  ): void {
    const { returnPath, dsn, acceptedAtMs, tenant, id } = head
    const address = head.recipients[recipient] as string
    // A notice went to whoever the sender said it was, which need not be true.
    if (head.client !== ourselves && this.#options.isHardBounce(outcome))
      this.#addBounce(tenant, address, outcome, id, atMs)
    const isBounce = isFinal(outcome.kind) && outcome.kind !== 'delivered'
    if (isBounce && returnPath === '' && head.client === ourselves && this.#notices.isNotice(id))
      this.#count('doubleBounces')
    const ageMs = atMs - acceptedAtMs
    const attemptIsLast =
      isFinal(outcome.kind) || recipients.some((other) => other.recipient === recipient && other.attempt > count)
    const question = { returnPath, dsn, recipient, outcome, attempt, ageMs, attemptIsLast }
    const kind = this.#options.noticeFor(question)
    if (kind === null) return
    const retriedUntilMs = isFinal(outcome.kind) ? 0 : head.expiresAtMs || acceptedAtMs + this.#options.lifeMs
    const { subject } = facts
    const about = {
      place,
      id,
      tenant,
      returnPath,
      from: facts.from,
      subject,
      acceptedAtMs,
      recipients: head.recipients.length,
    }
    const told = { recipient, address, outcome, host: attempt.host, peerAddress: attempt.address, atMs, retriedUntilMs }
    const added = this.#notices.add(kind, number, about, told, () => this.#options.mayTell(returnPath, atMs))
    if (added === 'begun') this.#count('noticesMade')
    else if (added === 'withheld') this.#count('noticesWithheld')
  }

  #addBounce(tenant: string, address: string, { code, enhanced, text }: Outcome, message: string, atMs: number): void {
    // Nobody takes them: the next bounce of the same address finds it again.
    if (this.#bounces >= tallyBouncesMax.value) return this.#count('bouncesDropped')
    const detail = [code === 0 ? '' : String(code), enhanced, text].filter((part) => part !== '').join(' ')
    this.#run.addBounce.run(tenant, address, detail, message, atMs)
    this.#bounces += 1
  }

  /** In the order in which they were found. */
  bounces(count: number): readonly HardBounce[] {
    if (this.#bounces === 0) return []
    return this.#guarded(() => this.#run.bounces.all(count) as unknown as HardBounce[])
  }

  /** The directory has them, up to this one. */
  bouncesTaken(through: number): void {
    this.#guarded(() => {
      this.#begin()
      this.#bounces -= Number(this.#run.dropBounces.run(through).changes)
    })
  }

  /** Those that were put off least often, oldest first. @param except ids of those that are not asked for */
  dueNotices(count: number, except: ReadonlySet<string> = new Set()): readonly DueNotice<Kind>[] {
    return this.#guarded(() => this.#notices.due(count, except) as readonly DueNotice<Kind>[])
  }

  endNotice(id: string, state: 'sent' | 'dropped'): void {
    this.#guarded(() => {
      this.#begin()
      this.#notices.end(id, state)
    })
  }

  /** Nobody takes it now: others come first. */
  putOffNotice(id: string): void {
    this.#guarded(() => {
      this.#begin()
      this.#notices.putOff(id)
    })
  }

  /** For whoever counts them: the return paths of notices that were begun since then. */
  begunSince(ms: number): ReturnType<DueNotices['begunSince']> {
    return this.#guarded(() => this.#notices.begunSince(ms))
  }

  /** Something comes due by time alone, or is to be said again. */
  get waits(): boolean {
    return this.#bounces > 0 || this.#notices.waiting > 0
  }

  usage(tenant: string, credential: string | null, nowMs: number): TenantUsage {
    const now = new Date(nowMs)
    const day = Math.floor(nowMs / dayMs)
    const firstOfMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth()) / dayMs
    const row = this.#guarded(() => {
      this.#flushUsage()
      return this.#run.usage.get(day, tenant, credential, credential, firstOfMonth, day)
    })
    const month = (now.getUTCFullYear() - 1970) * 12 + now.getUTCMonth()
    return { day, dayMessages: Number(row?.['day'] ?? 0), month, monthMessages: Number(row?.['month'] ?? 0) }
  }

  figures(): TallyFigures {
    const counts = Object.fromEntries(countNames.map((name) => [name, this.#counts.get(name) ?? 0]))
    return { ...(counts as Record<CountName, number>), noticesDue: this.#notices.waiting }
  }

  /** What was counted, and from where the logs must be read: survives the end of the process, and after `sync` that of the machine. */
  commit(positions: LogMarks, nowMs: number): void {
    this.#guarded(() => {
      this.#begin()
      this.#flushUsage()
      this.#notices.ripen(nowMs)
      if (nowMs - this.#forgotAtMs > hourMs) this.#forget(nowMs)
      for (const [log, position] of this.#marks) this.#run.putMark.run(log, position)
      for (const [log, position] of positions) this.#run.putPosition.run(log, position)
      for (const [name, count] of this.#counts) this.#run.putCount.run(name, count)
      this.#database.exec('COMMIT')
    })
    this.#open = false
    this.#notices.committed()
    this.#guarded(() => {
      if (aheadBytesAt(this.#path) > aheadBytes) checkpoint(this.#path, this.#database)
    })
  }

  /** On disk when it returns. */
  sync(): void {
    this.#guarded(() => syncAhead(this.#path))
    this.#notices.synced()
  }

  /** The same by somebody who may wait, when it settles. */
  async syncElsewhere(disk: StoreDisk): Promise<void> {
    try {
      await disk.sync(this.#path)
      this.#notices.synced()
    } catch (error) {
      this.#guarded(() => {
        throw error
      })
    }
  }

  close(): void {
    closeQuietly(this.#database)
  }

  #forget(nowMs: number): void {
    this.#forgotAtMs = nowMs
    this.#notices.forget(nowMs - tallyKeptMsMax.value)
    this.#run.forgetUsage.run(Math.floor((nowMs - tallyKeptMsMax.value) / dayMs))
    // Those whose end was damaged, or left out.
    this.#asked -= Number(this.#run.forgetAsked.run(nowMs - tallyKeptMsMax.value).changes)
  }

  #isKnown({ log, position }: LogMark): boolean {
    return position <= (this.#marks.get(log) ?? 0)
  }

  #know({ log, position }: LogMark): void {
    this.#begin()
    this.#marks.set(log, position)
  }

  /** A file that is damaged goes out of the way at once: the next start would find it as it is. */
  #guarded<T>(work: () => T): T {
    try {
      return run(this.#path, work)
    } catch (error) {
      if (isDamage(error) && !this.#damaged) {
        this.#damaged = true
        outOfTheWay(this.#path, error as Error, this.#options.onProblem)
      }
      throw error
    }
  }

  #use(tenant: string, credential: string, day: number, messages: number): void {
    const key = `${day} ${credential} ${tenant}`
    const used = this.#used.get(key)
    if (used === undefined) this.#used.set(key, { tenant, credential, day, messages })
    else used.messages += messages
  }

  #flushUsage(): void {
    this.#begin()
    for (const { tenant, credential, day, messages } of this.#used.values())
      this.#run.use.run(tenant, credential, day, messages)
    this.#used.clear()
  }

  #count(name: CountName): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  #begin(): void {
    if (this.#open) return
    this.#database.exec('BEGIN IMMEDIATE')
    this.#open = true
  }
}

/** Emptied that often it takes two fsyncs of this thread in minutes. */
const aheadBytes = 8 * MiB

function outOfTheWay(path: string, { message }: Error, onProblem: TallyOptions<string>['onProblem']): void {
  const kept = setAside(path)
  onProblem(`${message}. It is kept as ${kept}; what is due and used is counted again as far as the logs go back.`)
}

function pairs(statement: StatementSync): [string, number][] {
  return statement.all().map((row) => Object.values(row) as [string, number])
}

const sql = {
  marks: 'SELECT log, position FROM marks',
  positions: 'SELECT log, position FROM positions',
  counts: 'SELECT name, count FROM counts',
  putMark: 'INSERT OR REPLACE INTO marks VALUES (?, ?)',
  putPosition: 'INSERT OR REPLACE INTO positions VALUES (?, ?)',
  putCount: 'INSERT OR REPLACE INTO counts VALUES (?, ?)',
  use: `INSERT INTO usage VALUES (?, ?, ?, ?) ON CONFLICT (tenant, credential, day) DO UPDATE SET messages = messages + excluded.messages`,
  usage: `SELECT sum(iif(day = ?, messages, 0)) AS day, sum(messages) AS month FROM usage
    WHERE tenant = ? AND (? IS NULL OR credential = ?) AND day BETWEEN ? AND ?`,
  forgetUsage: 'DELETE FROM usage WHERE day < ?',
  ask: 'INSERT OR IGNORE INTO asked VALUES (?, ?, ?)',
  forgetAsked: 'DELETE FROM asked WHERE atMs < ?',
  isAsked: 'SELECT 1 FROM asked WHERE number = ?',
  answer: 'UPDATE asked SET open = open - ? WHERE number = ?',
  unask: 'DELETE FROM asked WHERE number = ? AND open <= 0',
  addBounce: 'INSERT INTO bounces (tenant, address, detail, message, atMs) VALUES (?, ?, ?, ?, ?)',
  bounces: 'SELECT bounce, tenant, address, detail, message, atMs FROM bounces ORDER BY bounce LIMIT ?',
  dropBounces: 'DELETE FROM bounces WHERE bounce <= ?',
} as const
