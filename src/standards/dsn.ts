/**
 * The body of message/delivery-status (RFC 3464 §2), and of message/global-delivery-status (RFC 6533 §4): what programs read of a notice.
 *
 *   Original-Envelope-Id: …          about the message
 *   Reporting-MTA: dns; …
 *   Arrival-Date: …
 *
 *   Final-Recipient: rfc822; …       a block for each recipient
 *   Action: failed
 *   Status: 5.1.1
 *
 * Whatever the values are, each stays on its own field: what is no printable character is replaced, lines are folded, and none is longer than
 * RFC 5322 §2.1.1 allows. In the form 'ascii' everything is ASCII.
 */
import { isIP, isIPv6 } from 'node:net'
import { isAsciiAddress } from './address.ts'
import { headerDate } from './header-date.ts'
import { foldedField } from './mime/fold.ts'
import { printable, printableAscii } from './printable.ts'
import { asciiUnitext, decodeXtext, encodeUnitext } from './xtext.ts'

/** 'utf8' is the international form, which only programs that know RFC 6533 can read. */
export type DeliveryStatusForm = 'ascii' | 'utf8'

export interface DeliveryStatus {
  /** Name of the host that writes it. */
  readonly reportingMta: string
  /** ENVID as it was given, in xtext; '' is none. */
  readonly envelopeId: string
  readonly arrivalAtMs: number
  /** Fields of our own: their names begin with "X-" (RFC 3464 §2.4). */
  readonly extensions: readonly (readonly [name: string, value: string])[]
  readonly recipients: readonly RecipientStatus[]
}

export interface RecipientStatus {
  /** ORCPT as it was given, `type;xtext`; '' is none. */
  readonly originalRecipient: string
  readonly finalRecipient: string
  readonly action: 'failed' | 'delayed' | 'relayed'
  /** RFC 3463: "5.1.1". */
  readonly status: string
  /** Name or address of the host that was spoken to; '' is none. */
  readonly remoteMta: string
  /** What it said, or what we have to say; null leaves it out. */
  readonly diagnostic: { readonly type: 'smtp' | 'x-posthaste'; readonly text: string } | null
  readonly lastAttemptAtMs: number
  /** 0: it is not tried again. */
  readonly willRetryUntilMs: number
}

/** Blocks of lines that end in CRLF. */
export function deliveryStatus(report: DeliveryStatus, form: DeliveryStatusForm): string {
  // RFC 3464 §2.2: Reporting-MTA is the one field that must be there.
  let text =
    field('Original-Envelope-Id', [envelopeIdText(report.envelopeId)], form) +
    field('Reporting-MTA', ['dns;', hostText(report.reportingMta)], form) +
    field('Arrival-Date', [headerDate(report.arrivalAtMs)], form)
  for (const [name, value] of report.extensions) text += field(name, [value], form)
  for (const recipient of report.recipients) text += `\r\n${recipientBlock(recipient, form)}`
  return text
}

/** RFC 3464 §2.3, in its order. */
function recipientBlock(recipient: RecipientStatus, form: DeliveryStatusForm): string {
  const { finalRecipient, action, status, remoteMta, diagnostic, lastAttemptAtMs, willRetryUntilMs } = recipient
  let text =
    field('Original-Recipient', originalRecipientTokens(recipient.originalRecipient, form), form) +
    field('Final-Recipient', addressTokens(finalRecipient, form), form) +
    field('Action', [action], form) +
    field('Status', [status], form)
  if (remoteMta !== '') text += field('Remote-MTA', ['dns;', hostText(remoteMta)], form)
  if (diagnostic !== null)
    text += folded('Diagnostic-Code', [`${diagnostic.type};`, ...shown(diagnostic.text, form).split(' ')], form)
  text += field('Last-Attempt-Date', [headerDate(lastAttemptAtMs)], form)
  if (willRetryUntilMs > 0) text += field('Will-Retry-Until', [headerDate(willRetryUntilMs)], form)
  return text
}

function field(name: string, tokens: readonly string[], form: DeliveryStatusForm): string {
  return folded(
    name,
    tokens.map((token) => shown(token, form)),
    form,
  )
}

const shown = (text: string, form: DeliveryStatusForm): string =>
  form === 'ascii' ? printableAscii(text) : printable(text)

/** '' when nothing is left of the value. A fold never falls into a token but into one that no line could hold. */
function folded(name: string, tokens: readonly string[], form: DeliveryStatusForm): string {
  const written: string[] = []
  for (const token of tokens) {
    const text = token.trim()
    if (text.length > tokenUnits[form]) written.push(...pieces(text, tokenUnits[form]))
    else if (text !== '') written.push(text)
  }
  return written.length === 0 ? '' : foldedField(name, written)
}

/** Of a line of 998 octets (RFC 5322 §2.1.1), with room for the name of the field; in UTF-8 a unit of UTF-16 takes three octets at most. */
const tokenUnits = { ascii: 900, utf8: 300 } as const

function pieces(token: string, units: number): string[] {
  const found: string[] = []
  for (let at = 0; at < token.length; ) {
    let end = Math.min(token.length, at + units)
    // Not between the halves of a surrogate pair.
    if (end < token.length && (token.charCodeAt(end) & 0xfc00) === 0xdc00) end--
    const piece = token.slice(at, end).trim()
    if (piece !== '') found.push(piece)
    at = end
  }
  return found
}

/** RFC 3464 §2.2.1: decoded. It must be printable then (RFC 3461 §4.4); what is not is told as it was given. */
function envelopeIdText(envelopeId: string): string {
  const decoded = decodeXtext(envelopeId)
  return decoded !== null && isPrintableAscii(decoded) ? decoded : envelopeId
}

/** RFC 3464 §2.2.2: an address stands in brackets, as in an address literal (RFC 5321 §4.1.3). */
function hostText(host: string): string {
  return isIP(host) === 0 ? host : `[${isIPv6(host) ? 'IPv6:' : ''}${host}]`
}

/** RFC 6533 §3: an address that is not ASCII has a type of its own, and in ASCII an encoding of its own. */
function addressTokens(address: string, form: DeliveryStatusForm): string[] {
  if (isAsciiAddress(address)) return ['rfc822;', address]
  return ['utf-8;', form === 'utf8' ? address : utf8AddressXtext(address)]
}

/** RFC 3464 §2.3.1: the type as it was given, and the address decoded. [] when it is none that could be told. */
function originalRecipientTokens(given: string, form: DeliveryStatusForm): string[] {
  const match = /^([A-Za-z0-9-]{1,40});(.+)$/s.exec(given)
  if (match === null) return []
  const [, type, address] = match as unknown as [string, string, string]
  if (type.toLowerCase() === 'utf-8') {
    const decoded = decodeUtf8Address(address)
    return [`${type};`, form === 'utf8' ? decoded : utf8AddressXtext(decoded)]
  }
  const decoded = decodeXtext(address)
  return [`${type};`, decoded !== null && isPrintableAscii(decoded) ? decoded : address]
}

const isPrintableAscii = (text: string): boolean => /^[ -~]+$/.test(text)

/** RFC 6533 §3, utf-8-addr-xtext. */
const utf8AddressXtext = (address: string): string => asciiUnitext(encodeUnitext(printable(address)))

/** The inverse, and of utf-8-addr-unitext. A number that is no character stays as it is. */
function decodeUtf8Address(encoded: string): string {
  return encoded.replace(/\\x\{([0-9A-Fa-f]{2,6})\}/g, (whole, hex: string) => {
    const codePoint = Number.parseInt(hex, 16)
    return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : whole
  })
}
