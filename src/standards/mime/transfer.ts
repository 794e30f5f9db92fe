/** Transfer encodings (RFC 2045 §6): how a body that may be anything travels in lines of ASCII. */
import { isAscii } from 'node:buffer'
import { lineBytesMax } from '../limits.ts'
import { crlfLines, type LineSurvey, surveyLines } from '../lines.ts'
import { QuotedPrintable } from './quoted-printable.ts'

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
 *
 * For a text of many lines a LongText does the same faster.
 */
export function encodeText(text: string, delimiterStart: string): Transfer {
  const lines = withCrlf(text)
  const isPlain = Buffer.byteLength(lines) === lines.length && !lines.includes('\0') && !hasLongLine(lines)
  if (isPlain && !lines.includes(delimiterStart)) return { encoding: '7bit', body: lines }
  return encoded(Buffer.from(lines))
}

function encoded(lines: Buffer): Transfer {
  let escaped = 0
  for (let i = 0; i < lines.length; i++) escaped += (lines[i] as number) > 0x7e ? 1 : 0
  if (suitsBase64(escaped, lines.length)) return { encoding: 'base64', body: lines }
  return { encoding: 'quoted-printable', body: quotedPrintable(lines) }
}

/** Of lines in CRLF of so many bytes in all. */
export function suitsBase64(escapedBytes: number, bytes: number): boolean {
  return 3 * escapedBytes > bytes
}

function quotedPrintable(lines: Buffer): string {
  return new QuotedPrintable().encode(lines, true).toString('latin1')
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
