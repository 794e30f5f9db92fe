/** Short lists as numbers, as rows have them. Each place is on disk. */
import { invariant } from '../kernel/assert.ts'
import {
  type Attempt,
  type Outcome,
  type OutcomeKind,
  dialogueStages,
  outcomeKinds,
  outcomeScopes,
} from '../model/outcome.ts'
import type { MailClass, SubmissionFacts, SubmissionVia } from '../model/submission.ts'
import { type RecipientStatus, recipientStatuses } from '../ports/message-store.ts'

const classes: readonly MailClass[] = ['urgent', 'transactional', 'bulk']
const vias: readonly SubmissionVia[] = ['smtp', 'http']

function place<T>(list: readonly T[], value: T): number {
  const index = list.indexOf(value)
  invariant(index !== -1, `${String(value)} has no number`)
  return index
}

function at<T>(list: readonly T[], index: number): T {
  const value = list[index]
  invariant(value !== undefined, `${index} is not in [${list.join(', ')}]`)
  return value
}

/** class + 4 × via */
export const kindCode = (mailClass: MailClass, { via }: SubmissionFacts): number =>
  place(classes, mailClass) + 4 * place(vias, via)
export const classOf = (kind: number): MailClass => at(classes, kind % 4)
export const viaOf = (kind: number): SubmissionVia => at(vias, Math.floor(kind / 4))

/** kind + 8 × scope + 32 × stage + 1,024 × reused connection */
export const whatCode = ({ kind, scope, stage }: Outcome, { reusedConnection }: Attempt): number =>
  place(outcomeKinds, kind) +
  8 * place(outcomeScopes, scope) +
  32 * place(dialogueStages, stage) +
  (reusedConnection ? 1024 : 0)
export const outcomeOf = (what: number): Pick<Outcome, 'kind' | 'scope' | 'stage'> => ({
  kind: at(outcomeKinds, what % 8),
  scope: at(outcomeScopes, Math.floor(what / 8) % 4),
  stage: at(dialogueStages, Math.floor(what / 32) % 32),
})
export const reusedOf = (what: number): boolean => what >= 1024

const statusCode = (status: RecipientStatus): number => place(recipientStatuses, status)
export const statusOf = (code: number): RecipientStatus => at(recipientStatuses, code)
export const queuedCode = statusCode('queued')
/** From here on nothing follows. */
export const finalCode = statusCode('bounced')

const statusOfKind: ReadonlyMap<OutcomeKind, number> = new Map([
  ['delivered', statusCode('delivered')],
  ['bounced', statusCode('bounced')],
  ['expired', statusCode('expired')],
  ['deferred', statusCode('deferred')],
  ['suppressed', statusCode('suppressed')],
  // Tried again later.
  ['uncertain', statusCode('deferred')],
])

export function statusAfter(kind: OutcomeKind): number {
  const code = statusOfKind.get(kind)
  invariant(code !== undefined, `${kind} has no status`)
  return code
}
