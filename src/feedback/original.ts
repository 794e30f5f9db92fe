/** What of the original goes back with a notice. */
import type { DeliveryStatusForm } from '../standards/dsn.ts'
import { FieldScanner, nameIs } from '../standards/header.ts'
import { lineBytesMax } from '../standards/limits.ts'
import { textField } from '../standards/mime/fields.ts'
import { encodeLines } from '../standards/mime/transfer.ts'
import { printable } from '../standards/printable.ts'
import { headerBytesMax } from './limits.ts'
import type { Notice, NoticeOriginal } from './notice.ts'

export interface NoticePart {
  /** Content-Type and the like, each with its CRLF. */
  readonly fields: string
  readonly body: Buffer
  /** Has bytes above 127. */
  readonly eightBit: boolean
}

/** RFC 6522 §3: the whole message, or its header. @param eightBitPasses the notice is 8bit anyway */
export function originalPart(notice: Notice, form: DeliveryStatusForm, eightBitPasses: boolean): NoticePart {
  const { kind, returns, original } = notice
  const { header, body } = original
  if (header !== null && body !== null && kind === 'failed' && returns === 'FULL') {
    const whole = Buffer.concat([withoutEmptyLine(header), crlf, body])
    const part = form === 'utf8' ? globalPart('message/global', whole, eightBitPasses) : messagePart(whole)
    if (part !== null) return part
  }
  const lines = header === null ? knownHeader(original) : firstLines(withoutEmptyLine(header))
  if (form === 'utf8') return globalPart('message/global-headers', lines, eightBitPasses)
  // RFC 6522 §4: it may be quoted-printable.
  const { encoding, body: encoded } = encodeLines(lines)
  return part('text/rfc822-headers', 'Header of the message', encoding, Buffer.from(encoded))
}

/** RFC 2046 §5.2.1: never encoded. Null: then it cannot be sent. */
function messagePart(whole: Buffer): NoticePart | null {
  const bits = unencodedBits(whole)
  return bits === null ? null : part('message/rfc822', 'Your message', bits, whole)
}

/** RFC 6532 §3.7 and RFC 6533 §6: 8bit wherever that passes, otherwise any encoding will do. */
function globalPart(type: string, lines: Buffer, eightBitPasses: boolean): NoticePart {
  const what = type === 'message/global' ? 'Your message' : 'Header of the message'
  const bits = unencodedBits(lines)
  if (bits === '7bit' || (bits === '8bit' && eightBitPasses)) return part(type, what, bits, lines)
  const { encoding, body } = encodeLines(lines)
  return part(type, what, encoding, Buffer.from(body))
}

function part(type: string, what: string, encoding: string, body: Buffer): NoticePart {
  const fields = `Content-Description: ${what}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n`
  return { fields, body, eightBit: encoding === '8bit' }
}

const nul = 0x00
const lf = 0x0a
const cr = 0x0d
const crlf = Buffer.from('\r\n')

/** RFC 2045 §2.7, §2.8: what lines may travel as without an encoding; null when they may not. */
function unencodedBits(lines: Buffer): '7bit' | '8bit' | null {
  let bits = 0
  let lineStart = 0
  for (let at = 0; at < lines.length; at++) {
    const byte = lines[at] as number
    bits |= byte
    if (byte === nul || (byte === cr && lines[at + 1] !== lf)) return null
    if (byte !== lf) continue
    if (at === 0 || lines[at - 1] !== cr || at - 1 - lineStart > lineBytesMax.value) return null
    lineStart = at + 1
  }
  if (lines.length - lineStart > lineBytesMax.value) return null
  return bits > 0x7f ? '8bit' : '7bit'
}

function withoutEmptyLine(header: Buffer): Buffer {
  return header.subarray(-4).equals(emptyLine) ? header.subarray(0, -2) : header
}

const emptyLine = Buffer.from('\r\n\r\n')

function firstLines(header: Buffer): Buffer {
  const most = headerBytesMax.value
  if (header.length <= most) return header
  const lineEnd = header.subarray(0, most).lastIndexOf(crlf)
  return header.subarray(0, lineEnd < 0 ? most : lineEnd + 2)
}

/** Of a message that can no longer be read. */
function knownHeader({ from, subject }: NoticeOriginal): Buffer {
  const fields = [
    ['From', from],
    ['Subject', subject],
  ] as const
  return Buffer.from(fields.map(([name, value]) => (value === '' ? '' : textField(name, printable(value)))).join(''))
}

/** The original's Message-ID with its brackets; '' when it has none that may be repeated. */
export function messageIdOf(header: Buffer): string {
  const field = new FieldScanner(header.subarray(0, headerBytesMax.value))
  while (field.next()) {
    if (field.nameEnd - field.nameStart !== 10 || !nameIs(header, field.nameStart, 'message-id')) continue
    const value = header.toString('latin1', field.valueStart, field.end).trim()
    // RFC 5322 §3.6.4, as strictly as ours are written.
    return /^<[!-;=?A-~]{1,124}@[!-;=?A-~]{1,124}>$/.test(value) ? value : ''
  }
  return ''
}
