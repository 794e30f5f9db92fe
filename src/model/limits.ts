/** Bounds that several stages keep. */
import { limit } from '../kernel/limits.ts'
import { dayMs, KiB, minuteMs } from '../kernel/units.ts'

const owner = 'model'

export const outcomeTextMax = limit({
  name: 'outcome.text',
  value: 512,
  unit: 'characters',
  owner,
  why: 'Diagnostic text in events, notices and logs. RFC 5321 §4.5.3.1.5 lets a reply line be 512 octets.',
  breach: 'cut',
})

export const cutsMax = limit({
  name: 'submission.cuts',
  value: 32,
  unit: 'header fields',
  owner,
  why: 'X-Posthaste- fields of one message that are taken out of it. There are eight of them, some of which may be repeated.',
  breach: '550 5.6.0',
})

export const tagsMax = limit({
  name: 'submission.tags',
  value: 10,
  unit: 'tags of a message',
  owner,
  why: 'Each is a row of the index that messages are searched by.',
  breach: '550 5.6.0, 422',
})

export const tagCharactersMax = limit({
  name: 'submission.tag',
  value: 64,
  unit: 'characters',
  owner,
  why: 'A tag is a word to search by, shown in one column of a table.',
  breach: '550 5.6.0, 422',
})

export const campaignCharactersMax = limit({
  name: 'submission.campaign',
  value: 128,
  unit: 'characters',
  owner,
  why: 'A name or an id. Reports have one row per campaign.',
  breach: '550 5.6.0, 422',
})

export const metadataKeysMax = limit({
  name: 'submission.metadata-keys',
  value: 20,
  unit: 'keys',
  owner,
  why: 'Ids and names that the sender knows the message by. Data for templates is not metadata.',
  breach: '550 5.6.0, 422',
})

export const metadataKeyCharactersMax = limit({
  name: 'submission.metadata-key',
  value: 40,
  unit: 'characters',
  owner,
  why: 'A name as programs write it.',
  breach: '550 5.6.0, 422',
})

export const metadataValueCharactersMax = limit({
  name: 'submission.metadata-value',
  value: 500,
  unit: 'characters',
  owner,
  why: 'Long enough for a URL or a token.',
  breach: '550 5.6.0, 422',
})

export const metadataBytesMax = limit({
  name: 'submission.metadata',
  value: 4 * KiB,
  unit: 'bytes as JSON',
  owner,
  why: 'Kept with every message and given back with each of its events. 20 keys of 40 characters leave 160 for each value.',
  breach: '550 5.6.0, 422',
})

export const idempotencyKeyCharactersMax = limit({
  name: 'submission.idempotency-key',
  value: 256,
  unit: 'characters',
  owner,
  why: 'A UUID has 36; some clients join several, and are used to 256 elsewhere. Kept for a day.',
  breach: '550 5.6.0, 422',
})

export const expiresInMsMin = limit({
  name: 'submission.expires-in-least',
  value: minuteMs,
  unit: 'ms',
  owner,
  why: 'What is shorter would be over before a second attempt.',
  breach: '550 5.6.0, 422',
})

export const expiresInMsMax = limit({
  name: 'submission.expires-in',
  value: 30 * dayMs,
  unit: 'ms',
  owner,
  why: 'Mail is given up after some days (RFC 5321 §4.5.4.1); a month leaves room for receivers that are away for long.',
  breach: '550 5.6.0, 422',
})

export const subjectCharactersMax = limit({
  name: 'submission.subject',
  value: 512,
  unit: 'characters',
  owner,
  why: 'What is kept of a subject for whoever asks about the message. People write 60, and see no more of one in a list.',
  breach: 'cut',
})
