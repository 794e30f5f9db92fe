/** Bounds of addresses, names and replies. Most are the RFC's own. */
import { limit } from '../kernel/limits.ts'
import { KiB } from '../kernel/units.ts'

const owner = 'standards'

export const localPartBytesMax = limit({
  name: 'address.local-part',
  value: 64,
  unit: 'bytes',
  owner,
  why: 'RFC 5321 §4.5.3.1.1.',
  breach: '501 5.1.3, as a sender 501 5.1.7',
})

export const domainBytesMax = limit({
  name: 'address.domain',
  value: 255,
  unit: 'bytes',
  owner,
  why: 'RFC 5321 §4.5.3.1.2.',
  breach: '501 5.1.3, as a sender 501 5.1.7',
})

export const pathBytesMax = limit({
  name: 'address.path',
  value: 256,
  unit: 'bytes',
  owner,
  why: 'RFC 5321 §4.5.3.1.3, counted with its brackets.',
  breach: '501 5.1.3, as a sender 501 5.1.7',
})

export const labelBytesMax = limit({
  name: 'address.label',
  value: 63,
  unit: 'bytes',
  owner,
  why: 'RFC 1035 §2.3.4.',
  breach: '501 5.1.3, as a sender 501 5.1.7',
})

export const nameCharactersMax = limit({
  name: 'domain.name',
  value: 253,
  unit: 'characters',
  owner,
  why: 'RFC 1035 §2.3.4: 255 bytes on the wire are 253 characters of text.',
  breach: 'no such domain, without asking; in a From field: 550 5.6.0',
})

export const envelopeIdCharactersMax = limit({
  name: 'dsn.envelope-id',
  value: 100,
  unit: 'characters of xtext',
  owner,
  why: 'RFC 3461 §4.4: ENVID.',
  breach: '501 5.5.4',
})

export const originalRecipientBytesMax = limit({
  name: 'dsn.original-recipient',
  value: 500,
  unit: 'bytes',
  owner,
  why: 'RFC 3461 §4.2: ORCPT, with its type, as it is written.',
  breach: '501 5.5.4; an address whose xtext is longer is passed on without ORCPT',
})

export const replyLinesMax = limit({
  name: 'reply.lines',
  value: 128,
  unit: 'lines',
  owner,
  why: '128 × 4 KiB = 512 KiB per connection at the very worst. Servers that list every extension need about 30.',
  breach: 'deferred 4.5.0',
})

export const replyLineBytesMax = limit({
  name: 'reply.line',
  value: 4 * KiB,
  unit: 'bytes',
  owner,
  why: '8 × the 512 octets of RFC 5321 §4.5.3.1.5, CRLF included.',
  breach: 'deferred 4.5.0',
})

export const lineBytesMax = limit({
  name: 'mime.line',
  value: 998,
  unit: 'bytes',
  owner,
  why: 'RFC 5322 §2.1.1, without the CRLF.',
  breach: 'a body is encoded; a header field that cannot be folded: header_line_too_long',
})

export const headerNameCharactersMax = limit({
  name: 'mime.header-name',
  value: 76,
  unit: 'characters',
  owner,
  why: 'A name cannot be folded: 78 of RFC 5322 §2.1.1 less the colon and a space. The longest in use have about 40.',
  breach: 'header_name_invalid',
})

export const fromMailboxesMax = limit({
  name: 'header.from-mailboxes',
  value: 50,
  unit: 'mailboxes in From',
  owner,
  why: 'Each of them must be one that the client may send as, 2 µs apiece. More than one is rare, and more than a few is nobody’s mail.',
  breach: '550 5.7.1, except for clients that may send as anybody',
})

export const charsetChangesMax = limit({
  name: 'mime.charset-changes',
  value: 16,
  unit: 'changes of character set in one field',
  owner,
  why: 'A decoder for each costs 2 µs, and an unknown one 4. Two languages in one subject are rare.',
  breach: 'the rest is shown as it is written',
})

export const rsaBitsMin = limit({
  name: 'dkim.rsa-bits-min',
  value: 2_048,
  unit: 'bits',
  owner,
  why: 'RFC 8301 §3.2: signers must use at least 1024 bits and should use 2048. Receivers treat less as no signature.',
  breach: 'exit code 78',
})

export const rsaBitsMax = limit({
  name: 'dkim.rsa-bits',
  value: 4_096,
  unit: 'bits',
  owner,
  why: 'RFC 8301 §3.2: verifiers need not take more. What signing costs grows with the cube of the length.',
  breach: 'exit code 78',
})
