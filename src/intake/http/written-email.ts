/** A request that describes a message by its parts: whom it goes to, and what the MIME is made of. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { failures, httpFailures } from '../../model/failures.ts'
import {
  type AssembledMessage,
  assemble,
  isLong,
  LongText,
  type MimeAttachment,
  MimeProblem,
} from '../../standards/mime/mime.ts'
import { headerBytesMax } from '../smtp/limits.ts'
import { type Address, distinct, readAddress, readAddresses, shownAddress } from './addresses.ts'
import { attachmentName, typeOfName } from './attachment-names.ts'
import { pointerToken } from './json.ts'
import { sliceBytes } from './limits.ts'
import { Problem } from './problem.ts'
import type { AttachmentInput, WrittenEmail } from './schemas.ts'

export interface Envelope {
  readonly from: Address
  readonly recipients: readonly Address[]
  /** For the record: as it was given. */
  readonly shownFrom: string
}

interface Parts {
  readonly from: Address
  readonly to: readonly Address[]
  readonly cc: readonly Address[]
  readonly replyTo: readonly Address[]
}

/** What the message is addressed by. Throws a Problem. */
export function readEnvelope(email: WrittenEmail): Envelope & { readonly parts: Parts } {
  const parts = {
    from: readAddress(email.from, '/from'),
    to: readAddresses(email.to, '/to'),
    cc: readAddresses(email.cc, '/cc'),
    replyTo: readAddresses(email.reply_to, '/reply_to'),
  }
  const recipients = distinct([parts.to, parts.cc, readAddresses(email.bcc, '/bcc')])
  return { from: parts.from, recipients, shownFrom: shownAddress(email.from), parts }
}

export function readAttachments(inputs: readonly AttachmentInput[] = []): MimeAttachment[] {
  return inputs.map((input, i) => {
    const filename = attachmentName(input.filename ?? '')
    const { content_id } = input
    return {
      filename,
      contentType: input.content_type ?? typeOfName(filename),
      content: decodeBase64(input.content, `/attachments/${i}/content`),
      contentId: content_id,
      inline: input.disposition === undefined ? content_id !== undefined : input.disposition === 'inline',
    }
  })
}

export interface Bodies {
  readonly text: string | LongText | undefined
  readonly html: string | LongText | undefined
}

export function hasLongBody({ text = '', html = '' }: WrittenEmail): boolean {
  return isLong(text) || isLong(html)
}

/** Long ones looked over, in slices that let others have their turn. */
export async function readBodies({ text, html }: WrittenEmail): Promise<Bodies> {
  return { text: await lookedOver(text), html: await lookedOver(html) }
}

async function lookedOver(text: string | undefined): Promise<string | LongText | undefined> {
  if (text === undefined || !isLong(text)) return text
  const long = new LongText(text)
  while (!long.lookOver(sliceBytes.value)) await nextTurn()
  await nextTurn()
  return long
}

/** Strict: neither the URL's alphabet nor a last group that is cut (RFC 4648 §3.5). White space may be between. */
export function decodeBase64(text: string, pointer: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: 'strict' })
  } catch {
    throw new Problem(httpFailures.base64Invalid, {
      pointer,
      cure: 'Encode it with the standard alphabet (A-Z, a-z, 0-9, +, /) and with padding.',
    })
  }
}

/** The bytes of the message. Throws a Problem. */
export function assembleEmail(
  email: WrittenEmail,
  { from, to, cc, replyTo }: Parts,
  { text, html }: Bodies,
  attachments: readonly MimeAttachment[],
  made: { readonly dateMs: number; readonly messageId: string; readonly boundarySeed: string },
): AssembledMessage {
  const headers = Object.entries(email.headers ?? {}).map(([name, value]) => ({ name, value }))
  // Folded or encoded it is never shorter, and to fold a megabyte of single letters takes a tenth of a second.
  let characters = 0
  for (const { value } of headers) characters += value.trim().length
  if (characters > headerBytesMax.value) throw new Problem(failures.headerTooBig)
  try {
    const assembled = assemble({
      from,
      to,
      cc,
      replyTo,
      subject: email.subject ?? '',
      text,
      html,
      headers,
      attachments,
      ...made,
    })
    if (assembled.headerText.length > headerBytesMax.value) throw new Problem(failures.headerTooBig)
    return assembled
  } catch (error) {
    if (!(error instanceof MimeProblem)) throw error
    const { pointer, message, cure, code } = error
    // Its message begins with the pointer, which has a place of its own here.
    const detail = message.slice(pointer.length + 2)
    throw new Problem({ ...httpFailures.fieldInvalid, code }, { pointer: pointerInto(email, pointer), detail, cure })
  }
}

/** MIME knows lists of addresses and of headers; the request may have given one address, a string, and headers by name. */
function pointerInto(email: WrittenEmail, pointer: string): string {
  const [, field = '', index = '', part = ''] = pointer.split('/')
  if (field === 'headers') {
    const name = Object.keys(email.headers ?? {})[Number(index)] ?? ''
    return `/headers/${pointerToken(name)}`
  }
  if (field === 'from') return shownPart('/from', email.from, index)
  if (field !== 'to' && field !== 'cc' && field !== 'reply_to') return pointer
  const given = email[field]
  if (!Array.isArray(given)) return shownPart(`/${field}`, given, part)
  return shownPart(`/${field}/${index}`, (given as readonly unknown[])[Number(index)], part)
}

function shownPart(at: string, given: unknown, part: string): string {
  if (typeof given === 'string') return at
  return `${at}/${part === 'address' ? 'email' : part}`
}
