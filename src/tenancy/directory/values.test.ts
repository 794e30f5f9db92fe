import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PosthasteError } from '../../kernel/errors.ts'
import { InvalidValue } from '../../ports/directory.ts'
import * as values from './values.ts'

const wrong = (pointer: string, read: () => unknown): void => {
  assert.throws(read, (error: unknown) => {
    assert.ok(error instanceof InvalidValue && error instanceof PosthasteError)
    assert.equal(error.pointer, pointer)
    assert.ok(error.message.startsWith(`${pointer}: `) && error.cure.endsWith('.'), error.message)
    // What cannot be seen is written so that it can.
    assert.doesNotMatch(error.message, /[\p{C}\p{Zl}\p{Zp}]/u)
    assert.ok(error.message.length < 400)
    return true
  })
}

test('names that programs use are plain, and what surrounds them is dropped', () => {
  assert.equal(values.slug('/name', '\u00a0\u3000acme-2\t\n'), 'acme-2')
  for (const name of [
    '',
    '  ',
    'Acme',
    'аcme',
    'ac me',
    '-a',
    'a\u200b',
    'a'.repeat(64),
    "a'; --",
    '\u202eacme',
    '\ud800',
  ])
    wrong('/name', () => values.slug('/name', name))
  assert.equal(values.userName('/user', ' app@acme.example '), 'app@acme.example')
  for (const user of ['App', 'apр', 'a b', 'a\0b', '@a', 'a'.repeat(129)])
    wrong('/user', () => values.userName('/user', user))
})

test('names that people read may be in any script, without what cannot be seen', () => {
  assert.equal(values.label('/name', ' Größe – 発送 🚚 '), 'Größe – 発送 🚚')
  assert.equal(values.label('/name', 'e\u0301'), '\u00e9')
  for (const name of ['', 'a\u200bb', 'a\u202eb', 'a\nb', 'a\u0000', '\ufeff', 'a\u2028b', '\udc00'])
    wrong('/name', () => values.label('/name', name))
})

test('domains are kept in A-labels; look-alikes are refused, not mapped', () => {
  assert.equal(values.domain('/domain', ' Bücher.Example. '), 'xn--bcher-kva.example')
  for (const name of [
    'com',
    '',
    'exa\u200bmple.com',
    'ｅxample.com',
    '0x7f.1',
    '127.0.0.1',
    'a..b',
    '*.example.com',
    'a@b.c',
    '.',
  ])
    wrong('/domain', () => values.domain('/domain', name))
})

test('addresses are read by the one reader, and folded', () => {
  assert.equal(values.address('/address', ' Ann.Smith@BÜCHER.example'), 'ann.smith@xn--bcher-kva.example')
  assert.equal(values.address('/address', '"a@evil.test x"@good.test'), '"a@evil.test x"@good.test')
  for (const text of [
    '',
    'ann',
    '@example.com',
    'ann@',
    'Ann <ann@example.com>',
    '<ann@example.com>',
    'ann@example.com>',
    'ann@example.com> x',
    'a@b.c,d@e.f',
    'ann@[127.0.0.1]',
    'ann@localhost',
    'a\r\nb@example.com',
    '@relay.example:ann',
  ])
    wrong('/address', () => values.address('/address', text))
})

test('networks, scopes, times and classes', () => {
  wrong('/networks/1', () => values.networks('/networks', ['10.0.0.0/8', '10.0.0.0/33']))
  wrong('/networks/0', () => values.networks('/networks', ['0.0.0.0/0']))
  for (const everybody of ['::ffff:0.0.0.0/96', '::ffff:0:0/96', '::/0', '1.2.3.4/0', '10.0.0.0/00']) {
    wrong('/networks/0', () => values.networks('/networks', [everybody]))
    wrong('/cidr', () => values.network('/cidr', everybody, 'Name yours.'))
  }
  assert.equal(values.network('/cidr', ' 10.1.2.3/8 ', 'Name yours.'), '10.0.0.0/8')
  wrong('/networks/0', () => values.networks('/networks', ['fe80::1%eth0']))
  assert.deepEqual(values.networks('/networks', [' 192.0.2.7 ', '192.0.2.7/32']), ['192.0.2.7/32'])
  wrong('/scopes/1', () => values.scopes('/scopes', ['send', 'admin']))
  wrong('/scopes', () => values.scopes('/scopes', []))
  for (const ms of [5, 4, Number.NaN, 6.5, Infinity]) wrong('/expires_at', () => values.expiry('/expires_at', ms, 5))
  assert.equal(values.expiry('/expires_at', 6, 5), 6)
  assert.equal(values.expiry('/expires_at', null, 5), null)
  wrong('/class', () => values.mailClass('/class', '__proto__'))
})

test('no text whatsoever makes a reader fail in any other way, or give back what it would then refuse', () => {
  const character = fc.oneof(fc.nat(0x7f), fc.nat(0x10_ffff)).map((code) => String.fromCodePoint(code))
  const text = fc.array(character, { maxLength: 40 }).map((characters) => characters.join(''))
  const readers = [values.slug, values.label, values.userName, values.domain, values.address]
  fc.assert(
    fc.property(text, (written) => {
      for (const read of readers) {
        let kept: string
        try {
          kept = read('/it', written)
        } catch (error) {
          assert.ok(error instanceof InvalidValue)
          continue
        }
        assert.equal(read('/it', kept), kept)
      }
    }),
  )
})
