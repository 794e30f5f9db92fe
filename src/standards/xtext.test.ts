import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { anyCharacter } from '../../test/support/any-character.ts'
import { asciiUnitext, decodeXtext, encodeUnitext, encodeXtext, isUnitext } from './xtext.ts'

const wellFormed = fc.string({ unit: anyCharacter }).map((text) => text.toWellFormed())
/** Printable, as addresses are. */
const address = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(' ', '+', '=', '\\', '"', '@', 'x', '{', '}'),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
  })
  .filter((text) => !/[\p{Cc}\u2028-\u202e\u2066-\u2069]/u.test(text))

test('xtext is what RFC 3461 §4 says: hexchar in capitals for all but printable ASCII, and for + and =', () => {
  assert.equal(encodeXtext('ann@example.com'), 'ann@example.com')
  assert.equal(encodeXtext('"ann smith"+x=y@example.com'), '"ann+20smith"+2Bx+3Dy@example.com')
  assert.equal(encodeXtext('\t\0\x7fü'), '+09+00+7F+C3+BC')
  assert.equal(decodeXtext('"ann+20smith"+2Bx+3Dy@example.com'), '"ann smith"+x=y@example.com')
  assert.equal(decodeXtext(''), '')
  for (const bad of ['a+b', 'a+', 'a+2', '+2b', '+ZZ', 'a=b', 'a b', 'ü', 'a\t', '\x7f', '+FF', '+C3']) {
    assert.equal(decodeXtext(bad), null, bad)
  }
})

test('any text comes back from xtext, which is printable and has no + but before two digits', () => {
  fc.assert(
    fc.property(wellFormed, (text) => {
      const xtext = encodeXtext(text)
      assert.match(xtext, /^([!-*,-<>-~]|\+[0-9A-F]{2})*$/)
      assert.equal(decodeXtext(xtext), text)
    }),
  )
})

test('whatever is read as xtext is written again to the same meaning', () => {
  const soup = fc.string({ unit: fc.constantFrom(...Array.from('+20BC3A9bcfx=@ é')) })
  fc.assert(
    fc.property(soup, (xtext) => {
      const text = decodeXtext(xtext)
      if (text !== null) assert.equal(decodeXtext(encodeXtext(text)), text)
    }),
    { numRuns: 2_000 },
  )
})

test('unitext is what RFC 6533 §3 says', () => {
  assert.equal(encodeUnitext('jürgen+x=y@bücher.example'), 'jürgen\\x{2B}x\\x{3D}y@bücher.example')
  assert.equal(encodeUnitext('"a \\" b"@x'), '"a\\x{20}\\x{5C}"\\x{20}b"@x')
  assert.equal(asciiUnitext('jürgen\\x{2B}x@\u{1f600}'), 'j\\x{FC}rgen\\x{2B}x@\\x{1F600}')
  for (const good of ['ann@x', 'jürgen@x', 'a\\x{2B}@x', 'a\\x{20AC}@x', '\\x{1F600}@x', '\\x{10FFFF}']) {
    assert.equal(isUnitext(good), true, good)
  }
  const bad = [
    '',
    'a+b',
    'a=b',
    'a b',
    'a\\b',
    '\\x{2b}',
    '\\x{2}',
    '\\x{02B}',
    '\\x{D800}',
    '\\x{110000}',
    '\\x{00}',
    '\\x{0D}',
  ]
  for (const text of [...bad, '\\x{9B}', '\\x{2B', 'a\u0085', 'a\u2028', 'a\u202e', 'a\t', 'a\r\n']) {
    assert.equal(isUnitext(text), false, JSON.stringify(text))
  }
})

test('any address becomes unitext, in ASCII too, and means the same', () => {
  const meaning = (text: string): string =>
    text.replace(/\\x\{([0-9A-F]+)\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
  fc.assert(
    fc.property(address, (text) => {
      const unitext = encodeUnitext(text)
      const ascii = asciiUnitext(unitext)
      assert.match(ascii, /^[!-*,-<>-~]+$/)
      for (const written of [unitext, ascii]) {
        assert.equal(isUnitext(written), true, written)
        assert.equal(meaning(written), text)
      }
    }),
  )
})
