/** Bounds that several stages keep. */
import { limit } from '../kernel/limits.ts'

export const outcomeTextMax = limit({
  name: 'outcome.text',
  value: 512,
  unit: 'characters',
  owner: 'model',
  why: 'Diagnostic text in events, notices and logs. RFC 5321 §4.5.3.1.5 lets a reply line be 512 octets.',
  breach: 'cut',
})

export const cutsMax = limit({
  name: 'submission.cuts',
  value: 32,
  unit: 'header fields',
  owner: 'model',
  why: 'X-Posthaste- fields of one message that are taken out of it. There are eight of them, some of which may be repeated.',
  breach: '550 5.6.0',
})
