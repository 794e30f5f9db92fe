/**
 * Notices that are due, from the first outcome to the day when nobody can ask for it again.
 *
 *   outcome ─▶ gathering ──(no more can join)──▶ due ──(on disk as a message)──▶ sent
 *                                                 └──(nobody may be told)──▶ dropped
 *
 * What joins which notice depends on the times in the logs, and the id on the first recipient. When it is due depends on the clock: so nobody is told of it
 * before that is on disk, and whoever is late begins another one, also when the logs are read again.
 */
import { createHash } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { uuidV7From } from '../../kernel/ids.ts'
import type { Outcome } from '../../model/outcome.ts'
import { prepareAll } from '../sqlite.ts'
import { noticesGatheringMax, noticesWaitingMax } from '../limits.ts'

/** Of whom a notice tells. */
export interface ToldRecipient {
  readonly recipient: number
  readonly address: string
  readonly outcome: Outcome
  readonly host: string
  readonly peerAddress: string
  readonly atMs: number
  /** 0: it is not tried again. */
  readonly retriedUntilMs: number
}

/** What a notice is about. */
export interface AboutSubmission {
  /** Where its record is. */
  readonly place: number
  readonly id: string
  readonly tenant: string
  readonly returnPath: string
  readonly from: string
  readonly subject: string
  readonly acceptedAtMs: number
  readonly recipients: number
}

export interface DueNotice<Kind extends string = string> {
  /** Its own public id. */
  readonly id: string
  readonly number: number
  readonly kind: Kind
  readonly about: AboutSubmission
  readonly told: readonly ToldRecipient[]
}

export class DueNotices {
  readonly #groupMs: number
  readonly #run: Record<keyof typeof sql, StatementSync>
  /** Gathering or due. */
  #waiting: number
  /** Notices that others may join, by submission and kind; the one that was begun first is the first. */
  readonly #gathering = new Map<string, { readonly id: string; readonly openedMs: number }>()
  /** Became due since the last commit; and before it, but is not known to be on disk. */
  readonly #fresh = new Set<string>()
  readonly #committed = new Set<string>()

  constructor(database: DatabaseSync, groupMs: number) {
    this.#groupMs = groupMs
    this.#run = prepareAll(database, sql)
    this.#waiting = Number(this.#run.waiting.get()?.['count'])
    for (const row of this.#run.gathering.all() as unknown as NoticeRow[])
      this.#gathering.set(`${row.number} ${row.kind}`, row)
  }

  /** One recipient, unless its sender was told of it before. `mayBegin` is asked before another notice is begun. */
  add(
    kind: string,
    number: number,
    about: AboutSubmission,
    told: ToldRecipient,
    mayBegin: () => boolean,
  ): 'begun' | 'joined' | 'known' | 'withheld' {
    if (this.#run.isTold.get(number, kind, told.recipient) !== undefined) return 'known'
    const key = `${number} ${kind}`
    const open = this.#gathering.get(key)
    const joins = open !== undefined && told.atMs < open.openedMs + this.#groupMs
    if (open !== undefined && !joins) this.#endGathering(key, open.id)
    const id = joins ? open.id : noticeId(number, kind, told)
    // A message that was found in the logs before the outcome that it tells of: they are being read again.
    const known = !joins && this.isNotice(id)
    if (!joins && !known && (this.#waiting >= noticesWaitingMax.value || !mayBegin())) return 'withheld'
    const { recipient, ...what } = told
    this.#run.tell.run(number, kind, recipient, id, known ? '' : JSON.stringify(what))
    if (joins) return 'joined'
    // Nobody else can join it.
    const alone = about.recipients === 1
    if (!known) {
      const state = alone ? 'due' : 'gathering'
      this.#run.begin.run(id, number, kind, state, told.atMs, about.returnPath, JSON.stringify(about))
      this.#waiting += 1
      if (alone) this.#fresh.add(id)
    }
    if (!alone) this.#gather(key, id, told.atMs)
    return known ? 'known' : 'begun'
  }

  #gather(key: string, id: string, openedMs: number): void {
    this.#gathering.set(key, { id, openedMs })
    if (this.#gathering.size <= noticesGatheringMax.value) return
    const [first] = this.#gathering
    if (first !== undefined) this.#endGathering(first[0], first[1].id)
  }

  /** Those that nothing can join any more are due. Some at a time: whoever asks something meanwhile waits for it. */
  ripen(nowMs: number): void {
    let left = ripenAtOnce
    for (const [key, { id, openedMs }] of this.#gathering) {
      // A clock that was set back must not hold it up.
      if (Math.abs(nowMs - openedMs) < this.#groupMs) continue
      this.#endGathering(key, id)
      if (--left === 0) return
    }
  }

  /** What became due before is in this commit. */
  committed(): void {
    for (const id of this.#fresh) this.#committed.add(id)
    this.#fresh.clear()
  }

  /** The last commit is on disk. */
  synced(): void {
    this.#committed.clear()
  }

  /** Those that are due on disk; those that were refused least often, oldest first. */
  due(count: number, except: ReadonlySet<string>): readonly DueNotice[] {
    if (this.#waiting === 0) return []
    const rows: NoticeRow[] = []
    for (const row of this.#run.due.iterate() as unknown as Iterable<NoticeRow>) {
      if (rows.length === count) break
      if (!except.has(row.id) && !this.#fresh.has(row.id) && !this.#committed.has(row.id)) rows.push(row)
    }
    return rows.map(({ id, number, kind, about }) => ({
      id,
      number,
      kind,
      about: JSON.parse(about) as AboutSubmission,
      told: (this.#run.toldIn.all(id) as unknown as ToldRow[]).map(({ recipient, what }) => ({
        ...(JSON.parse(what) as Omit<ToldRecipient, 'recipient'>),
        recipient,
      })),
    }))
  }

  /** How many are gathering or due. */
  get waiting(): number {
    return this.#waiting
  }

  /** It is a message by now, or will never be one. */
  end(id: string, state: 'sent' | 'dropped'): void {
    const ended = Number(this.#run.end.run(state, id).changes)
    this.#waiting -= ended
    // What it said is a message now: that it was said is all that must be known.
    if (ended > 0) this.#run.forgetWhat.run(id)
  }

  /** Behind all that were refused less often. */
  putOff(id: string): void {
    this.#run.putOff.run(id)
  }

  /** Return paths of notices that were begun since then, oldest first. */
  begunSince(ms: number): readonly { readonly returnPath: string; readonly openedMs: number }[] {
    return this.#run.begunSince.all(ms, noticesWaitingMax.value) as unknown as {
      returnPath: string
      openedMs: number
    }[]
  }

  /** A message of ours is on disk: the notice that it is, or one that is to come when the logs are read again. */
  found(id: string, number: number, atMs: number): void {
    if (this.isNotice(id)) this.end(id, 'sent')
    else this.#run.begin.run(id, number, '', 'sent', atMs, '', '{}')
  }

  isNotice(id: string): boolean {
    return this.#run.stateOf.get(id) !== undefined
  }

  /** What went out long ago. */
  forget(beforeMs: number): void {
    this.#run.forgetTold.run(beforeMs)
    this.#run.forget.run(beforeMs)
  }

  #endGathering(key: string, id: string): void {
    this.#gathering.delete(key)
    this.#fresh.add(id)
    this.#run.ripe.run(id)
  }
}

/** Some 10 ms. */
const ripenAtOnce = 2_000

/** The first 48 bits are the time of the outcome, the others a hash of whom it tells. */
function noticeId(number: number, kind: string, { recipient, atMs }: ToldRecipient): string {
  return uuidV7From(atMs, createHash('sha256').update(`${number} ${recipient} ${kind}`).digest())
}

interface NoticeRow {
  readonly id: string
  readonly number: number
  readonly kind: string
  readonly openedMs: number
  readonly about: string
}

interface ToldRow {
  readonly recipient: number
  readonly what: string
}

const over = `state IN ('sent', 'dropped') AND openedMs < ?`

const sql = {
  gathering: `SELECT id, number, kind, openedMs, about FROM notices WHERE state = 'gathering' ORDER BY openedMs`,
  isTold: 'SELECT 1 FROM told WHERE number = ? AND kind = ? AND recipient = ?',
  tell: 'INSERT INTO told VALUES (?, ?, ?, ?, ?)',
  stateOf: 'SELECT state FROM notices WHERE id = ?',
  begin: 'INSERT INTO notices VALUES (?, ?, ?, ?, ?, 0, ?, ?)',
  ripe: `UPDATE notices SET state = 'due' WHERE id = ? AND state = 'gathering'`,
  due: `SELECT id, number, kind, openedMs, about FROM notices WHERE state = 'due' ORDER BY tries, openedMs`,
  waiting: `SELECT count(*) AS count FROM notices WHERE state IN ('due', 'gathering')`,
  toldIn: 'SELECT recipient, what FROM told WHERE notice = ? ORDER BY recipient',
  end: `UPDATE notices SET state = ?, about = '{}' WHERE id = ? AND state IN ('due', 'gathering')`,
  forgetWhat: `UPDATE told SET what = '' WHERE notice = ?`,
  putOff: `UPDATE notices SET tries = tries + 1 WHERE id = ?`,
  begunSince: `SELECT returnPath, openedMs FROM notices
    WHERE state IN ('gathering', 'due', 'sent', 'dropped') AND openedMs > ? AND returnPath <> '' ORDER BY openedMs LIMIT ?`,
  forgetTold: `DELETE FROM told WHERE notice IN (SELECT id FROM notices WHERE ${over})`,
  forget: `DELETE FROM notices WHERE ${over}`,
} as const
