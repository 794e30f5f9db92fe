/** What became of one recipient in one attempt. `deliver/outcome.ts` is the only place that makes these from replies. */

export type OutcomeKind =
  /** The receiver said 250 to the content: it is theirs now. */
  | 'delivered'
  /** Permanent refusal: a notice is due. */
  | 'bounced'
  /** Try again later. */
  | 'deferred'
  /** The reply to the final dot was lost: tried again later, flagged as a possible duplicate (RFC 1047). */
  | 'uncertain'
  /** Too old to try again: permanent. Made by the scheduler. */
  | 'expired'
  /** The tenant's list says that nothing goes there: permanent, and nobody was asked. */
  | 'suppressed'

export type DialogueStage =
  | 'route'
  | 'resolve'
  | 'connect'
  | 'greeting'
  | 'ehlo'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'final'

/** What the failure speaks of: this recipient alone, this message, or every message for the site. */
export type OutcomeScope = 'recipient' | 'message' | 'site'

export interface Outcome {
  readonly kind: OutcomeKind
  readonly scope: OutcomeScope
  readonly stage: DialogueStage
  /** Basic reply code; 0 when no reply was read. */
  readonly code: number
  /** "5.1.1", from the reply or derived from the basic code and stage; '' never. */
  readonly enhanced: string
  /** The reply's text or our own sentence: control characters escaped, at most 512 characters. */
  readonly text: string
}

/** One try at one transaction: who was spoken to, how, and when. Times are milliseconds since the attempt began; −1 not reached. */
export interface Attempt {
  readonly startedAtMs: number
  readonly host: string
  readonly address: string
  readonly source: string
  readonly tls: string
  readonly reusedConnection: boolean
  readonly connectedMs: number
  readonly envelopeMs: number
  readonly finishedMs: number
  /** The receiver offers DSN and was told what the sender wants to know: telling it is the receiver's duty from then on (RFC 3461 §5.2). */
  readonly dsnPassedOn?: boolean
}

/** What is told of recipients whom nobody was asked for: no route, time is up, set aside. */
export const noAttempt = (nowMs: number): Attempt => ({
  startedAtMs: nowMs,
  host: '',
  address: '',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: -1,
  envelopeMs: -1,
  finishedMs: 0,
})

/**
 * For whom the tenant's list names, wherever it is looked at. 5.7.1 (delivery not authorized) and not 5.1.1: who reads this in a notice must not take
 * it for a word of the receiver's about the mailbox.
 */
const suppressed: Outcome = {
  kind: 'suppressed',
  scope: 'recipient',
  stage: 'route',
  code: 0,
  enhanced: '5.7.1',
  text: 'the address is on the suppression list of the sender, nothing was sent to it',
}

/** One value for all of them: on the wire between threads it is written once per report. */
export const suppressedOutcome = (): Outcome => suppressed

/** Nothing follows it. */
export const isFinal = (kind: OutcomeKind): boolean => kind !== 'deferred' && kind !== 'uncertain'

/**
 * The receiver took as many recipients as it takes at once, and did not look at this one (RFC 5321 §4.5.3.1.10). `deliver/outcome.ts` derives the 4.5.3
 * where a server left it out.
 */
export const saysTooMany = ({ kind, stage, code, enhanced }: Outcome): boolean =>
  kind === 'deferred' && stage === 'rcpt' && enhanced === '4.5.3' && (code === 452 || code === 552)

/** As numbers, in the log and between threads: a new one goes to the end, because places in these lists are on disk. */
export const outcomeKinds: readonly OutcomeKind[] = [
  'delivered',
  'bounced',
  'deferred',
  'uncertain',
  'expired',
  'suppressed',
]
export const outcomeScopes: readonly OutcomeScope[] = ['recipient', 'message', 'site']
export const dialogueStages: readonly DialogueStage[] = [
  'route',
  'resolve',
  'connect',
  'greeting',
  'ehlo',
  'starttls',
  'auth',
  'mail',
  'rcpt',
  'data',
  'content',
  'final',
]
