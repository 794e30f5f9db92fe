/** Messages that we assembled, and notices, before two mail filters of others: neither finds a fault in their form. And both find faults where there are some. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { composeNotice, type Notice } from '../../src/feedback/feedback.ts'
import type { MimeMessage } from '../../src/standards/mime/mime.ts'
import { attachment, mimeMessage, wireBytes } from '../support/mime.ts'
import { mimeShapes } from '../support/mime-shapes.ts'
import { asciiNotices, internationalNotices } from '../support/notice-shapes.ts'
import { rspamdFaults, spamAssassinFaults } from './support/format-faults.ts'
import { type Judge, startRspamd, startSpamAssassin } from './support/mime-judges.ts'

/** Put before every message, as an engine does; the filters expect one. */
const received =
  'Received: from app.example.com (app.example.com [192.0.2.1])\r\n\tby mail.example.com with ESMTPSA id 0192f3c4a1b2\r\n' +
  '\tfor <ben@example.net>; Sun, 22 Nov 2026 11:00:00 +0000\r\n'
/** Questions to a filter at once: SpamAssassin has two processes. */
const askedAtOnce = 4

const directory = mkdtempSync(join(tmpdir(), 'posthaste-judges-'))
let rspamd: Judge
let spamAssassin: Judge

before(async () => {
  const judges = await Promise.allSettled([
    startRspamd(join(directory, 'rspamd')).then((judge) => (rspamd = judge)),
    startSpamAssassin(join(directory, 'spamd'), spamAssassinFaults).then((judge) => (spamAssassin = judge)),
  ])
  for (const judge of judges) if (judge.status === 'rejected') throw judge.reason
})

after(async () => {
  await Promise.all([rspamd?.stop(), spamAssassin?.stop()])
  rmSync(directory, { recursive: true, force: true })
})

/** A rule that is met on purpose: what the sender asked for, not how we wrote it. It must be met, or it is out of date. */
interface Exception {
  readonly rule: string
  readonly because: string
  readonly when: (message: MimeMessage) => boolean
}

const bare = ({ text, html }: MimeMessage): boolean => text === undefined && html === undefined
const extraAlternative = ({ amp, calendar }: MimeMessage): boolean => amp !== undefined || calendar !== undefined
const textAttached = ({ attachments }: MimeMessage): boolean =>
  attachments.some(({ contentType }) => contentType.startsWith('text/'))

const exceptions: readonly Exception[] = [
  {
    rule: 'rspamd MIME_BASE64_TEXT_BOGUS',
    because: 'an attached text is in base64, so that its line ends and last blanks arrive as they were',
    when: textAttached,
  },
  {
    rule: 'rspamd R_MISSING_CHARSET',
    because: 'the charset of an attached file is its sender’s to say; here the file is the only text there is',
    when: (message) => bare(message) && textAttached(message),
  },
  {
    rule: 'rspamd MIME_MA_MISSING_TEXT',
    because: 'the sender gave HTML and AMP or an invitation, and no plain text',
    when: (message) => message.text === undefined && extraAlternative(message),
  },
  {
    rule: 'rspamd MIME_MA_MISSING_HTML',
    because: 'the sender gave plain text and AMP or an invitation, and no HTML',
    when: (message) => message.html === undefined && extraAlternative(message),
  },
  {
    rule: 'spamassassin EMPTY_MESSAGE',
    because: 'the sender gave neither text nor an attachment to be listed',
    when: (message) => bare(message) && message.attachments.every(({ inline }) => inline),
  },
]

test(`neither rspamd nor SpamAssassin finds a fault of form in ${mimeShapes.length} shapes`, async () => {
  const excused = new Set<string>()
  const findings: string[] = []
  const judge = async (message: MimeMessage, number: number): Promise<void> => {
    for (const rule of await faultsOf(wireBytes(message))) {
      const exception = exceptions.find((known) => known.rule === rule && known.when(message))
      if (exception === undefined) findings.push(`shape ${number}: ${rule}`)
      else excused.add(exception.rule)
    }
  }
  // Its message id is that of tests, too short for SpamAssassin.
  const shapes = mimeShapes.map((shape, i) => ({ ...shape, messageId: `<0192f3c4a1b2c3d4e5f6.${i}@mail.example.com>` }))
  const left = shapes.entries()
  await Promise.all(
    Array.from({ length: askedAtOnce }, async () => {
      for (const [number, shape] of left) await judge(shape, number)
    }),
  )

  assert.deepEqual(findings, [])
  assert.deepEqual([...excused].sort(), exceptions.map(({ rule }) => rule).sort())
  assert.ok(mimeShapes.length >= 100)
})

/** rspamd takes the international types of RFC 6533 for broken messages, and an address in UTF-8 (RFC 6532) for one that was not encoded. */
const unknownToRspamd = ['BROKEN_CONTENT_TYPE', 'INVALID_RCPT_8BIT', 'TO_NEEDS_ENCODING'].map(
  (rule) => `rspamd ${rule}`,
)

test('nor in notices of all kinds, but for what rspamd does not know', async () => {
  const judge = async (notices: readonly Notice[]): Promise<string[]> => {
    const found = new Set<string>()
    const left = notices.values()
    await Promise.all(
      Array.from({ length: askedAtOnce }, async () => {
        for (const notice of left) for (const rule of await faultsOf(composeNotice(notice).content)) found.add(rule)
      }),
    )
    return [...found].sort()
  }
  assert.deepEqual(await judge(asciiNotices), [])
  assert.deepEqual(await judge(internationalNotices), unknownToRspamd)
})

/** Rules about form that either filter says the message meets, under the filter's name. */
async function faultsOf(message: Buffer): Promise<string[]> {
  const bytes = Buffer.concat([Buffer.from(received), message])
  const [byRspamd, bySpamAssassin] = await Promise.all([rspamd.judge(bytes), spamAssassin.judge(bytes)])
  return [
    ...byRspamd.filter((rule) => rspamdFaults.includes(rule)).map((rule) => `rspamd ${rule}`),
    ...bySpamAssassin.filter((rule) => spamAssassinFaults.includes(rule)).map((rule) => `spamassassin ${rule}`),
  ]
}

const sound = wireBytes(
  mimeMessage({
    from: { name: 'Ann Smith', address: 'ann@example.com' },
    to: [{ name: 'Ben Miller', address: 'ben@example.net' }],
    subject: 'Your receipt of today',
    messageId: '<0192f3c4a1b2c3d4e5f6@mail.example.com>',
    text: 'Grüße aus Köln.\nOne more line of text, long enough to be one.\n',
    html: '<html><body><p>Grüße aus Köln.</p><p>One more line of text, long enough to be one.</p></body></html>\n',
    attachments: [
      attachment({ filename: 'a.pdf', contentType: 'application/pdf', content: Buffer.alloc(500, '%PDF') }),
    ],
  }),
).toString()

/** What breaks it, and the rules that must see it. */
const breakages: readonly (readonly [name: string, breaks: (text: string) => string, rules: readonly string[]])[] = [
  [
    'no MIME-Version',
    (text) => text.replace(/^MIME-Version:.*\r\n/m, ''),
    ['rspamd MISSING_MIME_VERSION', 'spamassassin MIME_HEADER_CTYPE_ONLY'],
  ],
  [
    'no Date, To, Subject and Message-ID',
    (text) => text.replace(/^(Date|To|Subject|Message-ID):.*\r\n/gm, ''),
    [
      ...['DATE', 'TO', 'SUBJECT', 'MID'].map((what) => `rspamd MISSING_${what}`),
      ...['DATE', 'HEADERS', 'SUBJECT', 'MID'].map((what) => `spamassassin MISSING_${what}`),
    ],
  ],
  ['no From', (text) => text.replace(/^From:.*\r\n/m, ''), ['rspamd MISSING_FROM', 'spamassassin MISSING_FROM']],
  [
    'fields that cannot be read',
    (text) => text.replace(/^Date:.*$/m, 'Date: soon').replace(/^(Message-ID|From|To):.*$/gm, '$1: 17'),
    [
      'rspamd INVALID_DATE',
      'rspamd INVALID_MSGID',
      'rspamd FROM_INVALID',
      'spamassassin INVALID_DATE',
      'spamassassin INVALID_MSGID',
      'spamassassin TO_MALFORMED',
    ],
  ],
  [
    'fields twice',
    (text) => text.replace(/^((?:From|Subject):.*\r\n)/gm, '$1$1'),
    ['rspamd MULTIPLE_UNIQUE_HEADERS', 'rspamd MULTIPLE_FROM'],
  ],
  [
    'a header line without colon',
    (text) => text.replace('Subject: ', 'Subject '),
    ['rspamd BROKEN_HEADERS', 'spamassassin MISSING_SUBJECT'],
  ],
  ['no empty line after the header', (text) => text.replace('\r\n\r\n', '\r\n'), ['spamassassin MISSING_HB_SEP']],
  [
    "no empty line after a part's header",
    (text) => text.replace('quoted-printable\r\n\r\n', 'quoted-printable\r\n'),
    ['rspamd BROKEN_HEADERS', 'spamassassin MISSING_MIME_HB_SEP'],
  ],
  ['a type without subtype', (text) => text.replace('text/plain', 'text'), ['rspamd BROKEN_CONTENT_TYPE']],
  [
    'header fields that are not encoded',
    (text) => text.replace('Ann', 'Änn').replace('Ben', 'Bän').replace('receipt', 'Überweisung für Zoë'),
    ['rspamd FROM_NEEDS_ENCODING', 'rspamd TO_NEEDS_ENCODING', 'rspamd SUBJECT_NEEDS_ENCODING'],
  ],
  [
    'ASCII in encoded words',
    (text) =>
      text
        .replace('Ann Smith', '=?utf-8?B?QW5uIFNtaXRo?=')
        .replace('Your receipt of today', '=?utf-8?Q?Your_receipt?='),
    ['rspamd FROM_EXCESS_BASE64', 'rspamd SUBJ_EXCESS_QP', 'spamassassin FROM_EXCESS_BASE64'],
  ],
  [
    'a blank inside an encoded word',
    (text) => text.replace('Your receipt', '=?utf-8?Q?Your receipt=C3=BC?='),
    ['spamassassin BAD_ENC_HEADER'],
  ],
  [
    'quoted-printable lines over 76',
    (text) => text.replace('One more line', `One more line${'x'.repeat(80)}`),
    ['spamassassin MIME_QP_LONG_LINE'],
  ],
  [
    'base64 lines over 76',
    (text) => text.replace(/([A-Za-z0-9+/]{76})\r\n/, '$1'),
    ['spamassassin BASE64_LENGTH_79_INF'],
  ],
  [
    'bytes above 127 in a 7bit part',
    (text) => text.replace('quoted-printable', '7bit').replace('=C3=BC', 'ü'),
    ['rspamd R_BAD_CTE_7BIT'],
  ],
  ['an encoding that does not exist', (text) => text.replace('base64', 'bas64'), ['spamassassin T_CTE_BAS64']],
  [
    'an unknown file without disposition',
    (text) => text.replace('application/pdf', 'application/octet-stream').replace(/^Content-Disposition:.*\r\n/m, ''),
    ['rspamd CTYPE_MISSING_DISPOSITION'],
  ],
  [
    'no blank after colons, and odd letter case',
    (text) => text.replace('From: ', 'From:').replace('To: ', 'To:').replace('MIME-Version', 'Mime-Version'),
    ['rspamd HEADER_FROM_EMPTY_DELIMITER', 'rspamd HEADER_TO_EMPTY_DELIMITER', 'rspamd MV_CASE'],
  ],
]

test('a sound message meets none of the rules', async () => {
  assert.deepEqual(await faultsOf(Buffer.from(sound)), [])
})

for (const [name, breaks, rules] of breakages) {
  test(`a broken message is seen: ${name}`, async () => {
    const broken = breaks(sound)
    assert.notEqual(broken, sound)
    const faults = await faultsOf(Buffer.from(broken))
    assert.deepEqual(
      rules.filter((rule) => !faults.includes(rule)),
      [],
      `only ${faults.join(', ') || 'nothing'} was found`,
    )
  })
}
