/**
 * SMTP command lines, read strictly (RFC 5321 §4.1.1, extension parameters §4.1.2). Bytes become text in one place, which lets no control
 * character and no malformed UTF-8 through, so that nothing behind it has to think of them.
 *
 * One leniency: white space between the colon and the path (`MAIL FROM: <a@b>`) is taken, because old clients send it
 * and it cannot be misread. Addresses without brackets are not.
 */
import { isUtf8 } from 'node:buffer'
import { type Mailbox, parsePath } from './address.ts'
import {
  checkEnvelopeId,
  checkOriginalRecipient,
  mailKeywords,
  type NotifyWord,
  rcptKeywords,
  readNotify,
  readReturns,
  type Returns,
} from './dsn-parameters.ts'

/** Why a command is refused: reply code with enhanced code, and words fit for a reply. */
export interface CommandProblem {
  readonly smtp: string
  readonly problem: string
}

export interface MailCommand {
  readonly problem: null
  /** Null is the null sender `<>`. */
  readonly mailbox: Mailbox | null
  /** RFC 1870 §6; 0 when not declared. */
  readonly sizeBytes: number
  /** RFC 6152: the client announces bytes above 127. */
  readonly eightBit: boolean
  /** RFC 6531 §3.4. */
  readonly smtpUtf8: boolean
  /** RFC 3461 §4.3. */
  readonly returns: Returns
  /** RFC 3461 §4.4, in xtext; '' when not given. */
  readonly envelopeId: string
}

export interface RcptCommand {
  readonly problem: null
  /** Null is `<Postmaster>` without a domain, which every server takes (RFC 5321 §4.1.1.3). */
  readonly mailbox: Mailbox | null
  /** RFC 3461 §4.1; none when not given. */
  readonly notify: readonly NotifyWord[]
  /** RFC 3461 §4.2, as it was written; '' when not given. */
  readonly originalRecipient: string
}

export interface BdatCommand {
  /** Octets that follow the line, to be consumed whatever the reply is; -1 when the line does not say. */
  readonly chunkBytes: number
  readonly last: boolean
  readonly problem: CommandProblem | null
}

const refuse = (smtp: string, problem: string): CommandProblem => ({ smtp, problem })

/** The line in `bytes[start…end)`, without its line end; null when it holds a control character or is not UTF-8. */
export function commandText(bytes: Buffer, start: number, end: number): string | null {
  let bits = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte < 0x20 || byte === 0x7f) return null
    bits |= byte
  }
  if (bits < 0x80) return bytes.toString('latin1', start, end)
  return isUtf8(bytes.subarray(start, end)) ? bytes.toString('utf8', start, end) : null
}

/** The verb, in capitals. */
export function commandVerb(line: string): string {
  const space = line.indexOf(' ')
  return (space < 0 ? line : line.slice(0, space)).toUpperCase()
}

/** What follows the verb; trailing white space is nobody's intention (RFC 5321 §4.1.1.1 lets it pass). */
export function commandArguments(line: string): string {
  const space = line.indexOf(' ')
  return space < 0 ? '' : line.slice(space + 1).trim()
}

/** `FROM:<path> [SP parameters]` (RFC 5321 §4.1.1.2). */
export function parseMail(args: string): MailCommand | CommandProblem {
  const start = pathStart(args, 'FROM:')
  if (start < 0) return refuse('501 5.5.4', 'the form is MAIL FROM:<address>')
  const path = parsePath(args, start)
  if (path.problem !== null) return refuse('501 5.1.7', path.problem)
  const parameters = parseParameters(args, path.end)
  if (!(parameters instanceof Map)) return parameters

  let sizeBytes = 0
  let eightBit = false
  let smtpUtf8 = false
  let returns: Returns = ''
  let envelopeId = ''
  for (const [keyword, value] of parameters) {
    switch (keyword) {
      case 'SIZE':
        if (!/^\d{1,20}$/.test(value)) return refuse('501 5.5.4', 'SIZE must be a number of octets')
        sizeBytes = Number(value)
        break
      case 'BODY':
        // BINARYMIME (RFC 3030 §3) is not offered: lines are what the content is checked by.
        if (!/^(7BIT|8BITMIME)$/i.test(value)) return refuse('501 5.5.4', 'BODY must be 7BIT or 8BITMIME')
        eightBit = value.length === 8
        break
      case 'SMTPUTF8':
        if (value !== '') return refuse('501 5.5.4', 'SMTPUTF8 takes no value')
        smtpUtf8 = true
        break
      case 'AUTH': // RFC 4954 §5: taken, and not believed.
        if (value === '') return refuse('501 5.5.4', 'AUTH needs a value')
        break
      case 'RET': {
        const word = readReturns(value)
        if (word === null) return refuse('501 5.5.4', 'RET must be FULL or HDRS')
        returns = word
        break
      }
      case 'ENVID': {
        const problem = checkEnvelopeId(value)
        if (problem !== null) return refuse('501 5.5.4', problem)
        envelopeId = copyOf(value)
        break
      }
      default:
        if (rcptKeywords.has(keyword)) return refuse('501 5.5.4', `${keyword} is a parameter of RCPT, give it there`)
        return refuse('555 5.5.4', 'MAIL parameter not supported')
    }
  }
  return { problem: null, mailbox: path.mailbox, sizeBytes, eightBit, smtpUtf8, returns, envelopeId }
}

/** `TO:<path> [SP parameters]` (RFC 5321 §4.1.1.3). */
export function parseRcpt(args: string): RcptCommand | CommandProblem {
  const start = pathStart(args, 'TO:')
  if (start < 0) return refuse('501 5.5.4', 'the form is RCPT TO:<address>')
  const postmaster = /^<postmaster>/i.test(args.slice(start, start + 12))
  const path = postmaster ? ({ problem: null, mailbox: null, end: start + 12 } as const) : parsePath(args, start)
  if (path.problem !== null) return refuse('501 5.1.3', path.problem)
  if (path.mailbox === null && !postmaster) return refuse('501 5.1.3', 'a recipient needs an address')
  const parameters = parseParameters(args, path.end)
  if (!(parameters instanceof Map)) return parameters

  let notify: readonly NotifyWord[] = nothing
  let originalRecipient = ''
  for (const [keyword, value] of parameters) {
    if (keyword === 'NOTIFY') {
      const words = readNotify(value)
      if (typeof words === 'string') return refuse('501 5.5.4', words)
      notify = words
    } else if (keyword === 'ORCPT') {
      const problem = checkOriginalRecipient(value)
      if (problem !== null) return refuse('501 5.5.4', problem)
      originalRecipient = copyOf(value)
    } else if (mailKeywords.has(keyword)) return refuse('501 5.5.4', `${keyword} is a parameter of MAIL, give it there`)
    else return refuse('555 5.5.4', 'RCPT parameter not supported')
  }
  return { problem: null, mailbox: path.mailbox, notify, originalRecipient }
}

const nothing: readonly NotifyWord[] = []

/** What is kept of a line: a slice would keep all of the line alive, which may be much longer. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}

/** `size [SP "LAST"]` (RFC 3030 §2). A size that can be read is told even when the rest is wrong: the chunk follows all the same. */
export function parseBdat(args: string): BdatCommand {
  const form = refuse('501 5.5.4', 'the form is BDAT size [LAST]')
  const words = args.split(/ +/)
  const size = words[0] ?? ''
  if (!/^\d{1,15}$/.test(size)) return { chunkBytes: -1, last: false, problem: form }
  const last = /^LAST$/i.test(words[1] ?? '')
  return { chunkBytes: Number(size), last, problem: words.length === (last ? 2 : 1) ? null : form }
}

/** Where the path begins in `FROM: <a@b>`, or -1. */
function pathStart(args: string, prefix: string): number {
  if (args.slice(0, prefix.length).toUpperCase() !== prefix) return -1
  let at = prefix.length
  while (args[at] === ' ') at++
  return at
}

/** `*(SP keyword ["=" value])` (RFC 5321 §4.1.2), keywords in capitals; an absent value is ''. */
function parseParameters(args: string, start: number): Map<string, string> | CommandProblem {
  const parameters = new Map<string, string>()
  if (start === args.length) return parameters
  if (args[start] !== ' ') return refuse('501 5.5.4', 'a space must follow the address')
  for (const word of args.slice(start).split(' ')) {
    if (word === '') continue
    const equals = word.indexOf('=')
    const keyword = (equals < 0 ? word : word.slice(0, equals)).toUpperCase()
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(keyword)) return refuse('501 5.5.4', 'a parameter is malformed')
    if (equals === word.length - 1)
      return refuse('501 5.5.4', 'a parameter has an empty value, leave it out or give one')
    if (parameters.has(keyword)) return refuse('501 5.5.4', 'a parameter is given twice, give it once')
    parameters.set(keyword, equals < 0 ? '' : word.slice(equals + 1))
  }
  return parameters
}
