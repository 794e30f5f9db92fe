/** The parts of a message and how they lie in one another. The shapes are drawn in mime.ts. */
import { invariant } from '../../kernel/assert.ts'
import { isLong, LongText } from './long-text.ts'
import type { MimeAttachment, MimeMessage } from './mime.ts'
import { contentIdField, disposition, parameterField, parseMediaType } from './parameters.ts'
import { MimeProblem, refuseLineBreaks } from './problem.ts'
import { encodeText, plainMessage, type Transfer } from './transfer.ts'

export type Part = Leaf | Multipart

export interface Leaf {
  /** Content-Type and the like, each with its CRLF. */
  readonly fields: string
  /** Text goes out as it is, bytes in base64, a long text as it says itself. */
  readonly body: string | Uint8Array | LongBody
}

/** What is encoded while its blocks are taken. */
export interface LongBody {
  readonly blocks: () => Iterable<Buffer>
  /** What comes out ends in a line end. */
  readonly isEnded: boolean
}

export interface Multipart {
  readonly fields: string
  readonly boundary: string
  readonly parts: readonly Part[]
}

export function partTree(message: MimeMessage): Part {
  invariant(/^[A-Za-z0-9]{1,60}$/.test(message.boundarySeed), 'a boundary is made of 1 to 60 letters and digits')
  // RFC 2046 §5.1.1: at most 70 characters, none of them white space. What follows "=_" makes the levels differ from one another.
  const delimiterStart = `=_${message.boundarySeed}_`
  const beside: Leaf[] = []
  const attached: Leaf[] = []
  for (let i = 0; i < message.attachments.length; i++) {
    const attachment = message.attachments[i] as MimeAttachment
    const isNamed = attachment.inline && attachment.contentId !== undefined && message.html !== undefined
    const list = isNamed ? beside : attached
    list.push(attachmentPart(attachment, `/attachments/${i}`, delimiterStart))
  }
  const alternatives = alternativeParts(message, beside, delimiterStart)
  if (alternatives.length === 0 && attached.length === 0) return textPart('text/plain', '', delimiterStart)
  const bodies =
    alternatives.length > 1 ? [multipart('alternative', [], alternatives, `${delimiterStart}2`)] : alternatives
  return attached.length === 0
    ? (bodies[0] as Part)
    : multipart('mixed', [], [...bodies, ...attached], `${delimiterStart}1`)
}

/** RFC 2046 §5.1.4: the plainest first. */
function alternativeParts(message: MimeMessage, beside: readonly Leaf[], delimiterStart: string): Part[] {
  const { text, html, amp, calendar } = message
  const parts: Part[] = []
  if (text !== undefined) parts.push(textPart('text/plain', text, delimiterStart))
  if (amp !== undefined) parts.push(textPart('text/x-amp-html', amp, delimiterStart))
  if (html !== undefined) {
    const part = textPart('text/html', html, delimiterStart)
    if (beside.length === 0) parts.push(part)
    // RFC 2387 §3.1: the type of the part that names the others must be told.
    else parts.push(multipart('related', ['type="text/html"'], [part, ...beside], `${delimiterStart}3`))
  }
  if (calendar !== undefined) {
    refuseLineBreaks(calendar.method, '/calendar/method')
    if (!/^[A-Za-z-]{1,20}$/.test(calendar.method)) {
      throw new MimeProblem(
        'calendar_method_invalid',
        '/calendar/method',
        'is not a method of iTIP',
        'Write the METHOD of the content: PUBLISH, REQUEST, REPLY, ADD, CANCEL, REFRESH, COUNTER or DECLINECOUNTER.',
      )
    }
    parts.push(textPart('text/calendar', calendar.content, delimiterStart, [`method=${calendar.method.toUpperCase()}`]))
  }
  return parts
}

function textPart(
  type: string,
  text: string | LongText,
  delimiterStart: string,
  parameters: readonly string[] = [],
): Leaf {
  const { encoding, body } =
    typeof text === 'string' && !isLong(text) ? encodeText(text, delimiterStart) : encodeLong(text, delimiterStart)
  const fields = `${parameterField('Content-Type', [type, 'charset=utf-8', ...parameters])}Content-Transfer-Encoding: ${encoding}\r\n`
  return { fields, body }
}

function encodeLong(
  text: string | LongText,
  delimiterStart: string,
): { encoding: Transfer['encoding']; body: LongBody } {
  const long = typeof text === 'string' ? new LongText(text) : text
  const encoding = long.encoding(delimiterStart)
  const isEnded = encoding !== 'base64' && long.isEnded
  return { encoding, body: { blocks: () => long.blocks(encoding), isEnded } }
}

function attachmentPart(attachment: MimeAttachment, pointer: string, delimiterStart: string): Leaf {
  const { filename, contentId, content, inline } = attachment
  refuseLineBreaks(filename, `${pointer}/filename`)
  const media = parseMediaType(attachment.contentType, `${pointer}/content_type`)
  let tokens = media.tokens
  let transfer: Transfer = { encoding: 'base64', body: content }
  if (media.type.startsWith('message/') && !media.type.startsWith('message/global')) {
    const plain = plainMessage(content, delimiterStart)
    // A message that would need an encoding can only travel as what it is to a file system.
    if (plain === null) tokens = ['application/octet-stream']
    else transfer = plain
  }
  const fields =
    parameterField('Content-Type', tokens) +
    `Content-Transfer-Encoding: ${transfer.encoding}\r\n` +
    disposition(inline ? 'inline' : 'attachment', filename) +
    (contentId === undefined ? '' : contentIdField(contentId, `${pointer}/content_id`))
  return { fields, body: transfer.body }
}

function multipart(
  subtype: string,
  parameters: readonly string[],
  parts: readonly Part[],
  boundary: string,
): Multipart {
  const fields = parameterField('Content-Type', [`multipart/${subtype}`, ...parameters, `boundary="${boundary}"`])
  return { fields, boundary, parts }
}
