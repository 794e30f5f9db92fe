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
import { fromMailboxesMax } from './limits.ts'
import { MailboxScanner } from './mailbox.ts'

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
  /** That mailbox: its local part as written, at `fromDomain`; '' when there is none. */
  readonly fromAddress: string
  /** More of From follows behind that mailbox: `fromAddresses` reads all of it. */
  readonly fromMore: boolean
  /** The first Subject's value, its last CRLF included. Empty when there is no such field. */
  readonly subjectStart: number
  readonly subjectEnd: number
  /** Fields called X-Posthaste-…, in order. */
  readonly options: readonly FieldSpan[]
  /** For loop detection (RFC 5321 §6.3). */
  readonly receivedCount: number
  /** The block ends at a line that is neither a field nor empty. */
  readonly malformedLine: boolean
  /** Some value has bytes above 127, those of `options` aside. */
  readonly hasNonAscii: boolean
}

/** In lower case: fields that speak to us, and to nobody else. */
export const optionPrefix = 'x-posthaste-'

const noOptions: readonly FieldSpan[] = []

/** All that accepting a message needs to know of its header, in one pass. What follows the header may be there too. */
export function surveyHeader(header: Buffer): HeaderSurvey {
  const field = new FieldScanner(header)
  let hasDate = false
  let hasMessageId = false
  let fromCount = 0
  let from: MailboxScanner | null = null
  let subjectStart = 0
  let subjectEnd = 0
  let receivedCount = 0
  let options: FieldSpan[] | null = null
  let bits = 0
  while (field.next()) {
    const nameBytes = field.nameEnd - field.nameStart
    if (nameBytes === 4) {
      if (nameIs(header, field.nameStart, 'from')) {
        if (fromCount++ === 0) from = firstMailbox(header, field)
      } else if (nameIs(header, field.nameStart, 'date')) hasDate = true
    } else if (nameBytes === 7) {
      if (subjectEnd === 0 && nameIs(header, field.nameStart, 'subject')) {
        subjectStart = field.valueStart
        subjectEnd = field.end
      }
    } else if (nameBytes === 8) {
      if (nameIs(header, field.nameStart, 'received')) receivedCount++
    } else if (nameBytes === 10) {
      if (nameIs(header, field.nameStart, 'message-id')) hasMessageId = true
    } else if (nameBytes >= optionPrefix.length && nameIs(header, field.nameStart, optionPrefix)) {
      options ??= []
      options.push(spanOf(field))
      field.valueBits = bits
    }
    bits = field.valueBits
  }
  const end = field.end
  return {
    end,
    hasDate,
    hasMessageId,
    fromCount,
    fromDomain: from === null ? '' : from.domain,
    fromAddress: from === null ? '' : from.address,
    fromMore: from !== null && from.more,
    subjectStart,
    subjectEnd,
    options: options ?? noOptions,
    receivedCount,
    malformedLine: end < header.length && !emptyLineAt(header, end),
    hasNonAscii: bits > 0x7f,
  }
}

function spanOf({ nameStart, nameEnd, valueStart, end }: FieldSpan): FieldSpan {
  return { nameStart, nameEnd, valueStart, end }
}

function firstMailbox(header: Buffer, { valueStart, end }: FieldSpan): MailboxScanner {
  const mailbox = new MailboxScanner(header, valueStart, end)
  mailbox.next()
  return mailbox
}

/** All mailboxes of the first From field, as `fromAddress` has the first one; null when something in it is left in doubt, or they are too many. */
export function fromAddresses(header: Buffer): string[] | null {
  const field = new FieldScanner(header)
  const addresses: string[] = []
  while (field.next()) {
    if (field.nameEnd - field.nameStart !== 4 || !nameIs(header, field.nameStart, 'from')) continue
    const mailbox = new MailboxScanner(header, field.valueStart, field.end)
    while (mailbox.next()) {
      if (mailbox.domain === '' || addresses.length === fromMailboxesMax.value) return null
      addresses.push(mailbox.address)
    }
    break
  }
  return addresses
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

/** Whether the name of as many bytes as `lowerName` at `start` is that one. ASCII without case: only letters become letters by setting bit 5. */
export function nameIs(header: Uint8Array, start: number, lowerName: string): boolean {
  for (let i = 0; i < lowerName.length; i++) {
    if (((header[start + i] as number) | 0x20) !== lowerName.charCodeAt(i)) return false
  }
  return true
}
