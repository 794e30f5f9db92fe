/** A notice as a message: its header, its parts, and the delimiter between them. */
import { createHash } from 'node:crypto'
import { invariant } from '../kernel/assert.ts'
import type { Outcome } from '../model/outcome.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import { domainOf, isAsciiAddress, needsSmtpUtf8 } from '../standards/address.ts'
import { deliveryStatus, type DeliveryStatusForm, type RecipientStatus } from '../standards/dsn.ts'
import { deriveStatus } from '../standards/enhanced-status.ts'
import { base64Blocks } from '../standards/mime/base64.ts'
import { messageFields } from '../standards/mime/fields.ts'
import { parameterField } from '../standards/mime/parameters.ts'
import { encodeLines, encodeText } from '../standards/mime/transfer.ts'
import type { NoticeKind } from './due.ts'
import { messageIdOf, type NoticePart, originalPart } from './original.ts'
import { noticeText } from './text.ts'

/** All recipients of one message that are due the same kind of notice. */
export interface Notice {
  readonly kind: NoticeKind
  /** Public id of the notice: made of what it tells, so that it is the same whenever it is written. */
  readonly id: string
  readonly tenant: string
  /** Address of its From header: ASCII. */
  readonly from: string
  readonly hostname: string
  readonly nowMs: number
  /** Of the original, where the notice goes. Never ''. */
  readonly returnPath: string
  /** ENVID as it was given; '' is none. */
  readonly envelopeId: string
  readonly returns: 'FULL' | 'HDRS' | ''
  readonly original: NoticeOriginal
  /** At least one. */
  readonly recipients: readonly NoticeRecipient[]
}

export interface NoticeOriginal {
  /** Public id. */
  readonly id: string
  readonly subject: string
  readonly from: string
  readonly acceptedAtMs: number
  /** Its fields as they were sent, each with its CRLF; null when it can no longer be read. */
  readonly header: Buffer | null
  /** What follows the empty line, where `returnsWhole` asks for it; otherwise null. */
  readonly body: Buffer | null
  readonly smtpUtf8: boolean
}

export interface NoticeRecipient {
  readonly address: string
  /** ORCPT as it was given; '' is none. */
  readonly originalRecipient: string
  readonly outcome: Outcome
  /** Who was spoken to, by name and by address; '' is nobody. */
  readonly host: string
  readonly peerAddress: string
  /** When that was. */
  readonly atMs: number
  /** Of a delay; otherwise 0. */
  readonly willRetryUntilMs: number
}

const subjects: Record<NoticeKind, string> = {
  failed: 'Your message could not be delivered',
  delayed: 'Your message is delayed',
  relayed: 'Your message was passed on',
}

export function composeNotice(notice: Notice): OutgoingMail {
  const { kind, id, tenant, from, returnPath, original, recipients } = notice
  invariant(returnPath !== '' && recipients.length > 0, 'a notice is for somebody and about somebody')
  const smtpUtf8 = needsSmtpUtf8(returnPath)
  const form: DeliveryStatusForm = smtpUtf8 || original.smtpUtf8 ? 'utf8' : 'ascii'
  const parts = [textPart(notice), statusPart(notice, form, smtpUtf8), originalPart(notice, form, smtpUtf8)]
  return {
    id,
    tenant,
    mailClass: 'transactional',
    returnPath: '',
    recipients: [returnPath],
    from,
    fromDomain: domainOf(from),
    subject: subjects[kind],
    content: assembleReport(notice, form, parts),
    smtpUtf8,
    eightBit: smtpUtf8 || parts.some(({ eightBit }) => eightBit),
  }
}

function assembleReport(notice: Notice, form: DeliveryStatusForm, parts: readonly NoticePart[]): Buffer {
  const boundary = boundaryFor(notice.id, parts)
  // RFC 6522 §3: report-type is the subtype of the second part.
  const type = form === 'utf8' ? 'global-delivery-status' : 'delivery-status'
  const pieces: Buffer[] = [
    Buffer.from(
      `${headerText(notice)}MIME-Version: 1.0\r\n${parameterField('Content-Type', ['multipart/report', `report-type=${type}`, `boundary="${boundary}"`])}`,
    ),
  ]
  // RFC 2046 §5.1.1: the CRLF in front of a delimiter belongs to it.
  for (const { fields, body } of parts) pieces.push(Buffer.from(`\r\n--${boundary}\r\n${fields}\r\n`), body)
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  return Buffer.concat(pieces)
}

function headerText({ kind, id, from, hostname, nowMs, returnPath, original }: Notice): string {
  const originalId = original.header === null ? '' : messageIdOf(original.header)
  const threading = originalId === '' ? [] : ['In-Reply-To', 'References']
  return messageFields({
    from: { name: 'Mail Delivery System', address: from },
    to: [{ address: returnPath }],
    cc: [],
    replyTo: [],
    subject: subjects[kind],
    headers: [
      // RFC 3834 §5, §5.1: so that no vacation notice comes back.
      { name: 'Auto-Submitted', value: 'auto-replied' },
      ...threading.map((name) => ({ name, value: originalId })),
    ],
    attachments: [],
    dateMs: nowMs,
    messageId: `<${id}@${hostname}>`,
    boundarySeed: '',
  }).text
}

function textPart(notice: Notice): NoticePart {
  // No delimiter begins otherwise, and a text that has this is encoded.
  const { encoding, body } = encodeText(noticeText(notice), '=_')
  const fields =
    'Content-Description: Notification\r\nContent-Type: text/plain; charset=utf-8\r\n' +
    `Content-Transfer-Encoding: ${encoding}\r\n`
  const encoded = typeof body === 'string' ? Buffer.from(body) : Buffer.concat([...base64Blocks(body)])
  return { fields, body: encoded, eightBit: false }
}

/**
 * RFC 3464 §2.1: 7bit, and so ASCII. Its international form is meant to be 8bit, but may be encoded where that cannot pass (RFC 6533 §6.3): a sender
 * with an ASCII address may be behind servers that know nothing of it.
 */
function statusPart(notice: Notice, form: DeliveryStatusForm, eightBitPasses: boolean): NoticePart {
  const { hostname, envelopeId, original, recipients, kind } = notice
  const text = deliveryStatus(
    {
      reportingMta: hostname,
      envelopeId,
      arrivalAtMs: original.acceptedAtMs,
      extensions: [['X-Posthaste-Message', original.id]],
      recipients: recipients.map((recipient) => recipientStatus(recipient, kind)),
    },
    form,
  )
  const eightBit = eightBitPasses && !isAsciiAddress(text)
  const { encoding, body } = eightBit ? { encoding: '8bit', body: text } : encodeLines(Buffer.from(text))
  const type = form === 'utf8' ? 'message/global-delivery-status' : 'message/delivery-status'
  const fields = `Content-Description: Delivery report\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n`
  return { fields, body: Buffer.from(body), eightBit }
}

function recipientStatus(recipient: NoticeRecipient, kind: NoticeKind): RecipientStatus {
  const { address, originalRecipient, outcome, host, peerAddress, atMs, willRetryUntilMs } = recipient
  const { code, enhanced, text } = outcome
  return {
    originalRecipient,
    finalRecipient: address,
    action: kind,
    status: statusOf(outcome, kind),
    remoteMta: host === '' ? peerAddress : host,
    diagnostic:
      code === 0 ? { type: 'x-posthaste', text } : { type: 'smtp', text: `${code} ${enhanced} ${text}`.trim() },
    lastAttemptAtMs: atMs,
    willRetryUntilMs: kind === 'delayed' ? willRetryUntilMs : 0,
  }
}

const classOf: Record<NoticeKind, string> = { failed: '5', delayed: '4', relayed: '2' }

/** RFC 3464 §2.3.4: it must agree with the action. What does not is no better than the basic code. */
function statusOf({ enhanced, code, kind: outcomeKind }: Outcome, kind: NoticeKind): string {
  if (/^[245]\.\d{1,3}\.\d{1,3}$/.test(enhanced) && enhanced.startsWith(classOf[kind])) return enhanced
  if (outcomeKind === 'expired') return '5.4.7'
  const derived = code === 0 ? '' : deriveStatus(code)
  return derived.startsWith(classOf[kind]) ? derived : `${classOf[kind]}.0.0`
}

/**
 * A delimiter that is in none of the parts. It is made of all their bytes, so nobody can have written it into one of them; the check is for the
 * chance that nobody will ever see.
 */
function boundaryFor(id: string, parts: readonly NoticePart[]): string {
  for (let turn = 0; ; turn++) {
    const hash = createHash('sha256').update(`${id} ${turn}\n`)
    for (const { body } of parts) hash.update(body)
    const boundary = `=_${hash.digest('base64url').replace(/[-_]/g, '').slice(0, 32)}`
    if (parts.every(({ body }) => !body.includes(boundary))) return boundary
  }
}
