import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { anyCharacter } from '../../test/support/any-character.ts'
import {
  domainName,
  domainOf,
  isAsciiAddress,
  needsSmtpUtf8,
  parsePath,
  searchAddress,
  wireAddress,
} from './address.ts'

function address(path: string): string | null {
  const parsed = parsePath(path, 0)
  return parsed.problem === null ? (parsed.mailbox?.address ?? '') : null
}

function domain(path: string): string | null {
  const parsed = parsePath(path, 0)
  return parsed.problem === null ? (parsed.mailbox?.domain ?? '') : null
}

test('paths that are addresses keep every byte', () => {
  for (const kept of [
    'a@b',
    'A.b+c=d/e@Example.COM',
    '""@x',
    '"a b"@x',
    '"a\\@b"@x',
    '"a@evil.test x"@good.test',
    "o'neil@x",
  ]) {
    assert.equal(address(`<${kept}>`), kept)
  }
  assert.equal(address('<>'), '')
  assert.equal(address('<@relay.example,@two.example:a@b>'), 'a@b')
  assert.equal(address('<jürgen@bücher.example>'), 'jürgen@bücher.example')
})

test('paths that are not addresses are refused with a reason', () => {
  const bad = [
    'a@b',
    '<a@b',
    '<a>',
    '<@x>',
    '<a..b@x>',
    '<.a@x>',
    '<a.@x>',
    '<a@>',
    '<a@x..y>',
    '<a@-x.y>',
    '<a@x-.y>',
    '<a@a_b.c>',
    '<a@x.>',
    '<a b@x>',
    '<"a@x>',
    '<"a"b@x>',
    '<"a\\\u0001"@x>',
    '<"a\r\nDATA"@x>',
    '<a\u0010b@x>',
    '<a\u0085b@x>',
    '<@x;a@b>',
    '<@:a@b>',
    '<a@b@c>',
    '<<a@b>',
    '<a@[127.0.0.1>',
    '<a@[1.2.3]>',
    '<a@[IPv6:1.2.3.4]>',
    '<a@[IPv6:fe80::1%lo]>',
    '<a@[x400:foo]>',
  ]
  for (const path of bad) assert.equal(address(path), null, JSON.stringify(path))
})

test('lengths are octets: at the limit, and one more', () => {
  const labels = (bytes: number): string => `${'d'.repeat(60)}.`.repeat(Math.ceil(bytes / 61)).slice(0, bytes - 1) + 'e'
  assert.equal(address(`<${'l'.repeat(64)}@x>`), `${'l'.repeat(64)}@x`)
  assert.equal(address(`<${'l'.repeat(65)}@x>`), null)
  assert.equal(address(`<${'ü'.repeat(32)}@x>`), `${'ü'.repeat(32)}@x`)
  assert.equal(address(`<${'ü'.repeat(33)}@x>`), null)
  assert.notEqual(address(`<a@${labels(252)}>`), null)
  assert.equal(address(`<a@${labels(253)}>`), null)
  assert.equal(address(`<a@${'d'.repeat(64)}.x>`), null)
  assert.equal(domainName(labels(255)).length, 255)
  assert.equal(domainName(labels(256)), '')
})

test('a domain is one name only, and never an IP address in disguise', () => {
  assert.equal(domain('<a@EXAMPLE.com>'), 'example.com')
  assert.equal(domain('<a@BÜCHER.example>'), 'xn--bcher-kva.example')
  assert.equal(domain('<a@xn--bcher-kva.example>'), 'xn--bcher-kva.example')
  assert.equal(domain('<a@[IPv6:2001:DB8::1]>'), '[ipv6:2001:db8::1]')
  const tricks = [
    '0x7f.1',
    '127.0.0.1',
    '1.2.3',
    'x.0x',
    '2130706433',
    'exa\u200bmple.com',
    'exa\u00admple.com',
    'ex\uff0eample.com',
    'ex\u3002com',
    '\uff41.com',
    '\u212aelvin.com',
    'bu\u0308cher.example',
    'a\u202eb.com',
    'xn--zzzzzzzz-.com',
    '\u{e0061}.com',
  ]
  for (const trick of tricks) assert.equal(domain(`<a@${trick}>`), null, JSON.stringify(trick))
})

test('characters that mean something in a URL do not cut or change a name with U-labels', () => {
  for (const name of [
    'münchen%2etest',
    'a?münchen.de',
    'münchen/x',
    'münchen#x.de',
    'münchen:25',
    'x@münchen.de',
    'mün\\chen.de',
  ]) {
    assert.equal(domainName(name), '', name)
  }
  assert.equal(domainName('münchen.de'), 'xn--mnchen-3ya.de')
})

test('the domain of an address is what follows its last at sign', () => {
  assert.equal(domainOf('"x@evil.test"@Good.Test'), 'good.test')
  assert.equal(domainOf('a@bücher.example'), 'xn--bcher-kva.example')
  assert.equal(domainOf('a@[127.0.0.1]'), '[127.0.0.1]')
  for (const none of ['', 'a', 'a@', 'a@0x7f.1']) assert.equal(domainOf(none), '')
  assert.equal(isAsciiAddress('a@b'), true)
  assert.equal(isAsciiAddress('ä@b'), false)
})

test('a domain of U-labels goes out in A-labels, unless the local part needs SMTPUTF8 anyway', () => {
  const cases: readonly (readonly [address: string, needsIt: boolean, wire: string, search: string])[] = [
    ['Ann@Example.com', false, 'Ann@Example.com', 'ann@example.com'],
    ['Ann@Bücher.example', false, 'Ann@xn--bcher-kva.example', 'ann@xn--bcher-kva.example'],
    ['Ann@xn--bcher-kva.example', false, 'Ann@xn--bcher-kva.example', 'ann@xn--bcher-kva.example'],
    ['"a@b"@bücher.example', false, '"a@b"@xn--bcher-kva.example', '"a@b"@xn--bcher-kva.example'],
    ['Änn@bücher.example', true, 'Änn@bücher.example', 'änn@xn--bcher-kva.example'],
    ['änn@example.com', true, 'änn@example.com', 'änn@example.com'],
    ['"@ä"@example.com', true, '"@ä"@example.com', '"@ä"@example.com'],
    ['ann@straße.example', false, 'ann@xn--strae-oqa.example', 'ann@xn--strae-oqa.example'],
    // None that intake would take: it stays what it is, and whoever sends looks at every byte once more.
    ['ann@a b\u00fc', false, 'ann@a b\u00fc', 'ann@a b\u00fc'],
    ['', false, '', ''],
    ['bücher', true, 'bücher', 'bücher'],
  ]
  for (const [given, needsIt, wire, search] of cases) {
    assert.equal(needsSmtpUtf8(given), needsIt, given)
    assert.equal(wireAddress(given), wire)
    assert.equal(searchAddress(given), search)
  }
})

test('whatever is an address: what goes out leads to the same place, and is ASCII where SMTPUTF8 is not needed', () => {
  fc.assert(
    fc.property(fc.array(anyCharacter, { maxLength: 8 }), fc.constantFrom('a', 'ü', '"@"'), (characters, local) => {
      const path = parsePath(`<${local}@${characters.join('')}.bücher.example>`, 0)
      if (path.problem !== null) return
      const { address: given, domain } = path.mailbox ?? assert.fail()
      const wire = wireAddress(given)
      assert.equal(domainOf(wire), domain)
      assert.equal(isAsciiAddress(wire), !needsSmtpUtf8(given))
      assert.equal(wireAddress(wire), wire)
      assert.equal(searchAddress(wire), searchAddress(given))
    }),
  )
})

test('nothing in an address breaks a line or turns the text behind it around', () => {
  for (const mark of ['\u009b', '\u2028', '\u2029', '\u202e', '\u2067']) {
    assert.equal(address(`<a${mark}b@x>`), null)
    assert.equal(address(`<"a${mark}b"@x>`), null)
  }
  assert.equal(address('<\u0646\u200c\u0645@x>'), '\u0646\u200c\u0645@x')
})

test('any text is read without throwing, and what is accepted holds no control character and reads back alike', () => {
  const soup = fc.string({
    unit: fc.constantFrom(...Array.from('ab.@<>"\\ :,[]-x0ü\u0000\r\n\u200b\u{1f600}')),
    maxLength: 30,
  })
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: anyCharacter })), (text) => {
      const parsed = parsePath(`<${text}>`, 0)
      if (parsed.problem !== null || parsed.mailbox === null) return
      assert.doesNotMatch(parsed.mailbox.address, /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u)
      assert.equal(domainOf(parsed.mailbox.address), parsed.mailbox.domain)
      assert.equal(address(`<${parsed.mailbox.address}>`), parsed.mailbox.address)
      assert.match(parsed.mailbox.domain, /^[a-z0-9.:[\]-]+$/)
    }),
    { numRuns: 1500 },
  )
})

test('every valid dot-string and quoted string is accepted', () => {
  const atom = fc.string({
    unit: fc.constantFrom(...Array.from("abcXYZ019!#$%&'*+-/=?^_`{|}~")),
    minLength: 1,
    maxLength: 10,
  })
  const dotString = fc.array(atom, { minLength: 1, maxLength: 5 }).map((atoms) => atoms.join('.'))
  const quoted = fc
    .string({ unit: 'grapheme-ascii', maxLength: 30 })
    .map((text) => `"${text.replaceAll(/["\\]/g, (mark) => `\\${mark}`)}"`)
    .filter((text) => text.length <= 64)
  fc.assert(
    fc.property(fc.oneof(dotString, quoted), fc.constantFrom('x', 'a-b.example', '[192.0.2.1]'), (local, host) => {
      assert.equal(address(`<${local}@${host}>`), `${local}@${host}`)
    }),
  )
})
