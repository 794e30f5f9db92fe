/** Which further header fields a sender may give. */
import { headerNameCharactersMax } from '../limits.ts'
import { MimeProblem } from './problem.ts'

/** What the message has a place of its own for: twice would be against RFC 5322 §3.6. */
const ownPlace: ReadonlyMap<string, string> = new Map([
  ['from', 'Give it as from.'],
  ['sender', 'Give it as sender.'],
  ['reply-to', 'Give it as reply_to.'],
  ['to', 'Give it as to.'],
  ['cc', 'Give it as cc.'],
  ['bcc', 'Give it as bcc: those recipients are never written into the message.'],
  ['subject', 'Give it as subject.'],
])

const writtenByUs = 'Leave it out: it is written when the message is made or sent.'
const reserved: ReadonlySet<string> = new Set([
  'authentication-results',
  'date',
  'delivered-to',
  'dkim-signature',
  'domainkey-signature',
  'message-id',
  'mime-version',
  'received',
  'received-spf',
  'return-path',
])
const reservedBeginnings: readonly (readonly [string, string])[] = [
  ['arc-', writtenByUs],
  ['content-', writtenByUs],
  ['resent-', writtenByUs],
  [
    'x-posthaste-',
    'Give it as class, stream, campaign, tags, metadata or expires_in, or as the header Idempotency-Key of the request.',
  ],
]

/** Of these there is one at most, and they hold addresses, URLs or words of a protocol (RFC 5322 §3.6.4, 2369 §2, 2919, 3834, 8058). */
const structured: ReadonlySet<string> = new Set([
  'auto-submitted',
  'feedback-id',
  'in-reply-to',
  'list-archive',
  'list-help',
  'list-id',
  'list-owner',
  'list-post',
  'list-subscribe',
  'list-unsubscribe',
  'list-unsubscribe-post',
  'references',
])

export interface HeaderRules {
  /** Throws when the name is none, or not to be given, or not to be given again. Otherwise whether its value is structured. */
  check(name: string, pointer: string): boolean
}

/** For the fields of one message. */
export function createHeaderRules(): HeaderRules {
  const seen = new Set<string>()
  return {
    check(name, pointer) {
      checkForm(name, pointer)
      const lower = name.toLowerCase()
      const cure =
        ownPlace.get(lower) ??
        (reserved.has(lower) ? writtenByUs : reservedBeginnings.find(([beginning]) => lower.startsWith(beginning))?.[1])
      if (cure !== undefined)
        throw new MimeProblem('header_reserved', pointer, `${name} cannot be given as a header`, cure)
      if (!structured.has(lower)) return false
      if (seen.has(lower))
        throw new MimeProblem(
          'header_repeated',
          pointer,
          `${name} is there twice`,
          'Give it once, with the whole value.',
        )
      seen.add(lower)
      return true
    },
  }
}

/** RFC 5322 §2.2: printable ASCII without a colon. */
function checkForm(name: string, pointer: string): void {
  if (/^[!-9;-~]+$/.test(name) && name.length <= headerNameCharactersMax.value) return
  throw new MimeProblem(
    'header_name_invalid',
    pointer,
    'is not the name of a header',
    `Use letters, digits and hyphens, at most ${headerNameCharactersMax.value} characters, without the colon.`,
  )
}
