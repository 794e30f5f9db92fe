/**
 * The mailboxes of an address list (RFC 5322 §3.4, groups by RFC 6854), read over its bytes: whose From is it?
 *
 * The plan: quoted strings and comments are stepped over, wherever they are. Outside of angle brackets an "@" starts a domain that
 * is the mailbox's unless a "<" shows that it was a display name. A comma, a semicolon or the end completes a mailbox. Encoded words
 * are atoms like any other: decoding one could conjure up an "@". Whatever is left in doubt has no domain, and so no signature.
 */
import { domainName } from './address.ts'
import { nameCharactersMax, pathBytesMax } from './limits.ts'

const tab = 0x09
const lf = 0x0a
const cr = 0x0d
const space = 0x20
const quote = 0x22
const dot = 0x2e

/** Steps through the mailboxes of `bytes[start…end)`; after `next()` returned true the rest describes one. */
export class MailboxScanner {
  /** Lower-case A-labels; '' when the list is in doubt from here on. */
  domain = ''
  readonly #bytes: Buffer
  readonly #end: number
  #at: number
  #localStart = 0
  #atSign = 0

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Local part as written, at `domain`; '' when that is in doubt. The local part is left out when it is none that could be. */
  get address(): string {
    return this.domain === '' ? '' : `${localText(this.#bytes, this.#localStart, this.#atSign)}@${this.domain}`
  }

  /** Something follows. */
  get more(): boolean {
    for (let at = this.#at; at < this.#end; at++) if (!isSpace(this.#bytes[at] as number)) return true
    return false
  }

  next(): boolean {
    const bytes = this.#bytes
    const end = this.#end
    let inAngle = false
    let atSign = -1
    let start = this.#at
    for (let at = start; at < end; at++) {
      switch (bytes[at] as number) {
        case quote:
          at = quotedStringEnd(bytes, at, end)
          break
        case 0x28: // (
          at = commentEnd(bytes, at, end)
          break
        case 0x3c: // <
          if (inAngle) return this.#found(start, -1, end, end)
          inAngle = true
          atSign = -1
          start = at + 1
          break
        case 0x3e: // >
          return this.#found(start, inAngle ? atSign : -1, at, at + 1)
        case 0x40: // @
          if (atSign >= 0) return this.#found(start, -1, end, end)
          atSign = at
          break
        case 0x3a: // ":" after a group's name; in brackets it would be a route, which is obsolete since 1989 (RFC 1123 §5.2.19)
          if (inAngle || atSign >= 0) return this.#found(start, -1, end, end)
          start = at + 1
          break
        case 0x2c: // ,
        case 0x3b: // ;
          if (inAngle) return this.#found(start, -1, end, end)
          if (atSign >= 0) return this.#found(start, atSign, at, at + 1)
          start = at + 1
          break
      }
    }
    if (inAngle || atSign >= 0) return this.#found(start, inAngle ? -1 : atSign, end, end)
    this.#at = end
    this.domain = ''
    return false
  }

  /** `atSign` of -1 is doubt, and ends it all. */
  #found(localStart: number, atSign: number, domainEnd: number, next: number): true {
    this.domain = atSign < 0 ? '' : domainText(this.#bytes, atSign + 1, domainEnd)
    this.#localStart = localStart
    this.#atSign = atSign
    this.#at = this.domain === '' ? this.#end : next
    return true
  }
}

/** RFC 5321 §4.1.2, dots wherever they are. */
const plainLocalPart = /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}$/

/**
 * The local part in `bytes[start…end)` without comments and white space, which may stand around it and its dots (RFC 5322 §4.4). Of
 * several words it is the last one.
 */
function localText(bytes: Buffer, start: number, end: number): string {
  const written = bytes.toString('latin1', start, end).trim()
  if (plainLocalPart.test(written)) return written
  let text = ''
  let last = 0
  let gap = false
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (isSpace(byte)) {
      gap = true
    } else if (byte === 0x28) {
      at = commentEnd(bytes, at, end)
      gap = true
    } else {
      if (gap && byte !== dot && last !== dot) text = ''
      gap = false
      const from = at
      if (byte === quote) at = quotedStringEnd(bytes, at, end)
      last = bytes[Math.min(at, end - 1)] as number
      text += bytes.toString('latin1', from, Math.min(at + 1, end))
      if (text.length > pathBytesMax.value) return ''
    }
  }
  const decoded = Buffer.from(text.replaceAll('\r\n', ''), 'latin1').toString('utf8')
  return /\p{C}/u.test(decoded) ? '' : decoded
}

const isSpace = (byte: number): boolean => byte === space || byte === tab || byte === cr || byte === lf

/** Offset of the closing quote, or of the last byte when there is none. */
function quotedStringEnd(bytes: Uint8Array, open: number, end: number): number {
  let at = open + 1
  while (at < end && bytes[at] !== quote) at += bytes[at] === 0x5c ? 2 : 1
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
    if (isSpace(byte)) {
      gap = true
    } else if (byte === 0x28) {
      at = commentEnd(bytes, at, end)
      gap = true
    } else if (domainByte(byte)) {
      if (gap && text !== '' && byte !== dot && !text.endsWith('.')) return ''
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
    (lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === dot || byte === 0x5f
  )
}
