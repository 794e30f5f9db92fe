/** Bounds of the sending API that are not the operator's to set. Those that are, are in the section `http` of the configuration. */
import { limit } from '../../kernel/limits.ts'
import { KiB, MiB, secondMs } from '../../kernel/units.ts'

const owner = 'intake/http'

export const headerBytesMax = limit({
  name: 'http.header',
  value: 16 * KiB,
  unit: 'bytes',
  owner,
  why: 'Node’s own default. The longest field that is meant for us is a key, of under 100.',
  breach: '431 and close',
})

export const parameterCharactersMax = limit({
  name: 'http.parameter',
  value: 200,
  unit: 'characters',
  owner,
  why: 'The part of a path that names a message: an id has 36.',
  breach: '414',
})

export const idleMsMax = limit({
  name: 'http.idle',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'Whoever sends again within half a minute finds its connection open; a pool of clients that are gone does not fill the table.',
  breach: 'close',
})

export const handshakeMsMax = limit({
  name: 'http.handshake',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'A TLS handshake is two round trips.',
  breach: 'close',
})

export const oversizeFactorMax = limit({
  name: 'http.oversize',
  value: 4,
  unit: '× http.body_size_max',
  owner,
  why: 'A body beyond its bound is read on without being kept, so that the client hears 413 and not a reset; but only so far.',
  breach: '413 and close',
})

export const sharedBytesMin = limit({
  name: 'http.shared-memory',
  value: 64 * MiB,
  unit: 'bytes',
  owner,
  why: 'What the bodies of a thread’s requests hold together; three times http.body_size_max if that is more, because a body that grows is copied, and a tenant has only a share. While a request is handled its text, values and attachments may take three times its body on top.',
  breach: '503',
})

export const tenantTimesLeftMax = limit({
  name: 'http.tenant-share',
  value: 2,
  unit: '× what is left of http.shared-memory',
  owner,
  why: 'What the bodies of one tenant may hold: two thirds while it is alone, two fifths each when there are two like it; a fifth is left for others then.',
  breach: '429 for this tenant, the others go on',
})

export const unpackerBytes = limit({
  name: 'http.unpacker',
  value: 128 * KiB,
  unit: 'bytes',
  owner,
  why: 'Reserved for a body that comes in gzip, beside the body: 32 KiB window, 16 KiB of output, a read of 64 KiB that waits.',
  breach: '503 when no memory is left for it',
})

export const jsonDepthMax = limit({
  name: 'http.json-depth',
  value: 16,
  unit: 'levels',
  owner,
  why: 'A request has four. Nothing recurses over them all the same.',
  breach: '400',
})

export const jsonValuesMax = limit({
  name: 'http.json-values',
  value: 20_000,
  unit: 'values',
  owner,
  why: '3 × 1,001 addresses with names, 100 attachments of five fields and all the rest are under 11,000. A body of 25 MiB could hold twelve million.',
  breach: '400',
})

export const subjectCharactersMax = limit({
  name: 'http.subject',
  value: 2_000,
  unit: 'characters',
  owner,
  why: 'Twice what fits on one line of mail (RFC 5322 §2.1.1). It is kept with the message.',
  breach: '422',
})

export const addressCharactersMax = limit({
  name: 'http.address',
  value: 1_000,
  unit: 'characters',
  owner,
  why: 'An address or the name beside it: what fits on one line of mail (RFC 5322 §2.1.1). That of the sender is kept with the message as it was given, and a text there has at most 64 KiB.',
  breach: '422',
})

export const headersMax = limit({
  name: 'http.headers',
  value: 100,
  unit: 'fields',
  owner,
  why: 'What a sender adds is a handful; a tenth of what a message may have.',
  breach: '422',
})

export const attachmentsMax = limit({
  name: 'http.attachments',
  value: 100,
  unit: 'attachments',
  owner,
  why: 'Each is a part with a header of its own; a newsletter’s pictures are some twenty.',
  breach: '422',
})

export const filenameCharactersMax = limit({
  name: 'http.filename',
  value: 255,
  unit: 'characters',
  owner,
  why: 'What file systems take. The end, which says what it is, is kept.',
  breach: 'cut',
})

export const pageMessagesMax = limit({
  name: 'http.page',
  value: 100,
  unit: 'messages',
  owner,
  why: 'About 1 KiB each: a tenth of a megabyte per answer.',
  breach: 'the rest is on the next page',
})

export const problemsMax = limit({
  name: 'http.problems',
  value: 10,
  unit: 'problems',
  owner,
  why: 'Who has ten things to mend can ask again for the eleventh.',
  breach: 'the rest is not told',
})

export const schemaErrorsMax = limit({
  name: 'http.schema-errors',
  value: 1_000,
  unit: 'complaints',
  owner,
  why: 'Of the engine that checks schemas: four for an address of the wrong type, which become one problem. 249 such addresses are looked at.',
  breach: 'the rest is told later',
})

export const sliceBytes = limit({
  name: 'http.slice',
  value: 1 * MiB,
  unit: 'bytes of content',
  owner,
  why: 'Of a text, looked over or encoded, and written at a stretch, for a few milliseconds; then others have their turn.',
  breach: 'it goes on in the next turn of the event loop',
})

export const formBytesMax = limit({
  name: 'http.form',
  value: 1 * KiB,
  unit: 'bytes',
  owner,
  why: 'The form that confirms a sender holds one token of 47 characters.',
  breach: '413',
})
