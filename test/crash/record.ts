/**
 * What the program wrote down of its own accord, after all the kills: the accounting log, the message store and the notices must say the same, line by
 * line, and what the source and the receiver swear to.
 *
 *   accepted    one line for each recipient that was acknowledged, and at most one for any other
 *   attempts    in order behind it, each once; nothing behind an end, and an end for whoever is not pending
 *   store       knows each message, and says of each recipient what its last line says
 *   notices     one for each recipient that bounced, under one id, and none for anybody else
 */
import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { openMessageStore } from '../../src/events/events.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import { GiB } from '../../src/kernel/units.ts'
import { isFinal, type OutcomeKind } from '../../src/model/outcome.ts'
import type { MessageRecord } from '../../src/ports/message-store.ts'
import type { ReceivedMessage, SentRecord } from '../../src/sandbox/sandbox.ts'

export interface AccountingLine {
  readonly event: 'accepted' | OutcomeKind
  readonly id: string
  readonly recipient: string
  readonly subject?: string
  readonly return_path?: string
  readonly attempt?: number
  readonly log: string
  readonly position: number
  readonly index: number
}

export interface RecordFigures {
  readonly lines: number
  readonly accepted: number
  readonly files: number
  readonly stored: number
  readonly bounced: number
  readonly notices: number
}

/** A notice that arrived: of whom it tells. Copies of one notice have one id. */
export interface ArrivedNotice {
  readonly messageId: string
  /** Public id of the message that it is about. */
  readonly about: string
  readonly recipients: readonly string[]
}

/** Null when it is none. */
export function readNotice({ envelope, content }: Pick<ReceivedMessage, 'envelope' | 'content'>): ArrivedNotice | null {
  if (envelope.from !== '' || content === null) return null
  const text = content.toString('latin1')
  const field = (name: string): string => new RegExp(`^${name}: *(.*)$`, 'im').exec(text)?.[1]?.trim() ?? ''
  const recipients = [...text.matchAll(/^Final-Recipient: *rfc822; *(.*)$/gim)].map(
    ([, address]) => address?.trim() ?? '',
  )
  return { messageId: field('Message-ID'), about: field('X-Posthaste-Message'), recipients }
}

/** Of all files, oldest first: those that are compressed, the others, the one that is written. */
export async function readAccounting(directory: string): Promise<{ lines: AccountingLine[]; files: number }> {
  const names = readdirSync(directory).filter((name) => /^acct-.*\.json(\.gz)?$/.test(name))
  const lines: AccountingLine[] = []
  for (const name of [...names.sort(), 'acct.json']) {
    const bytes = createReadStream(join(directory, name))
    const input = name.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes
    for await (const line of createInterface({ input })) lines.push(JSON.parse(line) as AccountingLine)
  }
  return { lines, files: names.length + 1 }
}

export interface RecordEvidence {
  readonly dataDirectory: string
  readonly sent: readonly SentRecord[]
  readonly notices: readonly ArrivedNotice[]
  /** Nothing was queued at the end. */
  readonly empty: boolean
}

export async function checkRecord(evidence: RecordEvidence): Promise<{ violations: string[]; figures: RecordFigures }> {
  const { lines, files } = await readAccounting(join(evidence.dataDirectory, 'accounting'))
  const violations: string[] = []
  const complain = (what: string, names: readonly string[]): void => {
    for (const name of names.slice(0, 10)) violations.push(`record: ${what}: ${name}`)
    if (names.length > 10) violations.push(`record: ${what}: ${names.length - 10} more`)
  }
  complain('two lines of one place', twice(lines.map(({ log, position, index }) => `${log} ${position} ${index}`)))
  const stories = storiesOf(lines, complain)
  complain('accepted, and no line says so', missing(evidence.sent, lines))
  if (evidence.empty) {
    const open = [...stories].filter(([, { last }]) => last === null || !isFinal(last))
    complain(
      'nothing is queued, and it has no end',
      open.map(([key]) => key),
    )
  }
  const stored = checkStore(evidence.dataDirectory, stories, complain)
  const bounced = [...stories].filter(([, { tells, last }]) => tells && (last === 'bounced' || last === 'expired'))
  const notices = checkNotices(evidence.notices, new Set(bounced.map(([key]) => key)), evidence.empty, complain)
  const accepted = lines.filter(({ event }) => event === 'accepted').length
  return { violations, figures: { lines: lines.length, accepted, files, stored, bounced: bounced.length, notices } }
}

type Complain = (what: string, names: readonly string[]) => void

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

function checkStore(dataDirectory: string, stories: ReadonlyMap<string, Story>, complain: Complain): number {
  const table = openMessageStore({
    directory: join(dataDirectory, 'store'),
    clock: systemClock,
    random: systemRandom,
    retentionDays: 3_650,
    bytesMax: 1_000 * GiB,
    onProblem: (text) => complain('store', [text]),
  })
  const messages = new Map<string, MessageRecord | null>()
  const wrong: string[] = []
  for (const [key, { attempts, last }] of stories) {
    const [id = '', recipient] = key.split(' ')
    if (!messages.has(id)) messages.set(id, table.findAny(id))
    const found = messages.get(id)?.recipients.find(({ address }) => address === recipient)
    const status = last === null ? 'queued' : last === 'uncertain' ? 'deferred' : last
    if (found?.status !== status || found.attempts !== attempts)
      wrong.push(`${key}: ${found?.status} after ${found?.attempts}, and by the lines ${status} after ${attempts}`)
  }
  table.close()
  complain('the message store says something else', wrong)
  return messages.size
}

function checkNotices(
  notices: readonly ArrivedNotice[],
  bounced: ReadonlySet<string>,
  empty: boolean,
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
  complain(
    'told of under two ids',
    [...ids].filter(([, seen]) => seen.size > 1).map(([key]) => key),
  )
  complain(
    'told of, and did not bounce',
    [...ids.keys()].filter((key) => !bounced.has(key)),
  )
  if (empty)
    complain(
      'bounced, and nobody was told',
      [...bounced].filter((key) => !ids.has(key)),
    )
  return new Set(notices.map(({ messageId }) => messageId)).size
}

function twice(names: readonly string[]): string[] {
  const seen = new Set<string>()
  return names.filter((name) => seen.size === seen.add(name).size)
}
