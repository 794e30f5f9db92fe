/** Values of the parameters by which a client says what it wants to be told (RFC 3461 §4). Each reader gives words fit for a reply when it refuses. */
import { envelopeIdCharactersMax, originalRecipientBytesMax } from './limits.ts'
import { decodeXtext, isUnitext } from './xtext.ts'

/** RFC 3461 §4.3; '' was not given. */
export type Returns = 'FULL' | 'HDRS' | ''

/** RFC 3461 §4.1. */
export type NotifyWord = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY'

export const mailKeywords: ReadonlySet<string> = new Set(['RET', 'ENVID'])
export const rcptKeywords: ReadonlySet<string> = new Set(['NOTIFY', 'ORCPT'])

/** Null when it is neither. Letter case does not matter here and in NOTIFY (RFC 5234 §2.3). */
export function readReturns(value: string): Returns | null {
  return /^(FULL|HDRS)$/i.test(value) ? (value.toUpperCase() as Returns) : null
}

/** RFC 3461 §4.4. What is wrong with it, or null. */
export function checkEnvelopeId(value: string): string | null {
  if (value.length > envelopeIdCharactersMax.value)
    return `ENVID is longer than ${envelopeIdCharactersMax.value} characters, give a shorter one`
  const text = value === '' ? null : decodeXtext(value)
  if (text === null) return `ENVID must be xtext: ${howXtext}`
  return isPrintable(text) ? null : 'ENVID may stand for printable ASCII only'
}

/** The words in order, or what is wrong with them. */
export function readNotify(value: string): readonly NotifyWord[] | string {
  if (!/^(NEVER|SUCCESS|FAILURE|DELAY)(,(NEVER|SUCCESS|FAILURE|DELAY))*$/i.test(value))
    return 'NOTIFY must be NEVER, or SUCCESS, FAILURE, DELAY with commas and no spaces between'
  const words = value.toUpperCase().split(',') as NotifyWord[]
  if (words.length > 1 && words.includes('NEVER')) return 'NOTIFY=NEVER stands alone, leave the other words out'
  if (new Set(words).size < words.length) return 'NOTIFY has a word twice, give each once'
  return words
}

/**
 * `addr-type ";" xtext` (RFC 3461 §4.2); of type utf-8 it is unitext (RFC 6533 §3), for which, where it is not ASCII, SMTPUTF8 must be in use: that is the
 * caller's to see. What is wrong with it, or null.
 */
export function checkOriginalRecipient(value: string): string | null {
  if (Buffer.byteLength(value) > originalRecipientBytesMax.value)
    return `ORCPT is longer than ${originalRecipientBytesMax.value} octets, leave it out`
  const semicolon = value.indexOf(';')
  const type = value.slice(0, Math.max(0, semicolon))
  const address = value.slice(semicolon + 1)
  if (!/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(type) || address === '')
    return 'ORCPT must be a type and an address, as in ORCPT=rfc822;ann@example.com'
  if (type.toLowerCase() === 'utf-8')
    return isUnitext(address)
      ? null
      : 'ORCPT of type utf-8 must write +, =, \\ and spaces as \\x{2B}, \\x{3D}, \\x{5C} and \\x{20}'
  const text = decodeXtext(address)
  if (text === null) return `the address in ORCPT must be xtext: ${howXtext}`
  return isPrintable(text) ? null : 'the address in ORCPT may stand for printable ASCII only'
}

const howXtext = 'printable ASCII, in which +, = and spaces are written as +2B, +3D and +20'

/** "Graphic and white space" (RFC 3461 §4.2 and §4.4): what a notice can show. */
function isPrintable(text: string): boolean {
  return /^[\t\x20-\x7e]*$/.test(text)
}
