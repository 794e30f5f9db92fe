/**
 * A message that comes as MIME. It is held to what SMTP holds its content to, with one thing made easier: a file written by a program on Unix
 * has lines that end in LF, and they are given their CR. What is not to be sent is left out while it is written: nothing that stays is changed.
 */
import { type Failure, failures } from '../../model/failures.ts'
import {
  emptyLineAt,
  FieldScanner,
  fromAddresses,
  type HeaderSurvey,
  nameIs,
  optionPrefix,
  surveyHeader,
} from '../../standards/header.ts'
import { crlfLines, type LineSurvey, surveyLines } from '../../standards/lines.ts'
import { readableText } from '../../standards/mime/encoded-words.ts'
import { contentLineBytesMax, headerBytesMax, headerFieldsMax, receivedFieldsMax } from '../smtp/limits.ts'
import { dateField, messageIdField } from '../trace.ts'
import { type Address, distinct, readAddress, readAddresses, shownAddress } from './addresses.ts'
import { checkEnvelope, type Draft } from './hand-over.ts'
import { subjectCharactersMax } from './limits.ts'
import { readOptions } from './options.ts'
import { Problem } from './problem.ts'
import type { RawEmail } from './schemas.ts'
import type { Caller, HttpServer } from './server.ts'
import { decodeBase64 } from './written-email.ts'

const lf = 0x0a
const crlf = Buffer.from('\r\n')

/** Throws a Problem. */
export function rawDraft(server: HttpServer, caller: Caller, email: RawEmail): Draft {
  const { clients, hostname } = server
  const decoded = decodeBase64(email.raw, '/raw')
  const given = Buffer.from(decoded.buffer, decoded.byteOffset, decoded.length)
  const lines = surveyLines(given)
  refuseBareCr(lines)
  const content = wholeLines(given, lines)
  const header = content.subarray(0, headerBytesMax.value + 1)
  const survey = surveyHeader(header)
  const kept = keptRanges(header)
  refuse(judge(content, lines, survey, kept.fields))
  const author = authorOf(server, caller, header, survey)
  const sender = email.from === undefined ? author : readAddress(email.from, '/from')
  const draft: Draft = {
    from: author,
    shownFrom: email.from === undefined ? author.address : shownAddress(email.from),
    returnPath: sender.address,
    recipients: distinct([readAddresses(email.to, '/to')]),
    subject: readableText(header, survey.subjectStart, survey.subjectEnd, subjectCharactersMax.value),
    options: readOptions(email, caller.client, clients),
    expectedBytes: content.length,
    write: (id, timeMs) => ({
      addedHeaders:
        (survey.hasDate ? '' : dateField(timeMs)) + (survey.hasMessageId ? '' : messageIdField(id, hostname)),
      pieces: pieces(content, kept.ranges),
      smtpUtf8: survey.hasNonAscii,
    }),
  }
  checkEnvelope(server, caller, draft, email.from === undefined ? '/raw' : '/from')
  return draft
}

function refuse(failure: Failure | null): void {
  if (failure !== null) throw new Problem(failure, { pointer: '/raw' })
}

/** What SMTP would say of this content, in the same order. */
function judge(content: Buffer, lines: LineSurvey, survey: HeaderSurvey, fields: number): Failure | null {
  if (content.includes(0)) return failures.nulByte
  // RFC 5322 §2.1.1.
  if (lines.longestBytes + crlf.length > contentLineBytesMax.value) return failures.lineTooLong
  if (fields > headerFieldsMax.value || isHeaderTooBig(content, survey.end)) return failures.headerTooBig
  if (survey.receivedCount > receivedFieldsMax.value) return failures.tooManyHops
  if (survey.malformedLine) return failures.headerMalformed
  if (survey.fromCount === 0) return failures.fromMissing
  if (survey.fromCount > 1) return failures.fromRepeated
  return survey.fromDomain === '' ? failures.fromMalformed : null
}

/** With its empty line, as SMTP counts. What was surveyed is cut one octet behind the bound, perhaps within a name. */
function isHeaderTooBig(content: Buffer, end: number): boolean {
  return Math.max(content.indexOf(lf, end) + 1, end + crlf.length) > headerBytesMax.value
}

/** Whose mail it says it is; and each further author must be one that the client may name (RFC 5322 §3.6.2). */
function authorOf({ clients }: HttpServer, { client }: Caller, header: Buffer, survey: HeaderSurvey): Address {
  const authors = survey.fromMore ? fromAddresses(header) : [survey.fromAddress]
  if (authors === null) throw new Problem(failures.fromMalformed, { pointer: '/raw' })
  for (const author of authors) {
    if (clients.maySendAs(client, author)) continue
    const detail = `this key may not send from ${JSON.stringify(author)}, which the From field of the message names`
    throw new Problem(failures.senderNotAllowed, { pointer: '/raw', detail })
  }
  const address = survey.fromAddress
  return { name: '', address, domain: survey.fromDomain }
}

/** A CR by itself is refused: some reader takes it for a line end, and another does not. */
function refuseBareCr({ bareCrAt }: LineSurvey): void {
  if (bareCrAt < 0) return
  const detail = `a carriage return without a line feed is at byte ${bareCrAt} of the message`
  throw new Problem(failures.bareLineEnd, { pointer: '/raw', detail, cure: 'End lines in CRLF, or in LF.' })
}

/** Lines that end in CRLF, the last one too. */
function wholeLines(bytes: Buffer, lines: LineSurvey): Buffer {
  const content = crlfLines(bytes, lines)
  const open = content.length > 0 && content[content.length - 1] !== lf
  return open ? Buffer.concat([content, crlf]) : content
}

interface Kept {
  readonly fields: number
  /** From … to, rising, of what is sent of the header. */
  readonly ranges: readonly (readonly [number, number])[]
}

/** Without Bcc, which nobody is to see (RFC 5322 §3.6.3), and without fields that speak to us alone. */
function keptRanges(header: Buffer): Kept {
  const field = new FieldScanner(header)
  const ranges: [number, number][] = []
  let fields = 0
  let from = 0
  while (field.next()) {
    fields++
    const nameBytes = field.nameEnd - field.nameStart
    const hidden =
      (nameBytes === 3 && nameIs(header, field.nameStart, 'bcc')) ||
      (nameBytes >= optionPrefix.length && nameIs(header, field.nameStart, optionPrefix))
    if (!hidden) continue
    if (field.nameStart > from) ranges.push([from, field.nameStart])
    from = field.end
  }
  ranges.push([from, field.end])
  return { fields, ranges }
}

function* pieces(content: Buffer, ranges: Kept['ranges']): Generator<Buffer, void> {
  let end = 0
  for (const [from, to] of ranges) {
    yield content.subarray(from, to)
    end = to
  }
  // A header without a body has no empty line: what goes out has one.
  if (!emptyLineAt(content, end)) yield crlf
  yield content.subarray(end)
}
