/** What the program tells of what happened to mail: lines of its accounting log, and the notices that reach a receiver. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Receiver } from '../../src/sandbox/sandbox.ts'
import { type ReadNotice, readNotice } from './notices.ts'
import { until } from './wait.ts'

export interface AccountingLine {
  readonly event: string
  readonly id: string
  readonly recipient: string
  readonly log: string
  readonly position: number
  readonly index: number
  readonly attempt?: number
  readonly code?: number
  readonly enhanced?: string
  readonly reply?: string
}

/** Of acct.json so far, without a line that is being written. `directory` is that of the scenario. */
export function accountingLines(
  directory: string,
  file = join(directory, 'data/accounting/acct.json'),
): AccountingLine[] {
  return textOf(file)
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AccountingLine)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Waits until so many lines of the message are there; what they say happened, in order, to whom. */
export async function untilLines(directory: string, id: string, count: number): Promise<AccountingLine[]> {
  let lines: AccountingLine[] = []
  await until(20_000, `there are not ${count} lines of ${id}`, () => {
    lines = accountingLines(directory).filter((line) => line.id === id)
    return lines.length >= count
  })
  return lines
}

export interface ArrivedNotice extends ReadNotice {
  readonly to: readonly string[]
}

/** Those that have arrived: what came from nobody. */
export async function notices({ received }: Pick<Receiver, 'received'>): Promise<ArrivedNotice[]> {
  const fromNobody = received.filter(({ envelope }) => envelope.from === '')
  return Promise.all(
    fromNobody.map(async ({ envelope, content }) => ({ ...(await readNotice(content as Buffer)), to: envelope.to })),
  )
}

export async function untilNotices(receiver: Pick<Receiver, 'received'>, count: number): Promise<ArrivedNotice[]> {
  await until(
    20_000,
    `there are not ${count} notices`,
    () => receiver.received.filter(({ envelope }) => envelope.from === '').length >= count,
  )
  return notices(receiver)
}

/** Of each recipient in a notice: who, and what became of it. */
export const toldOf = ({ blocks }: ReadNotice): (readonly (string | undefined)[])[] =>
  blocks.slice(1).map((block) => [block.get('final-recipient'), block.get('action'), block.get('status')])
