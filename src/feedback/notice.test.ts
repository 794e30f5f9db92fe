/** The bytes of a notice: what people and programs read in it, which form it takes, and that nothing from outside can change either. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  assertLegal,
  notice,
  noticeRecipient,
  originalHeader,
  outcome,
  readNotice,
  sendAndRead,
} from '../../test/support/notices.ts'
import { dayMs } from '../kernel/units.ts'
import { parsePath, wireAddress } from '../standards/address.ts'
import { composeNotice, type NoticeKind } from './feedback.ts'

test('it goes to the return path alone, from the null sender, under the id it was given', () => {
  const { content, ...mail } = composeNotice(notice())
  assert.deepEqual(mail, {
    id: '019ab1c4-0000-7000-8000-000000000001',
    tenant: 'acme',
    mailClass: 'transactional',
    returnPath: '',
    recipients: ['ann@example.com'],
    from: 'postmaster@mail.example.com',
    fromDomain: 'mail.example.com',
    subject: 'Your message could not be delivered',
    smtpUtf8: false,
    eightBit: false,
  })
  assert.deepEqual(composeNotice(notice()).content, content)
  assertLegal(content, false)
})

test('its header says what it answers, and that a program wrote it', async () => {
  const { headers } = await sendAndRead()
  assert.deepEqual(
    ['from', 'to', 'subject', 'message-id', 'auto-submitted', 'in-reply-to', 'references'].map((name) =>
      headers.get(name),
    ),
    [
      'Mail Delivery System <postmaster@mail.example.com>',
      'ann@example.com',
      'Your message could not be delivered',
      '<019ab1c4-0000-7000-8000-000000000001@mail.example.com>',
      'auto-replied',
      '<20261122.1200.7@example.com>',
      '<20261122.1200.7@example.com>',
    ],
  )
  assert.match(headers.get('content-type') ?? '', /^multipart\/report; report-type=delivery-status; boundary=/)
})

test('a person reads what was sent to whom, what was said there, and what can be done', async () => {
  const { text } = await sendAndRead({
    recipients: [
      noticeRecipient(),
      noticeRecipient({
        address: 'jörg@example.net',
        outcome: outcome('expired', {
          text: 'not delivered within 3d, after 40 attempts; the last one met: 451 4.3.0 no',
        }),
        host: '',
        peerAddress: '',
      }),
    ],
  })
  assert.equal(
    text.trimEnd(),
    `This is the mail server mail.example.com. Your message could not be
delivered to the 2 recipients below. It will not be tried again.

    Subject: Your receipt
    From:    ann@example.com
    Sent:    Sun, 22 Nov 2026 12:00:00 +0000

ben@example.net
    mx.example.net (192.0.2.25) said:
        550 5.1.1 no such user
    There is no such mailbox. Look for a typing mistake, or ask for the
    right address in another way.

jörg@example.net
    The reason:
        not delivered within 3d, after 40 attempts; the last one met: 451
        4.3.0 no
    The receiver could not be reached, or put the message off, for too long.
    Send it again later if it still matters.

What you sent is attached, as a whole or its header, and a report that
programs can read. A program wrote this notice. Questions about it reach a
person at postmaster@mail.example.com; please name
019ab1c3-0000-7000-8000-000000000000 in them.`,
  )
})

const advice: readonly (readonly [enhanced: string, says: RegExp])[] = [
  ['5.1.1', /no such mailbox/],
  ['5.1.10', /takes no mail at all/],
  ['5.1.99', /The address does not work/],
  ['5.2.2', /mailbox is full/],
  ['5.3.4', /larger than the receiver takes/],
  ['5.7.1', /refused the message/],
  ['5.7.26', /refused the message/],
  ['5.0.0', /may tell what to do/],
]
for (const [enhanced, says] of advice)
  test(`what a person can do about ${enhanced}`, async () => {
    const { text } = await sendAndRead({ recipients: [noticeRecipient({ outcome: outcome('bounced', { enhanced }) })] })
    assert.match(text.replace(/\s+/g, ' '), says)
  })

test('who is on the suppression list is told so, whatever the code', async () => {
  const { text, blocks } = await sendAndRead({ recipients: [noticeRecipient({ outcome: outcome('suppressed') })] })
  assert.match(text.replace(/\s+/g, ' '), /on your own list/)
  assert.equal(blocks[1]?.get('diagnostic-code'), 'x-posthaste; the address is on the suppression list')
})

test('lines for people are as long as people read them, where the words allow it', async () => {
  const words = 'word '.repeat(100)
  const { text } = await sendAndRead({
    original: { subject: words },
    recipients: [noticeRecipient({ outcome: outcome('bounced', { text: words }) })],
  })
  assert.ok(text.split('\n').every((line) => line.length <= 78))
  assert.match(text, /\n {4}Subject: word [^]*\n {13}word word/)
})

test('a delay says until when it is tried, and brings the header only', async () => {
  const until = notice().nowMs + 2 * dayMs
  const { text, blocks, partTypes } = await sendAndRead({
    kind: 'delayed',
    returns: 'FULL',
    original: { body: Buffer.from('Hello\r\n') },
    recipients: [noticeRecipient({ outcome: outcome('deferred'), willRetryUntilMs: until })],
  })
  assert.match(text, /You need not do\s+anything/)
  assert.match(text, /It is tried until Tue, 24 Nov 2026 13:00:00 \+0000\./)
  const fields = ['action', 'status', 'will-retry-until'].map((name) => blocks[1]?.get(name))
  assert.deepEqual(fields, ['delayed', '4.3.0', 'Tue, 24 Nov 2026 13:00:00 +0000'])
  assert.deepEqual(partTypes, ['message/delivery-status', 'text/rfc822-headers'])
})

test('mail that was handed on is told as relayed', async () => {
  const { text, blocks } = await sendAndRead({
    kind: 'relayed',
    envelopeId: 'order+2B17',
    recipients: [noticeRecipient({ outcome: outcome('delivered'), originalRecipient: 'rfc822;ben+2B1@example.com' })],
  })
  assert.match(text, /does not tell\s+what becomes of it/)
  assert.equal(blocks[0]?.get('original-envelope-id'), 'order+17')
  assert.deepEqual(
    ['original-recipient', 'action', 'status'].map((name) => blocks[1]?.get(name)),
    ['rfc822; ben+1@example.com', 'relayed', '2.0.0'],
  )
})

const statuses: readonly (readonly [NoticeKind, Parameters<typeof outcome>, string])[] = [
  ['failed', ['bounced', { code: 552, enhanced: '5.2.2' }], '5.2.2'],
  ['failed', ['bounced', { code: 552, enhanced: '' }], '5.2.2'],
  ['failed', ['bounced', { code: 550, enhanced: '2.1.1' }], '5.0.0'],
  ['failed', ['bounced', { code: 0, enhanced: '5.4.4\r\nX: y' }], '5.0.0'],
  ['failed', ['expired', { enhanced: '4.4.1' }], '5.4.7'],
  ['delayed', ['deferred', { code: 450, enhanced: '' }], '4.2.0'],
  ['delayed', ['deferred', { code: 0, enhanced: '' }], '4.0.0'],
  ['relayed', ['delivered', { code: 250, enhanced: '5.1.1' }], '2.0.0'],
]
for (const [kind, [outcomeKind, given], status] of statuses)
  test(`${kind} with ${given?.code ?? 'no code'} and ${JSON.stringify(given?.enhanced)} has the status ${status}`, async () => {
    const { blocks } = await sendAndRead({
      kind,
      recipients: [noticeRecipient({ outcome: outcome(outcomeKind, given) })],
    })
    assert.equal(blocks[1]?.get('status'), status)
  })

const latin = Buffer.from('Gr\xfc\xdfe\r\n', 'latin1')

test('the whole message comes back for RET=FULL, as it was: 8bit if it is', () => {
  for (const [body, eightBit] of [
    [Buffer.from('Hello\r\n'), false],
    [latin, true],
  ] as const) {
    const mail = composeNotice(notice({ returns: 'FULL', original: { body } }))
    assert.equal(mail.eightBit, eightBit)
    assert.equal(mail.smtpUtf8, false)
    assertLegal(mail.content, eightBit)
    const whole = Buffer.concat([Buffer.from(`${originalHeader}\r\n`), body])
    assert.ok(mail.content.includes(Buffer.concat([Buffer.from(`: ${eightBit ? '8bit' : '7bit'}\r\n\r\n`), whole])))
    assert.match(mail.content.toString('latin1'), /^Content-Type: message\/rfc822\r$/m)
  }
})

test('a message that may not travel unencoded comes back as its header', async () => {
  for (const body of ['\0', 'a\rb', 'a\nb', '\n', 'x'.repeat(999), `${'x'.repeat(999)}\r\ny`]) {
    const { content } = composeNotice(notice({ returns: 'FULL', original: { body: Buffer.from(body) } }))
    assertLegal(content, false)
    assert.equal((await readNotice(content)).partTypes[1], 'text/rfc822-headers')
  }
  const { content } = composeNotice(notice({ returns: 'FULL', original: { body: Buffer.from('x'.repeat(998)) } }))
  assert.equal((await readNotice(content)).partTypes[1], 'message/rfc822')
})

test('a header that is not ASCII comes back quoted, octet by octet', () => {
  const header = Buffer.concat([Buffer.from(originalHeader), Buffer.from('X-Old: '), latin])
  const mail = composeNotice(notice({ original: { header } }))
  assert.equal(mail.eightBit, false)
  assert.match(
    mail.content.toString('latin1'),
    /Content-Transfer-Encoding: quoted-printable\r\n\r\nReceived: [^]*X-Old: Gr=FC=DFe\r\n/,
  )
})

test('a message that can no longer be read comes back as what is known of it', async () => {
  const { original, headers } = await sendAndRead({ original: { header: null, subject: 'Grüße\r\nX: y' } })
  assert.equal(original.trim(), 'From: ann@example.com\nSubject: =?utf-8?B?R3LDvMOfZT8/WDogeQ==?=')
  assert.equal(headers.has('in-reply-to'), false)
})

test('a return path with a domain of U-labels needs no SMTPUTF8: its notice names it in A-labels', async () => {
  const recipients = [noticeRecipient({ address: 'ben@bücher.example' })]
  const mail = composeNotice(notice({ returnPath: 'ann@bücher.example', recipients }))
  assert.deepEqual([mail.smtpUtf8, mail.eightBit], [false, false])
  assertLegal(mail.content, false)
  const read = await readNotice(mail.content)
  assert.equal(read.headers.get('to'), 'ann@xn--bcher-kva.example')
  assert.equal(read.blocks[1]?.get('final-recipient'), 'utf-8; ben@b\\x{FC}cher.example')
})

test('a message with SMTPUTF8 gets an international notice, which passes anywhere if its return path is ASCII', async () => {
  const recipients = [noticeRecipient({ address: 'jörg@bücher.example' })]
  const header = Buffer.from(`${originalHeader}X-Name: Jörg\r\n`)
  const original = { smtpUtf8: true, header, body: Buffer.from('Grüße\r\n') }
  for (const returnPath of ['ann@example.com', 'änn@example.com']) {
    const international = returnPath !== 'ann@example.com'
    for (const returns of ['FULL', 'HDRS'] as const) {
      const mail = composeNotice(notice({ returnPath, returns, original, recipients }))
      assert.equal(mail.smtpUtf8, international)
      assert.equal(mail.eightBit, international)
      assertLegal(mail.content, international)
      const read = await readNotice(mail.content)
      assert.deepEqual(read.partTypes, [
        'message/global-delivery-status',
        returns === 'FULL' ? 'message/global' : 'message/global-headers',
      ])
      assert.equal(read.blocks[1]?.get('final-recipient'), 'utf-8; jörg@bücher.example')
      assert.match(read.original, /^X-Name: Jörg$/m)
      assert.equal(read.headers.get('to'), returnPath)
      assert.match(read.headers.get('content-type') ?? '', /report-type=global-delivery-status/)
      assert.equal(
        /Content-Transfer-Encoding: quoted-printable/.test(mail.content.toString()),
        !international || /[^\0-\x7f]/.test(read.text),
      )
    }
  }
})

test('a message identifier that is none is not repeated', async () => {
  for (const id of [
    '',
    'x',
    '<a@b> <c@d>',
    '<a b@c>',
    '<a@b@c>',
    `<${'a'.repeat(200)}@b>`,
    '<a@b\xe4>',
    '<a@b>\r\n x',
  ]) {
    const header = Buffer.from(`Message-ID: ${id}\r\nX: y\r\n`, 'latin1')
    const { headers } = await sendAndRead({ original: { header } })
    assert.equal(headers.has('in-reply-to') || headers.has('references'), false, id)
  }
})

test('no delimiter stands in what comes back, not even that of another notice about it', async () => {
  const first = composeNotice(notice({ returns: 'FULL', original: { body: Buffer.from('Hello\r\n') } })).content
  const end = first.indexOf('\r\n\r\n') + 2
  const original = { header: first.subarray(0, end), body: first.subarray(end + 2) }
  const { partTypes, original: inner } = await sendAndRead({ returns: 'FULL', original })
  assert.deepEqual(partTypes, ['message/delivery-status', 'message/rfc822'])
  assert.equal(inner.trimEnd(), first.toString().replaceAll('\r\n', '\n').trimEnd())
})

const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\r', '\n', '\r\n', '\0', ':', ' ', '\t', ';', '--', '=_', '.', '\u202e', 'ä', '\ud800', '😀'),
    fc.string(),
  ),
  maxLength: 600,
})
const localPart = fc.oneof(
  fc.stringMatching(/^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/),
  fc.string({ maxLength: 40 }).map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`),
)
/** What intake would take. */
const address = fc
  .tuple(localPart, fc.constantFrom('example.net', 'bücher.example', `${'a'.repeat(63)}.${'b'.repeat(63)}.example`))
  .map(([local, domain]) => `${local}@${domain}`)
  .filter((text) => {
    const path = parsePath(`<${text}>`, 0)
    return path.problem === null && path.mailbox?.address === text
  })

test('whatever comes from outside, a reader finds the right recipients, actions and statuses, and the form is legal', async () => {
  const kinds = { failed: 'bounced', delayed: 'deferred', relayed: 'delivered' } as const
  const classes = { failed: '5.1.1', delayed: '4.2.2', relayed: '2.1.5' } as const
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('failed' as const, 'delayed' as const, 'relayed' as const),
      fc.array(fc.tuple(address, nasty, nasty), { minLength: 1, maxLength: 4 }),
      address,
      nasty,
      nasty,
      fc.oneof(
        fc.uint8Array({ maxLength: 3_000 }),
        nasty.map((text) => Buffer.from(text)),
        fc.constant(null),
      ),
      fc.boolean(),
      async (kind, outcomes, returnPath, subject, orcpt, bytes, smtpUtf8) => {
        const recipients = outcomes.map(([to, text, host]) =>
          noticeRecipient({
            address: to,
            originalRecipient: orcpt,
            host,
            peerAddress: subject,
            outcome: outcome(kinds[kind], { enhanced: classes[kind], text }),
          }),
        )
        const content = bytes === null ? null : Buffer.from(bytes)
        const mail = composeNotice(
          notice({
            kind,
            recipients,
            returnPath,
            envelopeId: orcpt,
            returns: 'FULL',
            original: { subject, from: subject, header: content, body: content, smtpUtf8, id: orcpt },
          }),
        )
        assertLegal(mail.content, mail.eightBit === true)
        const read = await readNotice(mail.content)
        assert.equal(read.headers.get('to'), wireAddress(returnPath))
        assert.equal(read.headers.get('auto-submitted'), 'auto-replied')
        assert.equal(read.blocks.length, 1 + recipients.length)
        assert.equal(read.blocks[0]?.get('reporting-mta'), 'dns; mail.example.com')
        for (const [n, recipient] of recipients.entries()) {
          const block = read.blocks[n + 1]
          assert.equal(finalAddress(block?.get('final-recipient') ?? ''), recipient.address)
          assert.equal(block?.get('action'), kind)
          assert.equal(block?.get('status'), classes[kind])
        }
      },
    ),
    { numRuns: 200 },
  )
})

/** RFC 6533 §3, as a reader undoes it. */
function finalAddress(value: string): string {
  const [type, written = ''] = value.split(/; (.*)/s)
  if (type !== 'utf-8') return written
  return written.replace(/\\x\{([0-9A-F]+)\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
}
