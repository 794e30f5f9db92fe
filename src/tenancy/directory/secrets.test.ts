import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom, systemRandom } from '../../kernel/random.ts'
import { createSecret, isSecret, lastFourOf, type SecretKind, sha256 } from './secrets.ts'

const kinds: readonly SecretKind[] = ['live', 'smtp', 'link']

test('a key is 160 random bits in the form that scanners are told of', () => {
  const secrets = Array.from({ length: 1_000 }, () => createSecret('live', systemRandom))
  assert.equal(new Set(secrets).size, 1_000)
  const seen = new Set(secrets.map((secret) => secret.slice(8, 40)).join(''))
  assert.equal(seen.size, 32)
  for (const secret of secrets) {
    assert.match(`key=${secret};`, /\bph_(live|smtp|link)_[a-z2-7]{32}_[0-9A-Za-z]{6}\b/)
    assert.equal(secret.length, 47)
    assert.equal(lastFourOf(secret), secret.slice(-4))
  }
})

test('the form never changes: a key of today is good in ten years', () => {
  const zeros = { ...seededRandom(1), fill: (bytes: Uint8Array) => void bytes.fill(0) }
  assert.equal(createSecret('live', zeros), 'ph_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_0UxVsK')
  assert.equal(sha256('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('a secret is good as it was made, and for what it was made', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(...kinds), (seed, kind) => {
      const secret = createSecret(kind, seededRandom(seed))
      for (const other of kinds) assert.equal(isSecret(other, secret), other === kind)
    }),
  )
})

test('one wrong character, or two that changed places, are always noticed', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(46), fc.nat(255), (seed, at, code) => {
      const wrong = String.fromCharCode(code)
      const secret = createSecret('live', seededRandom(seed))
      const changed = secret.slice(0, at) + wrong + secret.slice(at + 1)
      assert.equal(isSecret('live', changed), changed === secret)
      const swapped = secret.slice(0, at) + (secret[at + 1] ?? '') + (secret[at] ?? '') + secret.slice(at + 2)
      assert.equal(isSecret('live', swapped), swapped === secret)
    }),
    { numRuns: 500 },
  )
})

test('what is no secret at all', () => {
  for (const text of ['', 'ph_live_', 'ph_live_x_y', `${createSecret('live', systemRandom)}\n`, 'x'.repeat(100_000)])
    assert.equal(isSecret('live', text), false)
})
