/**
 * Text as it stands in parameters of SMTP commands, where spaces, "+", "=" and all but printable ASCII would be misread: xtext
 * (RFC 3461 §4), and the form that addresses beyond ASCII have there (RFC 6533 §3).
 *
 *   ann smith+x@example.com   →   ann+20smith+2Bx@example.com          xtext, octet by octet
 *   jürgen+x@example.com      →   jürgen\x{2B}x@example.com            unitext, where SMTPUTF8 is in use
 *                             →   j\x{FC}rgen\x{2B}x@example.com       the same in ASCII, fit for any server
 */
import { isUtf8 } from 'node:buffer'

/** Of octets: whatever is not ASCII is written as the octets of its UTF-8. */
export function encodeXtext(text: string): string {
  if (plain.test(text)) return text
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(notXchar, (octet) => `+${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

/** Null when it is not xtext, or not of UTF-8. */
export function decodeXtext(xtext: string): string | null {
  if (plain.test(xtext)) return xtext
  if (!wellFormed.test(xtext)) return null
  const octets = xtext.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  const bytes = Buffer.from(octets, 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : null
}

/** Of an address: ASCII that would be misread is escaped, the rest stays. */
export function encodeUnitext(address: string): string {
  return address.replace(notUchar, escaped)
}

/** Whether `text` is unitext of an address, which has no control characters (RFC 6533 §3: utf-8-addr-unitext). */
export function isUnitext(text: string): boolean {
  if (!unitext.test(text)) return false
  for (const [, hex = ''] of text.matchAll(escapes)) if (!isHexPoint(hex)) return false
  return true
}

/** Unitext with nothing beyond ASCII (utf-8-addr-xtext). */
export function asciiUnitext(unitextOfAddress: string): string {
  return unitextOfAddress.replace(/[\u0080-\u{10ffff}]/gu, escaped)
}

const plain = /^[\x21-\x2a\x2c-\x3c\x3e-\x7e]*$/
const wellFormed = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*$/
const notXchar = /[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/g
const notUchar = /[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u0080-\u{10ffff}]/gu
/** Without C1, line separators, and what makes a terminal show the rest of a line backwards (Unicode TR #36 §3.5). */
const unitext =
  /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u00a0-\u2027\u202f-\u2065\u206a-\u{10ffff}]|\\x\{[0-9A-F]{2,6}\})+$/u
const escapes = /\\x\{([0-9A-F]+)\}/g

function escaped(character: string): string {
  return `\\x{${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(2, '0')}}`
}

/** A code point in as few digits as it needs, at least two: no control character, no half of a surrogate pair. */
function isHexPoint(hex: string): boolean {
  const point = Number.parseInt(hex, 16)
  if (hex.length > 2 && hex.startsWith('0')) return false
  if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point > 0x10_ffff) return false
  return point < 0xd800 || point > 0xdfff
}
