/** The report of a notice: as RFC 3464 has it, and whatever the values are, each in a field of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { deliveryStatus, type DeliveryStatus, type RecipientStatus } from './dsn.ts'
import { lineBytesMax } from './limits.ts'

const recipient = (given: Partial<RecipientStatus> = {}): RecipientStatus => ({
  originalRecipient: '',
  finalRecipient: 'ben@example.net',
  action: 'failed',
  status: '5.1.1',
  remoteMta: 'mx.example.net',
  diagnostic: { type: 'smtp', text: '550 5.1.1 no such user' },
  lastAttemptAtMs: Date.UTC(2026, 10, 22, 12, 59),
  willRetryUntilMs: 0,
  ...given,
})

const report = (given: Partial<DeliveryStatus> = {}): DeliveryStatus => ({
  reportingMta: 'mail.example.com',
  envelopeId: '',
  arrivalAtMs: Date.UTC(2026, 10, 22, 12),
  extensions: [],
  recipients: [recipient()],
  ...given,
})

/** The field of that name in a report on this recipient, as it stands there. */
function field(name: string, given: Partial<RecipientStatus>, form: 'ascii' | 'utf8' = 'ascii'): string | undefined {
  const text = deliveryStatus(report({ recipients: [recipient(given)] }), form)
  return text.split(/\r\n(?![ \t])/).find((line) => line.startsWith(`${name}: `))
}

test('a block about the message, then one for each recipient', () => {
  const text = deliveryStatus(
    report({
      envelopeId: 'QQ+20314159',
      extensions: [['X-Posthaste-Message', '0192']],
      recipients: [
        recipient({ originalRecipient: 'rfc822;ben+2Bnews@example.net' }),
        recipient({
          finalRecipient: 'eve@example.org',
          action: 'delayed',
          status: '4.4.1',
          remoteMta: '',
          diagnostic: { type: 'x-posthaste', text: 'cannot connect' },
          willRetryUntilMs: Date.UTC(2026, 10, 25, 12),
        }),
      ],
    }),
    'ascii',
  )
  assert.equal(
    text,
    [
      'Original-Envelope-Id: QQ 314159',
      'Reporting-MTA: dns; mail.example.com',
      'Arrival-Date: Sun, 22 Nov 2026 12:00:00 +0000',
      'X-Posthaste-Message: 0192',
      '',
      'Original-Recipient: rfc822; ben+news@example.net',
      'Final-Recipient: rfc822; ben@example.net',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx.example.net',
      'Diagnostic-Code: smtp; 550 5.1.1 no such user',
      'Last-Attempt-Date: Sun, 22 Nov 2026 12:59:00 +0000',
      '',
      'Final-Recipient: rfc822; eve@example.org',
      'Action: delayed',
      'Status: 4.4.1',
      'Diagnostic-Code: x-posthaste; cannot connect',
      'Last-Attempt-Date: Sun, 22 Nov 2026 12:59:00 +0000',
      'Will-Retry-Until: Wed, 25 Nov 2026 12:00:00 +0000',
      '',
    ].join('\r\n'),
  )
})

test('an address that is not ASCII has a type of its own, and in ASCII an encoding', () => {
  assert.equal(
    field('Final-Recipient', { finalRecipient: 'jörg+x@bücher.example' }),
    'Final-Recipient: utf-8; j\\x{F6}rg\\x{2B}x@b\\x{FC}cher.example',
  )
  assert.equal(
    field('Final-Recipient', { finalRecipient: 'jörg+x@bücher.example' }, 'utf8'),
    'Final-Recipient: utf-8; jörg+x@bücher.example',
  )
})

const given: readonly (readonly [orcpt: string, ascii: string | undefined, utf8: string | undefined])[] = [
  ['', undefined, undefined],
  ['nonsense', undefined, undefined],
  ['rfc822;', undefined, undefined],
  ['RFC822;a+3Db@x.example', 'RFC822; a=b@x.example', 'RFC822; a=b@x.example'],
  ['x400;+2FS=a', 'x400; +2FS=a', 'x400; +2FS=a'],
  ['rfc822;a+0D+0AStatus:+202.0.0@x', 'rfc822; a+0D+0AStatus:+202.0.0@x', 'rfc822; a+0D+0AStatus:+202.0.0@x'],
  ['utf-8;j\\x{F6}rg@x.example', 'utf-8; j\\x{F6}rg@x.example', 'utf-8; jörg@x.example'],
  ['utf-8;jörg@x.example', 'utf-8; j\\x{F6}rg@x.example', 'utf-8; jörg@x.example'],
  ['utf-8;a\\x{0A}b\\x{D800}\\x{FFFFFF}@x', 'utf-8; a?b?\\x{5C}x{FFFFFF}@x', 'utf-8; a?b?\\x{FFFFFF}@x'],
]
for (const [orcpt, ascii, utf8] of given)
  test(`an original recipient given as ${orcpt === '' ? 'nothing' : orcpt}`, () => {
    const written = (value: string | undefined): string | undefined =>
      value === undefined ? undefined : `Original-Recipient: ${value}`
    assert.equal(field('Original-Recipient', { originalRecipient: orcpt }), written(ascii))
    assert.equal(field('Original-Recipient', { originalRecipient: orcpt }, 'utf8'), written(utf8))
  })

test('an envelope id that is no xtext, or not printable, is told as it was given', () => {
  for (const envelopeId of ['a+0Ab', 'a=b', 'a+', '+C3+A4'])
    assert.match(
      deliveryStatus(report({ envelopeId }), 'ascii'),
      new RegExp(`^Original-Envelope-Id: ${envelopeId.replaceAll('+', '\\+')}\r\n`),
    )
})

test('a host that is known by its address stands in brackets', () => {
  assert.equal(field('Remote-MTA', { remoteMta: '192.0.2.1' }), 'Remote-MTA: dns; [192.0.2.1]')
  assert.equal(field('Remote-MTA', { remoteMta: '2001:db8::1' }), 'Remote-MTA: dns; [IPv6:2001:db8::1]')
})

const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\r', '\n', '\0', ':', ' ', '\t', ';', '\u202e', 'ä', '\ud800', '€', '😀', '\\', '+', '='),
    fc.string(),
  ),
  maxLength: 600,
})

test('whatever the values are, there are as many fields and blocks as there should be, and no line is too long', () => {
  const ours = new Set([
    'Original-Envelope-Id',
    'Reporting-MTA',
    'Arrival-Date',
    'X-A',
    'Original-Recipient',
    'Final-Recipient',
    'Action',
    'Status',
    'Remote-MTA',
    'Diagnostic-Code',
    'Last-Attempt-Date',
    'Will-Retry-Until',
  ])
  fc.assert(
    fc.property(nasty, nasty, nasty, nasty, fc.constantFrom('ascii' as const, 'utf8' as const), (a, b, c, d, form) => {
      const recipients = [
        recipient({
          finalRecipient: a,
          originalRecipient: `rfc822;${b}`,
          diagnostic: { type: 'smtp', text: c },
          remoteMta: d,
        }),
        recipient({
          finalRecipient: b,
          originalRecipient: `utf-8;${a}`,
          diagnostic: { type: 'smtp', text: d },
          remoteMta: c,
        }),
      ]
      const text = deliveryStatus(
        report({ reportingMta: a, envelopeId: c, extensions: [['X-A', d]], recipients }),
        form,
      )
      assert.match(text, form === 'ascii' ? /^[\r\n -~]*$/ : /^[^\p{Cs}]*$/u)
      assert.doesNotMatch(text, /(?<!\r)\n|\r(?!\n)|\0|^[ \t]*\r\n[ \t]|\r\n[ \t]+\r\n/)
      assert.equal(text.split('\r\n\r\n').length, 3)
      for (const line of text.split('\r\n')) {
        assert.ok(Buffer.byteLength(line) <= lineBytesMax.value)
        if (!/^[ \t]/.test(line) && line !== '') assert.ok(ours.has(line.slice(0, line.indexOf(':'))), line)
      }
    }),
    { numRuns: 300 },
  )
})
