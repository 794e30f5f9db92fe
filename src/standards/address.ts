/**
 * Mail addresses as SMTP writes them (RFC 5321 §4.1.2, internationalised by RFC 6531 §3.3). One strict reader for the whole program:
 * whoever judges or routes an address uses what this made of it, so that no two places can disagree about its domain.
 *
 *   <@relay.example:"ann smith"@example.com>
 *    route, ignored  local part   domain
 */
import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { domainBytesMax, labelBytesMax, localPartBytesMax, pathBytesMax } from './limits.ts'

export interface Mailbox {
  /** `local@domain`, as written: quotes, case and all. */
  readonly address: string
  /** Lower-case A-labels, or the literal with its brackets. */
  readonly domain: string
  /** The domain is an address literal (RFC 5321 §4.1.3). */
  readonly literal: boolean
  readonly ascii: boolean
}

/** A path that was read, or what is wrong with it, in words fit for a reply. */
export type ParsedPath =
  | { readonly problem: null; readonly mailbox: Mailbox | null; readonly end: number }
  | { readonly problem: string }

const refuse = (problem: string): ParsedPath => ({ problem })

/**
 * Reads the path that begins at `text[start]`; `end` is just past its closing bracket. A null mailbox is the empty path `<>`. A source
 * route is checked for its form and dropped (RFC 5321 §4.1.1.3, appendix C).
 */
export function parsePath(text: string, start: number): ParsedPath {
  if (text[start] !== '<') return refuse('the address must stand in angle brackets')
  if (text[start + 1] === '>') return { problem: null, mailbox: null, end: start + 2 }
  let at = start + 1
  if (text[at] === '@') {
    at = routeEnd(text, at)
    if (at < 0) return refuse('the source route is malformed')
  }
  const localStart = at
  at = text[at] === '"' ? quotedStringEnd(text, at) : dotStringEnd(text, at)
  if (at < 0 || text[at] !== '@') return refuse('the local part of the address is malformed')
  const localPart = text.slice(localStart, at)
  const close = text.indexOf('>', at)
  if (close < 0) return refuse('the address has no closing bracket')
  const written = text.slice(at + 1, close)

  if (octets(localPart) > localPartBytesMax.value)
    return refuse(`the local part is longer than ${localPartBytesMax.value} octets`)
  if (octets(written) > domainBytesMax.value) return refuse(`the domain is longer than ${domainBytesMax.value} octets`)
  if (octets(text.slice(start, close + 1)) > pathBytesMax.value)
    return refuse(`the path is longer than ${pathBytesMax.value} octets`)
  const literal = written.startsWith('[')
  const domain = literal ? addressLiteral(written) : domainName(written)
  if (domain === '') return refuse(literal ? 'the address literal is malformed' : 'the domain is malformed')
  const address = `${localPart}@${written}`
  return { problem: null, mailbox: { address, domain, literal, ascii: isAsciiAddress(address) }, end: close + 1 }
}

/**
 * A whole address as people write it, without brackets. One that mail from elsewhere could not reach, at an address literal or a name without a
 * dot, is none.
 */
export function parseAddress(
  text: string,
): { readonly problem: string } | { readonly problem: null; readonly mailbox: Mailbox } {
  const path = parsePath(`<${text}>`, 0)
  if (path.problem !== null) return { problem: path.problem }
  const { mailbox, end } = path
  if (mailbox === null) return { problem: 'it is empty' }
  if (end !== text.length + 2) return { problem: 'something follows the address' }
  if (mailbox.literal) return { problem: 'it has no domain' }
  if (!mailbox.domain.includes('.')) return { problem: 'the domain has no dot' }
  return { problem: null, mailbox }
}

/**
 * Where mail for an address goes: its domain in lower-case A-labels, or the literal in its brackets; '' when there is none. A quoted
 * local part may hold an "@", a domain never does.
 */
export function domainOf(address: string): string {
  const written = address.slice(address.lastIndexOf('@') + 1)
  if (written.length === address.length) return ''
  return written.startsWith('[') ? addressLiteral(written) : domainName(written)
}

/** Only a receiver that offers SMTPUTF8 can be given it: no other form of a local part means the same. A domain has one, its A-labels. */
export function needsSmtpUtf8(address: string): boolean {
  return !isAsciiAddress(address) && !isAsciiAddress(address.slice(0, address.lastIndexOf('@')))
}

/**
 * An address that was accepted, as it goes out. With a local part in ASCII the domain is written in A-labels, which any server takes (RFC 6531 §3.2 asks for
 * SMTPUTF8 for anything else; RFC 5890 §2.3.2.1 has both forms mean the same).
 */
export function wireAddress(address: string): string {
  return isAsciiAddress(address) || needsSmtpUtf8(address) ? address : withDomain(address, address)
}

/** The same for all ways to write an address that people hold for one, to search by: letter case and the form of the domain do not matter. */
export function searchAddress(address: string): string {
  const lower = address.toLowerCase()
  return isAsciiAddress(lower) ? lower : withDomain(lower, address)
}

/** The domain as it is understood, where it is one. */
function withDomain(address: string, written: string): string {
  const domain = domainOf(written)
  return domain === '' ? address : `${address.slice(0, address.lastIndexOf('@'))}@${domain}`
}

export function isAsciiAddress(address: string): boolean {
  for (let i = 0; i < address.length; i++) if (address.charCodeAt(i) > 0x7f) return false
  return true
}

/**
 * A domain name in lower-case A-labels; '' when it is none. RFC 5321 §4.1.2 with the letter-digit-hyphen rule of RFC 1123 §2.1;
 * U-labels by UTS #46.
 */
export function domainName(written: string): string {
  if (isAsciiAddress(written)) {
    const lower = written.toLowerCase()
    if (!isHostName(lower)) return ''
    // An A-label must be one that the conversion could have made (RFC 5890 §2.3.2.1).
    return lower.includes('xn--') && domainToASCII(lower) !== lower ? '' : lower
  }
  if (!isHonestUnicode(written)) return ''
  const converted = domainToASCII(written)
  return isHostName(converted) ? converted : ''
}

/**
 * UTS #46 maps what looks alike to what it resembles and drops what cannot be seen, so that "exa<ZERO WIDTH SPACE>mple.com" becomes
 * example.com. Such a name is a trick or an accident: only names that mean themselves are converted. U+3002 would become a dot.
 */
function isHonestUnicode(written: string): boolean {
  // The conversion reads its input as a URL does: "%2e" would become a dot, and "/", "?", "#", ":" or "@" would end the name early.
  if (!/^[A-Za-z0-9.\u0080-\u{10ffff}-]+$/u.test(written)) return false
  if (/[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\u3002]/u.test(written)) return false
  return written.normalize('NFKC') === written
}

/** Labels of letters, digits and inner hyphens; the last one must not make it look like an IP address ("0x7f.1", "1.2.3"). */
function isHostName(name: string): boolean {
  if (name.length === 0 || name.length > domainBytesMax.value) return false
  let labelStart = 0
  for (let i = 0; i <= name.length; i++) {
    const code = i === name.length ? 0x2e : name.charCodeAt(i)
    if (code === 0x2e) {
      const length = i - labelStart
      if (length === 0 || length > labelBytesMax.value) return false
      if (name.charCodeAt(labelStart) === 0x2d || name.charCodeAt(i - 1) === 0x2d) return false
      if (i < name.length) labelStart = i + 1
    } else if (!isLetterOrDigit(code) && code !== 0x2d) return false
  }
  const beginsWithDigit = name.charCodeAt(labelStart) <= 0x39
  return !beginsWithDigit || !/^(\d+|0x[0-9a-f]*)$/.test(name.slice(labelStart))
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3), lower-case; '' when it is neither. */
function addressLiteral(written: string): string {
  if (!written.endsWith(']')) return ''
  const inner = written.slice(1, -1).toLowerCase()
  // node:net takes "fe80::1%eth0" for an address too; a zone means nothing to others.
  const valid = inner.startsWith('ipv6:') ? isIPv6(inner.slice(5)) && !inner.includes('%') : isIPv4(inner)
  return valid ? `[${inner}]` : ''
}

/** `@one,@two:` → just past the colon, or -1. */
function routeEnd(text: string, start: number): number {
  const colon = text.indexOf(':', start)
  if (colon < 0) return -1
  for (const hop of text.slice(start, colon).split(','))
    if (!hop.startsWith('@') || domainName(hop.slice(1)) === '') return -1
  return colon + 1
}

/** Just past the closing quote, or -1. Any printable character may be quoted, and be escaped for no reason. */
function quotedStringEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) return at + 1
    if (code === 0x5c) {
      const escaped = text.charCodeAt(++at)
      if (!(escaped >= 0x20 && escaped < 0x7f)) return -1
    } else if (isControl(code)) return -1
  }
  return -1
}

/** Just past `atom *("." atom)`, or -1 when a dot leads, trails or doubles. */
function dotStringEnd(text: string, start: number): number {
  let at = start
  let afterDot = true
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x2e) {
      if (afterDot) return -1
      afterDot = true
    } else if (isAtomText(code)) afterDot = false
    else break
  }
  return afterDot ? -1 : at
}

/** RFC 5322 §3.2.3 atext, and anything beyond ASCII by RFC 6531 §3.3. */
function isAtomText(code: number): boolean {
  if (code > 0x7f) return !isControl(code)
  return isLetterOrDigit(code >= 0x41 ? code | 0x20 : code) || atomMarks.has(code)
}

const atomMarks: ReadonlySet<number> = new Set(Buffer.from("!#$%&'*+-/=?^_`{|}~"))

/** C0, DEL and C1; line separators; and what makes a terminal show the rest of a line backwards (Unicode TR #36 §3.5). */
function isControl(code: number): boolean {
  if (code < 0x2028) return code < 0x20 || (code >= 0x7f && code < 0xa0)
  return code <= 0x202e || (code >= 0x2066 && code <= 0x2069)
}

function isLetterOrDigit(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)
}

function octets(text: string): number {
  return isAsciiAddress(text) ? text.length : Buffer.byteLength(text)
}
