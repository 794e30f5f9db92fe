import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { charsetChangesMax } from '../limits.ts'
import { decodeEncodedWords, encodedWords, readableText } from './encoded-words.ts'

const readable = (value: string, charactersMax = 512): string => {
  const bytes = Buffer.from(`Subject:${value}\r\nTo: x`)
  return readableText(bytes, 8, bytes.length - 5, charactersMax)
}

test('a value as people read it', () => {
  for (const [value, text] of [
    [' hello ', 'hello'],
    ['', ''],
    [' one\r\n two\r\n\tthree', 'one two three'],
    [' Grüße 🎉', 'Grüße 🎉'],
    [' =?utf-8?Q?Gr=C3=BC=C3=9Fe?= an =?UTF-8?b?QW5u?=', 'Grüße an Ann'],
    [' =?iso-8859-1?q?a=E9_b?=', 'aé b'],
    [' =?utf-8*en?q?hello?=', 'hello'],
    [' =?koi8-r?B?8NLJ18XU?=', 'Привет'],
    // RFC 2047 §8.
    [' (=?ISO-8859-1?Q?a?=)', '(a)'],
    [' (=?ISO-8859-1?Q?a?= b)', '(a b)'],
    [' (=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)', '(ab)'],
    [' (=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)', '(ab)'],
    [' (=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)', '(a b)'],
    // A character's bytes in two words.
    [' =?utf-8?B?w7?= =?utf-8?Q?=C3?= =?utf-8?Q?=BC?=', '\ufffdü'],
    // What is none stays.
    [' =?utf-8?x?abc?=', '=?utf-8?x?abc?='],
    [' =?nonsense?q?abc?= =?utf-8?q?d?=', '=?nonsense?q?abc?= d'],
    [' =?utf-8?q?a b?=', '=?utf-8?q?a b?='],
    [' =?utf-8?b?a!b?=', '=?utf-8?b?a!b?='],
    [' =?utf-8?q?open', '=?utf-8?q?open'],
    [' =?*?q?a?=', '=?*?q?a?='],
    // Nothing that turns the line around or begins another one.
    [' a\x07b', 'a\ufffdb'],
    [' =?utf-8?q?a=0D=0Ab=00?=', 'a\ufffd\ufffdb\ufffd'],
    [' =?utf-8?b?4oCuYWJj?=', '\ufffdabc'],
  ] as const) {
    assert.equal(readable(value), text, JSON.stringify(value))
  }
  assert.equal(readableText(Buffer.from([0x20, 0x61, 0xff, 0x62]), 0, 4, 512), 'a\ufffdb')
})

test('it is clipped to whole characters', () => {
  assert.equal(readable('x'.repeat(600)), 'x'.repeat(512))
  assert.equal(readable('🎉🎉', 3), '🎉')
  assert.equal(readable(` ${encodedWords('ü'.repeat(600), 9).join('\r\n ')}`), 'ü'.repeat(512))
  assert.equal(readable('🎉'.repeat(100_000)).length, 512)
})

test('limit mime.charset-changes: what comes behind more of them stays as it is written', () => {
  const words = (count: number): string =>
    Array.from({ length: count }, (_, i) => `=?${i % 2 === 0 ? 'big5' : 'gbk'}?q?a?=`).join(' ')
  const { value } = charsetChangesMax
  assert.equal(decodeEncodedWords(words(value - 1)), 'a'.repeat(value - 1))
  assert.equal(decodeEncodedWords(words(value)), 'a'.repeat(value))
  assert.equal(decodeEncodedWords('=?iso-8859-1?q?=E9?= '.repeat(50)).trim(), 'é'.repeat(50))
  assert.equal(decodeEncodedWords(words(value + 1)), `${'a'.repeat(value)} =?big5?q?a?=`)
})

test('what was encoded is read as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }), fc.nat(60), (text, column) => {
      assert.equal(decodeEncodedWords(encodedWords(text, column).join('\r\n ')), text)
    }),
  )
})

test('any value gives one line that can be shown', () => {
  const piece = fc.constantFrom(
    '=?',
    '?=',
    'utf-8',
    '?q?',
    '?b?',
    '=C3',
    'YQ==',
    ' ',
    '\r\n ',
    '\t',
    '?',
    'ü',
    '\x1b',
    '*',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (pieces, max) => {
      const text = readable(pieces.join(''), max)
      assert.ok(text.length <= max && text.isWellFormed())
      assert.doesNotMatch(text, /\p{Cc}/u)
    }),
    { numRuns: 1_000 },
  )
})
