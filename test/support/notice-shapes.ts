/** Twenty notices of all kinds, for readers that are not ours. */
import type { Notice } from '../../src/feedback/feedback.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import { notice, noticeRecipient, originalHeader, outcome } from './notices.ts'

const failed = (given: Partial<Outcome>, address = 'ben@example.net'): Notice =>
  notice({ recipients: [noticeRecipient({ address, outcome: outcome('bounced', given) })] })

const bodies = {
  plain: Buffer.from('Hello Ben,\r\n\r\nyour receipt is attached.\r\n'),
  eightBit: Buffer.from('Grüße aus Köln,\r\n\r\n.\r\n-- \r\nAnn\r\n'),
}
const mimeHeader = `${originalHeader}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n`
const international = { smtpUtf8: true, subject: 'Grüße', header: Buffer.from(`${mimeHeader}X-Name: Jörg\r\n`) }
const toJörg = [
  noticeRecipient({ address: 'jörg@bücher.example', originalRecipient: 'utf-8;j\\x{F6}rg@b\\x{FC}cher.example' }),
]

/** Whose report is in ASCII. */
export const asciiNotices: readonly Notice[] = [
  failed({}),
  failed({ code: 552, enhanced: '5.2.2', text: 'mailbox full' }),
  failed({
    code: 554,
    enhanced: '5.7.1',
    text: 'message refused; see https://example.net/policy?id=0123456789abcdef for the reason',
  }),
  failed({ code: 550, enhanced: '5.0.0', text: `${'<b>very</b> talkative: '.repeat(20)}bye` }),
  failed({ code: 550, text: 'x'.repeat(512) }),
  failed({}, '"ben miller"@example.net'),
  failed({}, "o'neill+tag=1@sub.example.net"),
  notice({ recipients: [noticeRecipient({ outcome: outcome('expired'), host: '', peerAddress: '' })] }),
  notice({ recipients: [noticeRecipient({ outcome: outcome('suppressed'), host: '', peerAddress: '' })] }),
  notice({
    envelopeId: 'order+2B1234',
    returns: 'HDRS',
    recipients: ['ben', 'eve', 'zoe'].map((name) =>
      noticeRecipient({ address: `${name}@example.net`, originalRecipient: `rfc822;${name}+2Blist@example.org` }),
    ),
  }),
  notice({ recipients: Array.from({ length: 30 }, (_, n) => noticeRecipient({ address: `r${n}@example.net` })) }),
  notice({ returns: 'FULL', original: { body: bodies.plain } }),
  notice({ returns: 'FULL', original: { header: Buffer.from(mimeHeader), body: bodies.eightBit } }),
  notice({ original: { header: Buffer.from(`${originalHeader}X-Name: Jörg\r\n`), subject: 'Grüße aus Köln' } }),
  notice({ original: { header: null } }),
  notice({
    kind: 'delayed',
    recipients: [noticeRecipient({ outcome: outcome('deferred'), willRetryUntilMs: Date.UTC(2026, 10, 25, 12) })],
  }),
  notice({ kind: 'relayed', recipients: [noticeRecipient({ outcome: outcome('delivered') })] }),
]

/** Those of RFC 6533. */
export const internationalNotices: readonly Notice[] = [
  notice({ original: international, recipients: toJörg }),
  notice({ original: { ...international, body: bodies.eightBit }, returns: 'FULL', recipients: toJörg }),
  notice({ original: international, recipients: toJörg, returnPath: 'änn@bücher.example' }),
]
