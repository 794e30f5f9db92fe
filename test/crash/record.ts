/**
 * Reads what the program wrote down of its own accord, after all the kills: accounting log, message store, tally and suppression lists, and has it judged
 * (record-checker.ts). Every line of the accounting log must be what docs/accounting.schema.json says.
 */
import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { createGunzip } from 'node:zlib'
import { Compile } from 'typebox/schema'
import { openMessageStore, unpackMessage, rotatedNames, Tally } from '../../src/events/events.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import { dayMs, GiB } from '../../src/kernel/units.ts'
import type { ReceivedMessage } from '../../src/sandbox/sandbox.ts'
import { readProjectFile } from '../support/house-source.ts'
import {
  type AccountingLine,
  type ArrivedNotice,
  judgeRecord,
  type RecordEvidence,
  type RecordFigures,
} from './record-checker.ts'

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

export interface AccountingContents {
  readonly lines: AccountingLine[]
  readonly files: number
  /** Each names its file and line. */
  readonly wrong: string[]
}

/** Of all files, oldest first: those that are compressed, the others, the one that is written. */
export async function readAccounting(directory: string): Promise<AccountingContents> {
  const validator = Compile(JSON.parse(readProjectFile('docs/accounting.schema.json')) as Record<string, unknown>)
  const names = rotatedNames('acct', readdirSync(directory)).map(({ name }) => name)
  const lines: AccountingLine[] = []
  const wrong: string[] = []
  for (const name of [...names, 'acct.json']) {
    const bytes = createReadStream(join(directory, name))
    const input = name.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes
    let number = 0
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1
      const line = parsed(text)
      if (line !== undefined && validator.Check(line)) lines.push(line as AccountingLine)
      else wrong.push(`${name} line ${number}: ${faults(validator, line)}: ${text.slice(0, 500)}`)
    }
  }
  return { lines, files: names.length + 1, wrong }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function faults(validator: ReturnType<typeof Compile>, line: unknown): string {
  if (line === undefined) return 'no JSON'
  const [, errors] = validator.Errors(line)
  return errors.map(({ instancePath, message }) => `${instancePath} ${message}`).join(', ')
}

export interface RecordSources extends Pick<RecordEvidence, 'sent' | 'notices' | 'empty'> {
  /** Of an engine that has stopped. */
  readonly dataDirectory: string
}

export interface CheckedRecord {
  readonly violations: string[]
  readonly figures: RecordFigures & { readonly files: number }
  readonly lines: readonly AccountingLine[]
}

export async function checkRecord(sources: RecordSources): Promise<CheckedRecord> {
  const { dataDirectory, sent, notices, empty } = sources
  const { lines, files, wrong } = await readAccounting(join(dataDirectory, 'accounting'))
  const violations = wrong.slice(0, wrongShown).map((what) => `record: not of the schema: ${what}`)
  if (wrong.length > wrongShown) violations.push(`record: not of the schema: ${wrong.length - wrongShown} lines more`)
  const directory = join(dataDirectory, 'store')
  const onProblem = (text: string): void => void violations.push(`record: ${text}`)
  const store = openMessageStore({
    directory,
    clock: systemClock,
    random: systemRandom,
    retentionDays: 3_650,
    bytesMax: 1_000 * GiB,
    onProblem,
  })
  const tally = openTally(directory, onProblem)
  try {
    const verdict = judgeRecord({
      lines,
      sent,
      notices,
      empty,
      stored: (id) => {
        const packed = store.find(null, id, true)
        return packed === null ? null : unpackMessage(packed).recipients
      },
      usage: (tenant, day) => tally.usage(tenant, null, day * dayMs).dayMessages,
      suppressed: readSuppressed(dataDirectory),
    })
    return { violations: [...violations, ...verdict.violations], figures: { ...verdict.figures, files }, lines }
  } finally {
    store.close()
    tally.close()
  }
}

const wrongShown = 10

/** For questions only: it is told nothing. */
const openTally = (directory: string, onProblem: (text: string) => void): Tally =>
  Tally.open({
    directory,
    groupMs: 0,
    noticeFor: () => null,
    isHardBounce: () => false,
    mayTell: () => false,
    lifeMs: 0,
    onProblem,
  })

function readSuppressed(dataDirectory: string): RecordEvidence['suppressed'] {
  const database = new DatabaseSync(join(dataDirectory, 'directory.sqlite'), { readOnly: true })
  try {
    return database.prepare('SELECT tenant, address FROM suppressions').all() as unknown as RecordEvidence['suppressed']
  } finally {
    database.close()
  }
}
