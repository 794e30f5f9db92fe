/**
 * What must be true of keys of idempotency, whatever was killed when:
 *
 *   one message   every 202 and every 409 of a key names the same id, at most one of them is not a repetition, and what arrived has that id
 *   one body      the same body is always 202 and the other one always 409; what arrived is the one that was accepted
 *   it arrives    once; a second copy of the same message has the cause that any second copy must have (checker.ts): an outcome was lost in a kill
 */
import { type DuplicateEvidence, type DuplicateFigures, judgeDuplicates } from './checker.ts'

export type Variant = 'a' | 'b'

export interface KeyRecord {
  readonly number: number
  readonly answers: KeyAnswer[]
  readonly arrivals: { readonly id: string; readonly variant: Variant; readonly receivedMs: number }[]
}

export interface KeyAnswer {
  readonly variant: Variant
  readonly status: 202 | 409
  /** Of the message that the key stands for; a 409 names it too. */
  readonly id: string
  /** By its own word. */
  readonly replayed: boolean
}

export interface KeyVerdict {
  readonly violations: string[]
  readonly keys: number
  readonly accepted: number
  readonly conflicts: number
  readonly arrivals: number
  readonly duplicates: DuplicateFigures
}

const violationsShown = 20

export function checkKeys(records: readonly KeyRecord[], causes: Omit<DuplicateEvidence, 'received'>): KeyVerdict {
  const complaints = records.flatMap(complaintsOf)
  const received = records.flatMap(({ number, arrivals }) =>
    arrivals.map(({ id, receivedMs }) => ({ id, rcpt: `of key ${number}`, receivedMs, replyLost: false })),
  )
  const duplicates = judgeDuplicates({ ...causes, received }, (what, names) =>
    complaints.push(...names.map((name) => `${what}: ${name}`)),
  )
  const violations = complaints.slice(0, violationsShown)
  if (complaints.length > violationsShown) violations.push(`${complaints.length - violationsShown} more`)
  const answers = records.flatMap((record) => record.answers)
  const count = (wanted: number): number => answers.filter(({ status }) => status === wanted).length
  return {
    violations,
    keys: records.length,
    accepted: count(202),
    conflicts: count(409),
    arrivals: received.length,
    duplicates,
  }
}

function complaintsOf(record: KeyRecord): string[] {
  const { number, answers, arrivals } = record
  const complaints: string[] = []
  const complain = (what: string): void => void complaints.push(`key ${number} ${what}: ${JSON.stringify(record)}`)
  const accepted = answers.filter(({ status }) => status === 202)
  const winners = new Set(accepted.map(({ variant }) => variant))
  if (accepted.length === 0) complain('was accepted for nobody')
  if (winners.size > 1) complain('stands for two bodies')
  if (answers.some(({ status, variant }) => status === 409 && winners.has(variant)))
    complain('was refused its own body')
  if (new Set(answers.map(({ id }) => id)).size > 1) complain('was answered with two ids')
  if (accepted.filter(({ replayed }) => !replayed).length > 1) complain('was new twice')
  if (arrivals.length === 0) complain('was accepted, and nothing arrived')
  if (new Set(arrivals.map(({ id }) => id)).size > 1) complain('became two messages')
  else if (arrivals.some(({ id }) => id !== accepted[0]?.id))
    complain('became a message of another id than was answered')
  if (arrivals.some(({ variant }) => !winners.has(variant))) complain('arrived with the body that was not accepted')
  return complaints
}
