/** Header fields to the byte: how they are folded and encoded, and what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attachment, mimeMessage, wireField, wireText } from '../../../test/support/mime.ts'
import { headerNameCharactersMax, lineBytesMax } from '../limits.ts'
import { assemble, type MimeHeader, type MimeMessage, MimeProblem } from './mime.ts'

const header = (name: string, value: string): Partial<MimeMessage> => ({ headers: [{ name, value }] })
const subject = (text: string): string | undefined => wireField(mimeMessage({ subject: text }), 'Subject')
const from = (name: string): string | undefined =>
  wireField(mimeMessage({ from: { name, address: 'a@b.example' } }), 'From')

/** The code and pointer of the problem, or null when there is none. */
function problem(given: Partial<MimeMessage>): [code: string, pointer: string] | null {
  try {
    assemble(mimeMessage(given))
    return null
  } catch (error) {
    assert.ok(error instanceof MimeProblem)
    assert.ok(error.cure.endsWith('.') && error.message.startsWith(`${error.pointer}: `))
    return [error.code, error.pointer]
  }
}

test('a message has the fields that RFC 5322 asks for, in the usual order', () => {
  const given = mimeMessage({
    sender: { address: 's@example.com' },
    replyTo: [{ address: 'r@example.com' }],
    cc: [{ name: 'Cy', address: 'c@example.com' }],
    headers: [
      { name: 'X-Second', value: '2' },
      { name: 'X-First', value: '' },
    ],
    text: 'Hi',
  })
  assert.equal(
    assemble(given).headerText,
    'Date: Sun, 22 Nov 2026 11:00:00 +0000\r\n' +
      'From: ann@example.com\r\n' +
      'Sender: s@example.com\r\n' +
      'Reply-To: r@example.com\r\n' +
      'To: bob@example.net\r\n' +
      'Cc: Cy <c@example.com>\r\n' +
      'Subject: Hello\r\n' +
      'Message-ID: <1@example.com>\r\n' +
      'X-Second: 2\r\n' +
      'X-First:\r\n' +
      'MIME-Version: 1.0\r\n' +
      'Content-Type: text/plain; charset=utf-8\r\n' +
      'Content-Transfer-Encoding: 7bit\r\n',
  )
  assert.equal(wireText(given), `${assemble(given).headerText}\r\nHi\r\n`)
})

test('a subject is folded between words, at 76 columns', () => {
  assert.equal(subject('Hello'), 'Subject: Hello')
  assert.equal(subject(''), undefined)
  assert.equal(subject('abcdefg '.repeat(9).trim()), `Subject: ${'abcdefg '.repeat(8).trim()}\r\n abcdefg`)
  assert.equal(subject(`${'x'.repeat(67)} y`), `Subject: ${'x'.repeat(67)}\r\n y`)
  assert.equal(subject(`${'x'.repeat(65)} y`), `Subject: ${'x'.repeat(65)} y`)
  const long = 'x'.repeat(lineBytesMax.value - 9)
  assert.equal(subject(long), `Subject: ${long}`)
})

test('what is not plain ASCII becomes encoded words: Q or B, whichever is shorter', () => {
  assert.equal(subject('Grüße aus Bern'), 'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_Bern?=')
  assert.equal(subject('Grüße'), 'Subject: =?utf-8?B?R3LDvMOfZQ==?=')
  assert.equal(subject('Привет'), 'Subject: =?utf-8?B?0J/RgNC40LLQtdGC?=')
  assert.equal(subject('50 % für 5€?'), 'Subject: =?utf-8?B?NTAgJSBmw7xyIDXigqw/?=')
})

test('an encoded word has at most 75 characters, its line 76, and no character is torn apart', () => {
  const faces = subject('😀'.repeat(24)) as string
  const lines = faces.split('\r\n')
  assert.ok(lines.length > 1 && lines.every((line) => line.length <= 76))
  for (const [, word] of faces.matchAll(/=\?utf-8\?B\?([^?]+)\?=/g))
    assert.match(Buffer.from(word as string, 'base64').toString(), /^(?:😀)+$/u)
  const umlauts = [...(subject('ü'.repeat(20) + 'x'.repeat(200)) as string).matchAll(/=\?utf-8\?Q\?([^?]+)\?=/g)]
  assert.deepEqual(
    umlauts.map(([, letters]) => letters),
    [
      '=C3=BC'.repeat(9),
      '=C3=BC'.repeat(10),
      `=C3=BC${'x'.repeat(57)}`,
      'x'.repeat(63),
      'x'.repeat(63),
      'x'.repeat(17),
    ],
  )
  assert.ok(umlauts.every(([word]) => word.length <= 75))
})

test('a subject that would be read otherwise than written is encoded, though it is ASCII', () => {
  assert.equal(subject('=?utf-8?Q?x?='), 'Subject: =?utf-8?B?PT91dGYtOD9RP3g/PQ==?=')
  assert.equal(subject('a  b'), 'Subject: =?utf-8?Q?a__b?=')
  assert.equal(subject(' a'), 'Subject: =?utf-8?Q?_a?=')
  assert.equal(subject('one\ttwo'), 'Subject: =?utf-8?Q?one=09two?=')
})

test('display names are plain, quoted or encoded', () => {
  assert.equal(from('Ann Smith'), 'From: Ann Smith <a@b.example>')
  assert.equal(from('Smith, Ann (EU)'), 'From: "Smith, Ann (EU)" <a@b.example>')
  assert.equal(from('Ann "A" \\'), 'From: "Ann \\"A\\" \\\\" <a@b.example>')
  assert.equal(from('ann@b.example'), 'From: "ann@b.example" <a@b.example>')
  assert.equal(from('Jürg'), 'From: =?utf-8?B?SsO8cmc=?= <a@b.example>')
  assert.equal(from('Smith, Jürg!'), 'From: =?utf-8?Q?Smith=2C_J=C3=BCrg!?= <a@b.example>')
  assert.equal(from('=?x?='), 'From: =?utf-8?B?PT94Pz0=?= <a@b.example>')
  assert.equal(from(''), 'From: a@b.example')
  assert.equal(from('x'.repeat(60)), `From: ${'x'.repeat(60)}\r\n <a@b.example>`)
  assert.equal(from('x'.repeat(61)), `From: =?utf-8?Q?${'x'.repeat(58)}?=\r\n =?utf-8?Q?xxx?= <a@b.example>`)
})

test('address lists are folded between addresses', () => {
  const to = Array.from({ length: 4 }, (_, i) => ({ name: `Number ${i}`, address: `number${i}@example.com` }))
  assert.equal(
    wireField(mimeMessage({ to }), 'To'),
    'To: Number 0 <number0@example.com>, Number 1 <number1@example.com>, Number 2\r\n' +
      ' <number2@example.com>, Number 3 <number3@example.com>',
  )
})

test('a domain beyond ASCII is written in A-labels, which any server and reader takes', () => {
  const given = mimeMessage({ to: [{ name: 'Jörg', address: 'joerg@bücher.example' }] })
  assert.equal(wireField(given, 'To'), 'To: =?utf-8?B?SsO2cmc=?= <joerg@xn--bcher-kva.example>')
  assert.equal(assemble(given).needsSmtpUtf8, false)
})

test('local parts beyond ASCII are written as given, and ask for SMTPUTF8', () => {
  const given = mimeMessage({ to: [{ name: 'Jörg', address: 'jörg@bücher.example' }], text: 'ä' })
  const assembled = assemble(given)
  assert.equal(wireField(given, 'To'), 'To: =?utf-8?B?SsO2cmc=?= <jörg@bücher.example>')
  assert.equal(assembled.needsSmtpUtf8, true)
  assert.equal(assembled.bytes, Buffer.concat([...assembled]).length)
  assert.equal(assemble(mimeMessage({ subject: 'ä', from: { name: 'ö', address: 'a@b' } })).needsSmtpUtf8, false)
})

test('further fields keep their ASCII; other text is encoded unless the field is structured', () => {
  const written = (name: string, value: string): string | undefined => wireField(mimeMessage(header(name, value)), name)
  assert.equal(written('X-A', ' two  spaces, =?utf-8?Q?=C3=BC?= \t'), 'X-A: two  spaces, =?utf-8?Q?=C3=BC?=')
  assert.equal(written('X-A', 'für jeden'), 'X-A: =?utf-8?Q?f=C3=BCr_jeden?=')
  const url = `<https://example.com/${'u'.repeat(70)}>`
  assert.equal(
    written('List-Unsubscribe', `${url}, <mailto:u@example.com>`),
    `List-Unsubscribe: ${url},\r\n <mailto:u@example.com>`,
  )
  assert.deepEqual(problem(header('List-Id', 'Grüße <l.example>')), ['header_not_ascii', '/headers/0/value'])
})

test('no value can begin a line of its own: CR, LF and NUL are refused wherever they stand', () => {
  const places: [pointer: string, (value: string) => Partial<MimeMessage>][] = [
    ['/subject', (value) => ({ subject: value })],
    ['/from/name', (value) => ({ from: { name: value, address: 'a@b.example' } })],
    ['/from/address', (value) => ({ from: { address: value } })],
    ['/sender/address', (value) => ({ sender: { address: value } })],
    ['/reply_to/0/address', (value) => ({ replyTo: [{ address: value }] })],
    ['/to/1/name', (value) => ({ to: [{ address: 'a@b' }, { name: value, address: 'a@b' }] })],
    ['/cc/0/name', (value) => ({ cc: [{ name: value, address: 'a@b' }] })],
    ['/headers/0/value', (value) => header('X-A', value)],
    ['/attachments/0/filename', (value) => ({ attachments: [attachment({ filename: value })] })],
    ['/attachments/0/content_type', (value) => ({ attachments: [attachment({ contentType: value })] })],
    ['/attachments/0/content_id', (value) => ({ attachments: [attachment({ contentId: value })] })],
    ['/calendar/method', (value) => ({ calendar: { method: value, content: '' } })],
  ]
  for (const [pointer, given] of places) {
    for (const end of ['\r\n', '\r', '\n', '\0', '\r\n '])
      assert.deepEqual(problem(given(`a${end}Bcc: x@y.example`)), ['control_character', pointer])
  }
  assert.deepEqual(problem({ messageId: '<a@b>\r\nBcc: x@y' }), ['message_id_invalid', '/message_id'])
  assert.deepEqual(problem(header('X-A\r\nBcc', 'x')), ['header_name_invalid', '/headers/0/name'])
})

test('addresses are one address each', () => {
  for (const address of [
    '',
    'ann',
    'ann@',
    '@b',
    'a@b, c@d',
    'Ann <a@b>',
    'a@b>',
    '<a@b>',
    'a b@c',
    'a@b(c)',
    '@r:a@b',
  ])
    assert.deepEqual(problem({ to: [{ address }] }), ['address_invalid', '/to/0/address'], address)
  for (const address of ['a@b', '"a b"@c.example', 'a@[192.0.2.1]', 'a+b@c.example'])
    assert.equal(problem({ to: [{ address }] }), null, address)
})

test('fields that are ours, or that have a place of their own, are refused; some others if they come twice', () => {
  const reserved =
    'Bcc From to CC sender Reply-To Subject Date Message-ID MIME-Version Content-Type Content-Language Received ' +
    'DKIM-Signature Return-Path X-Posthaste-Stream ARC-Seal Authentication-Results Resent-From Delivered-To'
  for (const name of reserved.split(' '))
    assert.deepEqual(problem(header(name, 'x')), ['header_reserved', '/headers/0/name'], name)
  for (const name of ['', 'X A', 'X:', 'X-Ü', 'X\x7f'])
    assert.deepEqual(problem(header(name, 'x')), ['header_name_invalid', '/headers/0/name'], name)
  const twice = (name: string): MimeHeader[] => [
    { name, value: '<1@x>' },
    { name: name.toUpperCase(), value: '<2@x>' },
  ]
  assert.deepEqual(problem({ headers: twice('References') }), ['header_repeated', '/headers/1/name'])
  assert.equal(problem({ headers: twice('X-Tag') }), null)
})

test('limit mime.header-name: 76 characters are a name, 77 are not', () => {
  for (const characters of [75, 76, 77]) {
    const passes = characters <= headerNameCharactersMax.value
    const expected = passes ? null : ['header_name_invalid', '/headers/0/name']
    assert.deepEqual(problem(header('X'.repeat(characters), 'value')), expected)
  }
})

test('limit mime.line: a field that cannot be folded may have lines of 998 octets, not of 999', () => {
  for (const octets of [997, 998, 999]) {
    const passes = octets <= lineBytesMax.value
    const expected = passes ? null : ['header_line_too_long', '/headers/0/value']
    assert.deepEqual(problem(header('X-A', 'v'.repeat(octets - 5))), expected)
    assert.deepEqual(problem(header('X-A', `a ${'v'.repeat(octets - 1)} b`)), expected)
  }
})
