import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { emptyLineAt, FieldScanner, fromAddresses, headerEnd, surveyHeader } from './header.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

function fields(text: string): [name: string, value: string][] {
  const field = new FieldScanner(bytes(text))
  const found: [string, string][] = []
  while (field.next()) found.push([text.slice(field.nameStart, field.nameEnd), text.slice(field.valueStart, field.end)])
  return found
}

test('fields with folds, odd names and no value', () => {
  assert.deepEqual(fields('A: 1\r\nB-c \t:2\r\n\t3\r\n \r\n 4\r\nD:\r\n__proto__: x\r\n\r\nE: body\r\n'), [
    ['A', ' 1\r\n'],
    ['B-c', '2\r\n\t3\r\n \r\n 4\r\n'],
    ['D', '\r\n'],
    ['__proto__', ' x\r\n'],
  ])
})

test('only CRLF ends a line', () => {
  assert.deepEqual(fields('A: 1\nB: 2\rC: 3\r\nD: 4\r\n'), [
    ['A', ' 1\nB: 2\rC: 3\r\n'],
    ['D', ' 4\r\n'],
  ])
})

test('where the header block ends', () => {
  for (const [text, end, malformed] of [
    ['', 0, false],
    ['\r\nbody', 0, false],
    ['A: 1\r\n', 6, false],
    ['A: 1', 4, false],
    ['A: 1\r', 5, false],
    ['A: 1\r\n\r\nbody', 6, false],
    ['A: 1\r\nbody: no, a field\r\n', 25, false],
    ['A: 1\r\nbody\r\n', 6, true],
    ['A: 1\r\nbo dy: x\r\n', 6, true],
    ['A: 1\r\n\nB: 2\r\n', 6, true],
    ['A: 1\r\n\r', 6, true],
    [' folded onto nothing\r\n', 0, true],
    [': no name\r\n', 0, true],
    ['na\xefve: 1\r\n', 0, true],
    ['A', 0, true],
    ['A ', 0, true],
  ] as const) {
    const survey = surveyHeader(bytes(text))
    assert.deepEqual([survey.end, survey.malformedLine], [end, malformed], JSON.stringify(text))
    assert.equal(headerEnd(bytes(text)), end)
    assert.equal(!malformed && end < text.length, emptyLineAt(bytes(text), end))
  }
})

test('a survey counts what is there, whatever its case', () => {
  const header =
    'Received: a\r\nRECEIVED: b\r\nfrom: Ann <ann@Example.COM>\r\nFrom: ben@example.net\r\ndAtE: x\r\nMessage-Id: <1@x>\r\n' +
    'Datx: y\r\nFrom-Not: z\r\n__proto__: 1\r\n\r\nDate: in the body \xff\r\n'
  assert.deepEqual(surveyHeader(bytes(header)), {
    end: header.indexOf('\r\n\r\n') + 2,
    hasDate: true,
    hasMessageId: true,
    fromCount: 2,
    fromDomain: 'example.com',
    fromAddress: 'ann@example.com',
    fromMore: false,
    subjectStart: 0,
    subjectEnd: 0,
    options: [],
    receivedCount: 2,
    malformedLine: false,
    hasNonAscii: false,
  })
  assert.deepEqual(surveyHeader(bytes('Subject: \xe9\r\n')), {
    end: 12,
    hasDate: false,
    hasMessageId: false,
    fromCount: 0,
    fromDomain: '',
    fromAddress: '',
    fromMore: false,
    subjectStart: 8,
    subjectEnd: 12,
    options: [],
    receivedCount: 0,
    malformedLine: false,
    hasNonAscii: true,
  })
})

test('the domain of the first From mailbox', () => {
  for (const [value, domain] of [
    ['ann@example.com', 'example.com'],
    ['Ann <ann@Example.COM>', 'example.com'],
    ['"Doe, Ann" <ann@example.com>', 'example.com'],
    ['Doe, Ann <ann@example.com>', 'example.com'],
    ['"a@evil.example" <b@good.example>', 'good.example'],
    ['a@evil.example <b@good.example>', 'good.example'],
    ['<b@good.example> a@evil.example', 'good.example'],
    ['"a <x@evil.example>" <b@good.example>', 'good.example'],
    ['"a\\"<x@evil.example>" <b@good.example>', 'good.example'],
    ['(<x@evil.example>) b@good.example', 'good.example'],
    ['(a (b) \\) <x@evil.example>) b@good.example (c)', 'good.example'],
    ['b@good.example, a@evil.example', 'good.example'],
    ['Team: b@good.example, c@evil.example;', 'good.example'],
    ['undisclosed-recipients:;', ''],
    ['"a@evil.example"@good.example', 'good.example'],
    ['=?utf-8?q?=3Cx=40evil.example=3E?= <b@good.example>', 'good.example'],
    ['=?utf-8?q?x=40evil.example?=@good.example', 'good.example'],
    ['b@=?utf-8?q?good.example?=', ''],
    ['Ann\r\n <ann@\r\n example . com (here)>', 'example.com'],
    ['ann@exa mple.com', ''],
    ['ann@good.example evil.example', ''],
    ['a@b@good.example', ''],
    ['<a@b@good.example>', ''],
    ['<a@evil.example,b@good.example>', ''],
    ['<@relay.example:b@good.example>', ''],
    ['a@evil.example: b@good.example;', ''],
    ['<ann@example.com', ''],
    ['"ann@example.com', ''],
    ['(ann@example.com', ''],
    ['Ann <<ann@example.com>', ''],
    ['<>', ''],
    ['', ''],
    ['root', ''],
    ['ann@[192.0.2.1]', ''],
    ['ann@example..com', ''],
    ['ann@.example.com', ''],
    ['ann@example.com.', ''],
    ['ann@', ''],
    ['ann@exa\x00mple.com', ''],
    [`ann@${'a'.repeat(254)}`, ''],
    [`ann@${'a'.repeat(253)}`, 'a'.repeat(253)],
    [Buffer.from('ann@bücher.example').toString('latin1'), 'xn--bcher-kva.example'],
    ['ann@b\xfccher.example', ''],
    [Buffer.from('ann@\uff45xample.com').toString('latin1'), ''],
    [Buffer.from('ann@ex\u00adample.com').toString('latin1'), ''],
    [Buffer.from('ann@evil\u3002example.com').toString('latin1'), ''],
  ] as const) {
    const survey = surveyHeader(bytes(`To: x@y\r\nFrom: ${value}\r\nFrom: later@evil.example\r\n\r\n`))
    assert.equal(survey.fromDomain, domain, JSON.stringify(value))
    assert.equal(survey.fromAddress.slice(survey.fromAddress.lastIndexOf('@') + 1), domain)
  }
})

test('the address of the first From mailbox, and all of them', () => {
  for (const [value, addresses] of [
    ['ann@Example.COM', ['ann@example.com']],
    ['Ann <Ann.Smith+x@example.com> (here)', ['Ann.Smith+x@example.com']],
    ['"Doe, Ann" <"ann smith"@example.com>', ['"ann smith"@example.com']],
    ['"a@evil.example"@good.example', ['"a@evil.example"@good.example']],
    ['a@evil.example <b@good.example>', ['b@good.example']],
    ['Doe, Ann <ann@example.com>', ['ann@example.com']],
    ['ann (the (first) one) . smith @example.com', ['ann.smith@example.com']],
    ['Ann\r\n <\r\n ann@example.com>', ['ann@example.com']],
    ['Ann ann@example.com', ['ann@example.com']],
    ['"Ann" ann@example.com', ['ann@example.com']],
    ['"a\r\n b"@example.com', ['"a b"@example.com']],
    ['a@good.example, b@other.example', ['a@good.example', 'b@other.example']],
    ['<a@good.example> <b@other.example>', ['a@good.example', 'b@other.example']],
    ['<a@good.example> b@other.example', ['a@good.example', 'b@other.example']],
    [
      'Team: a@good.example, B <b@other.example>;, c@third.example',
      ['a@good.example', 'b@other.example', 'c@third.example'],
    ],
    ['a@good.example,, ', ['a@good.example']],
    ['a@good.example, b@[192.0.2.1]', null],
    ['a@good.example, <b', null],
    [Buffer.from('j\u00f6rg@b\u00fccher.example').toString('latin1'), ['j\u00f6rg@xn--bcher-kva.example']],
    ['@example.com', ['@example.com']],
    [`${'a'.repeat(65)}@example.com`, [`${'a'.repeat(65)}@example.com`]],
    [`${'a'.repeat(257)}@example.com`, ['@example.com']],
    ['a\x01b@example.com', ['@example.com']],
    ['', []],
    ['root', []],
  ] as const) {
    const header = bytes(`To: x@y\r\nFrom: ${value}\r\nFrom: later@evil.example\r\n\r\n`)
    assert.deepEqual(fromAddresses(header), addresses, JSON.stringify(value))
    const survey = surveyHeader(header)
    if (addresses !== null) {
      assert.equal(survey.fromAddress, addresses[0] ?? '', JSON.stringify(value))
      if (addresses.length > 1) assert.equal(survey.fromMore, true, JSON.stringify(value))
    }
  }
  assert.deepEqual(fromAddresses(bytes('To: x@y\r\n')), [])
})

test('the first subject, and the fields that speak to us', () => {
  const header =
    'Subject: one\r\n two\r\nX-Posthaste-Tag: a\r\n\tb\r\nsubject: other\r\nX-POSTHASTE-: \xe9\r\nX-Posthaste: no\r\nx-posthaste-x : c\r\n\r\n'
  const { subjectStart, subjectEnd, options, hasNonAscii } = surveyHeader(bytes(header))
  assert.equal(header.slice(subjectStart, subjectEnd), ' one\r\n two\r\n')
  assert.deepEqual(
    options.map(({ nameStart, nameEnd, valueStart, end }) => [
      header.slice(nameStart, nameEnd),
      header.slice(valueStart, end),
    ]),
    [
      ['X-Posthaste-Tag', ' a\r\n\tb\r\n'],
      ['X-POSTHASTE-', ' \xe9\r\n'],
      ['x-posthaste-x', ' c\r\n'],
    ],
  )
  // What is taken out does not make a message need SMTPUTF8.
  assert.equal(hasNonAscii, false)
  assert.equal(surveyHeader(bytes(`A: \xe9\r\n${header}`)).hasNonAscii, true)
})

test('deep nesting costs neither stack nor time', () => {
  const deep = `From: ${'('.repeat(500_000)}${')'.repeat(500_000)}${'"'.repeat(100_000)} <a@example.com>\r\n`
  assert.equal(surveyHeader(bytes(deep)).fromDomain, 'example.com')
  assert.equal(surveyHeader(bytes(`From: x@${'a. '.repeat(500_000)}\r\n`)).fromDomain, '')
  assert.equal(surveyHeader(bytes(`From: ${'<a@b,'.repeat(100_000)}\r\n`)).fromDomain, '')
})

test('any bytes: offsets stay in order and inside, and the domain is a host name', () => {
  const piece = fc.constantFrom(
    'From',
    ':',
    ' ',
    '\r\n',
    '\r',
    '\n',
    '<',
    '>',
    '@',
    '"',
    '\\',
    '(',
    ')',
    ',',
    ';',
    'a',
    'b.c',
    '\xc3\xa9',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const header = bytes(`From:${pieces.join('')}`)
      const field = new FieldScanner(header)
      let before = 0
      while (field.next()) {
        assert.equal(field.nameStart, before)
        assert.ok(field.nameStart < field.nameEnd && field.nameEnd < field.valueStart && field.valueStart <= field.end)
        before = field.end
      }
      assert.ok(before <= header.length)
      assert.equal(surveyHeader(header).end, before)
      const { fromDomain, fromAddress, fromMore } = surveyHeader(header)
      assert.match(fromDomain, /^(|[a-z0-9_-]+(\.[a-z0-9_-]+)*)$/)
      assert.equal(fromAddress.slice(fromAddress.lastIndexOf('@') + 1), fromDomain)
      const all = fromAddresses(header)
      if (all !== null && fromDomain !== '') {
        assert.equal(all[0], fromAddress)
        if (!fromMore) assert.equal(all.length, 1)
      }
    }),
    { numRuns: 2_000 },
  )
})
