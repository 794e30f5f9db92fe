/** Transfer encodings (RFC 2045 §6): how a body that may be anything travels in lines of ASCII. */
import { isAscii } from 'node:buffer'
import { KiB } from '../../kernel/units.ts'
import { lineBytesMax } from '../limits.ts'
import { crlfLines, type LineSurvey, surveyLines } from '../lines.ts'

/** A body ready to be written: text goes out as it is, bytes in base64. */
export interface Transfer {
  readonly encoding: '7bit' | 'quoted-printable' | 'base64'
  readonly body: string | Uint8Array
}

/**
 * The encoding that suits a text: none when it fits, because anything else is one more thing to be decoded wrongly; otherwise
 * quoted-printable, of which a human can read the most; but base64 where more than a third is beyond ASCII, since three bytes of such
 * text become five and more in the one and four in the other.
 *
 * A delimiter cannot occur in the two encodings: it begins with "=_", which no quoted-printable has (RFC 2045 §6.7) and no base64
 * either. So a text that has it is encoded too.
 */
export function encodeText(text: string, delimiterStart: string): Transfer {
  if (text.length > searchedCharacters) return encodeLongText(Buffer.from(text), delimiterStart)
  const lines = withCrlf(text)
  const isPlain = Buffer.byteLength(lines) === lines.length && !lines.includes('\0') && !hasLongLine(lines)
  if (isPlain && !lines.includes(delimiterStart)) return { encoding: '7bit', body: lines }
  return encoded(Buffer.from(lines))
}

function encodeLongText(bytes: Buffer, delimiterStart: string): Transfer {
  const survey = surveyLines(bytes)
  const lines = crlfLines(bytes, survey)
  const isPlain = arePlain(lines, survey) && !lines.includes(delimiterStart)
  return isPlain ? { encoding: '7bit', body: lines.toString('latin1') } : encoded(lines)
}

function encoded(lines: Buffer): Transfer {
  let escaped = 0
  for (let i = 0; i < lines.length; i++) escaped += (lines[i] as number) > 0x7e ? 1 : 0
  if (3 * escaped > lines.length) return { encoding: 'base64', body: lines }
  return { encoding: 'quoted-printable', body: quotedPrintable(lines) }
}

/** RFC 2046 §5.2.1: a message inside a message may not be encoded. Null when it would have to be. */
export function plainMessage(content: Uint8Array, delimiterStart: string): Transfer | null {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length)
  const survey = surveyLines(bytes)
  if (!arePlain(bytes, survey) || bytes.includes(delimiterStart)) return null
  return { encoding: '7bit', body: crlfLines(bytes, survey).toString('latin1') }
}

/** Lines of a character set that nobody knows, for readers who may have to do without decoding: as they are, or quoted where they do not fit. */
export function encodeLines(bytes: Buffer): Transfer & { readonly body: string } {
  const survey = surveyLines(bytes)
  const lines = crlfLines(bytes, survey)
  return arePlain(lines, survey)
    ? { encoding: '7bit', body: lines.toString('latin1') }
    : { encoding: 'quoted-printable', body: quotedPrintable(lines) }
}

/** Whether lines are 7bit, but for their ends (RFC 2045 §2.7). */
function arePlain(lines: Buffer, { longestBytes }: LineSurvey): boolean {
  return longestBytes <= lineBytesMax.value && isAscii(lines) && !lines.includes(0)
}

/** Gmail clips what is longer than 102 KiB: mail seldom is. A look at each byte costs more than a search here, and very much less behind it. */
const searchedCharacters = 128 * KiB

function withCrlf(text: string): string {
  // Not replaceAll, which makes a string for each line.
  return text.includes('\r') ? text.replace(/\r\n|\r|\n/g, '\r\n') : text.replace(/\n/g, '\r\n')
}

/** Searches backwards from where a line must have ended, so that it takes two steps for `most` octets, and not one for each line. */
function hasLongLine(lines: string): boolean {
  const most = lineBytesMax.value
  for (let start = 0; lines.length - start > most; ) {
    const end = lines.lastIndexOf('\r', start + most)
    if (end < start) return true
    start = end + 2
  }
  return false
}

const tab = 0x09
const lf = 0x0a
const cr = 0x0d
const space = 0x20
const equals = 0x3d

/** RFC 2045 §6.7 (2), (3): 1 for bytes that stand for themselves, white space at the end of a line excepted. */
const literal = new Uint8Array(256).fill(1, space, 0x7f)
literal[tab] = 1
literal[equals] = 0

/** RFC 2045 §6.7 (5): 76, of which the "=" of a soft break needs one. */
const quotedColumns = 75
const hexDigits = Buffer.from('0123456789ABCDEF')

/** `bytes` has no CR or LF but in CRLF. In turn: a run of literal bytes, as far as the line has room; then what ended it. */
function quotedPrintable(bytes: Buffer): string {
  // Nothing becomes longer than three, and a line that is broken holds at least 73.
  const most = 3 * bytes.length
  const out = Buffer.allocUnsafe(most + 3 * Math.ceil(most / 73))
  let to = 0
  let left = quotedColumns
  for (let at = 0; at < bytes.length; ) {
    const start = at
    const stop = Math.min(bytes.length, at + left)
    while (at < stop && literal[bytes[at] as number] === 1) out[to++] = bytes[at++] as number
    // §6.7 (3): white space at the end of a line may be taken off on the way, so it is taken back and escaped.
    if (at > start && isTrailingSpace(bytes, at - 1)) {
      at--
      to--
    }
    left -= at - start
    if (at === bytes.length) break
    const byte = bytes[at] as number
    if (byte === cr) {
      out[to++] = cr
      out[to++] = lf
      at += 2
      left = quotedColumns
    } else if (left >= 3 && (literal[byte] === 0 || isTrailingSpace(bytes, at))) {
      out[to++] = equals
      out[to++] = hexDigits[byte >> 4] as number
      out[to++] = hexDigits[byte & 15] as number
      at++
      left -= 3
    } else {
      out[to++] = equals
      out[to++] = cr
      out[to++] = lf
      left = quotedColumns
    }
  }
  return out.toString('latin1', 0, to)
}

function isTrailingSpace(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== space && bytes[at] !== tab) return false
  return at + 1 === bytes.length || bytes[at + 1] === cr
}
