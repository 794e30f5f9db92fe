/** The header of a message, without what MIME adds to it (RFC 5322 §3.6). */
import { isAsciiAddress, parsePath, wireAddress } from '../address.ts'
import { headerDate } from '../header-date.ts'
import { lineBytesMax } from '../limits.ts'
import { encodedWords } from './encoded-words.ts'
import { foldedField } from './fold.ts'
import { createHeaderRules } from './header-rules.ts'
import type { MimeAddress, MimeHeader, MimeMessage } from './mime.ts'
import { MimeProblem, refuseLineBreaks } from './problem.ts'

export interface MessageFields {
  readonly text: string
  readonly needsSmtpUtf8: boolean
}

/** Date to Message-ID, then the further fields in their order, each with its CRLF. */
export function messageFields(message: MimeMessage): MessageFields {
  const { from, sender, replyTo, to, cc, subject, messageId } = message
  if (!/^<[!-;=?-~]+@[!-;=?-~]+>$/.test(messageId) || messageId.length > identifierCharacters) {
    throw new MimeProblem(
      'message_id_invalid',
      '/message_id',
      'is not a message identifier',
      'Write it as <unique@your.domain>, in at most 250 printable ASCII characters without spaces.',
    )
  }
  const addresses =
    addressField('From', [from], '/from', false) +
    (sender === undefined ? '' : addressField('Sender', [sender], '/sender', false)) +
    addressField('Reply-To', replyTo, '/reply_to', true) +
    addressField('To', to, '/to', true) +
    addressField('Cc', cc, '/cc', true)
  refuseLineBreaks(subject, '/subject')
  const text = `Date: ${headerDate(message.dateMs)}\r\n${addresses}${subject === '' ? '' : textField('Subject', subject)}Message-ID: ${messageId}\r\n`
  return { text: text + furtherFields(message.headers), needsSmtpUtf8: !isAsciiAddress(addresses) }
}

const identifierCharacters = 250

/** '' for an empty list, which RFC 5322 §3.6.3 does not allow to be written. */
function addressField(name: string, list: readonly MimeAddress[], pointer: string, isList: boolean): string {
  if (list.length === 0) return ''
  const tokens: string[] = []
  for (let i = 0; i < list.length; i++) {
    const { name: displayName, address: given } = list[i] as MimeAddress
    const at = isList ? `${pointer}/${i}` : pointer
    checkAddress(given, at)
    const address = wireAddress(given)
    const comma = i === list.length - 1 ? '' : ','
    if (displayName === undefined || displayName === '') {
      tokens.push(address + comma)
      continue
    }
    refuseLineBreaks(displayName, `${at}/name`)
    const columnsTaken = i === 0 ? name.length + 2 : 1
    tokens.push(...phrase(displayName, columnsTaken), `<${address}>${comma}`)
  }
  return foldedField(name, tokens)
}

function checkAddress(address: string, pointer: string): void {
  refuseLineBreaks(address, `${pointer}/address`)
  const path = parsePath(`<${address}>`, 0)
  const problem =
    path.problem ??
    (path.mailbox?.address === address ? null : 'the address must be one address, without route or brackets')
  if (problem === null) return
  throw new MimeProblem(
    'address_invalid',
    `${pointer}/address`,
    problem,
    'Write it as local@domain; a name to be shown with it belongs into the field name.',
  )
}

/** Words of letters, digits and the marks of RFC 5322 §3.2.3, with one space between each two. */
const atoms = /^[\w!#$%&'*+\-/=?^`{|}~]+(?: [\w!#$%&'*+\-/=?^`{|}~]+)*$/
const quotable = /^[!-~]+(?: [!-~]+)*$/
/** So that even "Reply-To: " and a name stay on one line; longer ones are encoded, which can be folded anywhere. */
const wholeNameCharacters = 60

/** A display name (RFC 5322 §3.4): plain, quoted, or in encoded words. What looks like an encoded word would be decoded: it is encoded. */
function phrase(name: string, columnsTaken: number): string[] {
  if (name.length > wholeNameCharacters || name.includes('=?')) return encodedWords(name, columnsTaken)
  if (atoms.test(name)) return [name]
  if (quotable.test(name)) return [`"${name.replace(/["\\]/g, '\\$&')}"`]
  return encodedWords(name, columnsTaken)
}

/**
 * Text of any kind. What a reader would see otherwise than it was meant is encoded as a whole: characters beyond ASCII, white space
 * that folding might change, and what looks like an encoded word.
 */
export function textField(name: string, text: string): string {
  const columnsTaken = name.length + 2
  if (quotable.test(text) && !text.includes('=?')) {
    const words = text.split(' ')
    if (!words.some((word) => columnsTaken + word.length > lineBytesMax.value)) return foldedField(name, words)
  }
  return foldedField(name, encodedWords(text, columnsTaken))
}

function furtherFields(headers: readonly MimeHeader[]): string {
  if (headers.length === 0) return ''
  const rules = createHeaderRules()
  let text = ''
  for (let i = 0; i < headers.length; i++) {
    const { name, value } = headers[i] as MimeHeader
    const isStructured = rules.check(name, `/headers/${i}/name`)
    refuseLineBreaks(value, `/headers/${i}/value`)
    text += furtherField(name, value, `/headers/${i}/value`, isStructured)
  }
  return text
}

/** ASCII is written as it is given, since it may be structured, or encoded already; it is folded where one space stands alone. */
function furtherField(name: string, value: string, pointer: string, isStructured: boolean): string {
  if (!/^[\t -~]*$/.test(value)) {
    if (!isStructured) return textField(name, value)
    throw new MimeProblem(
      'header_not_ascii',
      pointer,
      `${name} can hold ASCII only`,
      'Write other characters as percent-escapes in an URL, as A-labels in a domain, as encoded words (RFC 2047) in a name.',
    )
  }
  const trimmed = value.trim()
  if (trimmed === '') return `${name}:\r\n`
  const field = foldedField(name, trimmed.split(/(?<=[!-~]) (?=[!-~])/))
  if (field.split('\r\n').some((line) => line.length > lineBytesMax.value)) {
    throw new MimeProblem(
      'header_line_too_long',
      pointer,
      `has more than ${lineBytesMax.value} characters that cannot be folded`,
      'Put single spaces where the value may be folded, or shorten it.',
    )
  }
  return field
}
