/**
 * What the program wrote down of its own accord must be one story, line by line, and the one that the source and the receiver swear to.
 *
 *   accepted    one line for each recipient that was acknowledged, and at most one for any other
 *   attempts    in order behind it, each once; nothing behind an end, and an end for whoever is not pending
 *   store       knows each message, and says of each recipient what its last line says
 *   notices     one for each recipient that bounced, under one id, and none for anybody else
 *   usage       of each tenant and day as many as its lines say, without what Posthaste wrote itself
 *   suppressed  the addresses that do not exist, and nobody else
 */
import { dayMs } from '../../src/kernel/units.ts'
import { isFinal, type OutcomeKind } from '../../src/model/outcome.ts'
import type { MessageRecord } from '../../src/ports/message-store.ts'
import type { SentRecord } from '../../src/sandbox/sandbox.ts'

export interface AccountingLine {
  readonly event: 'accepted' | OutcomeKind
  readonly time: string
  readonly id: string
  readonly tenant: string
  readonly recipient: string
  readonly subject?: string
  readonly return_path?: string
  readonly client?: string
  readonly attempt?: number
  readonly code?: number
  readonly enhanced?: string
  readonly log: string
  readonly position: number
  readonly index: number
}

/** A notice that arrived: of whom it tells. Copies of one notice have one id. */
export interface ArrivedNotice {
  readonly messageId: string
  /** Public id of the message that it is about. */
  readonly about: string
  readonly recipients: readonly string[]
}

type StoredRecipient = Pick<MessageRecord['recipients'][number], 'address' | 'status' | 'attempts'>

export interface RecordEvidence {
  readonly lines: readonly AccountingLine[]
  readonly sent: readonly SentRecord[]
  readonly notices: readonly ArrivedNotice[]
  /** Nothing was queued at the end, and all that was due had been done. */
  readonly empty: boolean
  /** Null: the store does not know it. */
  readonly stored: (id: string) => readonly StoredRecipient[] | null
  /** Recipients that the tally counted on a day since 1970. */
  readonly usage: (tenant: string, day: number) => number
  /** Addresses on the lists, with their tenants. */
  readonly suppressed: readonly { readonly tenant: string; readonly address: string }[]
}

export interface RecordFigures {
  readonly lines: number
  readonly accepted: number
  /** Of them those that count against a quota. */
  readonly used: number
  readonly stored: number
  readonly bounced: number
  readonly notices: number
  readonly suppressed: number
}

export interface RecordVerdict {
  readonly violations: string[]
  readonly figures: RecordFigures
}

type Complain = (what: string, names: readonly string[]) => void

const shown = 10

export function judgeRecord(evidence: RecordEvidence): RecordVerdict {
  const { lines, sent, empty } = evidence
  const violations: string[] = []
  const complain: Complain = (what, names) => {
    for (const name of names.slice(0, shown)) violations.push(`record: ${what}: ${name}`)
    if (names.length > shown) violations.push(`record: ${what}: ${names.length - shown} more`)
  }
  complain('two lines of one place', twice(lines.map(placeOf)))
  const stories = storiesOf(lines, complain)
  complain('accepted, and no line says so', missing(sent, lines))
  const open = [...stories].filter(([, { last }]) => last === null || !isFinal(last))
  if (empty) complain('nothing is queued, and it has no end', keysOf(open))
  const stored = checkStore(evidence, stories, complain)
  const bounced = [...stories].filter(([, { tells, last }]) => tells && (last === 'bounced' || last === 'expired'))
  const notices = checkNotices(evidence, new Set(keysOf(bounced)), complain)
  const used = checkUsage(evidence, complain)
  checkSuppressed(evidence, complain)
  const accepted = lines.filter(({ event }) => event === 'accepted').length
  const suppressed = evidence.suppressed.length
  const figures = { lines: lines.length, accepted, used, stored, bounced: bounced.length, notices, suppressed }
  return { violations, figures }
}

const placeOf = ({ log, position, index }: AccountingLine): string => `${log} ${position} ${index}`
const keysOf = (entries: readonly (readonly [string, unknown])[]): string[] => entries.map(([key]) => key)

/** What the lines say of one recipient. */
interface Story {
  attempts: number
  last: OutcomeKind | null
  /** It has a return path. */
  readonly tells: boolean
}

function storiesOf(lines: readonly AccountingLine[], complain: Complain): Map<string, Story> {
  const stories = new Map<string, Story>()
  const wrong: string[] = []
  for (const line of lines) {
    const key = `${line.id} ${line.recipient}`
    const story = stories.get(key)
    if (line.event === 'accepted') {
      if (story !== undefined) wrong.push(`${key} is accepted twice`)
      stories.set(key, { attempts: 0, last: null, tells: line.return_path !== undefined })
    } else if (story === undefined) wrong.push(`${key} has an attempt before it is accepted`)
    else {
      if (story.last !== null && isFinal(story.last)) wrong.push(`${key} goes on behind its end`)
      if (line.attempt !== story.attempts + 1) wrong.push(`${key}: attempt ${line.attempt} follows ${story.attempts}`)
      story.attempts = line.attempt ?? 0
      story.last = line.event
    }
  }
  complain('not in order', wrong)
  return stories
}

/** By the id of the source, which is in the subject. */
function missing(sent: readonly SentRecord[], lines: readonly AccountingLine[]): string[] {
  const told = new Set(
    lines.flatMap(({ event, subject, recipient }) => (event === 'accepted' ? [`${subject} ${recipient}`] : [])),
  )
  return sent
    .filter(({ code }) => code >= 200 && code < 300)
    .map(({ id, rcpt }) => `test ${id} ${rcpt}`)
    .filter((name) => !told.has(name))
}

function checkStore(
  evidence: Pick<RecordEvidence, 'stored'>,
  stories: ReadonlyMap<string, Story>,
  complain: Complain,
): number {
  const messages = new Map<string, readonly StoredRecipient[] | null>()
  const wrong: string[] = []
  for (const [key, { attempts, last }] of stories) {
    const [id = '', recipient] = key.split(' ')
    if (!messages.has(id)) messages.set(id, evidence.stored(id))
    const found = messages.get(id)?.find(({ address }) => address === recipient)
    const status = last === null ? 'queued' : last === 'uncertain' ? 'deferred' : last
    if (found?.status !== status || found.attempts !== attempts)
      wrong.push(`${key}: ${found?.status} after ${found?.attempts}, and by the lines ${status} after ${attempts}`)
  }
  complain('the message store says something else', wrong)
  return messages.size
}

function checkNotices(
  { notices, empty }: Pick<RecordEvidence, 'notices' | 'empty'>,
  bounced: ReadonlySet<string>,
  complain: Complain,
): number {
  const ids = new Map<string, Set<string>>()
  for (const { messageId, about, recipients } of notices) {
    for (const recipient of recipients) {
      const key = `${about} ${recipient}`
      const seen = ids.get(key)
      if (seen === undefined) ids.set(key, new Set([messageId]))
      else seen.add(messageId)
    }
  }
  const underTwo = [...ids].filter(([, seen]) => seen.size > 1)
  complain('told of under two ids', keysOf(underTwo))
  complain(
    'told of, and did not bounce',
    [...ids.keys()].filter((key) => !bounced.has(key)),
  )
  const untold = [...bounced].filter((key) => !ids.has(key))
  if (empty) complain('bounced, and nobody was told', untold)
  return new Set(notices.map(({ messageId }) => messageId)).size
}

/** As `client` stands in what Posthaste writes itself. */
const ourselves = 'posthaste'

function checkUsage({ lines, usage }: Pick<RecordEvidence, 'lines' | 'usage'>, complain: Complain): number {
  const used = new Map<string, number>()
  for (const { event, client, tenant, time } of lines) {
    if (event !== 'accepted' || client === ourselves) continue
    const key = `${Math.floor(Date.parse(time) / dayMs)} ${tenant}`
    used.set(key, (used.get(key) ?? 0) + 1)
  }
  const wrong: string[] = []
  for (const [key, count] of used) {
    const space = key.indexOf(' ')
    const counted = usage(key.slice(space + 1), Number(key.slice(0, space)))
    if (counted !== count) wrong.push(`${key}: ${counted}, and by the lines ${count}`)
  }
  complain('the tally counts something else (day, tenant)', wrong)
  return [...used.values()].reduce((sum, count) => sum + count, 0)
}

/** The receiver of the runs says of all addresses that it refuses that they do not exist. */
function checkSuppressed({ lines, suppressed, empty }: RecordEvidence, complain: Complain): void {
  const listed = new Set(suppressed.map(({ tenant, address }) => `${tenant} ${address}`))
  const dead = new Set(
    lines.flatMap(({ event, code, enhanced, tenant, recipient }) =>
      event === 'bounced' && code === 550 && enhanced === '5.1.1' ? [`${tenant} ${recipient}`] : [],
    ),
  )
  const unlisted = [...dead].filter((key) => !listed.has(key))
  if (empty) complain('does not exist, and is not suppressed', unlisted)
  complain(
    'is suppressed, and did not bounce so',
    [...listed].filter((key) => !dead.has(key)),
  )
}

function twice(names: readonly string[]): string[] {
  const seen = new Set<string>()
  return names.filter((name) => seen.size === seen.add(name).size)
}
