import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { passes, plainBodyHash, plainRelaxedField, plainVerify } from '../../test/fixtures/sign/plain-verifier.ts'
import * as rfc8463 from '../../test/fixtures/sign/rfc8463.ts'
import { RelaxedBodyHash, writeRelaxedField } from './dkim.ts'
import { FieldScanner } from './header.ts'

function bodyHash(body: string | Buffer, chunkBytes = Number.POSITIVE_INFINITY): string {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  const hash = new RelaxedBodyHash()
  for (let at = 0; at < bytes.length; at += chunkBytes) hash.update(bytes, at, Math.min(bytes.length, at + chunkBytes))
  return hash.digest()
}

function relaxedHeader(header: string): string {
  const bytes = Buffer.from(header, 'latin1')
  const into = Buffer.alloc(bytes.length + 2)
  const field = new FieldScanner(bytes)
  let at = 0
  while (field.next()) at = writeRelaxedField(bytes, field, into, at)
  return into.toString('latin1', 0, at)
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64')

test('the example of RFC 6376 §3.4.5', () => {
  assert.equal(relaxedHeader('A: X\r\nB : Y\t\r\n\tZ  \r\n'), 'a:X\r\nb:Y Z\r\n')
  assert.equal(bodyHash(' C \r\nD \t E\r\n\r\n\r\n'), sha256(' C\r\nD E\r\n'))
})

test('an empty body stays empty (RFC 6376 §3.4.4)', () => {
  const empty = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
  for (const body of ['', '\r\n', '\r\n\r\n\r\n', ' \t \r\n\r\n', '  ']) assert.equal(bodyHash(body), empty)
})

test('cases where a following byte decides', () => {
  for (const [body, relaxed] of [
    ['a', 'a\r\n'],
    ['a ', 'a\r\n'],
    ['a\tb\r\n', 'a b\r\n'],
    ['a  \r\n\r\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['\r\n\r\na\r\n', '\r\n\r\na\r\n'],
    ['a \r b\r\n', 'a \r b\r\n'],
    ['a \n\r\n', 'a \n\r\n'],
    ['a\r', 'a\r\r\n'],
    ['a\r\r\n', 'a\r\r\n'],
    ['a\n', 'a\n\r\n'],
    ['a \r\n \r\n\t\r\n', 'a\r\n'],
    [' \ta', ' a\r\n'],
  ] as const) {
    for (const chunkBytes of [1, 2, 3, 64]) {
      assert.equal(bodyHash(body, chunkBytes), sha256(relaxed), JSON.stringify([body, chunkBytes]))
    }
  }
})

test('every split of 1 to 64 bytes gives the same hash', () => {
  const lines = [
    'plain words',
    '  indented  twice',
    '\ttab\tand\ttab\t',
    '',
    ' ',
    'x'.repeat(300),
    'trailing \t ',
    '\r',
    '.',
    '',
  ]
  const body = Buffer.from(`${Array.from({ length: 40 }, (_, i) => lines[i % lines.length]).join('\r\n')}\r\n\r\n \r\n`)
  const expected = plainBodyHash(body.toString('latin1'))
  for (let chunkBytes = 1; chunkBytes <= 64; chunkBytes++) assert.equal(bodyHash(body, chunkBytes), expected)
  assert.equal(bodyHash(body), expected)
})

test('any body in any split hashes like the plain form', () => {
  const piece = fc.constantFrom(' ', '\t', '\r', '\n', '\r\n', '\r\n', 'a', 'b.', '\x00', '\xe9', 'long'.repeat(20))
  const body = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(body, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }), (text, sizes) => {
      const bytes = Buffer.from(text, 'latin1')
      const hash = new RelaxedBodyHash()
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = Math.min(bytes.length, at + (sizes[i % sizes.length] as number))
        hash.update(bytes, at, end)
        at = end
      }
      assert.equal(hash.digest(), plainBodyHash(text))
      assert.equal(bodyHash(bytes), plainBodyHash(text))
    }),
    { numRuns: 3_000 },
  )
})

test('bodies longer than any inner buffer', () => {
  const long = [
    'x'.repeat(100_000),
    'ab  '.repeat(30_000),
    `${'line\r\n\r\n'.repeat(20_000)}end`,
    `a${'\r\n'.repeat(50_000)}b${' \t'.repeat(50_000)}c`,
    'a\tb'.repeat(20_000),
  ]
  for (const body of long) {
    assert.equal(bodyHash(body), plainBodyHash(body))
    assert.equal(bodyHash(body, 1_000), plainBodyHash(body))
  }
})

test('any header relaxes like the plain form', () => {
  const value = fc.array(fc.constantFrom(' ', '\t', '\r\n ', '\r\n\t', 'x', ':', '\r', '\n', '\xff', 'words here'), {
    maxLength: 12,
  })
  const field = fc
    .tuple(fc.constantFrom('Subject', 'X-A', 'FROM '), value)
    .map(([name, parts]) => `${name}:${parts.join('')}z\r\n`)
    .filter((text) => !/\r\n(?![ \t]|$)/.test(text))
  fc.assert(
    fc.property(fc.array(field, { maxLength: 4 }), (fields) => {
      assert.equal(relaxedHeader(fields.join('')), fields.map(plainRelaxedField).join(''))
    }),
  )
})

test('RFC 8463 appendix A: our canonical form under the published key gives the published signature', () => {
  const { signedMessage } = rfc8463
  const verdicts = plainVerify(
    signedMessage,
    new Map([
      ['brisbane', rfc8463.ed25519PublicKey],
      ['test', rfc8463.rsaPublicKey],
    ]),
  )
  assert.deepEqual(verdicts.map(passes), [true, true], 'the plain verifier itself')

  assert.equal(bodyHash(signedMessage.slice(signedMessage.indexOf('\r\n\r\n') + 4)), rfc8463.bodyHash)
  const relaxed = relaxedHeader(signedMessage).split(/(?<=\r\n)/)
  const own = (relaxed[0] as string).replace(/; b=.*\r\n/, '; b=')
  const data = ['from', 'to', 'subject', 'date', 'message-id'].map((name) =>
    relaxed.find((line) => line.startsWith(`${name}:`)),
  )
  const digest = createHash('sha256')
    .update(data.join('') + own)
    .digest()
  assert.equal(sign(null, digest, rfc8463.ed25519PrivateKey).toString('base64'), rfc8463.ed25519Signature)
})
