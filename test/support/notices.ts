/** Notices for tests, and what a reader that is not ours, with a little help for the report, finds in them. */
import PostalMime from 'postal-mime'
import type { NoticesConfig } from '../../src/config/compiled.ts'
import { composeNotice, type Notice, type NoticeRecipient } from '../../src/feedback/feedback.ts'
import { hourMs, MiB, minuteMs } from '../../src/kernel/units.ts'
import type { Attempt, Outcome, OutcomeKind } from '../../src/model/outcome.ts'

const now = Date.UTC(2026, 10, 22, 13, 0, 0)

export function outcome(kind: OutcomeKind, given: Partial<Outcome> = {}): Outcome {
  const said = {
    delivered: [250, '2.0.0', 'queued as 4F3A'],
    bounced: [550, '5.1.1', 'no such user'],
    deferred: [451, '4.3.0', 'try again later'],
    uncertain: [0, '4.4.2', 'the reply to the message was lost'],
    expired: [0, '5.4.7', 'not delivered within 3d, after 40 attempts'],
    suppressed: [0, '5.1.1', 'the address is on the suppression list'],
  } as const satisfies Record<OutcomeKind, readonly [number, string, string]>
  const [code, enhanced, text] = said[kind]
  return { kind, scope: 'recipient', stage: 'rcpt', code, enhanced, text, ...given }
}

export const attempt: Attempt = {
  startedAtMs: now,
  host: 'mx.example.net',
  address: '192.0.2.25',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: 1,
  envelopeMs: 2,
  finishedMs: 3,
}

export const noticesPolicy: NoticesConfig = {
  enabled: true,
  from: 'postmaster@mail.example.com',
  delayAfterMs: 4 * hourMs,
  groupWithinMs: minuteMs,
  perHourMax: 100,
  returnFullBytesMax: MiB,
  suppressed: false,
}

export const noticeRecipient = (given: Partial<NoticeRecipient> = {}): NoticeRecipient => ({
  address: 'ben@example.net',
  originalRecipient: '',
  outcome: outcome('bounced'),
  host: 'mx.example.net',
  peerAddress: '192.0.2.25',
  atMs: now - 60_000,
  willRetryUntilMs: 0,
  ...given,
})

export const originalHeader =
  'Received: from app (app [192.0.2.1]) by mail.example.com; Sun, 22 Nov 2026 12:00:00 +0000\r\n' +
  'Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nFrom: Ann <ann@example.com>\r\nTo: ben@example.net\r\n' +
  'Subject: Your receipt\r\nMessage-ID: <20261122.1200.7@example.com>\r\n'

export function notice(
  given: Partial<Omit<Notice, 'original'>> & { original?: Partial<Notice['original']> } = {},
): Notice {
  return {
    kind: 'failed',
    id: '019ab1c4-0000-7000-8000-000000000001',
    tenant: 'acme',
    from: 'postmaster@mail.example.com',
    hostname: 'mail.example.com',
    nowMs: now,
    returnPath: 'ann@example.com',
    envelopeId: '',
    returns: '',
    recipients: [noticeRecipient()],
    ...given,
    original: {
      id: '019ab1c3-0000-7000-8000-000000000000',
      subject: 'Your receipt',
      from: 'ann@example.com',
      acceptedAtMs: now - 3_600_000,
      header: Buffer.from(originalHeader),
      body: null,
      smtpUtf8: false,
      ...given.original,
    },
  }
}

export interface ReadNotice {
  /** Field names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly text: string
  readonly partTypes: readonly string[]
  /** Blocks of the report: the message's, then one for each recipient. Field names in lower case. */
  readonly blocks: readonly ReadonlyMap<string, string>[]
  /** What came back. */
  readonly original: string
}

/** Fails unless it has the three parts of RFC 6522. */
export async function readNotice(content: Buffer): Promise<ReadNotice> {
  const mail = await PostalMime.parse(content, { forceRfc822Attachments: true, attachmentEncoding: 'arraybuffer' })
  const parts = mail.attachments.map(({ mimeType, content: bytes }) => ({
    mimeType,
    text: Buffer.from(bytes as ArrayBuffer).toString(),
  }))
  const [report, original, ...more] = parts
  if (report === undefined || original === undefined || more.length > 0)
    throw new Error(`parts: ${parts.map(({ mimeType }) => mimeType).join(', ')}`)
  return {
    headers: new Map(mail.headers.map(({ key, value }) => [key, value])),
    text: (mail.text ?? '').replaceAll('\r\n', '\n'),
    partTypes: parts.map(({ mimeType }) => mimeType),
    blocks: reportBlocks(report.text),
    original: original.text,
  }
}

/** RFC 3464 §2.1: fields as in a header, in blocks with an empty line between them. */
function reportBlocks(report: string): Map<string, string>[] {
  return report
    .replaceAll('\r\n', '\n')
    .trimEnd()
    .split('\n\n')
    .map((block) => {
      const fields = block.replace(/\n(?=[ \t])/g, '').split('\n')
      const found = new Map(
        fields.map((field) => {
          const colon = field.indexOf(':')
          if (colon < 1) throw new Error(`no field: ${field}`)
          return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
        }),
      )
      if (found.size !== fields.length) throw new Error(`a field is there twice: ${block}`)
      return found
    })
}

export const sendAndRead = (given: Parameters<typeof notice>[0] = {}): Promise<ReadNotice> =>
  readNotice(composeNotice(notice(given)).content)

/** What a receiver may count on. */
export function assertLegal(content: Buffer, eightBit: boolean): void {
  const text = content.toString('latin1')
  if (/(?<!\r)\n|\r(?!\n)|\0/.test(text)) throw new Error('a bare CR, LF or NUL')
  const long = text.split('\r\n').find((line) => line.length > 998)
  if (long !== undefined) throw new Error(`a line of ${long.length} octets: ${long.slice(0, 100)}`)
  if (!eightBit && /[^\0-\x7f]/.test(text)) throw new Error('8bit')
}
