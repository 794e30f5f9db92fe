import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyedHash } from './keyed-hash.ts'

const words = (hash: KeyedHash, text: string): string => {
  hash.of(text)
  return [hash.h0, hash.h1, hash.h2, hash.h3].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join(' ')
}

test('it is Chaskey-12: the published vectors around the edges of a block', () => {
  const hash = new KeyedHash(Int32Array.of(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39))
  for (const [length, expected] of [
    [0, '43cb1f41 51eba0c2 ff0a8ac3 7ee3f642'],
    [1, 'f9ac2067 9c35a846 441aad3d 777b7330'],
    [15, '03cfb44b 283c8163 fca71448 c40a0aea'],
    [16, '5dd0e2a9 fb5eac8c 633a392e 500c36f3'],
    [17, '8b5f6d5a 202314f6 22092368 9639e606'],
    [63, '2dd072e1 42b89efe fb26b615 049aa451'],
  ] as const) {
    assert.equal(words(hash, String.fromCharCode(...Array(length).keys())), expected)
  }
})

test('texts that look alike in some encoding have other words, and a long one before leaves nothing behind', () => {
  const hash = new KeyedHash(Int32Array.of(1, 2, 3, 4))
  const texts = [
    'a',
    'a\0',
    '',
    '\0',
    '\u0161',
    'a\u0001',
    '\u00e4',
    'ä',
    '\u00c3\u00a4',
    'ÿ'.repeat(8),
    '\ud800',
    '\udc00',
  ]
  const first = texts.map((text) => words(hash, text))
  assert.equal(new Set(first).size, new Set(texts).size)
  for (const long of ['x'.repeat(5_000), 'ä'.repeat(5_000)]) {
    words(hash, long)
    assert.deepEqual(
      texts.map((text) => words(hash, text)),
      first,
    )
  }
  assert.notEqual(words(new KeyedHash(Int32Array.of(1, 2, 3, 5)), 'a'), words(hash, 'a'))
})
