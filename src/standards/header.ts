/**
 * The header block of a message, read over its bytes: where each field lies, where the block ends, whose From it is (RFC 5322
 * §2.2, §3.6). Nothing is decoded, nothing is changed, and everything is one pass without recursion.
 *
 *   From : Ann\r\n <ann@example.com>\r\n\r\nbody
 *   ^    ^                           ^
 *   |    nameEnd                     end: just past the field's last CRLF
 *   nameStart
 *
 * Lines end in CRLF only. The block ends at the first line that is neither a field nor the continuation of one: the empty
 * line, or a line that a sloppy client wrote without any.
 */
import { domainName } from './address.ts'
import { nameCharactersMax } from './limits.ts'

const tab = 0x09
const lf = 0x0a
const cr = 0x0d
const space = 0x20
const colon = 0x3a

/** Where a field lies. */
export interface FieldSpan {
  readonly nameStart: number
  /** Past the name, before the white space that obsolete syntax allows in front of the colon (RFC 5322 §4.5). */
  readonly nameEnd: number
  /** Just past the colon. */
  readonly valueStart: number
  /** Just past the field's last CRLF. */
  readonly end: number
}

/** Steps through fields; after `next()` returned true the offsets describe one. It never leaves the bytes it was given. */
export class FieldScanner implements FieldSpan {
  nameStart = 0
  nameEnd = 0
  valueStart = 0
  /** Just past the field; after the last one, where the header block ends. */
  end = 0
  /** All values' bytes or'ed together: above 127 when one of them is not ASCII. */
  valueBits = 0
  readonly #header: Uint8Array

  constructor(header: Uint8Array) {
    this.#header = header
  }

  next(): boolean {
    const header = this.#header
    const length = header.length
    const start = this.end
    let at = start
    let byte = 0
    // RFC 5322 §2.2: a name is printable ASCII without colon or space; RFC 6532 leaves that as it is.
    while (at < length && (byte = header[at] as number) > space && byte < 0x7f && byte !== colon) at++
    if (at === start) return false
    const nameEnd = at
    while (at < length && ((byte = header[at] as number) === space || byte === tab)) at++
    if (at === length || byte !== colon) return false
    this.nameStart = start
    this.nameEnd = nameEnd
    this.valueStart = ++at

    let bits = this.valueBits
    for (; at < length; at++) {
      byte = header[at] as number
      bits |= byte
      if (byte !== lf || header[at - 1] !== cr) continue
      const following = header[at + 1]
      if (following === space || following === tab) continue
      at++
      break
    }
    this.valueBits = bits
    this.end = at
    return true
  }
}

export interface HeaderSurvey {
  /** Just past the last field's CRLF: the empty line or the body follows. */
  readonly end: number
  readonly hasDate: boolean
  readonly hasMessageId: boolean
  readonly fromCount: number
  /** Of the first From field's first mailbox, lower-case A-labels; '' when there is none. */
  readonly fromDomain: string
  /** For loop detection (RFC 5321 §6.3). */
  readonly receivedCount: number
  /** The block ends at a line that is neither a field nor empty. */
  readonly malformedLine: boolean
  readonly hasNonAscii: boolean
}

/** All that accepting a message needs to know of its header, in one pass. What follows the header may be there too. */
export function surveyHeader(header: Buffer): HeaderSurvey {
  const field = new FieldScanner(header)
  let hasDate = false
  let hasMessageId = false
  let fromCount = 0
  let fromDomain = ''
  let receivedCount = 0
  while (field.next()) {
    const nameBytes = field.nameEnd - field.nameStart
    if (nameBytes === 4) {
      if (nameIs(header, field.nameStart, 'from')) {
        if (fromCount++ === 0) fromDomain = mailboxDomain(header, field.valueStart, field.end)
      } else if (nameIs(header, field.nameStart, 'date')) hasDate = true
    } else if (nameBytes === 8) {
      if (nameIs(header, field.nameStart, 'received')) receivedCount++
    } else if (nameBytes === 10) {
      if (nameIs(header, field.nameStart, 'message-id')) hasMessageId = true
    }
  }
  const end = field.end
  return {
    end,
    hasDate,
    hasMessageId,
    fromCount,
    fromDomain,
    receivedCount,
    malformedLine: end < header.length && !emptyLineAt(header, end),
    hasNonAscii: field.valueBits > 0x7f,
  }
}

/** Where the header block ends, for those who need nothing else of it. */
export function headerEnd(message: Uint8Array): number {
  const field = new FieldScanner(message)
  while (field.next());
  return field.end
}

export function emptyLineAt(message: Uint8Array, at: number): boolean {
  return message[at] === cr && message[at + 1] === lf
}

/** Domain of the first From field's first mailbox, lower-case A-labels; '' when there is none that is safe to name. */
export function fromDomain(header: Buffer): string {
  const field = new FieldScanner(header)
  while (field.next()) {
    if (field.nameEnd - field.nameStart === 4 && nameIs(header, field.nameStart, 'from')) {
      return mailboxDomain(header, field.valueStart, field.end)
    }
  }
  return ''
}

/** Whether the name of as many bytes as `lowerName` at `start` is that one. ASCII without case: only letters become letters by setting bit 5. */
export function nameIs(header: Uint8Array, start: number, lowerName: string): boolean {
  for (let i = 0; i < lowerName.length; i++) {
    if (((header[start + i] as number) | 0x20) !== lowerName.charCodeAt(i)) return false
  }
  return true
}

/**
 * Domain of the first mailbox that has one in an address list (RFC 5322 §3.4, groups by RFC 6854).
 *
 * The plan: quoted strings and comments are stepped over, wherever they are. Outside of angle brackets an "@" starts a domain that
 * is the mailbox's unless a "<" shows that it was a display name. A comma, a semicolon or the end completes a mailbox. Encoded words
 * are atoms like any other: decoding one could conjure up an "@". Whatever is left in doubt gives '', and so no signature.
 */
function mailboxDomain(bytes: Buffer, start: number, end: number): string {
  let inAngle = false
  let atSign = -1
  for (let at = start; at < end; at++) {
    switch (bytes[at] as number) {
      case 0x22: // "
        at = quotedStringEnd(bytes, at, end)
        break
      case 0x28: // (
        at = commentEnd(bytes, at, end)
        break
      case 0x3c: // <
        if (inAngle) return ''
        inAngle = true
        atSign = -1
        break
      case 0x3e: // >
        return inAngle && atSign >= 0 ? domainText(bytes, atSign + 1, at) : ''
      case 0x40: // @
        if (atSign >= 0) return ''
        atSign = at
        break
      case colon: // after a group's name; in brackets it would be a route, which is obsolete since 1989 (RFC 1123 §5.2.19)
        if (inAngle || atSign >= 0) return ''
        break
      case 0x2c: // ,
      case 0x3b: // ;
        if (inAngle) return ''
        if (atSign >= 0) return domainText(bytes, atSign + 1, at)
        break
    }
  }
  return inAngle || atSign < 0 ? '' : domainText(bytes, atSign + 1, end)
}

/** Offset of the closing quote, or of the last byte when there is none. */
function quotedStringEnd(bytes: Uint8Array, open: number, end: number): number {
  let at = open + 1
  while (at < end && bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1
  return at
}

/** Offset of the parenthesis that closes the comment, which may hold others. */
function commentEnd(bytes: Uint8Array, open: number, end: number): number {
  let depth = 1
  let at = open
  while (depth > 0 && ++at < end) {
    const byte = bytes[at]
    if (byte === 0x5c) at++
    else if (byte === 0x28) depth++
    else if (byte === 0x29) depth--
  }
  return at
}

/**
 * The domain in `bytes[start…end)` without comments and white space, which may stand around it and its dots (RFC 5322 §4.4), or ''
 * when it is not a host name: a literal address, an empty label, two words.
 */
function domainText(bytes: Buffer, start: number, end: number): string {
  let text = ''
  let gap = false
  let ascii = true
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === space || byte === tab || byte === cr || byte === lf) {
      gap = true
    } else if (byte === 0x28) {
      at = commentEnd(bytes, at, end)
      gap = true
    } else if (domainByte(byte)) {
      if (gap && text !== '' && byte !== 0x2e && !text.endsWith('.')) return ''
      if (text.length === nameBytesMax) return ''
      gap = false
      ascii &&= byte < 0x80
      text += String.fromCharCode(byte)
    } else return ''
  }
  // RFC 6532 §3.2. What only looks like a domain must not be signed for as that domain.
  if (!ascii) text = domainName(Buffer.from(text, 'latin1').toString('utf8'))
  if (
    text === '' ||
    text.length > nameCharactersMax.value ||
    text.startsWith('.') ||
    text.endsWith('.') ||
    text.includes('..')
  )
    return ''
  return text.toLowerCase()
}

/** In UTF-8; few enough to gather byte by byte. */
const nameBytesMax = nameCharactersMax.value * 4

function domainByte(byte: number): boolean {
  if (byte >= 0x80) return true
  const lower = byte | 0x20
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x5f
  )
}
